"""Rows of a run and the confirmed writes of other runs meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import time_machine

from bulk_sync.ledger import Begun, Ended, Intent, Kind, Ledger, Settled, open_ledger
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison
from bulk_sync.rows.check import Rules
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history import precedence, written_since
from bulk_sync.runs.history.lineage import Lineage
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.stages import writing
from bulk_sync.settings import State

READ_MS = 5_000


class Given(NamedTuple):
    """A write of a run: to false, and confirmed, unless it says otherwise."""

    key: str
    at_ms: int
    desired: bool = False
    outcome: Outcome | None = Outcome.UPDATED
    profile: str | None = None


def begun(kind: Kind = Kind.RUN, **elsewhere: Any) -> Begun:
    place = {"endpoint": "https://mc.adobe.io", "organization": "acme", "attribute": "ccpaOptOut"}
    facts: dict[str, Any] = {"job": "optouts", **place, "input": "in.csv", **elsewhere}
    return Begun(
        kind, input_sha256="9f" * 32, rows=1, parent=None, settings={}, version="1",
        operator="nightly", **facts,
    )  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(State(tmp_path)) as opened:
        yield opened


def at(time_ms: int) -> time_machine.travel:
    return time_machine.travel(time_ms / 1000, tick=False)


def record(
    book: Ledger, run_id: str, writes: Sequence[Given], ended_ms: int | None = 9_000, **task: Any
) -> None:
    """Record a run, its writes, and its end, if it has one."""
    with at(1_000):
        book.begin(run_id, begun(**task))
    for write in writes:
        intent = Intent(write.key, 2, None, not write.desired, write.desired)
        with at(write.at_ms - 10):
            (position,) = book.intend(run_id, [intent])
        if write.outcome is not None:
            end = (write.outcome, None, "", 1, write.at_ms, write.profile)
            book.settle(run_id, [Settled(position, *end)])
    if ended_ms is not None:
        with at(ended_ms):
            book.end(run_id, Ended(0, "", final=True))


def context(
    book: Ledger, planned: pd.DataFrame, folder: Path, lineage: Lineage | None = None
) -> RunContext:
    """Return a run among the others of a ledger."""
    return RunContext(
        "R", begun(), planned, planned, Checkpoint(folder), book, lineage=lineage or Lineage()
    )


def unchanged(*keys: str, read_ms: int = READ_MS) -> pd.DataFrame:
    """Return a plan whose rows want the opt-outs that Campaign held when they were read."""
    raw = pd.DataFrame({"PKey": list(keys), "ccpaOptOut": "true"}, dtype="str")
    steps = Steps.blank(len(keys))
    for row in range(len(keys)):
        steps.done(row, 1, read_ms + row, state=1)
    rows = check.rows(raw.assign(**{columns.ROW: np.arange(len(keys)) + 2}), Rules())
    return comparison.compare(rows, steps)


@pytest.mark.parametrize(
    ("write", "run_id", "ended_ms", "is_outdated"),
    [
        (Given("@a", 5_001), "S", 9_000, True),
        (Given("@a", 5_000), "S", 9_000, False),
        (Given("@a", 5_001, desired=True), "S", 9_000, False),
        (Given("@a", 5_001), "S", None, True),
        (Given("@a", 5_001), "S", 4_999, False),
        (Given("@a", 5_001), "S", 5_000, True),
        (Given("@a", 5_001), "R", 9_000, False),
        (Given("@other", 5_001), "S", 9_000, False),
        (Given("a@b.co", 5_001, outcome=Outcome.CREATED, profile="@a"), "S", 9_000, True),
    ],
    ids=[
        "since", "at the same time", "of the same state", "by a run at work", "by an earlier run",
        "by a run that ended then", "its own", "of another profile",
        "of a created profile",
    ],
)  # fmt: skip
def test_an_unchanged_row_that_another_run_has_changed_since_is_drifted(
    book: Ledger,
    tmp_path: Path,
    write: Given,
    run_id: str,
    ended_ms: int | None,
    *,
    is_outdated: bool,
) -> None:
    record(book, run_id, [write], ended_ms)
    planned = unchanged("@a", "@b")
    found = written_since.without_outdated(context(book, planned, tmp_path), planned)
    outcome = Outcome.DRIFTED if is_outdated else Outcome.UNCHANGED
    assert found[columns.OUTCOME].tolist() == [outcome, Outcome.UNCHANGED]
    assert found[columns.AFTER].tolist() == [not is_outdated, True]
    if is_outdated:
        assert found[columns.REASON][0] == Reason.NEWER_RUN
        assert found[columns.DETAIL][0] == (
            "Run S has set this profile to false since it was read."
        )


@pytest.mark.parametrize(("ended_ms", "is_outdated"), [(5_001, True), (5_000, False)])
def test_a_write_without_an_answer_may_arrive_until_it_is_given_up(
    book: Ledger, tmp_path: Path, ended_ms: int, *, is_outdated: bool
) -> None:
    """It began before the reading."""
    record(book, "S", [Given("@a", ended_ms, outcome=Outcome.FAILED)])
    planned = unchanged("@a")
    found = written_since.without_outdated(context(book, planned, tmp_path), planned)
    outcome = Outcome.DRIFTED if is_outdated else Outcome.UNCHANGED
    assert found[columns.OUTCOME].tolist() == [outcome]
    assert found[columns.AFTER].isna().tolist() == [is_outdated]


IN_FLIGHT = Given("@a", 5_020, outcome=None)
NO_ANSWER = Given("@a", 5_020, outcome=Outcome.FAILED)


@pytest.mark.parametrize(
    ("writes", "run_id", "after"),
    [
        ([IN_FLIGHT], "S", None),
        ([NO_ANSWER], "S", None),
        ([IN_FLIGHT, Given("@a", 5_030, desired=True)], None, True),
        ([Given("@a", 5_005, desired=True), IN_FLIGHT], "S", None),
        ([Given("@a", 5_005), IN_FLIGHT._replace(desired=True)], "S", False),
        ([IN_FLIGHT._replace(desired=True)], None, True),
        ([IN_FLIGHT._replace(at_ms=5_009)], None, True),
    ],
    ids=[
        "in flight", "no answer", "written again", "after a write",
        "of the same state after a write", "of the same state", "before",
    ],
)  # fmt: skip
def test_an_unchanged_row_is_drifted_if_it_is_not_known_whether_a_write_arrived(
    book: Ledger, tmp_path: Path, writes: list[Given], run_id: str | None, after: bool | None
) -> None:
    record(book, "S", writes, None)
    planned = unchanged("@a")
    found = written_since.without_outdated(context(book, planned, tmp_path), planned)
    outcome = Outcome.DRIFTED if run_id else Outcome.UNCHANGED
    assert found[columns.OUTCOME].tolist() == [outcome]
    assert found[columns.AFTER].tolist() == [pd.NA if after is None else after]
    if after is None:
        assert found[columns.DETAIL][0] == (
            "Run S may have set this profile to false since it was read: Campaign's answer to it "
            "was not recorded."
        )


@pytest.mark.parametrize("name", ["organization", "attribute"])
def test_the_runs_of_other_places_have_changed_nothing_here(
    book: Ledger, tmp_path: Path, name: str
) -> None:
    elsewhere: dict[str, Any] = {name: "other"}
    record(book, "S", [Given("@a", 5_001)], **elsewhere)
    planned = unchanged("@a")
    assert written_since.without_outdated(context(book, planned, tmp_path), planned) is planned


@pytest.mark.parametrize(
    ("others", "outcome"),
    [
        ({"S": [Given("@a", 5_001), Given("@a", 5_002, desired=True)]}, Outcome.UNCHANGED),
        ({"S": [Given("@a", 5_002, desired=True), Given("@a", 5_001)]}, Outcome.UNCHANGED),
        ({"S": [Given("@a", 5_002, desired=True)], "T": [Given("@a", 5_001)]}, Outcome.DRIFTED),
        ({"S": [Given("@a", 5_002)], "T": [Given("@a", 5_001, desired=True)]}, Outcome.UNCHANGED),
        (
            {"S": [Given("@a", 5_001, outcome=None), Given("@b", 4_000), Given("@a", 5_001)]},
            Outcome.DRIFTED,
        ),
    ],
    ids=[
        "in order", "the other way round", "in two runs, whatever the clock",
        "in two runs, the other way round", "after writes that do not count",
    ],
)  # fmt: skip
def test_of_several_writes_the_last_one_counts(
    book: Ledger, tmp_path: Path, others: dict[str, list[Given]], outcome: Outcome
) -> None:
    for run_id, writes in {"P": [], **others}.items():
        record(book, run_id, writes)
    planned = unchanged("@a")
    found = written_since.without_outdated(context(book, planned, tmp_path), planned)
    assert found[columns.OUTCOME].tolist() == [outcome]


PLAN = "ab" * 32


@pytest.mark.parametrize("is_plan", [True, False], ids=["a plan", "a run"])
@pytest.mark.parametrize(
    ("of", "wrote_ms", "is_outdated"),
    [
        ("before", 5_001, False),
        ("during", 3_000, True),
        ("during", 4_999, None),
        ("during", 5_001, True),
        ("after", 3_000, True),
        ("after", 4_999, None),
        ("after", 5_001, True),
    ],
)
def test_the_order_of_the_ledger_counts_where_the_clock_was_set_back(
    book: Ledger, tmp_path: Path, of: str, wrote_ms: int, *, is_outdated: bool | None, is_plan: bool
) -> None:
    writes = {of: [Given("@a", wrote_ms)]}
    record(book, "before", writes.get("before", []))
    with at(4_000):
        book.begin("P" if is_plan else "R", begun(Kind.PLAN if is_plan else Kind.RUN))
    record(book, "during", writes.get("during", []))
    with at(6_000):
        book.end("P" if is_plan else "R", Ended(0, "", final=is_plan, plan_sha256=PLAN * is_plan))
    record(book, "after", writes.get("after", []))
    planned = unchanged("@a")
    run = context(book, planned, tmp_path)
    if is_plan:
        run = replace(run, begun=replace(run.begun, plan_sha256=PLAN))
    found = written_since.without_outdated(run, planned)
    is_drifted = is_plan if is_outdated is None else is_outdated
    assert found[columns.OUTCOME].tolist() == [Outcome.DRIFTED if is_drifted else Outcome.UNCHANGED]


@pytest.mark.parametrize(
    ("of", "wrote_ms", "is_drifted"),
    [("during", 105_001, True), ("during", 104_999, False), ("after", 104_999, True)],
    ids=["a minute before", "earlier", "after the plan, with a clock set back"],
)
def test_a_write_while_a_plan_was_read_may_have_come_after_the_answer_was_made(
    book: Ledger, tmp_path: Path, of: str, wrote_ms: int, *, is_drifted: bool
) -> None:
    writes = {of: [Given("@a", wrote_ms)]}
    with at(100_000):
        book.begin("P", begun(Kind.PLAN))
    record(book, "during", writes.get("during", []))
    with at(170_000):
        book.end("P", Ended(0, "", final=True, plan_sha256=PLAN))
    record(book, "after", writes.get("after", []))
    planned = unchanged("@a", read_ms=165_000)
    run = context(book, planned, tmp_path)
    run = replace(run, begun=replace(run.begun, plan_sha256=PLAN))
    found = written_since.without_outdated(run, planned)
    assert found[columns.OUTCOME].tolist() == [Outcome.DRIFTED if is_drifted else Outcome.UNCHANGED]


def test_the_writes_of_a_run_that_went_on_and_was_killed_count(
    book: Ledger, tmp_path: Path
) -> None:
    with at(1_000):
        book.begin("S", begun())
    with at(2_000):
        book.end("S", Ended(6, "", final=False))
    with at(6_000):
        (position,) = book.intend("S", [Intent("@a", 2, None, True, False)])
    book.settle("S", [Settled(position, Outcome.UPDATED, None, "", 1, 6_010)])
    planned = unchanged("@a")
    found = written_since.without_outdated(context(book, planned, tmp_path), planned)
    assert found[columns.OUTCOME].tolist() == [Outcome.DRIFTED]


@pytest.mark.parametrize(
    ("kinds", "forbidden"),
    [
        ((Kind.RUN,), "A"),
        ((Kind.APPLY, Kind.RUN, Kind.RETRY), "B"),
        ((Kind.RETRY, Kind.UNDO), None),
        ((), None),
    ],
    ids=["a file", "the last file", "no file", "no run"],
)
def test_no_opt_in_is_sent_after_a_later_file(
    book: Ledger, kinds: Sequence[Kind], forbidden: str | None
) -> None:
    for run_id, kind in zip("ABC", kinds, strict=False):
        record(book, run_id, [], kind=kind)
    found = precedence._opt_ins_forbidden([1, 3], book.runs())
    assert set(found) == ({1, 3} if forbidden else set())
    for sentence in found.values():
        assert f"not lifted: run {forbidden} has worked" in sentence


def test_an_undo_is_uncertain_of_writes_that_may_not_have_arrived(
    book: Ledger, tmp_path: Path
) -> None:
    writes = [
        Given("@gone", 1_000, outcome=None),
        Given("@a", 2_000, outcome=None),
        Given("@b", 3_000, outcome=Outcome.FAILED),
        Given("@c", 4_000),
        Given("@d", 5_000, desired=True),
    ]
    record(book, "S", [write._replace(desired=not write.desired) for write in writes])
    raw = pd.DataFrame(
        {
            "PKey": ["@a", "@b", "@c", "@d"],
            "ccpaOptOut": ["false", "false", "false", "true"],
            columns.ROW: range(2, 6),
        }
    ).astype({"PKey": "str", "ccpaOptOut": "str"})
    steps = Steps.blank(4)
    for row, state in enumerate([1, 1, 1, 0]):
        steps.done(row, 1, READ_MS, state=state)
    planned = comparison.compare(check.rows(raw, Rules()), steps)
    run = context(book, planned, tmp_path, Lineage(since=1, undone="S"))
    recording = writing.recorded(run, planned)
    uncertain, ended_ms = precedence.put_back(run, recording)
    assert uncertain == {0, 1}
    assert ended_ms == {0: 1_990 + 1_800_000, 1: 3_000, 2: 4_000}
    first = context(book, planned, tmp_path)
    assert precedence.put_back(first, recording) == (set(), {})
