"""Typical workbooks, from the untouched file to the states in Campaign."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import workbook_kinds
from conftest import Ran, Run, key
from workbook_kinds import KINDS, Kind, address, wants

from bulk_sync.simulator import Options, Simulator, running

FILES = sorted(path.name for path in workbook_kinds.FOLDER.iterdir())


def campaign(sim: Simulator, people: int) -> None:
    """Add people: a third has the requested state already, three have an opt-out to be lifted."""
    lifted = 0
    for person in range(people):
        state = wants(person) if person % 3 == 0 else False
        if not wants(person) and lifted < 3:
            state = True
            lifted += 1
        sim.add(pkey=key(person), email=address(person), ccpaOptOut=state)


def named_options(ran: Ran) -> list[str]:
    """Return the first options in a message, as a person would copy them."""
    option = re.search(r"(--[a-z][a-z-]+) ('[^']*'|\"[^\"]*\"|[^\s,;.)]+)", ran.err + ran.out)
    assert option is not None, ran.err + ran.out
    return [option[1], *shlex.split(option[2])]


def states_after(run: Run, path: Path, kind: Kind) -> list[object]:
    """Check, plan and apply a file with the options named in messages; return all states."""
    with running(Options()) as sim:
        campaign(sim, kind.people)
        status = 3 if kind.below else 0
        seen = run(None, "validate", path)
        options = [] if seen.status == status else named_options(seen)
        planned = run(sim, "plan", path, *options, "--out", "plan.parquet", "--report", "plan.csv")
        assert planned.status == status, planned.err
        applied = run(sim, "apply", "plan.parquet")
        assert applied.status == status, applied.err
        states = [sim.profiles[key(person)]["ccpaOptOut"] for person in range(kind.people)]
    rows = [(int(row["sync_row"]), row["sync_key"].strip()) for row in applied.report]
    below = [row for row in applied.report if row["sync_outcome"] == "rejected"]
    assert rows[: kind.people] == [(row, address(person)) for person, row in kind.rows()]
    assert [row["sync_row"] for row in below] == [str(row) for row, _ in rows[kind.people :]]
    assert len(below) == kind.below
    return states


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_libreoffice_saved_is_carried_out(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(workbook_kinds.FOLDER / name, path)
    kind = KINDS[name.partition(".")[0].removesuffix("_excel").removesuffix("_older")]
    assert states_after(run, path, kind) == [wants(person) for person in range(kind.people)]


@pytest.mark.parametrize("name", KINDS)
def test_a_workbook_that_openpyxl_wrote_is_carried_out(run: Run, tmp_path: Path, name: str) -> None:
    path, kind = workbook_kinds.write(name, tmp_path / f"{name}.xlsx"), KINDS[name]
    assert states_after(run, path, kind) == [wants(person) for person in range(kind.people)]
