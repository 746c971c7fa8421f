"""Decides which of two requests for one profile is the later one.

Campaign's stamp says when the state was last changed there. Where the last change was this tool's
own write, the date of the request behind that write counts instead: a request of the 25th wins over
one of the 20th, whatever was written when. A stamp can move without a change
(manual/campaign-api.md, section 1.1), so it only ever leaves a profile alone, and a person decides.
Where it is not certain which of two came last, the opt-out counts, as in Adobe's own rule for a tie
(section 8).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.rows import columns

UNDATED: Final = np.iinfo(np.int64).max
"""How arrays of request dates say that there is none; so it sorts last, and is never the oldest."""

UNREADABLE: Final = -1
"""How times of changes say that there is one, but nobody can read it."""

TOLERANCE_MS: Final = 60_000
"""How far Campaign's clock may be from that of the machine that wrote: a stamp counts as that of a
write if it lies no more than this before its request or after its confirmation."""

_DOUBT_MS: Final = 3_600_000
"""A stamp that lies no more than this after a write may still be of it: clocks go wrong."""


LOCAL_DOUBT_MS: Final = 8 * 3_600_000
"""A time without a zone may be California's, which is so far behind UTC at most."""

DAY_DOUBT_MS: Final = 24 * 3_600_000 + LOCAL_DOUBT_MS - 1
"""A day ends so long after its midnight in UTC at most."""


class Precision(IntEnum):
    """How exact a request date is."""

    INSTANT = 0
    """A time with its zone."""
    LOCAL = 1
    """A time without a zone."""
    DAY = 2
    """A day."""


_DOUBTS_MS: Final = {
    Precision.INSTANT: 0,
    Precision.LOCAL: LOCAL_DOUBT_MS,
    Precision.DAY: DAY_DOUBT_MS,
}


class Request(NamedTuple):
    """When a state was asked for.

    Attributes:
        first_ms: the earliest moment that may be meant, in ms since the epoch.
        precision: how exact that is.
    """

    first_ms: int
    precision: Precision

    @property
    def last_ms(self) -> int:
        """The latest moment that may be meant."""
        return self.first_ms + _DOUBTS_MS[self.precision]

    def __str__(self) -> str:
        if self.precision is Precision.DAY:
            return str(np.datetime64(self.first_ms, "ms").astype("datetime64[D]"))
        return f"{np.datetime64(self.first_ms, 'ms')}{'Z' * (not self.precision)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        Raises:
            ValueError: it is something else.
        """
        precision = Precision.INSTANT if text.endswith("Z") else Precision.LOCAL
        if "T" not in text:
            precision = Precision.DAY
        moment = np.datetime64(text.removesuffix("Z"), "ms")
        return cls(int(moment.astype(np.int64)), precision)


def requests(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> list[Request | None]:
    """Return when rows were asked for; None where undated. Without request dates there is none."""
    names = [name for name in (columns.LATEST, columns.UNJUDGED) if name in frame]
    if not names:
        return [None] * len(positions)
    latest = frame[names[0]].to_numpy()[positions]
    kinds = np.zeros(len(positions), np.int8)
    if columns.PRECISION in frame:
        kinds = frame[columns.PRECISION].to_numpy()[positions]
    doubts_ms = np.array([_DOUBTS_MS[each] for each in Precision])[kinds]
    desired = columns.state_codes(frame[columns.DESIRED])[positions]
    first_ms = latest - np.where(desired == 1, doubts_ms, 0)
    return [
        None if at == UNDATED else Request(first, Precision(kind))
        for at, first, kind in zip(latest.tolist(), first_ms.tolist(), kinds.tolist(), strict=True)
    ]


class Confirmed(NamedTuple):
    """A request that found the state as it asked for it, so that nothing was written.

    Attributes:
        request: when it was asked for.
        run_id: the run that found it so.
        at_ms: when that was, in ms since the epoch, UTC.
    """

    request: Request
    run_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Own:
    """A write of this tool to one profile, and the request that it was for.

    Attributes:
        state: the state that was written.
        began_ms: when the write was about to be sent, in ms since the epoch, UTC.
        ended_ms: when it was confirmed, or given up.
        request: when the state was asked for; None if undated, or if an undo has put back what
            this tool does not know the date of.
        no_later_ms: the request is not later than this.
        run_id: the run that carried the request out.
        is_doubtful: whether it is not known that Campaign has acted on the write.
        is_seen: whether nothing was written: the state was only found as it was asked for.
        confirmed: the latest request that has found the state so since; None if there was none.
    """

    state: bool
    began_ms: int
    ended_ms: int
    request: Request | None
    no_later_ms: int
    run_id: str
    is_doubtful: bool = False
    is_seen: bool = False
    confirmed: Confirmed | None = None


class Choice(NamedTuple):
    """A state that Campaign holds.

    Attributes:
        at_ms: when it was asked for, or else changed, in ms since the epoch; 0 if that is not
            known, ``UNREADABLE`` if it cannot be read.
        own: the write of this tool that it comes from; None if it comes from elsewhere.
    """

    at_ms: int
    own: Own | None = None


Writes = Mapping[tuple[str, bool], Own]
"""What this tool wrote last, by PKey and state: two for a profile only if one is doubtful."""

LastWrites = Callable[[Sequence[str], int], Writes]
"""Looks up, for some PKeys, what this tool wrote last; and which requests since a time, in ms, have
found the state as they asked for it."""


def no_writes(_keys: Sequence[str], _since_ms: int) -> Writes:
    """Return that this tool has written nothing."""
    return {}


def choice(changed_ms: int, own: Own | None, request: Request, *, desired: bool) -> Choice:
    """Find out when the state that Campaign holds, and that is not desired, was chosen.

    =========================================  ====================================
    Campaign's stamp                           the time that counts
    =========================================  ====================================
    over an hour after the own write           the stamp
    over a minute after it                     of both the one that helps an opt-out
    of the own write, or none                  the date of its request
    earlier, or the write is doubtful          of both the one that helps an opt-out
    cannot be read                             none that can be read
    =========================================  ====================================

    A later request that has found the state as it asked for it counts in any case.

    Args:
        changed_ms: Campaign's stamp, as ``choices`` takes it.
        own: what this tool wrote last to the profile, if it is the state that Campaign holds.
        request: when the other state is asked for now.
        desired: that state.

    Returns:
        A time to be held against ``of_request``.
    """
    found = _written(changed_ms, own, request, desired=desired)
    if own is None or own.confirmed is None or (found.at_ms < 0 and not desired):
        return found
    confirmed_ms = _comparable(own.confirmed.request, request, desired=desired)
    if confirmed_ms <= found.at_ms:
        return found
    seen = replace(own, request=own.confirmed.request, run_id=own.confirmed.run_id, is_seen=True)
    return Choice(confirmed_ms, seen)


def dated(own: Own) -> Choice | None:
    """Return the newest request with a date behind what this tool wrote; None if there is none."""
    confirmed = own.confirmed
    if confirmed is not None and (own.request is None or own.request < confirmed.request):
        own = replace(own, request=confirmed.request, run_id=confirmed.run_id, is_seen=True)
    return None if own.request is None else Choice(own.request.last_ms, own)


def _written(changed_ms: int, own: Own | None, request: Request, *, desired: bool) -> Choice:
    """Find out when the state was chosen, by the stamp and what this tool wrote."""
    is_later = own is not None and changed_ms > own.ended_ms + _DOUBT_MS
    if own is None or own.is_seen or changed_ms < 0 or is_later:
        return Choice(changed_ms)
    if own.request is not None:
        requested_ms = _comparable(own.request, request, desired=desired)
    else:
        requested_ms = 0 if desired else own.no_later_ms
    is_of_it = own.began_ms - TOLERANCE_MS <= changed_ms <= own.ended_ms + TOLERANCE_MS
    if changed_ms and (own.is_doubtful or not is_of_it):
        helps = min if desired else max
        requested_ms = helps(requested_ms, changed_ms)
    return Choice(requested_ms, own)


def _comparable(other: Request, request: Request, *, desired: bool) -> int:
    """Return the moment of another request that is to be held against ``of_request``."""
    if other.precision is request.precision:  # two days, or two times of the same zone
        moment = other.first_ms + of_request(request, desired) - request.first_ms
    else:
        moment = other.first_ms if desired else other.last_ms
    return max(1, moment)  # before 1970: a slip, and not the sign that there is none


def choices(
    latest_ms: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
    changed_ms: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Tell where Campaign holds a newer choice than the one that was asked for.

    Args:
        latest_ms: n times of requests, as ``dates.Asked.latest``.
        desired: n states, 1 or 0.
        changed_ms: n times at which Campaign's state was chosen, ms since the epoch; 0 where there
            was none, ``UNREADABLE`` where that cannot be told, which leaves an opt-out in place.

    Returns:
        n booleans; False where the request is undated.
    """
    dated = latest_ms != UNDATED
    opt_out, opt_in = changed_ms > latest_ms, (changed_ms >= latest_ms) | (changed_ms < 0)
    is_newer: npt.NDArray[np.bool_] = dated & (changed_ms != 0)
    return is_newer & np.where(desired == 1, opt_out, opt_in)


def of_request(request: Request, desired: bool) -> int:  # noqa: FBT001 - a state
    """Return the moment of a request that counts, as ``dates.Asked.latest`` has it."""
    return request.last_ms if desired else request.first_ms


def is_newer(found: Choice, request: Request, *, desired: bool) -> bool:
    """Return of one row what ``choices`` returns of many."""
    latest = np.array([of_request(request, desired)])
    return bool(choices(latest, np.array([desired], np.int8), np.array([found.at_ms]))[0])


def sentence(found: Choice) -> str:
    """Return the sentence on why a row is left alone."""
    if found.own is not None:
        dated = found.own.request
        when = "whose date is not known" if dated is None else f"of {dated}"
        what = "found this state as asked for by" if found.own.is_seen else "has carried out"
        return (
            f"Run {found.own.run_id} {what} a request {when} for this profile, and this one is not "
            "certain to be later, so the profile was left alone. --ignore-dates goes by the file."
        )
    minute = str(np.datetime64(found.at_ms, "ms").astype("datetime64[m]")).replace("T", " ")
    when = f"on {minute} UTC"
    if found.at_ms < 0:
        when = "at a time that cannot be read, so perhaps"
    return (
        f"Campaign says that this choice was changed {when}, after the request, so it was left "
        "alone. An import can move that stamp without a change; --ignore-dates goes by the file."
    )
