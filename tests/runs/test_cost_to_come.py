"""The calls that an interrupted run still takes, by its pending rows."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import pipeline
from bulk_sync.runs.execution import Execution, StageEnd
from bulk_sync.runs.remaining_cost import Budgets
from bulk_sync.settings import Writing


def rows(*pending: int | str) -> pd.DataFrame:
    """Return pending rows by their state (-1: unread), or by the profile to create; one is done."""
    outcomes = [*[Outcome.PENDING] * len(pending), Outcome.UPDATED]
    states = [-1 if isinstance(each, str) else each for each in (*pending, 0)]
    codes = np.array([columns.OUTCOME_CODES[each] for each in outcomes], np.int8)
    frame = pd.DataFrame(
        {
            columns.OUTCOME: columns.outcomes(codes),
            columns.BEFORE: columns.states(np.array(states, np.int8)),
        }
    )
    if any(isinstance(each, str) for each in pending):
        frame[columns.CREATE] = [each if isinstance(each, str) else "" for each in (*pending, 0)]
    return frame


@pytest.mark.parametrize(
    ("pending", "rest", "reads", "is_plan", "calls", "most"),
    [
        ((), 0, None, False, 0, 0),
        ((0, 1), 0, None, False, 4, 4),
        ((-1, -1, 1), 0, None, False, 4, 8),
        ((-1, -1, 1), 3, None, False, 7, 17),
        ((-1, -1, 1), 3, 2, False, 4, 14),
        ((-1, -1, 1), 3, 99, False, 7, 17),
        ((-1, -1, 1), 3, None, True, 5, 5),
        (("{}", -1), 0, None, False, 3, 5),
    ],
    ids=[
        "nothing", "changes", "unread rows", "unread rows not held", "fewer calls by pages",
        "more calls by pages", "a plan", "a profile to create",
    ],
)  # fmt: skip
def test_pending_rows_cost_their_read_and_perhaps_their_change(
    pending: tuple[int | str, ...],
    rest: int,
    reads: int | None,
    is_plan: bool,
    calls: int,
    most: int,
) -> None:
    budgets = Budgets(None, None, 0, None)
    execution = SimpleNamespace(
        rest=SimpleNamespace(totals=Totals(rest, {str(Outcome.PENDING): rest})),
        job=SimpleNamespace(writing=Writing(verify=True)),
        budgets=lambda _: budgets,
    )
    ended = StageEnd(rows(*pending), None, reads)
    found = pipeline._cost_to_come(cast("Execution", execution), ended, is_plan=is_plan)
    assert (found.calls, found.most, found.budgets) == (calls, most, budgets)
