"""Tells which requests are older than the choice that Campaign holds.

Campaign's stamp says when the state was last changed there, but it can move without a change
(campaign-api.md, section 1.1), so it only ever leaves a profile alone, and a person decides. Where
it is not certain which of two came last, the opt-out counts, as in Adobe's own rule for a tie
(section 8).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from bulk_sync.rows.dates import UNDATED

_DAY_MS: Final = 86_400_000
_DAY_IS_OVER_MS: Final = 32 * 3_600_000
"""A date without a time is all of that day, which in California is over at 8 o'clock UTC."""


def choices(
    requested_ms: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
    changed_ms: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Tell where Campaign holds a newer choice than the one that was asked for.

    Args:
        requested_ms: n times of requests, ms since the epoch; ``UNDATED`` where unknown. Midnight
            UTC is a date without a time.
        desired: n states, 1 or 0.
        changed_ms: n times of the last change in Campaign; 0 where unknown.

    Returns:
        n booleans; False where either time is unknown.
    """
    known = (requested_ms != UNDATED) & (changed_ms > 0)
    requested = np.where(known, requested_ms, 0)
    is_day = requested % _DAY_MS == 0
    at_the_latest = requested + np.where(is_day, _DAY_IS_OVER_MS - 1, 0)
    newer: npt.NDArray[np.bool_] = known & np.where(
        desired == 1, changed_ms > at_the_latest, changed_ms >= requested
    )
    return newer
