"""Writes in the ledger, and their use by a run that resumes or undoes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bulk_sync import ledger
from bulk_sync.errors import RowFailed
from bulk_sync.ledger import Intent, Ledger, Settled
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison
from bulk_sync.rows.check import Rules
from bulk_sync.rows.results import Match, Steps
from bulk_sync.runs.kept import write_records
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.settings import State

RUN = "20261123T020000Z-7f3a9c"
AT_MS = 1_795_572_000_123
STATES = (True, False, True, False, True, False)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with ledger.open_ledger(State(tmp_path)) as found:
        yield found


def plan_of_six(files: Sequence[str] = (), created: int = 0) -> pd.DataFrame:
    """Return a plan of six changes, the last ones creations; row 3 is unchanged."""
    states = [str(state).lower() for state in STATES]
    keys = [f"@key-{number}" for number in range(6)]
    raw = pd.DataFrame(
        {
            "PKey": pd.Series([keys[0], "@same", *keys[1:]], dtype="str"),
            "ccpaOptOut": pd.Series([states[0], "true", *states[1:]], dtype="str"),
            columns.ROW: np.arange(2, 9),
        }
    )
    if files:
        raw[columns.FILE] = pd.Categorical([files[0], files[0], *files[1:]])
    rows = check.rows(raw, Rules())
    steps = Steps.blank(7)
    for at, state in enumerate((STATES[0], False, *STATES[1:])):
        steps.done(at, 1, AT_MS, state=not state)
    frame = comparison.compare(rows, steps)
    if created:
        is_new = np.arange(7) >= 7 - created
        frame[columns.OUTCOME] = frame[columns.OUTCOME].mask(is_new, str(Outcome.WOULD_CREATE))
        frame[columns.BEFORE] = columns.states(
            np.where(is_new, -1, columns.state_codes(frame[columns.BEFORE])).astype(np.int8)
        )
        frame[columns.CREATE] = np.where(is_new, '{"email":"a@b.c"}', "")
    return frame


def recorded(book: Ledger, frame: pd.DataFrame) -> Recording:
    return Recording(book, RUN, frame, comparison.writes(frame))


def test_an_intent_holds_the_row_the_file_and_the_change(book: Ledger) -> None:
    one = recorded(book, plan_of_six(["b.csv", "b.csv", "a.csv", "a.csv", "a.csv", "c.csv"]))
    assert not one.has_begun
    one.intend([1, 5])
    assert [write.intent for write in book.writes(RUN)] == [
        Intent("@key-1", 4, "b.csv", before=True, desired=False),
        Intent("@key-5", 8, "c.csv", before=True, desired=False),
    ]


def test_a_single_file_has_no_name_and_a_creation_no_state_before(book: Ledger) -> None:
    one = recorded(book, plan_of_six(created=1))
    one.intend([0, 5])
    assert [write.intent for write in book.writes(RUN)] == [
        Intent("@key-0", 2, None, before=False, desired=True),
        Intent("@key-5", 8, None, before=None, desired=False),
    ]
    assert one.bodies == {5: b'{"email":"a@b.c"}'}
    assert one.opt_ins == [1, 3]


def problem(outcome: Outcome = Outcome.FAILED, holds: bool | None = False) -> RowFailed:
    detail = "Campaign does not allow it."
    return RowFailed(Reason.HTTP_403, detail, outcome=outcome, holds=holds, attempts=4)


def settled_in(book: Ledger) -> list[Settled | None]:
    """Return the outcomes of all writes, without the positions of their own lines."""
    found = [write.settled for write in book.writes(RUN)]
    return [each and each._replace(position=0) for each in found]


def test_recorded_writes_are_known_again_and_others_in_doubt_or_open(
    book: Ledger,
) -> None:
    one = recorded(book, plan_of_six())
    one.intend([0, 1, 2, 3, 4])
    one.steps.done(0, 2, AT_MS, state=True)
    one.steps.failed(1, AT_MS + 1, problem(holds=True))
    one.steps.failed(2, AT_MS + 2, problem(Outcome.DRIFTED, None))
    one.steps.failed(3, AT_MS + 3, problem(Outcome.PENDING))
    one.settle([0, 1, 2])
    one.settle([3, 5])  # the last one was never about to be sent
    settled = settled_in(book)
    expected = ("http_403", "Campaign does not allow it.", 4)
    assert settled == [
        Settled(1, Outcome.UPDATED, None, "", 2, AT_MS),
        Settled(2, Outcome.FAILED, *expected, AT_MS + 1, after=True),
        Settled(3, Outcome.DRIFTED, *expected, AT_MS + 2),
        Settled(4, Outcome.PENDING, *expected, AT_MS + 3, after=False),
        None,
    ]
    two = recorded(book, plan_of_six())
    assert two.has_begun
    assert two.in_doubt == {4}
    assert two.steps.open() == [3, 4, 5]
    assert two.steps.state.tolist() == [1, 1, -1, -1, -1, -1]
    assert two.steps.attempts.tolist() == [2, 4, 4, 0, 0, 0]
    assert two.steps.at_ms.tolist() == [AT_MS, AT_MS + 1, AT_MS + 2, 0, 0, 0]
    known = {
        at: (each.outcome, each.reason, each.detail, each.attempts, each.holds)
        for at, each in two.steps.problems.items()
    }
    assert known == {
        1: (Outcome.FAILED, Reason.HTTP_403, "Campaign does not allow it.", 4, True),
        2: (Outcome.DRIFTED, Reason.HTTP_403, "Campaign does not allow it.", 4, None),
    }


def test_a_write_in_doubt_is_settled_without_another_intent(book: Ledger) -> None:
    recorded(book, plan_of_six()).intend([0, 1])
    two = recorded(book, plan_of_six())
    two.steps.done(1, 1, AT_MS, state=False)
    two.settle([1])
    writes = list(book.writes(RUN))
    assert [write.settled is None for write in writes] == [True, False]
    assert recorded(book, plan_of_six()).in_doubt == {0}


def test_a_write_that_was_never_sent_stays_open(book: Ledger) -> None:
    one = recorded(book, plan_of_six())
    one.intend([2])
    one.settle([2])
    (write,) = book.writes(RUN)
    assert write.settled is not None
    expected = (write.settled.outcome, write.settled.reason, write.settled.detail)
    assert (*expected, write.settled.attempts) == (Outcome.PENDING, "stopped", "Not sent.", 0)
    two = recorded(book, plan_of_six())
    assert (two.in_doubt, two.steps.open()) == (frozenset(), list(range(6)))


def test_a_creation_is_recorded_with_the_new_key(book: Ledger) -> None:
    one = recorded(book, plan_of_six(created=2))
    one.intend([0, 4, 5])
    one.steps.done(0, 1, AT_MS, state=True)
    one.steps.found_at(4, 1, AT_MS, (Match("@new", 1, 0),))
    one.steps.done(5, 3, AT_MS, state=False)  # a profile whose PKey is not known
    one.settle([0, 4, 5])
    assert settled_in(book) == [
        Settled(1, Outcome.UPDATED, None, "", 1, AT_MS),
        Settled(2, Outcome.CREATED, None, "", 1, AT_MS, "@new"),
        Settled(3, Outcome.CREATED, None, "", 3, AT_MS),
    ]
    two = recorded(book, plan_of_six(created=2))
    assert two.steps.open() == [1, 2, 3]
    done = write_records.written(book, RUN).done
    assert [each.key for each in done] == ["@key-0", "@new", "@key-5"]


def test_confirmed_writes_that_could_not_be_recorded_are_counted(book: Ledger) -> None:
    one = recorded(book, plan_of_six())
    one.intend([0, 1, 2, 3])
    one.steps.done(0, 1, AT_MS, state=True)
    one.steps.done(1, 1, AT_MS, state=False)
    one.steps.failed(2, AT_MS, problem())
    assert one.unrecorded == 2
    one.settle([0])
    assert one.unrecorded == 1


def test_a_write_in_doubt_is_pending(book: Ledger) -> None:
    one = recorded(book, plan_of_six())
    one.leave_in_doubt([3])
    row_problem = one.steps.problems[3]
    assert (row_problem.outcome, row_problem.reason) == (Outcome.PENDING, Reason.STOPPED)
    assert "whether it arrived is not known" in row_problem.detail
    assert one.steps.attempts.tolist() == [0, 0, 0, row_problem.attempts, 0, 0]
    assert one.steps.at_ms.tolist() == [0] * 6


def test_the_results_of_a_killed_run_have_its_writes_in_flight_in_doubt(book: Ledger) -> None:
    recorded(book, plan_of_six()).intend([1])
    frame = plan_of_six()
    results = recorded(book, frame).results(frame)
    details = results[columns.DETAIL].astype(object).fillna("").tolist()
    assert ["is not known" in each for each in details] == [at == 2 for at in range(7)]
    assert results[columns.OUTCOME].iat[2] == Outcome.PENDING


def test_confirmed_writes_and_those_in_flight_are_done_in_the_input_s_order(
    book: Ledger,
) -> None:
    """A failed opt-in may have lifted the opt-out too."""
    files = ["b.csv", "b.csv", "b.csv", "a.csv", "a.csv", "a.csv"]
    one = recorded(book, plan_of_six(files))
    one.intend([5, 3, 0, 1, 2, 4])
    one.steps.done(0, 1, AT_MS, state=True)
    one.steps.done(5, 1, AT_MS, state=False)
    for at, outcome in {1: Outcome.FAILED, 2: Outcome.FAILED, 4: Outcome.PENDING}.items():
        one.steps.failed(at, AT_MS, problem(outcome))
    one.settle([0, 1, 2, 4, 5])
    written = write_records.written(book, RUN)
    assert [each.key for each in written.done] == ["@key-3", "@key-5", "@key-0"]
    assert [each.key for each in written.perhaps_lifted] == ["@key-1"]
    one.intend([1])  # tried again, and done
    one.steps.done(1, 1, AT_MS, state=False)
    one.settle([1])
    written = write_records.written(book, RUN)
    assert [each.key for each in written.done] == ["@key-3", "@key-5", "@key-0", "@key-1"]
    assert written.perhaps_lifted == []


@pytest.mark.parametrize("files", [(), ("a.csv", "b.csv")], ids=["one file", "two files"])
def test_the_writes_of_another_run_become_rows(files: tuple[str, ...]) -> None:
    intents = [
        Intent(f"@key-{at}", at + 7, files[at] if files else None, before=False, desired=True)
        for at in range(2)
    ]
    frame = write_records.rows_for(intents, [False, True], "ccpaOptOut")
    assert frame["PKey"].tolist() == frame[columns.KEY].tolist() == ["@key-0", "@key-1"]
    assert frame["ccpaOptOut"].tolist() == ["false", "true"]
    assert frame[columns.ROW].tolist() == [7, 8]
    assert columns.state_codes(frame[columns.DESIRED]).tolist() == [0, 1]
    assert (columns.FILE in frame) is bool(files)
    assert comparison.open_rows(frame).tolist() == [0, 1]


@pytest.mark.parametrize("files", [(), ("a.csv", "b.csv", "a.csv")], ids=["one file", "two files"])
def test_rows_get_the_columns_of_their_file_back(files: tuple[str, ...]) -> None:
    intents = [
        Intent(f"@{at}", (2, 4, 9)[at], files[at] if files else None, before=False, desired=True)
        for at in range(3)
    ]
    rows = write_records.rows_for(intents, [False, True, True], "ccpaOptOut")
    original = pd.DataFrame({columns.ROW: [4, 3, 2], "E-mail": ["d@x", "c@x", "b@x"]})
    if files:
        original[columns.FILE] = pd.Categorical(["a.csv", "b.csv", "a.csv"])
    found = write_records.with_own_columns(rows, original)
    assert found["E-mail"].tolist() == ["b@x", "" if files else "d@x", ""]
    assert found[columns.KEY].tolist() == ["@0", "@1", "@2"]
    assert "PKey" not in found
    again = write_records.as_input(found, "ccpaOptOut")
    assert again["PKey"].tolist() == ["@0", "@1", "@2"]
    assert again["ccpaOptOut"].tolist() == ["false", "true", "true"]
    assert "E-mail" not in again
