"""Reports of apply, retry and undo repeat the columns of the original file."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, read_csv

from bulk_sync.simulator import Simulator

OWN = ["Name", "PKey", "Do not sell", "Ticket", "sync_owner"]


@pytest.fixture
def listed(sim: Simulator, tmp_path: Path) -> Path:
    """Return a list of four people with its own columns; the first row is rejected."""
    for number in range(4):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
    lines = [",".join(OWN), "Nobody,,yes,T-0,CRM"]
    lines += [f"Ann {number},{key(number)},yes,T-{number + 1},CRM" for number in range(4)]
    path = tmp_path / "list.csv"
    path.write_text("\n".join([*lines, ""]))
    return path


def newest_run_id(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def report(run: Run, sim: Simulator, *words: object) -> list[dict[str, str]]:
    path = Path(f"report-{words[0]}-{words[1]}.csv".replace("/", ""))
    if words[0] in {"run", "plan"}:
        words = (*words, "--state-column", "Do not sell")
    run(sim, *words, "--report", path, "--max-opt-ins", "100%")
    return read_csv(path)


def shown(rows: Sequence[dict[str, str]]) -> list[tuple[str, str, str]]:
    assert list(rows[0])[: len(OWN)] == OWN
    assert {row["sync_owner"] for row in rows} == {"CRM"}
    return [(row["Name"], row["Ticket"], row["sync_row"]) for row in rows]


EVERYBODY = [(f"Ann {number}", f"T-{number + 1}", str(number + 3)) for number in range(4)]


def test_an_undo_repeats_them(listed: Path, sim: Simulator, run: Run) -> None:
    report(run, sim, "run", listed)
    rows = report(run, sim, "undo", newest_run_id(run))
    assert shown(rows) == EVERYBODY
    assert [row["Do not sell"] for row in rows] == ["yes"] * 4  # untouched
    assert [row["sync_desired"] for row in rows] == ["false"] * 4
    again = report(run, sim, "undo", newest_run_id(run))
    assert shown(again) == EVERYBODY


def test_an_apply_and_its_undo_repeat_them(listed: Path, sim: Simulator, run: Run) -> None:
    report(run, sim, "plan", listed, "--out", "plan.parquet")
    assert shown(report(run, sim, "apply", "plan.parquet"))[1:] == EVERYBODY
    assert shown(report(run, sim, "undo", newest_run_id(run))) == EVERYBODY


def test_a_retry_and_its_undo_repeat_them(listed: Path, sim: Simulator, run: Run) -> None:
    sim.forbidden.update({key(1), key(3)})
    report(run, sim, "run", listed)
    sim.forbidden.clear()
    left = [EVERYBODY[1], EVERYBODY[3]]
    assert shown(report(run, sim, "retry", newest_run_id(run))) == left
    assert shown(report(run, sim, "undo", newest_run_id(run))) == left


def test_an_undo_by_addresses_and_of_several_files_repeats_them(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for number, name in enumerate(("a.csv", "b.csv")):
        sim.add(pkey=key(number), email="ann@example.com", ccpaOptOut=False)
        text = f"email,ccpaOptOut,Ticket\nann@example.com,yes,{name}\n"
        (folder / name).write_text(text)
    run(sim, "run", folder, "--report", "r.csv")
    run(sim, "undo", newest_run_id(run), "--report", "u.csv", "--max-opt-ins", "100%")
    rows = read_csv(tmp_path / "u.csv")
    assert [(row["Ticket"], row["sync_file"][-5:], row["sync_key"]) for row in rows] == [
        ("a.csv", "a.csv", key(0)),
        ("a.csv", "a.csv", key(1)),
    ]


def test_the_rows_left_by_an_undo_are_an_input_as_they_are(
    listed: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    report(run, sim, "run", listed)
    done = newest_run_id(run)
    sim.forbidden.add(key(2))
    rows = report(run, sim, "undo", done)
    assert [row["sync_outcome"] for row in rows] == ["updated", "updated", "failed", "updated"]
    (todo,) = tmp_path.glob(f"list.{newest_run_id(run)}.todo.csv")
    (left,) = read_csv(todo)
    assert (left["PKey"], left["ccpaOptOut"]) == (key(2), "false")
    sim.forbidden.clear()
    assert shown(report(run, sim, "retry", newest_run_id(run))) == [EVERYBODY[2]]
    assert set(sim.states.values()) == {False}


def test_the_report_of_an_undo_without_kept_rows_has_the_known_columns(
    listed: Path, sim: Simulator, run: Run
) -> None:
    words = ("--keep-rows", 0, "--state-column", "Do not sell")
    assert run(sim, "run", listed, *words).status == 3
    rows = report(run, sim, "undo", newest_run_id(run))
    assert list(rows[0])[:3] == ["PKey", "ccpaOptOut", "sync_row"]
    assert [row["PKey"] for row in rows] == [key(number) for number in range(4)]
