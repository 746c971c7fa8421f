"""A run with the rows without work kept apart ends like one with all rows in its frame."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import time_machine
from conftest import key, populate

from bulk_sync import ledger
from bulk_sync.cli.summary import plan_lines, summary_json, summary_lines
from bulk_sync.errors import (
    AccessDenied,
    Exit,
    Refused,
    RowFailed,
    StoppedEarly,
    UsageProblem,
)
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison
from bulk_sync.rows.check import Rules
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import Cost, Finished, Plan
from bulk_sync.runs.commands import past_reports
from bulk_sync.runs.kept import kept_rows, plan_file
from bulk_sync.runs.kept.rest import NOTHING, Rest
from bulk_sync.runs.kept.tally import Tally
from bulk_sync.runs.stages import finish, pipeline
from bulk_sync.runs.stages.begin import begin, begun_as
from bulk_sync.runs.stages.execution import StageEnd, early_end
from bulk_sync.runs.terms.job import Job, JobRecord
from bulk_sync.settings import Bound, Connection, Credentials, Limits, Pace, Secret, State
from bulk_sync.signals import Interrupts
from bulk_sync.simulator import Simulator

RUN_ID = "20261123T020000Z-7f3a9c"
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
AT_MS = 1_795_399_000_000
REPORTS = ("r.csv", "r.csv.gz", "r.json", "r.parquet", "r.html", "r.xlsx")
COST = Cost({"GET": 9}, {("GET", "200"): 9}, 1.5, 1.0, {}, None)


def split(whole: pd.DataFrame, slice_rows: int) -> tuple[pd.DataFrame, Rest]:
    """Return the rows with work of a plan or of results, and the rest in slices."""
    counts_as = whole[columns.COUNTS_AS].to_numpy()
    is_same = columns.have_outcome(whole, [Outcome.UNCHANGED])
    is_rest = is_same | (columns.have_outcome(whole, [Outcome.DUPLICATE]) & is_same[counts_as])
    left = np.flatnonzero(~is_rest)
    frame = whole.iloc[left].reset_index(drop=True)
    frame[columns.COUNTS_AS] = np.searchsorted(left, counts_as[left])
    others = whole[is_rest]

    def with_results(results: pd.DataFrame) -> Slices:
        assert len(results) == len(left)
        placed = results.set_axis(left).assign(**{columns.COUNTS_AS: counts_as[left]})
        rows = pd.concat([each for each in (placed, others) if len(each)]).sort_index()

        def read() -> Iterator[pd.DataFrame]:
            for start in range(0, len(rows), slice_rows):
                yield rows.iloc[start : start + slice_rows].reset_index(drop=True)

        return Slices(len(rows), read)

    # The day of these counts does not matter: every row is carried out.
    return frame, Rest(Totals.count(others), Tally.count(others, date(2001, 1, 1)), with_results)


Person = tuple[str, str, str, bool | None]

PEOPLE: Sequence[Person] = [
    # key, state, date of the request, state in Campaign (None: no such profile)
    ("@same0", "true", "2026-11-02", True),
    ("@out0", "yes", "2026-10-20", False),
    ("@same0", "true", "2026-10-02", True),
    ("@in0", "false", "2026-11-03", True),
    ("@gone", "true", "2026-11-01", None),
    ("@bad", "perhaps", "", None),
    ("@same1", "no", "", False),
    ("@out0", "true", "2026-11-05", False),
    ("@both", "true", "", None),
    ("@both", "false", "", None),
    ("@out1", "true", "2026-11-20", False),
    ("@same2", "true", "2026-11-19", True),
    ("@fails", "true", "2026-10-01", False),
    ("@same2", "true", "", True),
    ("@same1", "false", "2026-11-04", False),
]


def planned(people: Sequence[Person] = PEOPLE) -> pd.DataFrame:
    """Plan rows of two files."""
    texts = list(zip(*people, strict=True))
    names = ("PKey", "ccpaOptOut", "Request date")
    raw = pd.DataFrame({name: pd.Series(texts[at], dtype="str") for at, name in enumerate(names)})
    raw[columns.ROW] = np.arange(2, len(people) + 2)
    codes = [int(at > len(people) // 2) for at in range(len(people))]
    raw[columns.FILE] = pd.Categorical.from_codes(codes, pd.Index(["a.csv", "b.csv"]))
    checked = check.rows(raw, Rules())
    open_rows = comparison.open_rows(checked)
    states, current = Steps.blank(len(open_rows)), {name: state for name, *_, state in people}
    for at, name in enumerate(Texts(checked[columns.KEY], open_rows)):
        state = current[name]
        if state is None:
            gone = RowFailed(Reason.NOT_FOUND, "Gone.", outcome=Outcome.NOT_FOUND)
            states.failed(at, AT_MS, gone)
        else:
            states.done(at, 1, AT_MS + at, state=state)
    return comparison.compare(checked, states)


def written() -> pd.DataFrame:
    """Return the results of the plan: one write failed."""
    plan = planned()
    writes = comparison.writes(plan)
    steps = Steps.blank(len(writes))
    for at, name in enumerate(Texts(plan[columns.KEY], writes)):
        if name == "@fails":
            steps.failed(at, AT_MS, RowFailed(Reason.HTTP_403, "No.", outcome=Outcome.FAILED))
        else:
            steps.done(at, 2, AT_MS + at, state=name.startswith("@out"))
    return comparison.settle(plan, steps)


def nothing_to_do() -> pd.DataFrame:
    return planned([person for person in PEOPLE if person[0].startswith("@same")])


LIMIT = Refused("Nothing was written: too many.", "--max-changes 4")
STOPPED = StoppedEarly("Stopped.")
ENDS = {
    "done": (Kind.RUN, written, None),
    "nothing to do": (Kind.RUN, nothing_to_do, None),
    "refused": (Kind.RUN, lambda: comparison.hold_back(planned(), Reason.LIMIT), LIMIT),
    "stopped": (Kind.RUN, lambda: comparison.hold_back(planned(), Reason.STOPPED), STOPPED),
    "no access": (
        Kind.RUN,
        lambda: comparison.hold_back(planned(), Reason.STOPPED),
        AccessDenied("No."),
    ),
    "no access, nothing to do": (Kind.RUN, nothing_to_do, AccessDenied("No.")),
    "a plan": (Kind.PLAN, planned, None),
    "a plan of nothing": (Kind.PLAN, nothing_to_do, None),
}


def job_in(folder: Path) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(
        Connection("https://campaign.example", "acme", Credentials("key", Secret("token"))),
        JobRecord(
            State(folder / "state"),
            "nightly",
            reports=tuple(str(folder / each) for each in REPORTS),
            began_s=0.0,
        ),
    )


def end_run(
    folder: Path, kind: Kind, whole: pd.DataFrame, rows: pd.DataFrame, rest: Rest, cause: Any
) -> tuple[Finished, ledger.Ended | None]:
    """End a run, and return its end and the end recorded in the ledger."""
    job = job_in(folder)
    begun = begun_as(kind, job, "in.csv", "c0ffee", len(whole))
    if kind is Kind.PLAN:
        begun = replace(begun, settings={"out": str(folder / "plan.parquet")})
    with ledger.open_ledger(job.record.state) as book:
        run = replace(begin(book, job, RUN_ID, begun, Slices.of(rows), "in"), rest=rest)
        ended = finish.finish_run(run, job, StageEnd(rows, cause), COST, lambda *_: None)
        line = book.run(RUN_ID).ended
    return ended, line


def bare(line: ledger.Ended | None) -> ledger.Ended:
    """Return a line without times, and without hashes of files with paths or times in them."""
    assert line is not None
    return replace(line, reports={}, seconds=0.0, plan_sha256="")


def output_of(ended: Finished, folder: Path) -> list[str]:
    """Return the output for a person and for a script, without the hash and times."""
    facts = summary_json(ended, "in.csv", None, dry_run=False)
    for name in ("ledger", "seconds", "plan_sha256"):
        facts.pop(name)
    lines = summary_lines(replace(ended, head=None, cost=COST), "Run")
    return [line.replace(f"{folder.name}/", "") for line in [*lines, str(facts)]]


@pytest.mark.parametrize("end", ENDS)
@time_machine.travel(NOW, tick=False)
def test_the_end_and_the_files_of_a_run_are_the_same(end: str, tmp_path: Path) -> None:
    kind, make, cause = ENDS[end]
    whole, one, other = make(), tmp_path / "one", tmp_path / "other"
    frame, rest = split(whole, 2)
    assert 0 <= len(frame) < len(whole)
    first, line = end_run(one, kind, whole, whole, NOTHING, cause)
    second, same_line = end_run(other, kind, whole, frame, rest, cause)

    assert output_of(second, other) == output_of(first, one)
    assert (second.totals, second.exit) == (first.totals, first.exit)
    assert second.is_resumable is first.is_resumable
    assert bare(same_line) == bare(line)
    names = sorted(path.name for path in one.iterdir() if path.is_file())
    assert sorted(path.name for path in other.iterdir() if path.is_file()) == names
    for name in names:
        if name.endswith(".parquet"):
            tables = (pq.read_table(folder / name) for folder in (one, other))
            assert next(tables).equals(next(tables)), name
        else:
            assert (other / name).read_bytes() == (one / name).read_bytes(), name
    assert gzip.decompress((one / "r.csv.gz").read_bytes()) == (one / "r.csv").read_bytes()
    check_kept_rows(
        one / "state", other / "state", is_there=kind is Kind.RUN and not first.is_resumable
    )
    if kind is Kind.PLAN:
        plans = (plan_file.read(folder / "plan.parquet").rows.joined() for folder in (one, other))
        pd.testing.assert_frame_equal(next(plans), next(plans))


def check_kept_rows(one: Path, other: Path, *, is_there: bool) -> None:
    first, second = (list(kept_rows.all_of(each).values()) for each in (one, other))
    assert len(first) == len(second) == is_there
    for kept, same in zip(first, second, strict=True):
        assert same.path.name == kept.path.name
        pd.testing.assert_frame_equal(same.slices().joined(), kept.slices().joined())
        assert same._facts() == kept._facts()


@time_machine.travel(NOW, tick=False)
def test_rows_kept_in_parts_make_the_same_reports(tmp_path: Path) -> None:
    whole = written()
    end_run(tmp_path, Kind.RUN, whole, *split(whole, 4), None)
    state = State(tmp_path / "state")
    again = [str(tmp_path / f"again-{name}") for name in REPORTS if name != "r.xlsx"]
    todo = tmp_path / f"in.{RUN_ID}.todo.csv"
    todo = todo.rename(tmp_path / "first-todo.csv")
    _, files = past_reports.report_again(state, RUN_ID, again, lambda *_: None, todo=True)
    assert Path(str(files.todo)).read_bytes() == todo.read_bytes()
    for path in map(Path, again):
        first = path.with_name(path.name.removeprefix("again-"))
        if path.suffix == ".html":  # the page names the report with all rows
            assert path.read_bytes().replace(b"again-", b"") == first.read_bytes()
        else:
            assert path.read_bytes() == first.read_bytes(), path
    (kept,) = kept_rows.all_of(state.folder).values()
    for rows in kept.slices().read():
        assert list(rows[columns.FILE].cat.categories) == ["a.csv", "b.csv"]


@time_machine.travel(NOW, tick=False)
def test_a_later_part_that_is_damaged_is_no_bug(tmp_path: Path) -> None:
    whole = written()
    end_run(tmp_path, Kind.RUN, whole, *split(whole, 4), None)
    (kept,) = kept_rows.all_of(tmp_path / "state").values()
    part = pq.read_metadata(kept.path).row_group(2).column(0)
    content = bytearray(kept.path.read_bytes())
    content[part.dictionary_page_offset : part.data_page_offset + 20] = bytes(
        part.data_page_offset + 20 - part.dictionary_page_offset
    )
    kept.path.write_bytes(content)
    with pytest.raises(UsageProblem, match="cannot be read from"):
        past_reports.report_again(
            State(tmp_path / "state"), RUN_ID, [str(tmp_path / "again.csv")], lambda *_: None
        )


def test_own_columns_are_those_of_the_rows_in_question_alone(tmp_path: Path) -> None:
    whole = nothing_to_do()
    end_run(tmp_path, Kind.RUN, whole, *split(whole, 2), None)
    found = kept_rows.own_columns(State(tmp_path / "state"), RUN_ID, {3, 6})
    assert found is not None
    names = ["PKey", "ccpaOptOut", "Request date", columns.ROW, columns.FILE]
    pd.testing.assert_frame_equal(found, whole.loc[[1, 4], names].reset_index(drop=True))
    assert kept_rows.own_columns(State(tmp_path / "state"), RUN_ID, {99}) is None


def readable_times(rest: Rest, left: list[int]) -> Rest:
    """Return a rest that can be read a limited number of times."""

    def with_results(results: pd.DataFrame) -> Slices:
        slices = rest.with_results(results)

        def read() -> Iterable[pd.DataFrame]:
            left[0] -= 1
            if left[0] < 0:
                raise StoppedEarly("There is no room.")
            return slices.read()

        return Slices(slices.count, read)

    return replace(rest, with_results=with_results)


@pytest.mark.parametrize("kind", [Kind.RUN, Kind.PLAN])
def test_a_rest_that_becomes_unreadable_leaves_a_run_to_resume(kind: Kind, tmp_path: Path) -> None:
    whole = planned() if kind is Kind.PLAN else written()
    frame, rest = split(whole, 4)
    left = [99]
    ended, _ = end_run(tmp_path / "all", kind, whole, frame, readable_times(rest, left), None)
    assert ended.cause is None
    passes = 99 - left[0]
    for enough in (0, 1, passes // 2, passes - 2, passes - 1):
        folder = tmp_path / str(enough)
        small = readable_times(rest, [enough])
        ended, line = end_run(folder, kind, whole, frame, small, None)
        assert "There is no room." in str(ended.cause)
        assert (ended.exit, ended.is_resumable) == (Exit.STOPPED_EARLY, True)
        assert line is None or not line.final


def test_a_run_is_refused_by_the_counts_of_all_slices(tmp_path: Path) -> None:
    whole, lines = planned(), []
    frame, rest = split(whole, 4)
    for name, rows in {"one": Slices.of(whole), "other": rest.with_results(frame)}.items():
        job = job_in(tmp_path / name)
        begun = begun_as(Kind.RUN, job, "in.csv", "c0ffee", len(whole))
        with ledger.open_ledger(job.record.state) as book:
            finish.refuse(book, job, RUN_ID, begun, "in", rows, LIMIT)
            lines.append(book.run(RUN_ID).ended)
    first, second = map(bare, lines)
    assert first == second
    assert first.outcomes == {"duplicate": 4, "rejected": 3, "not_found": 1, "pending": 7}
    check_kept_rows(tmp_path / "one" / "state", tmp_path / "other" / "state", is_there=True)


def test_known_states_of_the_rest_make_a_run_with_wrong_settings_resumable() -> None:
    frame, rest = split(planned([("@same", "true", "", True), ("@bad", "perhaps", "", None)]), 9)
    wrong = UsageProblem("Wrong.")
    assert early_end(frame, wrong, NOTHING).cause is wrong
    assert isinstance(early_end(frame, wrong, rest).cause, StoppedEarly)


@pytest.mark.parametrize(("rows", "days"), [(100_000, 800), (100_001, 30)])
@time_machine.travel(NOW, tick=False)
def test_rows_are_kept_by_the_size_of_the_whole_input(rows: int, days: int, tmp_path: Path) -> None:
    job = job_in(tmp_path / "one")
    begun = begun_as(Kind.RUN, job, "in.csv", "c0ffee", rows)
    until = kept_rows.keep(job.record.state, RUN_ID, begun, Slices.of(written()))
    assert (date.fromisoformat(until) - NOW.date()).days == days


@dataclass
class Quiet:
    """A screen that keeps the plan."""

    plans: list[Plan] = field(default_factory=list)

    def begin(self, *_: object) -> None: ...
    def announce(self, *_: object) -> None: ...
    def show_progress(self, *_: object) -> None: ...
    def approve(self, *_: object) -> None: ...
    def show(self, reviewed: Plan) -> None:
        self.plans.append(reviewed)


def carry_out_plan(
    sim: Simulator, folder: Path, rows: pd.DataFrame, rest: Rest, *limits: Limits
) -> tuple[Finished, Plan]:
    """Carry out a plan, again under each limit; return its end, and the plan shown first."""
    token = Secret("demo-token")
    job = replace(
        job_in(folder),
        connection=Connection(sim.url, "acme", Credentials("demo-key", token)),
        pace=Pace(concurrency=1),
    )
    screen = Quiet()
    with ledger.open_ledger(job.record.state) as book, Interrupts() as interrupts:
        begun = begun_as(Kind.RUN, job, "in.csv", "c0ffee", len(rows) + rest.totals.rows)
        run = begin(book, job, RUN_ID, begun, Slices.of(rows), "in", planned=rows)
        run = replace(run, rest=rest)
        ends = [
            pipeline.carry_out(run, replace(job, limits=each), screen, interrupts)
            for each in limits
        ]
    return ends[-1], screen.plans[0]


WRITES, SAME = 20, 90
"""Rows to be changed, and unchanged rows."""


@pytest.mark.parametrize(
    ("limits", "refusing", "status", "changed"),
    [
        (Limits(max_changes=Bound.parse("18.2%", "")), 0, Exit.DONE, 20),
        (Limits(max_changes=Bound.parse("18.1%", "")), 0, Exit.REFUSED, 0),
        (Limits(), 11, Exit.ROWS_LEFT, 9),
        (Limits(), 12, Exit.STOPPED_EARLY, 1),
    ],
    ids=["20 of 110 changes", "fewer changes allowed", "11 of 110 fail", "12 of 110 fail"],
)
@pytest.mark.parametrize("is_apart", [False, True], ids=["whole", "apart"])
def test_shares_are_of_all_rows_of_the_input(
    limits: Limits,
    refusing: int,
    status: Exit,
    changed: int,
    is_apart: bool,
    sim: Simulator,
    tmp_path: Path,
) -> None:
    populate(sim, WRITES)
    sim.forbidden.update(key(number) for number in range(1, 1 + refusing))
    people = [(key(at), "true", "", at >= WRITES) for at in range(WRITES + SAME)]
    rows, rest = planned(people), NOTHING
    if is_apart:
        rows, rest = split(rows, 50)
    ended, plan = carry_out_plan(sim, tmp_path / "run", rows, rest, limits)
    assert ended.exit == status
    assert plan.totals.rows == ended.totals.rows == WRITES + SAME
    assert "20 changes of 110 rows (18.2%)" in str(ended.cause) or status is not Exit.REFUSED
    shown = "\n".join(plan_lines(plan))
    assert "= all 110 rows" in shown
    assert f"unchanged{SAME:>15}" in shown.replace("  unchanged", "unchanged")
    assert len(sim.patched) == changed
    table = pd.read_csv(tmp_path / "run" / "r.csv", dtype=str)
    assert table["PKey"].tolist() == [name for name, *_ in people]
    assert table["sync_outcome"].tolist().count("unchanged") == SAME


@pytest.mark.parametrize(("most", "lifted"), [("10.9%", 0), ("11%", 12)])
@pytest.mark.parametrize("is_apart", [False, True], ids=["whole", "apart"])
def test_opt_ins_held_back_are_allowed_later_by_a_share_of_all_rows(
    most: str, lifted: int, is_apart: bool, sim: Simulator, tmp_path: Path
) -> None:
    populate(sim, 15)
    for number in range(12):
        sim.profiles[key(number)]["ccpaOptOut"] = True
    people = [(key(at), str(at >= 12).lower(), "", at < 12 or at >= 15) for at in range(110)]
    rows, rest = planned(people), NOTHING
    if is_apart:
        rows, rest = split(rows, 50)
    holding = Limits(max_opt_ins=Bound.parse("10%", ""), hold_opt_ins=True)
    later = replace(holding, max_opt_ins=Bound.parse(most, ""))
    ended, plan = carry_out_plan(sim, tmp_path / "run", rows, rest, holding, later)
    assert plan.held_opt_ins == 12
    assert sim.patched.count((key(0), False)) == bool(lifted)
    assert len(sim.patched) == 3 + lifted
    assert ended.exit == (Exit.DONE if lifted else Exit.ROWS_LEFT)
    assert ended.totals.rows == 110
