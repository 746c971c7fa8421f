"""Names of files that are no text, or not in the encoding of the locale."""

import io
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pandas as pd
import pytest
from conftest import Run, key, populate, read_csv, write_states

from bulk_sync.cli import main
from bulk_sync.simulator import Simulator

NO_TEXT = os.fsdecode(b"caf\xe9")
"""The name of a café in Latin-1."""

NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_locale_without_utf_8_changes_no_name(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    (tmp_path / "Größen").mkdir()
    write_states(tmp_path / "Größen" / "Übersicht.csv", 2)
    assert run(sim, "run", "Größen", "--max-calls", 1, "--report", "1.csv").status == 6
    (stopped,) = orjson.loads(run(None, "runs", "--json").out)
    words = ("run", "Größen", "--summary", "json", "--fresh", "--report", "Bericht Ä.csv")
    ended = subprocess.run(
        [sys.executable, "-m", "bulk_sync", *words],
        env={**os.environ, **NO_LOCALE},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    summary = orjson.loads(ended.stdout)
    assert (summary["input"], summary["job"]) == ("Größen", stopped["job"])
    assert summary["reports"] == ["Bericht Ä.csv"]
    rows = read_csv(tmp_path / "Bericht Ä.csv")
    assert [row["sync_outcome"] for row in rows] == ["updated"] * 2
    last = orjson.loads(run(None, "runs", "--json").out)[-1]
    assert last["input"] == stopped["input"]


def write_input(suffix: str) -> Path:
    """Write a file of two rows whose name is no text."""
    table = pd.DataFrame({"PKey": [key(0), key(1)], "ccpaOptOut": ["true", "true"]})
    path = Path(f"{NO_TEXT}{suffix}")
    with path.open("wb") as file:
        if suffix == ".parquet":
            table.to_parquet(file)
        elif suffix == ".xlsx":
            table.to_excel(file, index=False)
        else:
            table.to_csv(file, index=False, compression="gzip" if ".gz" in suffix else None)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".xlsx"])
def test_a_file_whose_name_is_no_text_can_be_read(suffix: str, sim: Simulator, run: Run) -> None:
    populate(sim, 3)
    path = write_input(suffix)
    assert run(None, "validate", path, "--report", f"{NO_TEXT}.checked.xlsx").status == 0
    write_states(Path("in.csv"), 3)
    ran = run(sim, "run", "in.csv", "--protect", path, "--report", "1.csv")
    assert [row["sync_outcome"] for row in read_csv(Path("1.csv"))] == [
        "rejected", "rejected", "updated"
    ]  # fmt: skip
    assert ran.status == 3
    ran = run(sim, "run", path, "--report", "2.csv")
    assert [row["sync_outcome"] for row in read_csv(Path("2.csv"))] == ["updated"] * 2, ran.err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx", ".html", ".json"])
def test_a_report_whose_name_is_no_text_is_replaced_by_a_report_alone(
    suffix: str, sim: Simulator, run: Run
) -> None:
    populate(sim, 2)
    words = ("run", write_states(Path("in.csv"), 2), "--report", f"{NO_TEXT}{suffix}")
    assert run(sim, *words).status == 0
    assert "there already" not in run(sim, *words).err
    if suffix in {".csv", ".parquet", ".xlsx"}:
        write_input(suffix)
        assert "is there already" in run(sim, *words).err


def test_a_plan_whose_name_is_no_text_is_replaced_by_a_plan_alone(sim: Simulator, run: Run) -> None:
    populate(sim, 2)
    words = ("plan", write_states(Path("in.csv"), 2), "--out", f"{NO_TEXT}.parquet")
    assert run(sim, *words).status == 0
    assert run(sim, *words).status == 0
    assert run(sim, "apply", f"{NO_TEXT}.parquet").status == 0
    write_input(".parquet")
    ran = run(sim, *words)
    assert (ran.status, "would replace a file that is no plan" in ran.err) == (2, True)


@pytest.mark.parametrize("command", ["run", "validate", "runs"])
def test_a_state_folder_whose_name_is_no_text_is_refused(
    command: str, sim: Simulator, run: Run
) -> None:
    path = write_states(Path("in.csv"), 1)
    words = (command, path)[: 1 + (command != "runs")]
    ran = run(sim, *words, "--state-dir", NO_TEXT)
    assert ran.status == 2
    assert "--state-dir" in ran.err
    assert "is no text in UTF-8. Name another folder." in ran.err
    assert sim.requests == []


def test_a_folder_whose_name_is_no_text_can_hold_the_state(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 2)
    (tmp_path / NO_TEXT).mkdir()
    monkeypatch.chdir(tmp_path / NO_TEXT)
    words = ("--state-dir", "state")
    ran = run(sim, "run", write_states(Path("in.csv"), 2), "--max-calls", 2, *words)
    assert ran.status == 6, ran.err
    assert run(sim, "resume", "--max-calls", 9, *words).status == 0
    assert len(sim.patched) == 2
    assert run(None, "ledger", "verify", *words).status == 0


def test_ledgers_whose_names_are_no_text_are_told_apart(sim: Simulator, run: Run) -> None:
    populate(sim, 2)
    for rows, name in ((1, b"a\xe8.db"), (2, b"a\xe9.db")):
        words = ("--ledger", f"sqlite:///{os.fsdecode(name)}")
        path = write_states(Path("in.csv"), rows)
        ran = run(sim, "run", path, *words, "--report", f"{rows}.csv")
        assert ran.status == 0, ran.err
        assert run(None, "ledger", "verify", *words).status == 0


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_terminal_without_the_letters_of_a_name_shows_others(
    command: str, sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 1)
    run(sim, "runs")  # sets the variables
    path = write_states(tmp_path / "日本.csv", 1)
    shown = io.BytesIO()
    with io.TextIOWrapper(shown, "latin-1", write_through=True) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ended:
            main([command, str(path)])
        assert ended.value.code == 0
        assert b"??" in shown.getvalue()


@pytest.mark.parametrize("stem", ["{run_id}", "a{run_id}.{run_id}", "20261123T020000Z-7f3a9c"])
def test_a_report_has_the_stem_of_an_input_called_like_a_run(
    stem: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / f"{stem}.csv", 3)
    assert run(sim, "run", path, "--fetch", "lookup", "--max-calls", 4).status == 6
    assert run(sim, "resume", "--max-calls", 9).status == 0
    (first,) = orjson.loads(run(None, "runs", "--json").out)
    run_id = first["run_id"]
    assert run(sim, "undo", run_id, "--max-opt-ins", 3).status == 0
    undo_id = orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]
    assert {each.name for each in tmp_path.glob("*.results.csv")} == {
        f"{stem}.{run_id}.results.csv", f"{stem}.{undo_id}.results.csv"
    }  # fmt: skip


def test_every_place_of_the_run_s_id_in_a_typed_name_is_filled(sim: Simulator, run: Run) -> None:
    populate(sim, 1)
    path = write_states(Path("in.csv"), 1)
    ran = run(sim, "run", path, "--report", "{run_id}-{run_id}.csv", "--summary", "json")
    run_id = ran.summary["run_id"]
    assert ran.summary["reports"] == [f"{run_id}-{run_id}.csv"]
