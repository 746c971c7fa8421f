"""Limits and oddities: which plans pass, which do not, and the exact words of the refusal."""

from fractions import Fraction
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison, plan_limits
from bulk_sync.rows.check import Rules
from bulk_sync.rows.plan_limits import Past
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.settings import Bound, Limits, Oddity

ALL = Limits(max_opt_ins=Bound(percent=Fraction(100)))
UNREAD = "unread"

Row = tuple[bool, bool | str | None]


def planned(*states: Row) -> pd.DataFrame:
    """Plan rows of (desired, current) states; None stands for a key unknown to Campaign."""
    raw = pd.DataFrame(
        {
            "PKey": pd.Series([f"@key-{at}" for at in range(len(states))], dtype="str"),
            "ccpaOptOut": pd.Series([str(desired) for desired, _ in states], dtype="str"),
            columns.ROW: range(2, len(states) + 2),
        }
    )
    reading = Steps.blank(len(states))
    for at, (_, current) in enumerate(states):
        if current == UNREAD:
            continue
        if current is None:
            gone = RowFailed(Reason.NOT_FOUND, "Gone.", outcome=Outcome.NOT_FOUND)
            reading.failed(at, 1, gone)
        else:
            reading.done(at, 1, 1, state=bool(current))
    return comparison.compare(check.rows(raw, Rules()), reading)


SAME = [(True, True), (False, False)]
INVERSE = [(True, False), (False, True)]


def test_an_inverted_column_is_refused_in_these_words() -> None:
    refusal = plan_limits.refusal(planned(*INVERSE * 500), ALL)
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
def test_a_column_is_inverted_if_nearly_all_differ_both_ways(states: list[Row], odd: bool) -> None:
    refusal = plan_limits.refusal(planned(*states), ALL)
    assert (refusal is not None) is odd
    if refusal is not None:
        assert refusal.option == "--allow inverted"


def test_a_job_whose_files_hold_nothing_but_changes_is_not_inverted() -> None:
    frame = planned(*INVERSE * 20)
    assert plan_limits.refusal(frame, ALL, [Past(40, 39), Past(40, 0)]) is None
    assert plan_limits.refusal(frame, ALL, [Past(40, 10)]) is not None


def test_keys_of_another_instance_are_refused_in_these_words() -> None:
    refusal = plan_limits.refusal(planned(*[(True, None)] * 20), Limits())
    assert str(refusal) == (
        "Nothing was written: none of the 20 keys looked up (100%) is known to Campaign (rows 2, "
        "3, 4, 5, 6, ...): are they of this very instance? PKeys of stage are not those of "
        "production, and those of Campaign Standard do not work after a migration to v8: "
        "`bulk-sync map` finds the new ones by another column, and --key email, custom or "
        "filter:NAME:PARAM needs none. If that is right, let it pass with --allow unknown-keys."
    )
    assert plan_limits.refusal(planned(*[(True, None)] * 19), Limits()) is None
    assert plan_limits.refusal(planned(*[(True, None)] * 500, (True, True)), Limits()) is None


def test_a_cut_off_file_is_refused_in_these_words() -> None:
    refusal = plan_limits.refusal(planned(*SAME * 50), Limits(), [Past(900, 3), Past(400, 2)])
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
    refusal = plan_limits.refusal(frame, Limits(), [Past(each, 0) for each in past])
    assert (refusal is not None) is odd
    before = [Past(each, 0) for each in past]
    assert (plan_limits.cut_off(rows, Limits(), before) is not None) is odd
    allowed = Limits(allowed=frozenset({Oddity.FEWER_ROWS}))
    assert plan_limits.cut_off(rows, allowed, before) is None


@pytest.mark.parametrize("oddity", sorted({*Oddity} - {Oddity.SAME_FILE}))
def test_only_an_allowed_oddity_passes(oddity: Oddity) -> None:
    frame = {
        Oddity.INVERTED: planned(*INVERSE * 20),
        Oddity.UNKNOWN_KEYS: planned(*[(True, None)] * 40),
        Oddity.FEWER_ROWS: planned(*SAME * 20),
    }[oddity]
    past = [Past(1000, 0)] if oddity is Oddity.FEWER_ROWS else []
    for allowed in Oddity:
        passing = Limits(max_opt_ins=Bound(count=1000), allowed=frozenset({allowed}))
        assert (plan_limits.refusal(frame, passing, past) is None) is (allowed is oddity)


def test_every_exceeded_limit_is_named_at_once() -> None:
    refusal = plan_limits.refusal(planned(*INVERSE * 50), Limits(max_changes=Bound(count=7)))
    assert refusal is not None
    assert refusal.option == "--allow inverted --max-opt-ins 50 --max-changes 100"
    for part in ("--allow inverted", "50 opt-ins", "limit of 10", "100 changes", "limit of 7"):
        assert part in str(refusal)


STATES = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), min_size=1)


@given(STATES, st.integers(0, 5), st.integers(0, 5))
def test_no_plan_beyond_a_limit_passes(
    states: list[Row], most_opt_ins: int, most_changes: int
) -> None:
    frame = planned(*states)
    bounds = Limits(Bound(count=most_changes), Bound(count=most_opt_ins))
    opt_ins = sum(current is True and not desired for desired, current in states)
    changes = sum(current not in (None, desired) for desired, current in states)
    if opt_ins > most_opt_ins or changes > most_changes:
        assert plan_limits.refusal(frame, bounds) is not None


def test_a_row_of_several_profiles_is_named_once() -> None:
    frame = planned((False, True), (False, True))
    frame[columns.ROW] = 2
    refusal = plan_limits.refusal(frame, Limits(max_opt_ins=Bound(count=1)))
    assert (
        "2 opt-ins (true to false) of 2 rows (100%) are more than the limit of 1 (row 2)."
        in str(refusal)
    )


def creating(count: int, others: int) -> pd.DataFrame:
    """Plan profiles to be created, and rows without a change."""
    frame = planned(*[(True, None)] * count, *[(True, True)] * others)
    codes = columns.outcome_codes(frame[columns.OUTCOME])
    codes[:count] = columns.OUTCOME_CODES[Outcome.WOULD_CREATE]
    frame[columns.OUTCOME] = columns.outcomes(codes)
    return frame


OUT, IN, STAY, GONE = (True, False), (False, True), (True, True), (True, None)


@pytest.mark.parametrize(
    ("bounds", "passes", "rows", "too_much", "option"),
    [
        (Limits(max_changes=Bound(count=3)), [OUT] * 2 + [IN], 50, OUT, "--max-changes 4"),
        (Limits(max_changes=Bound(count=0)), [], 50, OUT, "--max-changes 1"),
        (Limits(max_changes=Bound.parse("10%", "")), [OUT] * 5, 50, OUT, "--max-changes 6"),
        (Limits(max_changes=Bound.parse("2.9%", "")), [OUT] * 2, 100, OUT, "--max-changes 3"),
        (Limits(max_opt_ins=Bound(count=3)), [IN] * 3 + [OUT] * 8, 50, IN, "--max-opt-ins 4"),
        (Limits(max_opt_ins=Bound(count=0)), [OUT] * 20, 50, IN, "--max-opt-ins 1"),
        (Limits(max_opt_ins=Bound.parse("4%", "")), [IN] * 2, 50, IN, "--max-opt-ins 3"),
        (Limits(), [IN] * 10, 50, IN, "--max-opt-ins 11"),
        (Limits(), [IN] * 10, 1099, IN, "--max-opt-ins 11"),
        (Limits(), [IN] * 11, 1100, IN, "--max-opt-ins 12"),
    ],
    ids=[
        "changes", "no change", "10% of changes", "2.9% of changes", "opt-ins", "no opt-in",
        "4% of opt-ins", "ten by default", "ten of 1,099", "1% of 1,100",
    ],
)  # fmt: skip
@pytest.mark.parametrize("other", [STAY, GONE], ids=["unchanged", "not found"])
def test_exactly_the_limit_passes_and_one_more_does_not(
    other: Row, bounds: Limits, passes: list[Row], rows: int, too_much: Row, option: str
) -> None:
    """A percentage counts all rows of the input, also those not found."""
    others = [STAY, *[other] * (rows - len(passes) - 2)]
    assert plan_limits.refusal(planned(*passes, STAY, *others), bounds) is None
    refusal = plan_limits.refusal(planned(*passes, too_much, *others), bounds)
    assert refusal is not None
    assert refusal.option == option


@pytest.mark.parametrize(
    ("bound", "most"),
    [(Bound(count=3), 3), (Bound(count=0), 0), (Bound.parse("10%", ""), 4)],
    ids=str,
)
def test_exactly_the_limit_of_creations_passes_and_one_more_does_not(
    bound: Bound, most: int
) -> None:
    bounds = Limits(max_creates=bound)
    assert plan_limits.refusal(creating(most, 40 - most), bounds) is None
    refusal = plan_limits.refusal(creating(most + 1, 39 - most), bounds)
    assert refusal is not None
    assert refusal.option == f"--max-creates {most + 1}"


LATER_OUT, LATER_IN = (True, UNREAD), (False, UNREAD)
SOME = [STAY] * 30
BOTH_WAYS = [OUT] * 18 + [IN] * 2


@pytest.mark.parametrize(
    ("bounds", "rows", "passes"),
    [
        (Limits(), [*SOME, *[LATER_OUT] * 30], True),
        (Limits(), [*SOME, *[IN] * 4, *[LATER_IN] * 6], True),
        (Limits(), [*SOME, *[IN] * 4, *[LATER_IN] * 7], False),
        (Limits(), [*SOME, *[IN] * 11, LATER_OUT], False),
        (Limits(max_changes=Bound(count=5)), [*SOME, OUT, IN, *[LATER_OUT] * 3], True),
        (Limits(max_changes=Bound(count=5)), [*SOME, OUT, IN, *[LATER_OUT] * 4], False),
        (Limits(max_creates=Bound(count=5)), [*SOME, OUT, IN, *[LATER_OUT] * 5], True),
        (Limits(max_creates=Bound(count=5)), [*SOME, OUT, IN, *[LATER_OUT] * 6], False),
        (ALL, [*BOTH_WAYS, *[STAY] * 3, *[LATER_OUT] * 6], True),
        (ALL, [*BOTH_WAYS, *[STAY] * 3, *[LATER_OUT] * 7], False),
        (Limits(allowed=frozenset({Oddity.INVERTED})), [*BOTH_WAYS, STAY, LATER_OUT], True),
        (ALL, [OUT] * 40 + [LATER_OUT] * 40, True),
        (ALL, [OUT] * 40 + [LATER_IN] * 2, False),
        (ALL, [OUT] * 40 + [LATER_IN], True),
        (ALL, [OUT] * 16 + [IN] * 2 + [LATER_OUT] * 30, False),
        (ALL, [LATER_OUT] * 30, True),
        (Limits(), [GONE] * 30 + [LATER_OUT] * 5, False),
    ],
    ids=[
        "opt-outs are not limited", "ten opt-ins at worst", "eleven opt-ins at worst",
        "too many already", "five changes at worst", "six changes at worst",
        "five creations at worst", "six creations at worst", "not inverted at worst",
        "inverted at worst", "inverted and allowed", "opt-outs alone", "both ways at worst",
        "hardly both ways", "both ways if few of the rest change", "nothing but opt-outs to come",
        "no known key so far",
    ],
)  # fmt: skip
def test_rows_not_read_yet_count_as_the_worst_case(
    bounds: Limits, rows: list[Row], passes: bool
) -> None:
    assert plan_limits.passes_however(planned(*rows), bounds) is passes


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None, UNREAD])), max_size=30),
    st.integers(0, 8),
    st.integers(0, 20),
    st.randoms(use_true_random=False),
)
def test_a_plan_that_passes_in_the_worst_case_passes_in_every_case(
    rows: list[Row], most_opt_ins: int, most_changes: int, chance: Random
) -> None:
    bounds = Limits(Bound(count=most_changes), Bound(count=most_opt_ins))
    frame = planned(*rows, STAY)
    if plan_limits.passes_however(frame, bounds):
        for _ in range(3):
            read = [
                (desired, chance.choice([True, False, None]) if current == UNREAD else current)
                for desired, current in rows
            ]
            assert plan_limits.refusal(planned(*read, STAY), bounds) is None


def split(frame: pd.DataFrame) -> tuple[pd.DataFrame, Totals]:
    """Return a plan without its unchanged rows, and the counts of these."""
    is_rest = columns.have_outcome(frame, [Outcome.UNCHANGED])
    left = frame[~is_rest].reset_index(drop=True)
    return left.assign(**{columns.COUNTS_AS: range(len(left))}), Totals.count(frame[is_rest])


@pytest.mark.parametrize(
    ("rows", "bounds", "past", "option"),
    [
        ([OUT] * 4 + [STAY] * 36, Limits(max_changes=Bound.parse("10%", "")), 0, ""),
        ([OUT] * 5 + [STAY] * 36, Limits(max_changes=Bound.parse("10%", "")), 0, "--max-changes 5"),
        ([IN] * 11 + [STAY] * 1089, Limits(), 0, ""),
        ([IN] * 11 + [STAY] * 1088, Limits(), 0, "--max-opt-ins 11"),
        ([IN] * 12 + [STAY] * 1088, Limits(), 0, "--max-opt-ins 12"),
        ([OUT] + [STAY] * 49, Limits(), 100, ""),
        ([OUT] + [STAY] * 48, Limits(), 100, "--allow fewer-rows"),
        ([GONE] * 20 + [STAY], Limits(), 0, ""),
        ([GONE] * 20, Limits(), 0, "--allow unknown-keys"),
        (INVERSE * 44 + SAME * 6, ALL, 0, ""),
        (INVERSE * 45 + SAME * 5, ALL, 0, "--allow inverted"),
        ([STAY] * 50, Limits(), 100, ""),
        ([STAY] * 49, Limits(), 100, "--allow fewer-rows"),
    ],
    ids=[
        "10% of changes", "more than 10%", "1% of opt-ins", "1% of fewer rows", "more than 1%",
        "half of the rows", "fewer than half", "one key is known", "none is known",
        "nearly all are not the inverse", "nearly all are the inverse",
        "half of the rows, none to change", "fewer than half, none to change",
    ],
)  # fmt: skip
def test_counted_rows_without_work_count_for_every_limit(
    rows: list[Row], bounds: Limits, past: int, option: str
) -> None:
    frame, rest = split(planned(*rows))
    before = [Past(past, 0)] if past else []
    refusal = plan_limits.refusal(frame, bounds, before, rest)
    assert ("" if refusal is None else refusal.option) == option


@pytest.mark.parametrize(("profiles", "option"), [(0, "--allow unknown-keys"), (1, "")])
def test_a_key_with_a_profile_is_known_whatever_its_outcome(profiles: int, option: str) -> None:
    frame = planned(*[GONE] * 21).assign(**{columns.PROFILES: [*[0] * 20, profiles]})
    refusal = plan_limits.refusal(frame, Limits(), [])
    assert ("" if refusal is None else refusal.option) == option


BOUNDS = st.sampled_from([None, "0", "3", "5%", "10%", "50%", "100%"])


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None, UNREAD])), max_size=20),
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.tuples(BOUNDS, BOUNDS, BOUNDS),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 150)), max_size=3),
)
def test_a_plan_apart_from_its_unchanged_rows_is_refused_in_the_same_words(
    others: list[Row],
    same: list[bool],
    most: tuple[str | None, ...],
    hold: bool,
    runs: list[tuple[int, int]],
) -> None:
    frame = planned(*others, *[(state, state) for state in same])
    changes, opt_ins, creates = (each if each is None else Bound.parse(each, "") for each in most)
    bounds = Limits(changes, opt_ins, max_creates=creates, hold_opt_ins=hold)
    past = [Past(*each) for each in runs]
    left, rest = split(frame)
    assert str(plan_limits.refusal(left, bounds, past, rest)) == str(
        plan_limits.refusal(frame, bounds, past)
    )
    assert str(plan_limits.held_opt_ins(left, bounds, rest)) == str(
        plan_limits.held_opt_ins(frame, bounds)
    )
    assert plan_limits.passes_however(left, bounds, past, rest) is plan_limits.passes_however(
        frame, bounds, past
    )
