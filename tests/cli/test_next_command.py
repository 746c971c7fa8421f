"""Each suggested next command works as typed."""

import shlex
from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.cli.next_command import suggested
from bulk_sync.cli.options.option import without_password
from bulk_sync.simulator import Fault, Simulator

ROWS = 5


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, ROWS)
    return sim


def last_command(out: str) -> list[str]:
    """Return the words of the last command in an output, after the program's name."""
    program, *words = shlex.split(out.splitlines()[-1])
    assert program == "bulk-sync"
    return words


@pytest.mark.parametrize(
    ("preview", "name"),
    [
        (("run", "-n"), "plan"),
        (("plan",), "plan"),
        (("run", "-n"), "run"),
        (("plan",), "-n"),
        (("run", "-n"), "--out"),
        (("plan",), "it's here"),
        (("run", "-n"), "$HOME & more"),
        (("plan",), "~"),
    ],
)
def test_the_command_after_a_preview_reads_a_folder_of_any_name(
    name: str, preview: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    write_states(folder / "in.csv", ROWS)
    ran = run(filled, *preview, "--", name)
    assert ran.status == 0, ran.err
    words = last_command(ran.out)
    assert words[0] == "run"
    assert run(filled, *words).status == 0
    assert len(filled.patched) == ROWS


def test_validate_suggests_a_plan_of_the_usable_rows(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = write_states(tmp_path / "in.csv", ROWS)
    ran = run(filled, "validate", "in.csv", "--state-column", "ccpaOptOut", "--report", "v.csv")
    words = last_command(ran.out)
    assert words == ["plan", "in.csv", "--state-column", "ccpaOptOut"]
    assert run(filled, *words).status == 0
    path.write_text(path.read_text().replace("true", "maybe", 1))
    ran = run(filled, "validate", "in.csv")
    assert ran.out.splitlines()[-1] == "Correct these rows in in.csv, and validate it again."


@pytest.mark.parametrize(
    ("typed", "repeated"),
    [
        (("-nq",), ["run", "in.csv", "--quiet"]),
        (("-qn",), ["run", "in.csv", "--quiet"]),
        (("-vn",), ["run", "in.csv", "--verbose"]),
        (("--dry-run", "--yes"), ["run", "in.csv", "--yes"]),
        (("-n", "--job=run"), ["run", "in.csv", "--job", "run"]),
        (("-n", "--job", "plan"), ["run", "in.csv", "--job", "plan"]),
        (("-n", "--job", "-n"), ["run", "in.csv", "--job=-n"]),
        (("-n", "--lock-wait", "30m"), ["run", "in.csv", "--lock-wait", "1800"]),
        (("-n", "--rate", "7.5"), ["run", "in.csv", "--rate", "7.5"]),
        (
            ("-n", "--allow", "inverted", "--allow=fewer-rows"),
            ["run", "in.csv", "--allow", "inverted", "--allow", "fewer-rows"],
        ),
        (("-n", "--max-changes", "2"), ["run", "in.csv", "--max-changes", "5"]),
        (("-n", "--max-changes=2"), ["run", "in.csv", "--max-changes", "5"]),
        (("-n", "--organization", "acme"), ["run", "in.csv", "--organization", "acme"]),
        (("-n", "--config", "c.toml"), ["run", "in.csv", "--config", "c.toml"]),
    ],
)
def test_the_options_of_a_preview_are_dropped_and_the_others_stay(
    typed: tuple[str, ...], repeated: list[str], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "c.toml").write_text("retries = 3\n")
    write_states(tmp_path / "in.csv", ROWS)
    words = last_command(run(filled, "run", "in.csv", *typed).out)
    assert words == repeated
    assert run(filled, *words).status == 0
    assert len(filled.patched) == ROWS


def test_a_plan_is_applied_where_it_was_made(filled: Simulator, tmp_path: Path, run: Run) -> None:
    write_states(tmp_path / "in.csv", ROWS)
    words = ("--out", "-p.parquet", "--state-dir", tmp_path / "here", "--report=--out.json")
    ran = run(filled, "plan", "in.csv", *words, "--max-changes", 2)
    apply = last_command(ran.out)
    assert apply[:2] == ["apply", "--expect-sha256"]
    place = ["--state-dir", str(tmp_path / "here")]
    assert apply[3:] == [*place, "--max-changes", "5", "--", "-p.parquet"]
    assert run(filled, *apply).status == 0
    assert len(filled.patched) == ROWS


def test_resume_is_suggested_with_the_state_folder_of_the_run(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS)
    place = ("--state-dir", str(tmp_path / "a place"))
    words = ("--fetch", "lookup", "--concurrency", 1, *place)
    stopped = run(filled, "run", "in.csv", *words, "--max-calls", 4, "--summary", "json")
    resume = shlex.split(stopped.summary["resume"])[1:]
    assert resume == ["resume", stopped.summary["run_id"], "--max-calls", "4", *place]
    assert stopped.err.count(shlex.join(["bulk-sync", *resume])) == 1
    filled.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9, matching=key(1)[-3:])
    failed = run(filled, *resume, "--max-calls", 100, "--retries", 0)
    assert failed.status == 3
    retry = next(line for line in failed.out.splitlines() if "bulk-sync retry" in line)
    filled.clear()
    assert run(filled, *shlex.split(retry)[1:]).status == 0
    assert set(filled.states.values()) == {True}


def test_rows_to_correct_are_read_with_the_options_of_their_file(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "plan").write_text("")
    (tmp_path / "in.csv").write_text(f"-k,plan\n{key(0)},true\n{key(1)},perhaps\n")
    words = ("--key-column=-k", "--state-column", "plan", "--report", "plan.json")
    ran = run(filled, "run", "in.csv", *words)
    assert ran.status == 3
    (todo,) = tmp_path.glob("*.todo.csv")
    assert last_command(ran.out) == ["run", todo.name, "--key-column=-k", "--state-column", "plan"]
    assert run(filled, "plan", "in.csv", *words, "--out", "p.parquet").status == 3
    ran = run(filled, "apply", "p.parquet", "--api-key", "demo-key", "--report", "2.json")
    command, again, *options = last_command(ran.out)
    assert (command, again[-9:]) == ("plan", ".todo.csv")
    words = ("--key-column=-k", "--state-column", "plan", "--api-key", "demo-key")
    assert options == [*words, "--out", f"{again[:-4]}.parquet"]


def test_mapped_rows_are_planned_for_the_instance_of_the_mapping(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "map").write_text("")
    (tmp_path / "in.csv").write_text("email,ccpaOptOut\np0@example.com,true\n")
    words = ("--organization", "acme", "--endpoint", filled.url)
    ran = run(filled, "map", "in.csv", *words, "--out", "-new.csv")
    plan = last_command(ran.out)
    assert plan == ["plan", "--endpoint", filled.url, *words[:2], "--", "-new.csv"]
    assert run(filled, *plan).status == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:s3cret@db/ledger", "postgresql://me:***@db/ledger"),
        ("postgresql://me:s3/cr@t@db/ledger", "postgresql://me:***@db/ledger"),
        ("postgresql://:s3cret@db/ledger", "postgresql://:***@db/ledger"),
        (
            "postgresql://db/ledger?user=me&password=s3",
            "postgresql://db/ledger?user=me&password=***",
        ),
        ("postgresql://me@db/ledger", "postgresql://me@db/ledger"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_no_password_is_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_a_ledger_s_password_is_not_in_the_next_command(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS)
    ledger = f"sqlite:///{tmp_path}/ledger.sqlite3?password=s3cret-word"
    ran = run(filled, "plan", "in.csv", "--ledger", ledger, "--max-changes", 9)
    assert "s3cret-word" not in ran.out + ran.err
    assert "To write it (add --ledger again; what may be secret is not shown):" in ran.out
    assert last_command(ran.out) == ["run", "in.csv", "--max-changes", "9"]


def test_a_ledger_that_the_configuration_names_need_not_be_given_again(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS)
    ledger = f"sqlite:///{tmp_path}/ledger.sqlite3?password=s3cret-word"
    (tmp_path / "bulk-sync.toml").write_text(f'ledger = "{ledger}"\n')
    ran = run(filled, "plan", "in.csv")
    assert "again" not in ran.out.splitlines()[-2]
    assert run(filled, *last_command(ran.out)).status == 0


@pytest.mark.parametrize("ledger", [("--ledger", "{}"), ("--ledger={}",)], ids=["two", "one"])
def test_a_remedy_shows_no_password_either(
    ledger: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "in.csv").write_text("E-mail,Consent\na@x.com,yes\n")
    url = f"sqlite:///{tmp_path}/ledger.sqlite3?password=s3cret"
    ran = run(filled, "run", *(word.format(url) for word in ledger), "--yes", "in.csv")
    assert (ran.status, "s3cret" in ran.err) == (2, False)
    assert "(add --ledger again; what may be secret is not shown):" in ran.err
    assert last_command(ran.err) == [
        *("run", "--yes", "in.csv", "--state-means", "opt-out"),
    ]


def test_an_argument_that_looks_like_an_option_is_set_apart() -> None:
    assert suggested("run", "-x", ["--yes"]).line == "bulk-sync run --yes -- -x"
    assert suggested("run", "-", ["--yes"]).line == "bulk-sync run - --yes"
