"""The table of current states: what a step of one row changes, and what it leaves."""

import pytest

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.results import UNREAD, Match, Steps

KEYS = ["@a", "@b", "@c", "@d"]


def row(steps: Steps, at: int) -> tuple[int, int, int]:
    return int(steps.state[at]), int(steps.attempts[at]), int(steps.at_ms[at])


def test_nothing_is_done_at_first() -> None:
    steps = Steps.blank(2)
    assert [row(steps, at) for at in range(2)] == [(UNREAD, 0, 0)] * 2
    assert steps.open() == [0, 1]
    assert steps.changed_ms is None
    stamped = Steps.blank(1, stamped=True).changed_ms
    assert stamped is not None
    assert stamped.tolist() == [0]


def test_a_success_takes_the_place_of_a_failure() -> None:
    steps = Steps.blank(3)
    steps.failed(0, 7, RowFailed(Reason.TIMEOUT, "", passing=True, attempts=3))
    steps.failed(1, 8, RowFailed(Reason.HTTP_403, "", holds=False))
    assert [row(steps, at) for at in range(3)] == [(UNREAD, 3, 7), (0, 1, 8), (UNREAD, 0, 0)]
    assert (steps.open(), steps.passing(), set(steps.problems)) == ([2], [0], {0, 1})
    steps.done(0, 4, 9, state=1)
    assert row(steps, 0) == (1, 4, 9)
    assert (steps.passing(), set(steps.problems)) == ([], {1})


def test_only_profiles_with_another_key_are_kept_as_objects() -> None:
    steps = Steps.blank(4, stamped=True)
    steps.found_at(0, 1, 5, (Match("@a", 1, 11),), key="@a")
    steps.found_at(1, 2, 6, (Match("@x", 0, 12),), key="@b")
    both = Match("@c", 0, 13), Match("@y", 1, 14)
    steps.found_at(2, 1, 7, both, key="@c")
    steps.failed(3, 8, RowFailed(Reason.NOT_FOUND, "", outcome=Outcome.NOT_FOUND))
    assert [row(steps, at)[0] for at in range(3)] == [1, 0, 1]
    assert steps.changed_ms is not None
    assert steps.changed_ms.tolist() == [11, 0, 0, 0]
    assert list(steps.matches(KEYS)) == [
        (0, (Match("@a", 1, 11),)),
        (1, (Match("@x", 0, 12),)),
        (2, both),
    ]
    steps.changed_ms[:] = 0
    steps.undo(2)
    steps.undo(0)
    assert steps.open() == [0, 2]
    assert [at for at, _ in steps.matches(KEYS)] == [1]
    assert row(steps, 2) == (UNREAD, 0, 0)
    assert 2 not in steps.found


@pytest.mark.parametrize("stamped", [False, True])
def test_states_that_were_put_back_have_no_time_of_a_change(*, stamped: bool) -> None:
    steps = Steps.blank(4, stamped=stamped)
    for at in (0, 1):
        steps.found_at(at, 3, 5 + at, (Match(KEYS[at], 1, 11),), key=KEYS[at])
    steps.found_at(2, 1, 7, (Match("@x", 1, 12), Match("@y", 1, 13)))
    steps.put_back(KEYS, {"@a": False, "@x": False})
    assert [row(steps, at) for at in range(4)] == [(0, 1, 5), (1, 3, 6), (1, 1, 7), (UNREAD, 0, 0)]
    assert steps.found == {2: (Match("@x", 0, 0), Match("@y", 1, 13))}
    if steps.changed_ms is not None:
        assert steps.changed_ms.tolist() == [0, 11, 0, 0]
    expected = 11 if stamped else 0
    assert dict(steps.matches(KEYS))[1] == (Match("@b", 1, expected),)
