"""Limits and oddities: what passes, what does not, and the exact words of the refusal."""

from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, limits, plan
from bulk_sync.rows.check import Rules
from bulk_sync.rows.limits import Past
from bulk_sync.rows.steps import Steps
from bulk_sync.settings import Bound, Limits, Oddity

ALL = Limits(max_opt_ins=Bound(percent=Fraction(100)))


def planned(*states: tuple[bool, bool | None]) -> pd.DataFrame:
    """Plan rows of (desired, current) states; None is a key that Campaign does not know."""
    raw = pd.DataFrame(
        {
            "PKey": pd.Series([f"@key-{at}" for at in range(len(states))], dtype="str"),
            "ccpaOptOut": pd.Series([str(desired) for desired, _ in states], dtype="str"),
            columns.ROW: range(2, len(states) + 2),
        }
    )
    reading = Steps.of(len(states))
    for at, (_, current) in enumerate(states):
        if current is None:
            gone = RowFailed(Reason.NOT_FOUND, "Gone.", outcome=Outcome.NOT_FOUND)
            reading.failed(at, 1, gone)
        else:
            reading.done(at, 1, 1, state=current)
    return plan.compare(check.rows(raw, Rules()), reading)


SAME = [(True, True), (False, False)]
INVERSE = [(True, False), (False, True)]


def test_an_inverted_column_is_refused_in_these_words() -> None:
    refusal = limits.refusal(planned(*INVERSE * 500), ALL)
    assert str(refusal) == (
        "Nothing was written: 1000 of 1000 desired states (100%) are the inverse of the current "
        "ones (rows 2, 3, 4, 5, 6, ...): does the column say who may be sold, instead of who has "
        "opted out? If that is right, let it pass with --allow inverted."
    )


@pytest.mark.parametrize(
    ("states", "odd"),
    [
        (INVERSE * 10, True),
        (INVERSE * 9, False),
        (INVERSE * 45 + SAME * 5, True),
        (INVERSE * 44 + SAME * 6, False),
        ([(True, False)] * 100, False),
        ([(False, True)] * 100, False),
        ([(True, False)] * 96 + [(False, True)] * 4, False),
        ([(True, False)] * 95 + [(False, True)] * 5, True),
        (INVERSE * 20 + [(True, None)] * 1000, True),
    ],
    ids=[
        "twenty rows", "too few to tell", "nine of ten", "fewer than nine of ten",
        "a list of opt-outs", "a list of opt-ins", "hardly any the other way",
        "some the other way", "unknown keys aside",
    ],
)  # fmt: skip
def test_a_column_is_inverted_if_nearly_all_differ_both_ways(
    states: list[tuple[bool, bool | None]], odd: bool
) -> None:
    refusal = limits.refusal(planned(*states), ALL)
    assert (refusal is not None) is odd
    if refusal is not None:
        assert refusal.option == "--allow inverted"


def test_a_job_whose_files_hold_nothing_but_changes_is_not_inverted() -> None:
    frame = planned(*INVERSE * 20)
    assert limits.refusal(frame, ALL, [Past(40, 39), Past(40, 0)]) is None
    assert limits.refusal(frame, ALL, [Past(40, 10)]) is not None


def test_keys_of_another_instance_are_refused_in_these_words() -> None:
    refusal = limits.refusal(planned(*[(True, None)] * 20), Limits())
    assert str(refusal) == (
        "Nothing was written: none of the 20 keys looked up (100%) is known to Campaign (rows 2, "
        "3, 4, 5, 6, ...): are they of this very instance? PKeys of stage are not those of "
        "production, and those of Campaign Standard do not work after a migration to v8: "
        "`bulk-sync map` finds the new ones by another column, and --key email, custom or "
        "filter:NAME:PARAM needs none. If that is right, let it pass with --allow unknown-keys."
    )
    assert limits.refusal(planned(*[(True, None)] * 19), Limits()) is None
    assert limits.refusal(planned(*[(True, None)] * 500, (True, True)), Limits()) is None


def test_a_cut_off_file_is_refused_in_these_words() -> None:
    refusal = limits.refusal(planned(*SAME * 50), Limits(), [Past(900, 3), Past(400, 2)])
    assert str(refusal) == (
        "Nothing was written: the input has 100 rows, 25% of the 400 that the smallest of the last "
        "finished runs of this job had (2 compared): was it cut off? If that is right, let it pass "
        "with --allow fewer-rows."
    )


@pytest.mark.parametrize(
    ("rows", "past", "odd"),
    [(100, [], False), (50, [100], False), (49, [100], True), (2, [19], False), (9, [20], True)],
    ids=["a first run", "half", "fewer than half", "small files", "twenty are enough"],
)
def test_a_file_is_cut_off_if_it_has_fewer_than_half_of_the_rows(
    rows: int, past: list[int], odd: bool
) -> None:
    frame = planned(*[(True, True)] * rows)
    refusal = limits.refusal(frame, Limits(), [Past(each, 0) for each in past])
    assert (refusal is not None) is odd


@pytest.mark.parametrize("oddity", list(Oddity))
def test_what_is_allowed_passes_and_nothing_else(oddity: Oddity) -> None:
    frame = {
        Oddity.INVERTED: planned(*INVERSE * 20),
        Oddity.UNKNOWN_KEYS: planned(*[(True, None)] * 40),
        Oddity.FEWER_ROWS: planned(*SAME * 20),
    }[oddity]
    past = [Past(1000, 0)] if oddity is Oddity.FEWER_ROWS else []
    for allowed in Oddity:
        passing = Limits(max_opt_ins=Bound(count=1000), allowed=frozenset({allowed}))
        assert (limits.refusal(frame, passing, past) is None) is (allowed is oddity)


def test_every_limit_that_is_passed_is_named_at_once() -> None:
    refusal = limits.refusal(planned(*INVERSE * 50), Limits(max_changes=Bound(count=7)))
    assert refusal is not None
    assert refusal.option == "--allow inverted --max-opt-ins 50 --max-changes 100"
    for part in ("--allow inverted", "50 opt-ins", "limit of 10", "100 changes", "limit of 7"):
        assert part in str(refusal)


STATES = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), min_size=1)


@given(STATES, st.integers(0, 5), st.integers(0, 5))
def test_no_plan_beyond_a_limit_passes(
    states: list[tuple[bool, bool | None]], most_opt_ins: int, most_changes: int
) -> None:
    frame = planned(*states)
    bounds = Limits(Bound(count=most_changes), Bound(count=most_opt_ins))
    opt_ins = sum(current is True and not desired for desired, current in states)
    changes = sum(current not in (None, desired) for desired, current in states)
    if opt_ins > most_opt_ins or changes > most_changes:
        assert limits.refusal(frame, bounds) is not None


def test_a_row_of_several_profiles_is_named_once() -> None:
    frame = planned((False, True), (False, True))
    frame[columns.ROW] = 2
    refusal = limits.refusal(frame, Limits(max_opt_ins=Bound(count=1)))
    assert (
        "2 opt-ins (true to false) of 2 rows (100%) are more than the limit of 1 (row 2)."
        in str(refusal)
    )
