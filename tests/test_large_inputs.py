"""Commands over inputs in slices leave the same files as over the whole input."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, key, read_csv
from large_inputs import in_slices

from bulk_sync import ledger
from bulk_sync.runs.kept import plan_file
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, ScanFault, Simulator, running

ROWS = 100
ROW_BYTES = 110
NEWER, OLDER = "2026-11-20 12:00:00.000Z", "2026-11-10 12:00:00.000Z"


def everything() -> list[str]:
    """Return rows of each kind; related rows are in other slices."""
    rows = [
        f"{key(at)},{'true' if at % 2 else 'no'},2026-11-{1 + at % 28:02}" for at in range(ROWS)
    ]
    rows[3] = ",true,2026-11-02"
    rows[5] = f"{key(5)},perhaps,"
    rows[7] = f"{key(7)},,2026-11-02"
    rows[20] = f"{key(900)},yes,2026-11-02"
    rows[21] = f"{key(901)},no,"
    return [
        *rows,
        f"{key(1)},true,2026-10-02",
        f"{key(2)},yes,2026-11-05",
        f"{key(9)},true,",
        f"{key(8)},false,2026-11-25",
        f"{key(900)},true,2026-11-01",
        f"{key(1)},true,",
        f"{key(30)},true,2026-11-28",
        f"{key(31)},false,2026-10-01",
    ]


def fill(sim: Simulator) -> None:
    """Add profiles: half already have the state of their row, some have none."""
    for at in range(ROWS):
        sim.add(
            pkey=key(at),
            email=f"p{at}@example.com",
            ccpaOptOut=at % 4 < 2,
            ccpaOptOutLastModified=[OLDER, "", NEWER][at % 3],
        )
    for at in range(3 * ROWS):
        sim.add(pkey=key(10_000 + at), email=f"other{at}@example.com", ccpaOptOut=at % 2 == 0)
    sim.profiles[key(40)].pop("ccpaOptOut")
    sim.profiles[key(41)]["ccpaOptOut"] = None
    sim.forbidden.add(key(12))


@dataclass(frozen=True)
class Case:
    """An input, a Campaign, and the words of a command."""

    words: Sequence[str] = ()
    rows: Callable[[], list[str]] = everything
    fill: Callable[[Simulator], None] = fill
    options: Options = field(default_factory=Options)
    files: Mapping[str, str] = field(default_factory=dict)
    status: int = 3
    commands: Sequence[str] = ("run",)
    slice_rows: int = 25
    more_calls: int = 2


def rows_that(*, hold: bool) -> list[str]:
    """Return rows with the states in Campaign, or with the other ones."""
    return [f"{key(at)},{str((at % 4 < 2) is hold).lower()},2026-11-02" for at in range(ROWS)]


def plain(sim: Simulator) -> None:
    """Add profiles, half of them opted out."""
    for at in range(ROWS):
        sim.add(pkey=key(at), email=f"p{at}@example.com", ccpaOptOut=at % 4 < 2)


def no_attribute(sim: Simulator) -> None:
    fill(sim)
    for profile in sim.profiles.values():
        profile.pop("ccpaOptOut", None)


WHOLE_LIST = 15
"""Calls for the whole list; with all rows in memory a run stops after its first pages."""

CASES = {
    "everything": Case(commands=["plan", "run"], slice_rows=7),
    "a row a slice": Case(
        rows=lambda: [*everything()[:30], *everything()[ROWS:]], commands=["plan"], slice_rows=1
    ),
    "one state wins": Case(["--on-conflict", "opt-out"]),
    "the last state wins": Case(["--on-conflict", "last", "--blank-state", "skip"]),
    "the cheaper way": Case(["--ignore-dates", "--fetch", "auto"], more_calls=WHOLE_LIST),
    "no dates": Case(rows=lambda: [row.rpartition(",")[0] + ",note" for row in everything()]),
    "opt-ins are held": Case(["--hold-opt-ins", "--max-opt-ins", "3"], commands=["plan", "run"]),
    "too many opt-ins": Case(["--max-opt-ins", "3"], status=4),
    "too many changes": Case(["--max-changes", "10%"], status=4),
    "protected keys": Case(
        ["--protect", "vip.csv"], files={"vip.csv": f"PKey\n{key(6)}\n{key(1)}\n{key(33)}\n"}
    ),
    "protected addresses": Case(
        ["--protect", "vip.csv"],
        files={"vip.csv": "email\np6@example.com\nP1@example.com\np33@example.com\n"},
    ),
    "a list that ends early": Case(options=Options(scan_fault=ScanFault.ENDS_EARLY)),
    "a list that loops": Case(options=Options(scan_fault=ScanFault.LOOPS)),
    "a list that hides": Case(options=Options(scan_fault=ScanFault.HIDES)),
    "nothing to change": Case(
        rows=partial(rows_that, hold=True), fill=plain, status=0, commands=["plan", "run"]
    ),
    "all to be changed": Case(
        ["--allow", "inverted"], rows=partial(rows_that, hold=False), fill=plain, status=0
    ),
    "nothing can be used": Case(
        rows=lambda: [f"{key(at)},maybe," for at in range(ROWS)], commands=["plan", "run"]
    ),
    "no attribute": Case(fill=no_attribute, status=2),
    "looked up": Case(["--fetch", "lookup"]),
    "access denied": Case(options=Options(faults={Fault.UNAUTHORIZED_401: 1.0}), status=5),
}
RUNS = {
    f"{name}, {command}": (case, command)
    for name, case in CASES.items()
    for command in case.commands
}


@dataclass(frozen=True)
class Results:
    """The results of a command, without times and ids."""

    status: int
    out: list[str]
    report: list[dict[str, str]]
    todo: str
    plan: str
    writes: list[Any]
    patched: list[Any]
    calls: int


def timeless(text: str, folder: Path) -> list[str]:
    """Return lines without ids, folders, times, and calls."""
    text = re.sub(r"2\d{7}T\d{6}Z-[0-9a-f]{6}", "RUN", re.sub(rf"\S*{folder.name}/", "", text))
    text = re.sub(r"[0-9a-f]{64}", "SHA", text)
    lines = [
        line for line in text.splitlines() if not line.startswith(("Calls:", "Cost", "Answers:"))
    ]
    return [re.sub(r"\d+(\.\d+)? (s|ms)\b", "TIME", line) for line in lines]


def results_of(run: Run, folder: Path, case: Case, size: int | None, command: str) -> Results:
    """Run a command, in slices of a size, in a folder of its own; return its results."""
    folder.mkdir()
    header = "PKey,ccpaOptOut,Request date"
    (folder / "in.csv").write_text("\n".join([header, *case.rows(), ""]))
    for name, content in case.files.items():
        (folder / name).write_text(content)
    words = [folder / each if each in case.files else each for each in case.words]
    paging = () if "--fetch" in words else ("--fetch", "scan")
    many = () if "--max-opt-ins" in words else ("--max-opt-ins", "100%")
    out = ("--out", folder / "plan.parquet") if command == "plan" else ()
    with running(case.options) as sim, nullcontext() if size is None else in_slices(size):
        case.fill(sim)
        sim.clear()
        ran = run(
            sim, command, folder / "in.csv", *out, "--report", folder / "r.csv", *words, *paging,
            *many, "--page-size", 30, "--state-dir", folder / "state", "--concurrency", 1
        )  # fmt: skip
        patched, calls = list(sim.patched), sum(sim.counters.methods.values())
    with ledger.open_ledger(State(folder / "state")) as book:
        (begun,) = book.runs()
        writes = [
            (each.intent.row, each.intent.key, each.intent.before, each.intent.desired,
             each.settled and (each.settled.outcome, each.settled.reason, each.settled.detail))
            for each in book.writes(begun.run_id)
        ]  # fmt: skip
        assert begun.ended is not None
    todos = [path.read_text() for path in folder.glob("*.todo.csv")]
    plan = ""
    if (folder / "plan.parquet").exists():
        rows = plan_file.read(folder / "plan.parquet").rows.joined()
        plan = rows.drop(columns=["sync_at"]).to_csv()
    report = [
        {name: value for name, value in row.items() if name != "sync_at"}
        for row in read_csv(folder / "r.csv")
    ]
    output = timeless(ran.out, folder)
    return Results(ran.status, output, report, "".join(todos), plan, writes, patched, calls)


@pytest.mark.parametrize(("case", "command"), RUNS.values(), ids=RUNS)
def test_slices_leave_the_same_results_as_the_whole(
    case: Case, command: str, tmp_path: Path, run: Run
) -> None:
    whole = results_of(run, tmp_path / "whole", case, None, command)
    sliced = results_of(run, tmp_path / "sliced", case, case.slice_rows * ROW_BYTES, command)
    assert replace(sliced, calls=whole.calls) == whole
    assert whole.status == case.status
    assert sliced.calls <= whole.calls + case.more_calls
