"""What stands at a profile by the ledger's writes: the last one, unless an undo has put it back."""

import pytest

from bulk_sync.ledger import Begun, Intent, Kind, Settled, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.runs import precedence


def begun(kind: Kind, parent: str | None = None) -> Begun:
    place = "https://mc.adobe.io", "acme", "ccpaOptOut"
    return Begun(kind, "optouts", *place, "in.csv", "9f" * 32, 1, parent, {}, "0.1.0", "nightly")


RUNS = {
    "A": begun(Kind.RUN),
    "B": begun(Kind.APPLY),
    "C": begun(Kind.UNDO, "B"),
    "D": begun(Kind.UNDO, "C"),
}

ELSEWHERE: dict[str, Begun] = {}


def write(
    run_id: str,
    desired: bool,
    requested: str | None,
    outcome: Outcome | None = Outcome.UPDATED,
    after: bool | None = None,
) -> Write:
    at_ms = 1_000 * (1 + "ABCD".index(run_id))
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
    ],
    ids=[
        "the only one",
        "the last one",
        "put back",
        "put back to what another has written",
        "put back, and what is not recorded",
        "put back twice",
        "put back to what somebody has changed between",
        "left alone",
        "not sent",
        "refused",
    ],
)  # fmt: skip
def test_one_write_stands(
    writes: list[Write], state: bool, request_date: str, run_id: str, no_later_ms: int
) -> None:
    ((key, own),) = precedence.standing(writes, RUNS).items()
    assert key == ("@k", state)
    assert (own.state, own.is_doubtful) == (state, False)
    assert (str(own.request), own.run_id, own.no_later_ms) == (request_date, run_id, no_later_ms)
    last = writes[-1] if writes[-1].settled.outcome is Outcome.UPDATED else A_OUT  # type: ignore[union-attr]
    assert (own.began_ms, own.ended_ms) == (last.at_ms, last.at_ms + 500)


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
def test_what_a_write_without_an_answer_did_is_open(outcome: Outcome | None) -> None:
    found = precedence.standing([A_OUT, write("B", False, "2026-01-20", outcome)], RUNS)
    assert {key: own.is_doubtful for key, own in found.items()} == {
        ("@k", True): False,
        ("@k", False): True,
    }
    again = [A_OUT, write("B", False, None, outcome), write("B", False, "2026-01-20")]
    assert set(precedence.standing(again, RUNS)) == {("@k", False)}


def test_the_writes_of_another_instance_say_nothing() -> None:
    assert precedence.standing([A_OUT, B_IN], ELSEWHERE) == {}
