"""Which files a report or a plan may replace."""

import gzip
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from conftest import Run, populate, write_states

from bulk_sync.report import former_files
from bulk_sync.report.formats import SUFFIXES
from bulk_sync.simulator import Simulator

REPORTS = [f"r{suffix}" for suffix in SUFFIXES]


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    populate(sim, 3)
    write_states(tmp_path / "in.csv", 3)
    return sim


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_replaces_the_one_of_the_night_before(
    name: str, filled: Simulator, run: Run
) -> None:
    for _ in range(2):
        assert run(filled, "run", "in.csv", "--report", name).status == 0
    assert run(filled, "validate", "in.csv", "--report", name).status == 0


def test_empty_reports_marked_workbooks_plans_and_mapped_files_replace_older_ones(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    columns = {"PKey": ["@of-another-instance"], "email": ["p0@example.com"], "Opt out": ["yes"]}
    pd.DataFrame(columns).to_excel(tmp_path / "b.xlsx")
    for _ in range(2):
        assert run(filled, "validate", "b.xlsx", "--report", "marked.xlsx").status == 0
        assert run(filled, "plan", "in.csv", "--out", "p.parquet").status == 0
        assert run(filled, "map", "b.xlsx", "--out", "m.csv").status == 0
    (tmp_path / "empty.json").write_text("[]\n")
    (tmp_path / "empty.csv").touch()
    for name in ("empty.json", "empty.csv"):
        assert run(filled, "run", "in.csv", "--report", name).status == 0


def write_foreign_file(path: Path) -> bytes:
    """Write a file of a user, and return its content."""
    frame = pd.DataFrame({"Name": ["Ada"], "Phone": ["1"]})
    if path.suffix == ".xlsx":
        openpyxl.Workbook().save(path)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path.read_bytes()


REPORT = (
    "PKey,ccpaOptOut,sync_row,sync_key,sync_desired,sync_outcome,sync_reason\n@a,1,2,@a,true,,\n"
)
PAGE = '<!DOCTYPE html>\n<html lang="en">\n<body>\n<p class="by">bulk-sync report</p>\n</body>\n'
MENTIONS = 'Name,Note\nAda,"bulk-sync: sync_outcome, sync_reason; see All rows"\n'


@pytest.mark.parametrize(
    ("name", "content", "is_ours"),
    [
        ("report.csv", REPORT, True),
        ("with a break in a name.csv", '"a\nb",' + REPORT, True),
        ("report.json", '[\n{"sync_row":2,"sync_key":"","sync_outcome":"","sync_reason":null}\n]\n',
         True),
        ("page.html", PAGE, True),
        ("mapped.csv", "PKey,oldPKey,email\n@b,@a,a@example.com\n", True),
        ("outline.json", '{"format":"bulk-sync outline 1","sheets":[]}', True),
        ("empty.csv", "\n", True),
        ("mentions.csv", MENTIONS, False),
        ("mentions.json", '[\n{"note":"sync_row sync_key sync_outcome sync_reason"}\n]\n', False),
        ("mentions.html", "<p>How we use bulk-sync report, and its sync_outcome</p>\n", False),
        ("one column.csv", "PKey,sync_outcome\n@a,updated\n", False),
        ("saved by Excel.csv", REPORT.replace(",", ";"), False),
        ("todo.csv", "PKey,ccpaOptOut,original_row,sync_reason,sync_detail\n@a,,2,,\n", False),
        ("other.json", '{"format":"of another program","made by":"bulk-sync"}', False),
        ("list.json", "[\n1\n]\n", False),
        ("damaged.json", '[\n{"sync_row', False),
        ("a lone bracket.json", "[\n", False),
        ("damaged.parquet", "PAR1 sync_outcome", False),
        ("damaged.xlsx", "PK\x03\x04 bulk-sync All rows", False),
        ("a quote.csv", '"sync_outcome', False),
    ],
    ids=lambda each: each if isinstance(each, str) and len(each) < 25 else "",
)  # fmt: skip
def test_a_file_is_recognized_by_its_structure_not_by_a_word_in_it(
    name: str, content: str, is_ours: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, newline="")
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert (former_files.objection(tmp_path / name)[0] == "") is is_ours
    if not name.endswith((".parquet", ".xlsx")):
        assert (former_files.objection(packed)[0] == "") is is_ours


def test_a_foreign_workbook_with_our_words_is_not_ours(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("All rows").append(["bulk-sync", "sync_outcome"])
    book.save(tmp_path / "r.xlsx")
    assert "bulk-sync has not written it" in former_files.objection(tmp_path / "r.xlsx")[0]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_report_does_not_replace_a_foreign_file(
    command: str, name: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    content = write_foreign_file(tmp_path / name)
    ran = run(filled, command, "in.csv", "--report", name)
    assert ran.status == 2
    assert f"{tmp_path / name} is there already, and bulk-sync has not written it" in ran.err
    assert (tmp_path / name).read_bytes() == content
    assert filled.requests == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_run_writes_its_report_beside_a_foreign_file(
    name: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    content = write_foreign_file(tmp_path / name)
    ran = run(filled, "run", "in.csv", "--report", name, "--summary", "json")
    assert ran.status == 0
    assert len(filled.patched) == 3
    assert (tmp_path / name).read_bytes() == content
    suffix = name.removeprefix("r")
    (beside,) = tmp_path.glob(f"r.*.results{suffix}")
    assert beside.name == f"r.{ran.summary['run_id']}.results{suffix}"
    assert ran.summary["reports"] == [beside.name]
    assert f"is not replaced. The report of this run is {beside}" in " ".join(ran.err.split())


def test_every_command_that_writes_to_campaign_writes_its_report_beside_a_foreign_file(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    content = write_foreign_file(tmp_path / "r.xlsx")
    words = ("--report", "r.xlsx")
    run(filled, "plan", "in.csv", "--out", "p.parquet")
    assert run(filled, "apply", "p.parquet", *words, "--max-calls", 4).status == 6
    (first,) = tmp_path.glob("r.*.results.xlsx")
    resumed = run(filled, "resume", "--summary", "json")
    assert resumed.status == 0
    assert list(tmp_path.glob("r.*.results.xlsx")) == [first]
    corrected = openpyxl.load_workbook(first)
    corrected.save(first)
    work = first.read_bytes()
    undone = resumed.summary["run_id"]
    for words_of in (("undo", undone), ("audit", undone)):
        assert run(filled, *words_of, *words).status in {0, 3}
    assert len(list(tmp_path.glob("r.*.results.xlsx"))) == 3
    assert (first.read_bytes(), (tmp_path / "r.xlsx").read_bytes()) == (work, content)


def test_a_plan_does_not_replace_a_foreign_file(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    content = write_foreign_file(tmp_path / "p.parquet")
    assert run(filled, "plan", "in.csv", "--out", "p.parquet").status == 2
    assert (tmp_path / "p.parquet").read_bytes() == content
    assert filled.requests == []
