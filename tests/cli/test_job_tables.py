"""``[job.NAME]`` of the configuration, and ``--save-mapping``, which writes it."""

import shlex
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Simulator

TABLE = """\
max-changes = 100
[job.requests]
key-column = "Id"
state_column = "DNS"
max-changes = 4
"""


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


def requests(folder: Path, name: str = "requests11.csv") -> Path:
    path = write_states(folder / name, 5)
    path.write_text(path.read_text().replace("PKey,ccpaOptOut", "Id,DNS"))
    return path


def configured(folder: Path) -> dict[str, object]:
    content: dict[str, object] = tomllib.loads((folder / "bulk-sync.toml").read_text())
    return content


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("requests11.csv",), 4),
        (("other.csv", "--job", "requests"), 4),
        (("requests11.csv", "--max-changes", 5), 0),
        (("requests11.csv", "--job", "other"), 2),
        (("other.csv",), 2),
    ],
    ids=["by the file's name", "by --job", "the command line", "another job", "another file"],
)
def test_a_table_holds_for_the_inputs_of_its_job(
    words: tuple[object, ...], status: int, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(TABLE)
    requests(tmp_path)
    requests(tmp_path, "other.csv")
    assert run(filled, "run", *words).status == status


def test_a_file_named_by_its_month_has_the_table_of_its_job(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    lines = ['key-column = "Id"', 'state-column = "DNS"', "max-changes = 4"]
    config = tmp_path / "bulk-sync.toml"
    config.write_text("\n".join(["[job.demandes]", *lines, ""]))
    requests(tmp_path, "demandes 2026-11.csv")
    assert run(filled, "run", "demandes 2026-11.csv").status == 4
    words = ("--max-changes", 5, "--save-mapping")
    ran = run(filled, "run", "demandes 2026-11.csv", *words, "--summary", "json")
    assert ran.status == 0
    tables = configured(tmp_path)["job"]
    assert isinstance(tables, dict)
    assert list(tables) == ["demandes"]


def test_the_variables_of_a_run_beat_the_table_of_its_job(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(TABLE.replace("requests", "list"))
    requests(tmp_path)
    monkeypatch.setenv("BULK_SYNC_JOB", "list")
    assert run(filled, "run", "requests11.csv").status == 4
    monkeypatch.setenv("BULK_SYNC_MAX_CHANGES", "5")
    assert run(filled, "run", "requests11.csv").status == 0


def test_the_top_of_the_file_holds_for_options_missing_in_the_table(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text("max-changes = 4\n[job.requests]\nverify = true\n")
    write_states(tmp_path / "requests.csv", 5)
    assert run(filled, "run", "requests.csv").status == 4


def test_apply_has_the_table_of_the_plan_s_job(filled: Simulator, tmp_path: Path, run: Run) -> None:
    requests(tmp_path)
    words = ("--key-column", "Id", "--state-column", "DNS", "--out", "p.parquet")
    assert run(filled, "plan", "requests11.csv", *words).status == 0
    (tmp_path / "bulk-sync.toml").write_text(TABLE)
    assert run(filled, "apply", "p.parquet").status == 4
    assert run(filled, "apply", "p.parquet", "--max-changes", 5).status == 0


def test_no_table_loosens_a_limit_of_a_run(filled: Simulator, tmp_path: Path, run: Run) -> None:
    requests(tmp_path)
    words = ("--key-column", "Id", "--state-column", "DNS", "--max-changes", 3)
    refused = run(filled, "run", "requests11.csv", *words, "--summary", "json")
    assert refused.status == 4
    (tmp_path / "bulk-sync.toml").write_text(TABLE.replace("4", "9"))
    assert run(filled, "resume", refused.summary["run_id"]).status == 4
    assert filled.patched == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[job.a]\nmax-change = 1", "[job.a]: there is no option 'max-change'. Did you mean"),
        ("[job.a]\ndry-run = 1", "[job.a]: dry-run is on or off"),
        ("[job]\nmax-changes = 1", "[job] holds nothing but tables of jobs"),
        ('[job.a]\nclient-secret = "s3cret"', "client-secret holds for all jobs"),
        ('[job.a]\nledger-file = "f"', "ledger-file holds for all jobs"),
        ('[job.a]\nstate-dir = "d"', "state-dir holds for all jobs"),
        ('[job.a]\nstate-url = "s3://a/b"', "state-url holds for all jobs"),
        ('[job.a]\njob = "b"', "job holds for all jobs"),
        ("[job.a]\n[job.a.b]\nc = 1", "there is no option 'b'"),
    ],
    ids=[
        "a name misspelt", "no switch", "no table", "a secret", "the ledger", "the place of runs",
        "the place of checkpoints",
        "a name", "a table too many",
    ],
)  # fmt: skip
def test_a_wrong_table_is_explained_whatever_the_job(
    filled: Simulator, tmp_path: Path, run: Run, content: str, says: str
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(content)
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 2
    assert says in ran.err
    assert "s3cret" not in ran.err


GIVEN = ("--key-column", "Id", "--state-column", "DNS")


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_the_next_file_of_a_job_needs_no_options(
    command: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    requests(tmp_path)
    ran = run(filled, command, "requests11.csv", *GIVEN, "--save-mapping")
    assert ran.status == 0, ran.err
    mapping_line = "for the job 'requests': key-column 'Id', state-column 'DNS'."
    assert mapping_line in ran.out
    table = {"key-column": "Id", "state-column": "DNS"}
    assert configured(tmp_path) == {"job": {"requests": table}}
    assert (tmp_path / "bulk-sync.toml").stat().st_mode & 0o777 == 0o600
    if command == "validate":
        assert "\n  bulk-sync plan requests11.csv\n" in ran.out
    requests(tmp_path, "requests12.csv")
    assert run(filled, "run", "requests12.csv", "--report", "r12.csv").status == 0


def test_columns_found_by_name_are_saved_with_the_given_options(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    frame = pd.DataFrame({"E-mail": ["p1@example.com"], "Opt out?": ["Yes"], "Received": "today"})
    frame.to_excel(tmp_path / "OptOuts 2026-11.xlsx", index=False)
    words = ("--blank-state", "skip", "--email-case", "ignore", "--create-column", "phone")
    name = "OptOuts 2026-11.xlsx"
    ran = run(filled, "plan", name, *words, "--save-mapping", "--on-ambiguous", "reject")
    assert ran.status == 0, ran.err
    assert configured(tmp_path) == {
        "job": {
            "OptOuts": {
                "key": "email",
                "key-column": "E-mail",
                "state-column": "Opt out?",
                "blank-state": "skip",
                "email-case": "ignore",
                "create-column": ["phone"],
                "on-ambiguous": "reject",
            }
        }
    }
    assert run(filled, "run", name, "--report", "r.csv").status == 0
    assert filled.states[key(1)] is True


def test_comments_order_and_other_jobs_stay(filled: Simulator, tmp_path: Path, run: Run) -> None:
    before = (
        "# ours\r\nmax-changes = 100  # enough\r\n\r\n[job.other]\r\nverify = true\r\n\r\n"
        '[job.requests]  # monthly\r\nkey_column = "Old"\r\nmax-changes = 9\r\n'
    )
    path = tmp_path / "settings.toml"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    link = tmp_path / "linked.toml"
    link.symlink_to(path)
    requests(tmp_path)
    words = (*GIVEN, "--save-mapping", "--config", link)
    assert run(filled, "validate", "requests11.csv", *words).status == 0
    after = path.read_bytes().decode()
    assert after.startswith(before.replace('"Old"', '"Id"').rstrip())
    assert tomllib.loads(after)["job"]["requests"] == {
        "key_column": "Id", "max-changes": 9, "state-column": "DNS"
    }  # fmt: skip
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


def test_no_mapping_is_saved_of_an_unusable_file(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    requests(tmp_path)
    ran = run(filled, "validate", "requests11.csv", "--key-column", "Id", "--save-mapping")
    assert ran.status == 2
    assert not (tmp_path / "bulk-sync.toml").exists()


def test_a_mapping_that_cannot_be_saved_stops_the_run_before_it_begins(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('job = "all"\n')
    requests(tmp_path)
    ran = run(filled, "run", "requests11.csv", *GIVEN, "--save-mapping")
    assert ran.status == 2
    assert "has one job for all inputs" in ran.err
    assert filled.requests == []


def test_the_table_holds_for_the_rows_left(filled: Simulator, tmp_path: Path, run: Run) -> None:
    (tmp_path / "bulk-sync.toml").write_text(TABLE)
    path = requests(tmp_path)
    path.write_text(path.read_text() + "@unknown-key-of-some-length,true\n")
    ran = run(filled, "run", path, "--max-changes", 9, "--report", "r.csv")
    assert ran.status == 3
    command = ran.out.rstrip().splitlines()[-1].split()
    assert command[3:] == ["--max-changes", "9"]
    assert run(filled, *command[1:], "--report", "s.csv").status == 3


def test_the_rows_left_are_protected_by_the_table_of_their_job(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('[job.requests]\nprotect = ["vip.csv"]\n')
    (tmp_path / "vip.csv").write_text(f"{key(0)}\n")
    write_states(tmp_path / "requests11.csv", 5)
    source = "requests11.csv"
    for _ in range(3):  # a todo file has another warning
        ran = run(filled, "run", source)
        assert ran.status == 3
        assert "protected 1" in ran.out
        source = ran.out.rstrip().splitlines()[-1].split()[2]
    assert filled.states == {key(at): at != 0 for at in range(5)}


@pytest.mark.parametrize("out", [(), ("--out", "undo.parquet")], ids=["undo", "undo as a plan"])
def test_an_undo_has_the_limits_of_its_job_as_they_are_now(
    out: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(filled, "run", write_states(tmp_path / "requests.csv", 5), "--summary", "json")
    assert ran.summary["outcomes"] == {"updated": 5}
    table = "max-opt-ins = 9\n[job.requests]\nmax-opt-ins = 0\n"
    (tmp_path / "bulk-sync.toml").write_text(table)
    undo = ("undo", ran.summary["run_id"], *out)
    refused = run(filled, *undo, "--report", "a.csv")
    assert "5 opt-ins (true to false)" in refused.out + refused.err
    assert set(filled.states.values()) == {True}
    assert refused.status == (0 if out else 4)
    if out:
        assert run(filled, "apply", "undo.parquet", "--report", "b.csv").status == 4
        undo = ("apply", "undo.parquet")
    assert run(filled, *undo, "--max-opt-ins", 5, "--report", "c.csv").status == 0
    assert set(filled.states.values()) == {False}


def test_the_rows_left_are_compared_with_no_whole_file(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    path.write_text(path.read_text() + "@unknown-key-of-some-length,true\n")
    command = ["bulk-sync", "run", "in.csv", "--job", "nightly"]
    for _ in range(2):
        ran = run(sim, *command[1:])
        assert ran.status == 3, ran.err
        command = ran.out.rstrip().splitlines()[-1].split()
    write_states(tmp_path / "in2.csv", 3)
    assert run(sim, "run", "in2.csv", "--job", "nightly").status == 4


def test_the_summary_of_a_script_holds_nothing_else(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    requests(tmp_path)
    ran = run(filled, "run", "requests11.csv", *GIVEN, "--save-mapping", "--summary", "json")
    assert ran.summary["exit"] == 0
    assert "Saved in" in ran.err


@pytest.mark.parametrize("way", ["saved now", "saved before"])
def test_a_marked_workbook_is_read_as_its_job_says(
    way: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    frame = pd.DataFrame({"Id": [key(0), key(1)], "DNS": ["yes", "perhaps"]})
    frame.to_excel(tmp_path / "requests 2026-11.xlsx", index=False)
    words = ("validate", "requests 2026-11.xlsx", "--report", "marked.xlsx")
    ran = run(filled, *words, *GIVEN, "--save-mapping")
    if way == "saved before":
        ran = run(filled, *words[:-1], "marked2.xlsx")
    assert ran.status == 3
    book = "marked.xlsx" if way == "saved now" else "marked2.xlsx"
    command = f"bulk-sync validate {book} --job requests"
    assert f"  {command}\n" in ran.out
    again = run(filled, *shlex.split(command)[1:])
    assert again.status == 3, again.err
    assert "'perhaps'" in again.out


GUARDED = '[job.requests]\nprotect = ["vip.csv"]\n[job.other]\nverify = true\n'


@pytest.mark.parametrize(
    ("words", "is_warned"),
    [
        (("copy.csv",), True),
        (("copy.csv", "--job", "copy"), False),
        (("copy.csv", "--job", "requests"), False),
        (("requests11.csv",), False),
    ],
    ids=["a renamed file", "named a job of its own", "named the job", "found by its name"],
)
def test_a_file_name_without_the_limits_of_a_similar_job_is_a_warning(
    words: tuple[str, ...], is_warned: bool, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text(GUARDED)
    (tmp_path / "vip.csv").write_text(f"{key(0)}\n")
    write_states(tmp_path / words[0], 2)
    for command in ("validate", "plan"):
        ran = run(filled, command, *words)
        sentence = "[job.requests], do not hold for copy.csv: by its name it is of the job 'copy'."
        assert (sentence in " ".join(ran.err.split())) is is_warned


@pytest.mark.parametrize("job", [(), ("--job", "monthly")], ids=["by its name", "by --job"])
@pytest.mark.parametrize("way", ["run", "resume", "apply"])
def test_the_rows_left_by_any_command_keep_the_table_of_their_job(
    way: str, job: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    name = job[1] if job else "requests"
    (tmp_path / "bulk-sync.toml").write_text(f'[job.{name}]\nprotect = ["vip.csv"]\n')
    (tmp_path / "vip.csv").write_text(f"{key(0)}\n")
    write_states(tmp_path / "requests11.csv", 5)
    words = ("requests11.csv", *job, "--ticket", "PRIV-9", "--max-opt-ins", 0)
    if way == "run":
        ran = run(filled, "run", *words)
    elif way == "resume":
        assert run(filled, "run", *words, "--max-calls", 3, "--fetch", "lookup").status == 6
        ran = run(filled, "resume")
    else:
        assert run(filled, "plan", *words, "--out", "p.parquet").status == 3
        ran = run(filled, "apply", "p.parquet")
    assert ran.status == 3, ran.err
    again = shlex.split(ran.out.rstrip().splitlines()[-1])[1:]
    assert again[0] == ("plan" if way == "apply" else "run")
    assert "requests11." in again[1]
    assert again.count("--protect") <= 1
    for kept in (*job, "--ticket", "PRIV-9", "--max-opt-ins", "0") if job else ("PRIV-9", "0"):
        assert again.count(str(kept)) == 1
    assert "protected 1" in run(filled, *again).out
    if way != "resume" and not job:  # a person ignores the suggested command
        assert "protected 1" in run(filled, "plan", again[1]).out


def test_mapped_rows_keep_the_table_of_the_job_of_their_input(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('[job.requests]\nprotect = ["vip.csv"]\n')
    (tmp_path / "vip.csv").write_text(f"{key(0)}\n")
    (tmp_path / "requests.csv").write_text("email,ccpaOptOut\np0@example.com,true\n")
    again = shlex.split(run(filled, "map", "requests.csv").out.rstrip().splitlines()[-1])[1:]
    assert again[:4] == ["plan", "requests.mapped.csv", "--job", "requests"]
    assert "protected 1" in run(filled, *again).out
