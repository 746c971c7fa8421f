"""The manual and the README: every page is shown, links work, commands can be typed."""

import ast
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import Run, populate, write_states

from bulk_sync.cli import group
from bulk_sync.cli.commands.help_pages import TOPICS
from bulk_sync.cli.options.option import DECLARED, Group
from bulk_sync.errors import Exit
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome, Reason
from bulk_sync.report import formats as report_formats
from bulk_sync.report.wording import OUTCOMES, REASONS
from bulk_sync.rows import columns
from bulk_sync.rows.parse import formats as input_formats
from bulk_sync.settings import Oddity
from bulk_sync.simulator import Simulator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MANUAL = ROOT / "bulk_sync" / "manual"
PAGES = [README, *sorted(MANUAL.glob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|crontab|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(bulk-sync [^`]+)`")
FLAG = re.compile(r"(?<!\w)--[a-z]+(?:-[a-z]+)*(?![\w-])")
LINK = re.compile(r"\[([^]]*)\]\(([^)\s]*)\)")
CITATION = re.compile(r"campaign-api\.md, sections? (\d(?:\.\d)?)(?: and (\d(?:\.\d)?))?")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def help_text(*words: str) -> str:
    """Return the output of ``bulk-sync help`` at a pipe."""
    result = CliRunner().invoke(group, ["help", *words])
    assert result.exit_code == 0
    return result.stdout


def typed_lines(page: Path) -> Iterator[str]:
    text = page.read_text("utf-8")
    for block in BLOCK.findall(text):
        yield from block.replace("\\\n", "").splitlines()
    yield from (line for line in INLINE.findall(text) if "COMMAND" not in line)


def commands() -> list[object]:
    """Return every command line in the README and the manual, with the page it is on."""
    return [
        pytest.param(words, id=f"{page.stem}: {' '.join(words)}")
        for page in PAGES
        for line in typed_lines(page)
        for part in re.split(r"[;&|]+", re.sub(r"(?<= )\d?[<>]+[^\s;]+|^\$ ", "", line))
        if (words := shlex.split(part, comments=True))[:1] == ["bulk-sync"]
    ]


def cells(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading, without its first two lines."""
    text = page.read_text("utf-8").partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def first_codes(rows: list[list[str]]) -> list[str]:
    return [name for row in rows for name in re.findall(r"[a-z0-9]\w+", row[0])]


def anchors(page: Path) -> set[str]:
    titles = HEADING.findall(page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_help_lists_every_page_with_its_title() -> None:
    assert {page.stem for page in MANUAL.iterdir()} == set(TOPICS)
    listed = help_text()
    for topic in TOPICS:
        assert re.search(rf"^  {topic} +\w.{{10,}}$", listed, re.MULTILINE), topic


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_begins_with_its_title_and_its_readers(topic: str) -> None:
    first, _, readers = (MANUAL / f"{topic}.md").read_text("utf-8").split("\n")[:3]
    assert first.startswith(f"# {topic}: ")
    assert readers.startswith("For ")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_plain_markdown_at_a_pipe(topic: str) -> None:
    page = help_text(topic)
    assert page.startswith(f"# {topic}: ")
    assert "\x1b" not in page
    assert ".md)" not in page


def test_a_page_is_styled_and_paged_at_a_terminal_and_leaves_ctrl_c_to_the_pager() -> None:
    ours, theirs = pty.openpty()
    pager = "sh -c 'kill -INT $PPID; sed s/^/paged:/'"
    env = {**os.environ, "PAGER": pager, "TERM": "xterm", "COLUMNS": "80"}
    program = [sys.executable, "-m", "bulk_sync", "help", "report"]
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert text.count(b"paged:") > 50
    assert b"\x1b[1" in text
    assert b"| --- |" not in text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux answers EIO when the other end is closed
        return b""


def test_an_unknown_topic_lists_the_topics() -> None:
    program = [sys.executable, "-m", "bulk_sync", "help", "nigthly"]
    answer = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert answer.stderr.endswith(f"topics: {', '.join(TOPICS)}.\n")


def test_help_with_the_name_of_a_command_shows_its_options() -> None:
    assert "--give-up" in help_text("resume")
    assert "--head" in help_text("ledger", "verify")


@pytest.mark.parametrize("words", commands())
def test_a_command_in_the_manual_can_be_typed(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ben.txt").touch()  # its name has to be on the page
    found: click.Command | None = group
    rest = words[1:]
    while isinstance(found, click.Group) and rest:
        _, found, rest = found.resolve_command(click.Context(found), rest)
    assert found is not None
    if not {"--help", "--version"} & set(rest):
        found.make_context("bulk-sync", rest)


def test_every_option_on_a_page_exists() -> None:
    text = messages() + "--help"
    missing = {
        (page.stem, flag)
        for page in PAGES
        if page.stem != "changes"
        for flag in FLAG.findall(page.read_text("utf-8"))
        if not re.search(rf"{flag}(?![a-z-])", text)
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_a_page_and_a_heading_and_say_what_to_type(page: Path) -> None:
    for text, target in LINK.findall(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if re.match("https?:", path):
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target
        if page is not README and there.suffix == ".md" and there != page:
            assert text == f"`bulk-sync help {there.stem}`"


def test_the_readme_is_short() -> None:
    assert README.stat().st_size <= 10_000


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        (README, "## Exit codes"),
        (MANUAL / "nightly.md", "## Exit codes, and when to page a person"),
    ],
    ids=["README", "nightly"],
)
def test_every_exit_code_is_explained(page: Path, heading: str) -> None:
    listed = [code for row in cells(page, heading) for code in re.findall(r"\d+", row[0])]
    assert listed == [str(int(each)) for each in Exit]


def test_every_column_outcome_and_reason_of_a_report_is_explained() -> None:
    report = MANUAL / "report.md"
    assert set(first_codes(cells(report, "replaced. Then:\n"))) == set(columns.REPORT)
    outcomes = cells(report, "## Outcomes")
    assert first_codes(outcomes) == [*Outcome]
    assert first_codes([row for row in outcomes if row[-1] == "yes"]) == [*NEEDS_A_PERSON]
    assert [meaning for _, meaning, *_ in outcomes] == [word.meaning for word in OUTCOMES.values()]
    reasons = cells(report, "## Reasons")
    assert sorted(first_codes(reasons)) == sorted(Reason)
    meanings = {name: meaning for names, meaning in reasons for name in first_codes([[names]])}
    assert meanings == {str(reason): meaning for reason, meaning in REASONS.items()}


def missing_suffixes(suffixes: Iterable[str], text: str) -> list[str]:
    return [each for each in suffixes if not re.search(rf"{re.escape(each)}\b", text)]


def test_every_format_of_input_is_named() -> None:
    spreadsheets = (MANUAL / "spreadsheets.md").read_text("utf-8")
    for text in (spreadsheets, help_text("run").partition("\nInput:\n")[0]):
        assert missing_suffixes(input_formats.SUFFIXES, text) == []
    readme = README.read_text("utf-8")
    assert {*missing_suffixes(input_formats.SUFFIXES, readme)} <= {".txt", *input_formats.PACKED}


def test_every_format_of_a_report_is_named() -> None:
    listed = " ".join(row[0] for row in cells(MANUAL / "report.md", "The suffix decides:\n"))
    (option,) = (each for each in DECLARED if each.flag == "--report")
    for text in (listed, str(option.help)):
        assert missing_suffixes([*report_formats.FORMATS, report_formats.PACKED], text) == []


def test_every_option_and_command_is_listed() -> None:
    page = help_text("options")
    for name in group.list_commands(click.Context(group)):
        assert f"| `{name}" in page
    assert re.findall("^## Options: (.*)$", page, re.MULTILINE) == [str(each) for each in Group]
    for option in DECLARED:
        assert str(option.help).replace("|", r"\|") in page
    for row in (
        "| `-n, --dry-run` | `run`: Send no method but GET; outcomes say what would happen. |",
        "| `--head LINE:SHA256` | `ledger verify`: Where the ledger once ended, ",
        "A wait that Campaign asks for costs none. Default: 5. |",
    ):
        assert row in page
    nightly = (MANUAL / "nightly.md").read_text("utf-8")
    for oddity in Oddity:
        assert f"`--allow {oddity}`" in nightly


def messages() -> str:
    """Return every text in the code, with {} for the values in it."""
    texts = []
    for path in (ROOT / "bulk_sync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (n.value if isinstance(n, ast.Constant) else "{}" for n in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_every_key_of_the_summary_is_explained(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), "--summary", "json")
    rows = cells(MANUAL / "monitoring.md", "## The summary in JSON")
    assert sorted(first_codes(rows)) == sorted(ran.summary)


def test_every_message_in_the_manual_exists() -> None:
    text = messages()
    page = (MANUAL / "troubleshooting.md").read_text("utf-8").partition("\n## Rows")[0]
    quoted = re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE)))
    assert len(quoted) > 30
    assert [each for each in quoted if each not in text] == []


def test_every_module_that_the_design_names_exists() -> None:
    page = (MANUAL / "design.md").read_text("utf-8")
    paths = re.findall(r"`((?:tests/)?[a-z_]+/[a-z_/]*(?:\.py|\.md)?)`", page)
    assert len(paths) > 20
    roots = ROOT, ROOT / "bulk_sync"
    assert [each for each in paths if not any((root / each).exists() for root in roots)] == []
    rooms = re.findall(r"^  ([a-z_]+(?:/|\.py)) +\S", page, re.MULTILINE)
    modules = {
        path.name for path in (ROOT / "bulk_sync").iterdir() if not path.name.startswith("_")
    }
    assert modules == {room.rstrip("/") for room in rooms}


def test_every_name_in_the_design_is_in_its_module() -> None:
    page = " ".join((MANUAL / "design.md").read_text("utf-8").split())
    places = re.findall(r"`(\w+)(?:\(\))?` (?:of|in) `([\w/]+\.py)`", page)
    assert len(places) > 10
    paths = ((name, path, ROOT / path) for name, path in places)
    missing = [
        (name, path)
        for name, path, here in paths
        if name not in defined(here if here.exists() else ROOT / "bulk_sync" / path)
    ]
    assert missing == []


def defined(module: Path) -> set[str]:
    """Return the names of functions, classes and variables anywhere in a module."""
    nodes = list(ast.walk(ast.parse(module.read_text("utf-8"))))
    made = {each.name for each in nodes if isinstance(each, ast.FunctionDef | ast.ClassDef)}
    first_codes = (each for each in nodes if isinstance(each, ast.Name))
    return made | {each.id for each in first_codes if isinstance(each.ctx, ast.Store)}


def test_every_citation_of_the_api_facts_names_a_section() -> None:
    headings = HEADING.findall((MANUAL / "campaign-api.md").read_text("utf-8"))
    sections = {heading.partition(" ")[0].rstrip(".") for heading in headings}
    cited = [
        number
        for path in (ROOT / "bulk_sync").rglob("*.py")
        for numbers in CITATION.findall(" ".join(path.read_text("utf-8").split()))
        for number in filter(None, numbers)
    ]
    assert len(cited) > 15
    assert [number for number in cited if number not in sections] == []
