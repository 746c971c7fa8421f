"""Opt-ins that wait for a person while the rest of a plan is written."""

import pytest
from test_plan_limits import IN, OUT, SOME, STAY, planned

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, plan_limits
from bulk_sync.settings import Bound, Limits

HOLD = Limits(max_opt_ins=Bound(count=2), hold_opt_ins=True)


@pytest.mark.parametrize(("opt_ins", "option"), [(2, None), (3, "--max-opt-ins 3")], ids=str)
def test_opt_ins_beyond_their_limit_are_held_and_refuse_nothing(
    opt_ins: int, option: str | None
) -> None:
    frame = planned(*[IN] * opt_ins, *[OUT] * 3, *SOME)
    assert plan_limits.refusal(frame, HOLD) is None
    held = plan_limits.held_opt_ins(frame, HOLD)
    assert (None if held is None else held.option) == option
    assert plan_limits.held_opt_ins(frame, Limits(max_opt_ins=Bound(count=0))) is None
    assert plan_limits.passes_however(frame, HOLD)


def test_another_limit_refuses_a_plan_with_held_opt_ins() -> None:
    limits = Limits(Bound(count=3), Bound(count=2), hold_opt_ins=True)
    refusal = plan_limits.refusal(planned(*[IN] * 3, OUT, *SOME), limits)
    assert refusal is not None
    assert refusal.option == "--max-changes 4"


def test_only_the_opt_ins_of_a_plan_wait() -> None:
    left = plan_limits.without_opt_ins(planned(IN, OUT, STAY, IN))
    assert left[columns.OUTCOME].tolist() == [
        Outcome.PENDING, Outcome.WOULD_UPDATE, Outcome.UNCHANGED, Outcome.PENDING
    ]  # fmt: skip
    assert left[columns.REASON].astype(object).fillna("").tolist() == [
        Reason.LIMIT, "", "", Reason.LIMIT
    ]  # fmt: skip
    assert left[columns.DETAIL].tolist() == [
        "Held back: a person decides about these opt-ins.", "", "",
        "Held back: a person decides about these opt-ins.",
    ]  # fmt: skip
