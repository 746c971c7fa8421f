"""The calls that an interrupted run still takes, by its pending rows."""

import numpy as np
import pandas as pd
import pytest

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.runs.terms.remaining_cost import calls_to_come


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
    ("pending", "elsewhere", "reads", "of_change", "calls", "most"),
    [
        ((), 0, None, 2, 0, 0),
        ((0, 1), 0, None, 2, 4, 4),
        ((-1, -1, 1), 0, None, 2, 4, 8),
        ((-1, -1, 1), 3, None, 2, 7, 17),
        ((-1, -1, 1), 3, 2, 2, 4, 14),
        ((-1, -1, 1), 3, 99, 2, 7, 17),
        ((-1, -1, 1), 3, None, 0, 5, 5),
        (("{}", -1), 0, None, 2, 3, 5),
    ],
    ids=[
        "nothing", "changes", "unread rows", "unread rows not held", "fewer calls by pages",
        "more calls by pages", "a plan", "a profile to create",
    ],
)  # fmt: skip
def test_pending_rows_cost_their_read_and_perhaps_their_change(
    pending: tuple[int | str, ...],
    elsewhere: int,
    reads: int | None,
    of_change: int,
    calls: int,
    most: int,
) -> None:
    found = calls_to_come(rows(*pending), elsewhere, reads, of_change)
    assert found == (calls, most)
