"""The rows of finished runs: stored for some days, for their owner alone, then removed."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from stat import S_IMODE
from typing import Any

import orjson
import pytest
from conftest import Run, before_answer, key, populate, read_csv, write_states

from bulk_sync.runs.kept import kept_rows
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator


def newest_run(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(run(None, "runs", "--json").out)[-1]
    return found


def kept_files(folder: Path) -> dict[str, kept_rows.KeptRows]:
    return dict(kept_rows.all_of(folder / "state"))


@pytest.mark.parametrize(
    ("rows", "given", "days"),
    [(1, None, 800), (100_000, None, 800), (100_001, None, 30), (1, 7, 7), (10**7, 900, 900)],
)
def test_few_rows_are_kept_for_longer(
    rows: int, given: int | None, days: int, tmp_path: Path
) -> None:
    assert State(tmp_path, keep_rows=given).days_kept(rows) == days


@pytest.mark.parametrize(("words", "days"), [((), 800), (("--keep-rows", 5), 5)])
def test_the_ledger_has_their_last_day(
    words: tuple[object, ...], days: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 3), *words).status == 3
    ((run_id, found),) = kept_files(tmp_path).items()
    assert run_id == newest_run(run)["run_id"]
    assert newest_run(run)["rows_kept_until"] == str(found.until)
    today = datetime.now(UTC).date()
    assert found.until - today in {timedelta(days), timedelta(days - 1)}  # at midnight
    assert S_IMODE(found.path.stat().st_mode) == 0o600
    rows = found.slices().joined()
    assert rows["sync_outcome"].tolist() == ["updated", "updated", "not_found"]
    assert rows["PKey"].tolist() == [key(number) for number in range(3)]


def test_none_are_kept_with_zero_days(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    (tmp_path / "bulk-sync.toml").write_text("keep-rows = 0\n")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    assert kept_files(tmp_path) == {}
    assert newest_run(run)["rows_kept_until"] == ""


def test_they_may_be_kept_beyond_the_last_possible_date(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    assert run(sim, "run", path, "--keep-rows", 10**25).status == 0
    ((_, found),) = kept_files(tmp_path).items()
    assert found.until == date.max


def test_they_are_removed_after_their_last_day(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    ((run_id, found),) = kept_files(tmp_path).items()
    today = datetime.now(UTC).date()
    old, new = "20190101T020000Z-0a1b2c", "20261101T020000Z-7f3a9c"
    for name, until in {old: date(2020, 1, 1), new: today + timedelta(9)}.items():
        copy = found.path.with_name(f"{name}.{until:%Y%m%d}.parquet")
        copy.write_bytes(found.path.read_bytes())
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    assert set(kept_files(tmp_path)) == {new, run_id, newest_run(run)["run_id"]}


def test_a_run_that_is_given_up_keeps_the_outcomes_of_its_rows(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 14)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 10), *words).status == 6
    assert kept_files(tmp_path) == {}
    run(sim, "resume", newest_run(run)["run_id"], "--give-up")
    ((_, found),) = kept_files(tmp_path).items()
    counts = found.slices().joined()["sync_outcome"].value_counts()
    assert (counts["updated"], counts["pending"]) == (len(sim.patched), 10 - len(sim.patched))
    assert newest_run(run)["rows_kept_until"] == str(found.until)


@pytest.mark.parametrize("keys", ["PKey", "email"])
def test_early_writes_are_in_the_report_of_a_run_given_up(
    keys: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 60)
    names = (key(n) if keys == "PKey" else f"p{n}@example.com" for n in range(60))
    path = tmp_path / "in.csv"
    path.write_text("\n".join([f"{keys},ccpaOptOut", *(f"{name},true" for name in names), ""]))
    assert run(sim, "run", path, "--max-calls", 41, "--fetch", "lookup").status == 6
    assert run(sim, "resume", "--max-calls", 41).status == 6
    written = len(sim.patched)
    assert written > 0
    run_id = newest_run(run)["run_id"]
    assert run(sim, "resume", run_id, "--give-up").status == 0
    assert newest_run(run)["outcomes"]["updated"] == written
    assert run(None, "report", run_id, "--report", "given-up.csv").status == 0
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "given-up.csv")]
    assert (outcomes.count("updated"), outcomes.count("pending")) == (written, 60 - written)


def addresses(path: Path, count: int) -> Path:
    path.write_text(
        "\n".join(["email,ccpaOptOut", *(f"p{n}@example.com,true" for n in range(count)), ""])
    )
    return path


def write_in_part(sim: Simulator, tmp_path: Path, run: Run) -> str:
    """Write one of two profiles of the first address before everything is read, and stop."""
    populate(sim, 60)
    sim.add(pkey="@second", email="p0@example.com", ccpaOptOut=False)
    words = ("--fetch", "lookup", "--concurrency", 1)
    path = addresses(tmp_path / "in.csv", 60)
    assert run(sim, "run", path, *words, "--max-calls", 41).status == 6
    assert run(sim, "resume", "--concurrency", 1, "--max-calls", 2).status == 6
    assert len(sim.patched) == 1
    return str(newest_run(run)["run_id"])


@pytest.mark.parametrize("ending", ["unfinished", "given up"])
def test_a_row_with_two_profiles_is_not_done_while_one_of_them_waits(
    ending: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = write_in_part(sim, tmp_path, run)
    if ending == "given up":
        assert run(sim, "resume", run_id, "--give-up").status == 0
    assert run(None, "report", run_id, "--report", "r.csv").status == 0
    rows = read_csv(tmp_path / "r.csv")
    assert {row["sync_outcome"] for row in rows} == {"pending"}
    assert rows[0]["sync_detail"].startswith("2 profiles: 1 pending, 1 updated.")


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_write_with_an_unknown_row_is_only_in_the_ledger(
    damage: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = write_in_part(sim, tmp_path, run)
    for part in (tmp_path / "state" / "runs" / run_id).glob("states-*.parquet"):
        part.unlink() if damage == "missing" else part.write_bytes(b"")
    assert run(sim, "resume", run_id, "--give-up").status == 0
    facts = newest_run(run)
    assert (facts["outcomes"], facts["opt_outs"]) == ({"pending": 60}, 1)
    ((_, found),) = kept_files(tmp_path).items()
    assert found.slices().joined()["sync_outcome"].tolist() == ["pending"] * 60


def test_a_refused_run_keeps_them_too_and_a_later_end_replaces_them(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    path = write_states(tmp_path / "in.csv", 2)
    assert run(sim, "run", path, "--max-changes", 1).status == 4
    ((run_id, found),) = kept_files(tmp_path).items()
    assert found.slices().joined()["sync_outcome"].tolist() == ["pending"] * 2
    assert run(sim, "resume", run_id, "--max-changes", 2, "--keep-rows", 3).status == 0
    ((_, found),) = kept_files(tmp_path).items()
    assert found.slices().joined()["sync_outcome"].tolist() == ["updated"] * 2


def test_a_run_goes_on_if_they_cannot_be_kept(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    in_the_way = tmp_path / "state" / "rows"
    before_answer(sim, "PATCH", 1, in_the_way.touch)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 0
    assert re.search(
        r"rows of run \S+ could not be kept \((File exists|Not a directory)\)", ran.err
    )
    assert newest_run(run)["rows_kept_until"] == ""


def test_a_run_does_not_begin_if_kept_rows_cannot_be_read(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "rows").touch()
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 2
    assert "state/rows cannot be read: Not a directory. See that it is a folder" in ran.err
    assert sim.counters.methods == {}


def test_a_run_that_was_refused_and_given_up_shows_both(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 30), "--max-changes", 3).status == 4
    run(sim, "resume", newest_run(run)["run_id"], "--give-up")
    listed = " ".join(run(None, "runs").out.split())
    assert "Given up; before that: Nothing was written: 30 changes of 30 rows" in listed
