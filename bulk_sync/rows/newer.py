"""Tells which requests are older than the choice that Campaign holds.

Campaign's stamp says when the state was last changed there, but it can move without a change
(campaign-api.md, section 1.1), so it only ever leaves a profile alone, and a person decides. Where
it is not certain which of two came last, the opt-out counts, as in Adobe's own rule for a tie
(section 8).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

UNDATED: Final = np.iinfo(np.int64).max
"""How arrays of request dates say that there is none; so it sorts last, and is never the oldest."""

UNREADABLE: Final = -1
"""How times of changes say that there is one, but nobody can read it."""


def choices(
    latest_ms: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
    changed_ms: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Tell where Campaign holds a newer choice than the one that was asked for.

    Args:
        latest_ms: n times of requests, as ``dates.Asked.latest``.
        desired: n states, 1 or 0.
        changed_ms: n times of the last change in Campaign, ms since the epoch; 0 where there was
            none, ``UNREADABLE`` where that cannot be told, which leaves an opt-out in place.

    Returns:
        n booleans; False where the request is undated.
    """
    dated = latest_ms != UNDATED
    opt_out, opt_in = changed_ms > latest_ms, (changed_ms >= latest_ms) | (changed_ms < 0)
    is_newer: npt.NDArray[np.bool_] = dated & (changed_ms != 0)
    return is_newer & np.where(desired == 1, opt_out, opt_in)


def is_newer(latest_ms: int | None, desired: bool, changed_ms: int) -> bool:  # noqa: FBT001
    """Tell of one row what ``choices`` tells of many; None is a request that is not judged."""
    if latest_ms is None:
        return False
    one = choices(np.array([latest_ms]), np.array([desired], np.int8), np.array([changed_ms]))
    return bool(one[0])


def sentence(changed_ms: int) -> str:
    """Say of a row why it is left alone."""
    minute = str(np.datetime64(changed_ms, "ms").astype("datetime64[m]")).replace("T", " ")
    when = f"on {minute} UTC"
    if changed_ms < 0:
        when = "at a time that cannot be read, so perhaps"
    return (
        f"Campaign says that this choice was changed {when}, after the request, so it was left "
        "alone. An import can move that stamp without a change; --ignore-dates goes by the file."
    )
