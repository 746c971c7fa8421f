"""The source of an option's value: command line, variable, file, default, in this order."""

import os
from pathlib import Path

import click
import orjson
import pandas as pd
import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.cli.options.run_options import REPORT
from bulk_sync.simulator import Fault, Options, Simulator, running


def run_five(run: Run, sim: Simulator, tmp_path: Path, *words: object) -> int:
    """Return the exit status of a run with five changes."""
    path = write_states(tmp_path / "in.csv", 5)
    return run(sim, "run", path, "--report", "r.json", *words).status


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


def test_a_file_beats_the_default(filled: Simulator, tmp_path: Path, run: Run) -> None:
    (tmp_path / "bulk-sync.toml").write_text("max-changes = 4\n")
    assert run_five(run, filled, tmp_path) == 4


def test_a_variable_beats_the_file(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bulk-sync.toml").write_text("max_changes = 5\n")
    monkeypatch.setenv("BULK_SYNC_MAX_CHANGES", "4")
    assert run_five(run, filled, tmp_path) == 4


def test_the_command_line_beats_the_variable(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_MAX_CHANGES", "4")
    assert run_five(run, filled, tmp_path, "--max-changes", "100%") == 0


def test_a_variable_without_an_option_is_a_warning(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_OPTINS", "EXPECT_SHA256", "SIMULATE_PORT", "LEDGER_FILE", "CONFIG"):
        monkeypatch.setenv(f"BULK_SYNC_{name}", "")
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), "-q")
    assert ran.status == 0
    (warning,) = (line for line in ran.err.splitlines() if "BULK_SYNC_" in line)
    assert "BULK_SYNC_MAX_OPTINS has no effect" in warning
    assert warning.endswith("Did you mean BULK_SYNC_MAX_OPT_INS?")


@pytest.mark.parametrize("command", ["run", "validate", "plan", "runs"])
def test_an_empty_name_of_a_job_is_no_name(
    command: str, filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_states(tmp_path / "in.csv", 1)
    source = [] if command == "runs" else ["in.csv"]
    ran = run(filled, command, *source, "--job", "")
    assert ran.status == 2
    assert "Invalid value for '--job': it is empty; an unset variable, perhaps." in ran.err
    monkeypatch.setenv("BULK_SYNC_JOB", "")
    assert run(filled, "run", "in.csv", "--summary", "json").summary["job"] == "in"


def test_the_file_may_be_named(filled: Simulator, tmp_path: Path, run: Run) -> None:
    (tmp_path / "other.toml").write_text('max-changes = "50%"\nlog-format = "json"\n')
    assert run_five(run, filled, tmp_path, "--config", "other.toml") == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("max-change = 1", "max-changes"),
        ("max-changes", "bulk-sync.toml"),
        ("organization = acme", "Correct it there. A line is like organization = "),
        ("[run]\na=1", "run"),
        ("max-changes = 1\nmax_changes = 9", "max-changes is there twice"),
        ("dry-run = 1", "true or false"),
        ("max-calls = true", "max-calls"),
        ("concurrency = 1.7", "'--concurrency': '1.7' is not a valid whole number."),
        ("rate = 'fast'", "'--rate': 'fast' is not a valid number."),
    ],
    ids=[
        "a name misspelt",
        "no TOML",
        "no quotes",
        "a table",
        "one name twice",
        "no switch",
        "no number",
        "no whole number",
        "no number but a word",
    ],
)
def test_a_wrong_file_is_explained(
    filled: Simulator, tmp_path: Path, run: Run, content: str, says: str
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(content)
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 2
    assert says in ran.err


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "pipe"])
def test_a_configuration_that_is_no_file_is_not_passed_over(
    filled: Simulator, tmp_path: Path, run: Run, kind: str
) -> None:
    path = tmp_path / "bulk-sync.toml"
    if kind == "folder":  # as a container makes one, in place of a file that its host lacks
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("unmounted/bulk-sync.toml")
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 2
    assert "bulk-sync.toml cannot be read: it is " in ran.err
    assert filled.requests == []


@pytest.mark.parametrize("where", ["variable", "file", "file of an editor", "configuration"])
def test_a_secret_may_lie_in_a_file(
    where: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Options(access_token=None, client_secret="s3cret")) as sim:
        populate(sim, 1)
        secret = tmp_path / "secret"
        secret.write_text("s3cret\n")
        if where == "variable":
            monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "s3cret")
        elif where.startswith("file"):
            monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET_FILE", str(secret))
            if "editor" in where:  # some editors put a byte order mark first
                secret.write_text("s3cret\r\n", "utf-8-sig")
        else:
            (tmp_path / "bulk-sync.toml").write_text(f'client-secret-file = "{secret}"\n')
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 1))
        assert ran.status == 0, ran.err
        assert "s3cret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("words", "variables", "content", "expected"),
    [
        ((), {}, 'ledger = "{top}"', "top"),
        ((), {}, 'ledger-file = "ledger-url"', "file"),
        ((), {"LEDGER_FILE": "ledger-url"}, 'ledger = "{top}"', "file"),
        ((), {"LEDGER": "{variable}"}, 'ledger-file = "ledger-url"', "variable"),
        ((), {"LEDGER": "{variable}", "LEDGER_FILE": "ledger-url"}, "", "variable"),
        (("--ledger", "{typed}"), {"LEDGER_FILE": "ledger-url"}, 'ledger = "{top}"', "typed"),
    ],
    ids=lambda value: str(value) or "none",
)
def test_the_ledger_is_found_in_the_order_of_the_manual(
    words: tuple[str, ...],
    variables: dict[str, str],
    content: str,
    expected: str,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = {
        name: f"sqlite:///{tmp_path}/{name}.sqlite3"
        for name in ("typed", "variable", "file", "top")
    }
    (tmp_path / "ledger-url").write_text(urls["file"])
    (tmp_path / "bulk-sync.toml").write_text(content.format(**urls))
    for name, value in variables.items():
        monkeypatch.setenv(f"BULK_SYNC_{name}", value.format(**urls))
    ran = run(None, "runs", *(word.format(**urls) for word in words))
    assert f"There is no ledger at {tmp_path}/{expected}.sqlite3." in ran.err


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        ("BULK_SYNC_API_KEY", "--api-key is empty, or holds"),
        ("BULK_SYNC_ACCESS_TOKEN", "The access token (BULK_SYNC_ACCESS_TOKEN, or the file"),
        ("BULK_SYNC_CLIENT_SECRET", "The client secret (BULK_SYNC_CLIENT_SECRET, or the file"),
    ],
)
def test_the_message_on_an_unusable_secret_names_which_it_is(
    variable: str, names: str, filled: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(filled, "check")  # sets the variables
    monkeypatch.setenv(variable, "with blanks")
    ran = run(None, "check")
    assert ran.status == 2
    assert names in ran.err
    assert "with blanks" not in ran.err


def test_no_byte_of_a_secret_that_is_no_utf_8_is_shown(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(filled, "check")  # sets the variables
    (tmp_path / "secret").write_bytes(b"s3cr\xe9t")
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "")
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN_FILE", "secret")
    ran = run(None, "check")
    assert ran.status == 2
    assert "the file 'secret', which cannot be read: it is no UTF-8 text. Correct" in ran.err
    assert "0xe9" not in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "in.csv", "--out", "s3://bucket/p.parquet"),
        ("map", "in.csv", "--out", "gs://bucket/new.csv"),
        ("run", "in.csv", "--metrics-file", "https://me:s3cret@example.com/m?token=s3cret"),
        ("run", "in.csv", "--protect", "s3://s3cret:s3cret@bucket/list.csv"),
        ("runs", "--state-dir", "s3://bucket/state"),
        ("check", "--config", "az://bucket/bulk-sync.toml"),
    ],
    ids=lambda words: words[-2],
)
def test_a_url_in_place_of_a_path_is_explained(words: tuple[str, ...], run: Run) -> None:
    ran = run(None, *words)
    assert ran.status == 2
    assert " is a URL. Name a path of this machine." in ran.err
    assert "s3cret" not in ran.err


@pytest.mark.parametrize("command", ["run", "check", "map"])
def test_a_secret_is_no_option(command: str, run: Run) -> None:
    ran = run(None, command, "in.csv", "--client-secret", "x")
    assert ran.status == 2
    assert "put it into BULK_SYNC_CLIENT_SECRET, or into a file that" in ran.err


@pytest.mark.parametrize("value", ['"r.json"', '["r.json", "r.csv"]'])
def test_the_file_names_reports_as_the_command_line_does(
    filled: Simulator, tmp_path: Path, run: Run, value: str
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(f"report = {value}\n")
    assert run(filled, "run", write_states(tmp_path / "in.csv", 5)).status == 0
    assert (tmp_path / "r.json").exists()
    assert (tmp_path / "r.csv").exists() is ("csv" in value)


@pytest.mark.parametrize(
    ("variable", "places"),
    [
        ("a.csv", ["a.csv"]),
        ("a b.csv:c.json", ["a b.csv", "c.json"]),
        ("s3://bucket/a.csv", ["s3://bucket/a.csv"]),
        ("a.csv:gs://b/{run_id}.csv:/b.json", ["a.csv", "gs://b/{run_id}.csv", "/b.json"]),
    ],
    ids=["a file", "two files", "a URL", "files and a URL"],
)
def test_a_variable_names_reports_with_colons_between_them(
    variable: str, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_REPORT", variable)
    context = click.Command("run", params=[REPORT]).make_context("run", [])
    assert context.params["report"] == tuple(places)


def test_a_preview_ends_with_the_command_that_carries_it_out(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = write_states(tmp_path / "in.csv", 5)
    assert run(filled, "plan", path).out.endswith(f"  bulk-sync run {path}\n")
    refused = run(filled, "run", path, "-n", "--max-changes", 2, "--report", "r.json")
    assert refused.out.rstrip().endswith("--max-changes 5")


def test_the_command_for_the_rows_left_has_the_options_they_need(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "keys.csv").write_text("id\n@unknown-key-of-some-length\n")
    words = ("--key-column", "id", "--state", "true")
    ran = run(filled, "run", "keys.csv", *words, "--report", "r.json")
    (todo,) = tmp_path.glob("*.todo.csv")
    assert ran.out.endswith(f"  bulk-sync run {todo.name} --key-column id --state true\n")


def test_after_apply_the_command_for_the_rows_left_is_a_plan(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "keys.csv").write_text("id\n@unknown-key-of-some-length\n")
    words = ("--key-column", "id", "--state", "true")
    assert run(filled, "plan", "keys.csv", *words, "--out", "p.parquet").status == 3
    ran = run(filled, "apply", "p.parquet", "--report", "r.json")
    (todo,) = tmp_path.glob("*.todo.csv")
    plan = f"bulk-sync plan {todo.name} --key-column id --state true"
    assert ran.out.endswith(f"  {plan} --out {todo.with_suffix('.parquet').name}\n")


@pytest.mark.parametrize("way", ["todo", "retry"])
def test_the_rows_left_by_an_undo_are_read_without_the_options_of_its_run(
    filled: Simulator, tmp_path: Path, run: Run, way: str
) -> None:
    (tmp_path / "in.csv").write_text("mail\np0@example.com\n")
    words = ("--key", "email", "--key-column", "mail", "--state", "true")
    done = run(filled, "run", "in.csv", *words, "--summary", "json").summary
    filled.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9)
    undone = run(filled, "undo", done["run_id"], "--retries", "0")
    assert undone.status == 3
    filled.clear()
    (todo,) = tmp_path.glob("*.todo.csv")
    again = undone.out.splitlines()[-1].split()
    assert again == ["bulk-sync", "run", todo.name]
    (retry,) = (line.split() for line in undone.out.splitlines() if "bulk-sync retry" in line)
    assert run(filled, *(again if way == "todo" else retry)[1:]).status == 0
    assert filled.states[key(0)] is False


def test_the_rows_left_by_a_resumed_run_are_carried_out_on_its_instance(
    tmp_path: Path, run: Run
) -> None:
    with running(Options(attribute="cusOptOut")) as simulator:
        for number in range(5):
            simulator.add(pkey=key(number), cusOptOut=False)
        (tmp_path / "in.csv").write_text("\n".join(["PKey", *map(key, range(5))]))
        words = ("--attribute", "cusOptOut", "--state", "true", "--concurrency", 1)
        run(simulator, "run", "in.csv", *words, "--fetch", "lookup", "--max-calls", 7)
        simulator.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9, matching="000004")
        ran = run(simulator, "resume", "--max-calls", 100, "--retries", 0)
        assert ran.status == 3
        again = ran.out.splitlines()[-1].split()
        assert again[3:] == ["--state", "true", "--attribute", "cusOptOut"]


def test_a_todo_file_is_read_without_the_sheet_of_its_input(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    frame = pd.DataFrame({"PKey": ["@unknown-key-of-some-length"], "ccpaOptOut": ["true"]})
    frame.to_excel(tmp_path / "in.xlsx", sheet_name="Wishes", index=False)
    ran = run(filled, "run", "in.xlsx", "--sheet", "Wishes", "--report", "r.json")
    (todo,) = tmp_path.glob("*.todo.xlsx")
    assert ran.out.endswith(f"  bulk-sync run {todo.name}\n")


def test_a_json_log_holds_nothing_else(filled: Simulator, tmp_path: Path, run: Run) -> None:
    path = write_states(tmp_path / "in.csv", 5)
    ran = run(filled, "run", path, "--log-format", "json", "--summary", "json")
    assert ran.status == 0
    assert ran.summary["exit"] == 0
    assert all(isinstance(orjson.loads(line), dict) for line in ran.err.splitlines())


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("typed", ""),
        ("variable", " --state comes from the variable BULK_SYNC_STATE."),
        ("file", " --state comes from bulk-sync.toml: state."),
        ("table", " --state comes from bulk-sync.toml, [job.in]: state."),
    ],
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Leave out --state, or take the column out of the file."),
        (("--state-means", "consent"), "Leave out --state, or the others."),
    ],
    ids=["of the rows", "of the options"],
)
def test_a_message_about_an_option_names_the_file_or_variable_of_its_value(
    words: tuple[str, ...], message: str, place: str, says: str, tmp_path: Path, run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_states(tmp_path / "in.csv", 2)
    typed = ("--state", "true") if place == "typed" else ()
    if place == "variable":
        monkeypatch.setenv("BULK_SYNC_STATE", "true")
    elif says:
        table = "[job.in]\n" if place == "table" else ""
        (tmp_path / "bulk-sync.toml").write_text(f'{table}state = "true"\n')
    for form in ((), ("--log-format", "json")):
        ran = run(None, "validate", "in.csv", *typed, *words, *form)
        assert ran.status == 2
        assert message + says in ran.err
        assert ("comes from" in ran.err) is bool(says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('max-changes = "many"', "--max-changes comes from bulk-sync.toml: max-changes."),
        ('concurrency = "0"', "--concurrency comes from bulk-sync.toml: concurrency."),
        ('endpoint = "nowhere"', ""),
    ],
    ids=["judged by us", "judged by click", "a variable takes its place"],
)
def test_a_message_about_a_wrong_value_names_its_file_or_variable(
    content: str, says: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(content)
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == (2 if says else 0)
    assert says in ran.err
    assert ("comes from" in ran.err) is bool(says)


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path: Path, run: Run) -> None:
    (tmp_path / "bulk-sync.toml").write_bytes(b'\xef\xbb\xbfblank-state = "skip"\r\n')
    (tmp_path / "in.csv").write_text("PKey,ccpaOptOut\n@a,\n@b,true\n")
    ran = run(None, "validate", "in.csv", "--key-column", "PKey", "--save-mapping")
    assert ran.status == 0, ran.err
    written = (tmp_path / "bulk-sync.toml").read_bytes()
    assert written.startswith(b'blank-state = "skip"\r\n')
    assert b"[job.in]" in written
    assert run(None, "validate", "in.csv").status == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            'ticket = "é"'.encode("latin-1"),
            "bulk-sync.toml is no UTF-8 (invalid continuation byte). Save it",
        ),
        (b"rate = \n", "bulk-sync.toml: Invalid value (at line 1, column 8). Correct it there."),
        (None, "other.toml cannot be read: No such file or directory. Check --config."),
        (b'ping-file = "none"', "bulk-sync.toml: ping-file names the file 'none', which cannot"),
    ],
    ids=["encoding", "syntax", "absent", "its secret"],
)
def test_a_configuration_that_cannot_be_read_says_what_to_do(
    content: bytes | None, says: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    if content is not None:
        (tmp_path / "bulk-sync.toml").write_bytes(content)
    words = ("--config", "other.toml") if content is None else ()
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 1), *words)
    assert ran.status == 2
    assert says in ran.err
