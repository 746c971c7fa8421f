"""The state of a profile by the writes in the ledger: the last one, unless it was undone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulk_sync import ledger
from bulk_sync.ledger import Begun, Intent, Kind, Settled, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows.request_order import Confirmed, RequestDate
from bulk_sync.runs.history import precedence
from bulk_sync.settings import State


def begun(kind: Kind, parent: str | None = None) -> Begun:
    place = "https://mc.adobe.io", "acme", "ccpaOptOut"
    return Begun(kind, "optouts", *place, "in.csv", "9f" * 32, 1, parent, {}, "0.1.0", "nightly")


RUNS = {
    "A": begun(Kind.RUN),
    "B": begun(Kind.APPLY),
    "C": begun(Kind.UNDO, "B"),
    "D": begun(Kind.UNDO, "C"),
    "E": begun(Kind.RETRY, "A"),
}

ELSEWHERE: dict[str, Begun] = {}


def write(
    run_id: str,
    desired: bool,
    requested: str | None,
    outcome: Outcome | None = Outcome.UPDATED,
    after: bool | None = None,
) -> Write:
    at_ms = 1_000 * (1 + "ABCDE".index(run_id))
    intent = Intent("@k", 2, None, not desired, desired, None, requested)
    settled = None
    if outcome is not None:
        settled = Settled(1, outcome, None, "", 1, at_ms + 500, after=after)
    return Write(run_id, at_ms, at_ms, intent, settled)


A_OUT = write("A", True, "2026-01-10")
B_IN = write("B", False, "2026-01-20")


@pytest.mark.parametrize(
    ("writes", "state", "request_date", "run_id", "no_later_ms"),
    [
        ([A_OUT], True, "2026-01-10", "A", 1_000),
        ([A_OUT, B_IN], False, "2026-01-20", "B", 2_000),
        ([A_OUT, B_IN, write("C", True, None)], True, "2026-01-10", "A", 1_000),
        ([B_IN, write("C", True, None)], True, "None", "B", 2_000),
        ([write("C", True, None)], True, "None", "C", 3_000),
        (
            [A_OUT, B_IN, write("C", True, None), write("D", False, None)],
            False, "2026-01-20", "B", 2_000,
        ),
        (
            [A_OUT, write("B", True, "2026-01-20"), write("C", False, None)],
            False, "None", "B", 2_000,
        ),
        ([A_OUT, write("B", False, "2026-01-20", Outcome.DRIFTED)], True, "2026-01-10", "A", 1_000),
        ([A_OUT, write("B", False, "2026-01-20", Outcome.PENDING)], True, "2026-01-10", "A", 1_000),
        (
            [A_OUT, write("B", False, "2026-01-20", Outcome.FAILED, after=True)],
            True, "2026-01-10", "A", 1_000,
        ),
        (
            [write("A", True, "2026-01-10", Outcome.FAILED, False), write("E", True, "2026-01-10")],
            True, "2026-01-10", "E", 5_000,
        ),
    ],
    ids=[
        "the only one",
        "the last one",
        "put back",
        "put back to what another has written",
        "put back, and what is not recorded",
        "put back twice",
        "put back after a change by others in between",
        "left alone",
        "not sent",
        "refused",
        "refused, and tried again",
    ],
)  # fmt: skip
def test_a_single_write_counts(
    writes: list[Write], state: bool, request_date: str, run_id: str, no_later_ms: int
) -> None:
    ((key, own),) = precedence.standing(writes, RUNS).items()
    assert key == ("@k", state)
    assert (own.state, own.is_doubtful) == (state, False)
    assert (str(own.request), own.run_id, own.no_later_ms) == (request_date, run_id, no_later_ms)
    last = writes[-1] if writes[-1].settled.outcome is Outcome.UPDATED else A_OUT  # type: ignore[union-attr]
    assert (own.began_ms, own.ended_ms) == (last.at_ms, last.at_ms + 500)


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
def test_the_effect_of_a_write_without_an_answer_is_open(outcome: Outcome | None) -> None:
    found = precedence.standing([A_OUT, write("B", False, "2026-01-20", outcome)], RUNS)
    assert {key: own.is_doubtful for key, own in found.items()} == {
        ("@k", True): False,
        ("@k", False): True,
    }
    ended_ms = found["@k", False].ended_ms - found["@k", False].began_ms
    assert ended_ms == (500 if outcome else 30 * 60_000)
    again = [A_OUT, write("B", False, None, outcome), write("B", False, "2026-01-20")]
    assert set(precedence.standing(again, RUNS)) == {("@k", False)}


def test_the_writes_of_another_instance_do_not_count() -> None:
    assert precedence.standing([A_OUT, B_IN], ELSEWHERE) == {}


@pytest.mark.parametrize(
    ("place", "own_id", "counts"),
    [
        ({}, "B", True), ({}, "A", False), ({"attribute": "cusOptOut"}, "B", False),
        ({"organization": "acme-stage"}, "B", False),
    ],
    ids=["this", "the run itself", "another attribute", "another organization"],
)  # fmt: skip
def test_the_writes_to_another_place_and_of_the_run_itself_do_not_count(
    place: dict[str, Any], own_id: str, counts: bool, tmp_path: Path
) -> None:
    state, run = State(tmp_path), replace(begun(Kind.RUN), **place)
    with ledger.open_ledger(state) as book:
        book.begin("A", begun(Kind.RUN))
        (line,) = book.intend("A", [A_OUT.intent])
        book.settle("A", [Settled(line, Outcome.UPDATED, None, "", 1, 1_500)])
        found = precedence.last_writes(book, state, run, own_id)(["@k"], 0)
    assert set(found) == ({("@k", True)} if counts else set())


def test_a_created_profile_stands_by_its_pkey() -> None:
    intent = Intent("ada@example.com", 2, None, None, True, None, "2026-01-10")
    for settled, key in (
        (Settled(1, Outcome.CREATED, None, "", 1, 1_500, profile="@new"), "@new"),
        (None, "ada@example.com"),
    ):
        found = precedence.standing([Write("A", 1_000, 1_000, intent, settled)], RUNS)
        assert set(found) == {(key, True)}
        assert found[key, True].is_doubtful is (settled is None)


def confirmed(requested: str, at_ms: int) -> Confirmed:
    return Confirmed(RequestDate.parse(requested), "S", at_ms)


@pytest.mark.parametrize(
    ("found", "position", "expected"),
    [
        ([], 999, None),
        ([confirmed("2026-01-05", 2_000)], 999, "2026-01-05"),
        ([confirmed("2026-01-05", 1_000)], 999, "2026-01-05"),
        ([confirmed("2026-01-05", 999)], 999, None),
        ([confirmed("2026-01-05", 999)], 1_001, "2026-01-05"),
        ([confirmed("2026-01-05", 2_000), confirmed("2026-01-06", 3_000)], 999, "2026-01-06"),
        ([confirmed("2026-01-06", 2_000), confirmed("2026-01-05", 3_000)], 999, "2026-01-06"),
    ],
    ids=[
        "none", "after it", "during it", "before it", "by a later run whose clock was set back",
        "the latest", "whatever their order",
    ],
)  # fmt: skip
def test_the_latest_request_since_a_write_that_found_its_state_is_added(
    found: list[Confirmed], position: int, expected: str | None
) -> None:
    written = precedence.standing([A_OUT], RUNS)
    seen = [("@k", True, each) for each in found]
    own = precedence._with_confirmed(written, seen, {"S": position})["@k", True]
    assert not own.is_seen
    assert (None if own.confirmed is None else str(own.confirmed.request)) == expected


def test_a_state_that_was_found_and_not_written_counts_with_the_request_that_found_it() -> None:
    each, earlier = confirmed("2026-01-05", 2_000), confirmed("2026-01-06", 1_000)
    found = precedence._with_confirmed({}, [("@k", True, each), ("@k", True, earlier)], {})
    own = found["@k", True]
    assert (own.state, own.is_seen, own.request, own.run_id) == (True, True, None, "S")
    assert (own.began_ms, own.ended_ms, own.no_later_ms) == (2_000, 2_000, 2_000)
    assert own.confirmed == earlier


@pytest.mark.parametrize(
    ("requested", "own", "is_sent"),
    [
        ("2026-01-21", B_IN, True),
        ("2026-01-20", B_IN, True),
        ("2026-01-19", B_IN, False),
        ("2026-01-21", A_OUT, False),
        ("2026-01-21", None, False),
    ],
    ids=["newer", "of the same day", "older", "nothing to overrule", "not written"],
)
def test_an_opt_out_overrules_a_later_run_if_its_request_is_not_older(
    requested: str, own: Write | None, is_sent: bool
) -> None:
    keys = ["@other", "@k"]
    written = {} if own is None else precedence.standing([own], RUNS)
    opt_outs = {1: RequestDate.parse(requested)}
    found = precedence._overruled(keys, opt_outs, lambda *_: written)
    assert found == ({1} if is_sent else set())
    seen = {key: replace(each, is_seen=True) for key, each in written.items()}
    assert precedence._overruled(keys, opt_outs, lambda *_: seen) == set()
