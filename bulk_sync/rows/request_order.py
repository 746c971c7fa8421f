"""Decides which of two requests for one profile is the later one.

Campaign's stamp is the time of the last change there. If that change was this tool's own write, the
date of the request behind the write counts instead: a request of the 25th wins over one of the
20th, whatever was written when. A stamp can move without a change (manual/campaign-api.md, section
1.1), so it only ever leaves a profile alone, and a person decides. In doubt the opt-out counts, as
in Adobe's own rule for a tie (section 8).
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
"""A missing date in arrays of request dates; it sorts last."""

UNREADABLE: Final = -1
"""A time of a change that cannot be read."""

OR_LATER: Final = " or later"
"""How the date of repeated requests ends in the ledger if the last one has none."""

TOLERANCE_MS: Final = 60_000
"""The difference tolerated between Campaign's clock and ours: a stamp belongs to a write from this
long before its request until this long after its confirmation."""

_DOUBT_MS: Final = 3_600_000
"""A stamp until this long after a write may still belong to it: clocks go wrong."""

AT_ANY_TIME: Final = 0
"""When a file was given, if the clock was set back since: any choice may be a later one."""

LOCAL_DOUBT_MS: Final = 8 * 3_600_000
"""A time without a zone may be California's, at most this far behind UTC."""

DAY_DOUBT_MS: Final = 24 * 3_600_000 + LOCAL_DOUBT_MS - 1
"""A day ends at most this long after its midnight in UTC."""


class Precision(IntEnum):
    """How exact a request date is: a time with its zone, one without, a day, or one of two days."""

    INSTANT = 0
    LOCAL = 1
    DAY = 2
    SWAPPED = 3


_DOUBTS_MS: Final = {
    Precision.INSTANT: 0,
    Precision.LOCAL: LOCAL_DOUBT_MS,
    Precision.DAY: DAY_DOUBT_MS,
    Precision.SWAPPED: DAY_DOUBT_MS,
}


class RequestDate(NamedTuple):
    """The date of a request: the earliest moment it may mean, in ms since the epoch."""

    first_ms: int
    precision: Precision

    @property
    def last_ms(self) -> int:
        """Return the latest moment it may mean."""
        return self.first_ms + _DOUBTS_MS[self.precision]

    def __str__(self) -> str:
        if self.precision >= Precision.DAY:
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


def requests(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> list[RequestDate | None]:
    """Return the request dates of rows; None where a row has none."""
    names = [name for name in (columns.LATEST, columns.UNJUDGED) if name in frame]
    if not names:
        return [None] * len(positions)
    latest = frame[names[0]].to_numpy()[positions]
    kinds = np.zeros(len(positions), np.int8)
    if columns.PRECISION in frame:
        kinds = frame[columns.PRECISION].to_numpy()[positions]
    doubts_ms = np.array([_DOUBTS_MS[each] for each in Precision])[kinds]
    desired = columns.desired(frame)[positions]
    first_ms = latest - np.where(desired == 1, doubts_ms, 0)
    return [
        None if at == UNDATED else RequestDate(first, Precision(kind))
        for at, first, kind in zip(latest.tolist(), first_ms.tolist(), kinds.tolist(), strict=True)
    ]


def first_known(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> dict[int, RequestDate]:
    """Return the days of first requests, by place, where the last of repeated requests has none."""
    name = columns.LATEST if columns.LATEST in frame else columns.UNJUDGED
    if name not in frame or columns.REQUESTED not in frame:
        return {}
    first, last = (frame[each].to_numpy()[positions] for each in (columns.REQUESTED, name))
    places = np.flatnonzero((last == UNDATED) & (first != UNDATED)).tolist()
    return {at: RequestDate(int(first[at]), Precision.DAY) for at in places}


class Confirmed(NamedTuple):
    """A request that found its state in Campaign: its date, the run, and when the run read it.

    The date of an undated one is the latest that it may have: that of the reading.
    """

    request: RequestDate
    run_id: str
    at_ms: int
    is_dated: bool = True


@dataclass(frozen=True, slots=True)
class Own:
    """A write of this tool to one profile, and the request behind it.

    Attributes:
        state: the state written.
        began_ms: when the write was about to be sent, in ms since the epoch, UTC.
        ended_ms: when it was confirmed, or given up.
        request: the request's date; None if undated, or if an undo put back an undated state.
        no_later_ms: the request is not later than this.
        run_id: the run that carried the request out.
        is_doubtful: whether Campaign may not have acted on the write.
        is_seen: whether nothing was written, because Campaign held the state already.
        confirmed: the latest dated request since then that found the state; None if there was none.
        undated: the last one without a date.
        position: of the write's line in the ledger.
    """

    state: bool
    began_ms: int
    ended_ms: int
    request: RequestDate | None
    no_later_ms: int
    run_id: str
    is_doubtful: bool = False
    is_seen: bool = False
    confirmed: Confirmed | None = None
    undated: Confirmed | None = None
    position: int = 0

    def confirmed_by(self, each: Confirmed) -> Self:
        """Return the state with a request that found it since then, if no later one did."""
        known = self.confirmed if each.is_dated else self.undated
        if known is not None and each.request <= known.request:
            return self
        return replace(self, confirmed=each) if each.is_dated else replace(self, undated=each)

    def seen(self, by: Confirmed) -> Self:
        """Return the state as found by a request."""
        request = by.request if by.is_dated else None
        return replace(self, request=request, run_id=by.run_id, is_seen=True)


class DatedChoice(NamedTuple):
    """A state in Campaign, with its time and its source.

    Attributes:
        at_ms: when it was requested, or else changed, in ms since the epoch; 0 if that is not
            known, ``UNREADABLE`` if it cannot be read.
        own: this tool's write behind it; None if it comes from elsewhere.
    """

    at_ms: int
    own: Own | None = None


Writes = Mapping[tuple[str, bool], Own]
"""This tool's last writes, by PKey and state: two for a profile only if one is doubtful."""

LastWrites = Callable[[Sequence[str], int], Writes]
"""Looks up the last writes to some PKeys, and the requests since a time, in ms, that found their
state in Campaign."""


def no_writes(_keys: Sequence[str], _since_ms: int) -> Writes:
    """Return no writes."""
    return {}


def choice(changed_ms: int, own: Own | None, request: RequestDate, *, desired: bool) -> DatedChoice:
    """Return when the state in Campaign, other than the desired one, was chosen.

    =========================================  ====================================
    Campaign's stamp                           the time that counts
    =========================================  ====================================
    over an hour after the own write           the stamp
    over a minute after it                     of both the one that helps an opt-out
    of the own write, or none                  the date of its request
    earlier, or the write is doubtful          of both the one that helps an opt-out
    cannot be read                             none that can be read
    =========================================  ====================================

    A later request that found the state in Campaign counts in any case. An undated one that found
    an opt-out is as late as it may be.

    Args:
        changed_ms: Campaign's stamp, as ``are_newer`` takes it.
        own: this tool's last write to the profile, if Campaign holds its state.
        request: the request for the other state.
        desired: that state.

    Returns:
        A time to be compared with ``decisive_ms``.
    """
    found = _written(changed_ms, own, request, desired=desired)
    if own is None or (found.at_ms < 0 and not desired):
        return found
    times = [found]
    for by in (own.confirmed, None if desired else own.undated):
        if by is not None:
            seen_ms = _comparable(by.request, request, desired=desired)
            times.append(DatedChoice(seen_ms, own.seen(by)))
    return max(times, key=lambda each: each.at_ms)


def dated(own: Own) -> DatedChoice | None:
    """Return the newest dated request behind a write; None if there is none."""
    by = own.confirmed
    if by is not None and (own.request is None or own.request < by.request):
        own = own.seen(by)
    return None if own.request is None else DatedChoice(own.request.last_ms, own)


def _written(
    changed_ms: int, own: Own | None, request: RequestDate, *, desired: bool
) -> DatedChoice:
    """Return when the state was chosen, by the stamp and this tool's write."""
    is_later = own is not None and changed_ms > own.ended_ms + _DOUBT_MS
    if own is None or own.is_seen or changed_ms < 0 or is_later:
        return DatedChoice(changed_ms)
    if own.request is not None:
        requested_ms = _comparable(own.request, request, desired=desired)
    else:
        requested_ms = 0 if desired else own.no_later_ms
    is_of_it = own.began_ms - TOLERANCE_MS <= changed_ms <= own.ended_ms + TOLERANCE_MS
    if changed_ms and (own.is_doubtful or not is_of_it):
        helps = min if desired else max
        requested_ms = helps(requested_ms, changed_ms)
    return DatedChoice(requested_ms, own)


def _comparable(other: RequestDate, request: RequestDate, *, desired: bool) -> int:
    """Return the moment of another request, to be compared with ``decisive_ms``."""
    if other.precision is request.precision:  # two days, or two times of the same zone
        moment = other.first_ms + decisive_ms(request, desired) - request.first_ms
    else:
        moment = other.first_ms if desired else other.last_ms
    return max(1, moment)  # before 1970: a slip, and not the sign that there is none


def are_newer(
    latest_ms: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
    changed_ms: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return where Campaign holds a newer choice than the request.

    Args:
        latest_ms: n times of requests, as ``RequestTimes.latest``.
        desired: n states, 1 or 0.
        changed_ms: n times of Campaign's states, in ms since the epoch; 0 where there is none,
            ``UNREADABLE`` where it cannot be read: an opt-out stays then.

    Returns:
        n booleans; False where the request is undated.
    """
    dated = latest_ms != UNDATED
    opt_out, opt_in = changed_ms > latest_ms, (changed_ms >= latest_ms) | (changed_ms < 0)
    is_newer: npt.NDArray[np.bool_] = dated & (changed_ms != 0)
    return is_newer & np.where(desired == 1, opt_out, opt_in)


def decisive_ms(request: RequestDate, desired: bool) -> int:  # noqa: FBT001 - a state
    """Return the decisive moment of a request, as ``RequestTimes.latest`` has it."""
    return request.last_ms if desired else request.first_ms


def is_newer(found: DatedChoice, request: RequestDate, *, desired: bool) -> bool:
    """Return the answer of ``are_newer`` for one row."""
    latest = np.array([decisive_ms(request, desired)])
    return bool(are_newer(latest, np.array([desired], np.int8), np.array([found.at_ms]))[0])


def sentence(found: DatedChoice) -> str:
    """Return the sentence for the report about a row left alone."""
    if found.own is not None:
        dated = found.own.request
        when = "whose date is not known" if dated is None else f"of {dated}"
        what = "wants the same state by" if found.own.is_seen else "has carried out"
        return (
            f"Run {found.own.run_id} {what} a request {when} for this profile, and this one is not "
            "certain to be later, so the profile was left alone. --ignore-dates goes by the file."
        )
    when = f"on {_minute(found.at_ms)} UTC"
    if found.at_ms < 0:
        when = "at a time that cannot be read, so perhaps"
    return (
        f"Campaign says that this choice was changed {when}, after the request, so it was left "
        "alone. An import can move that stamp without a change; --ignore-dates goes by the file."
    )


def is_since(changed_ms: int, known_ms: int) -> bool:
    """Return whether Campaign's stamp is later than a time by the clock of this machine."""
    return changed_ms > known_ms + TOLERANCE_MS


def sentence_since(changed_ms: int, known_ms: int) -> str:
    """Return the sentence for the report about an opt-out that was, or may be, chosen again."""
    when = f"on {_minute(changed_ms)} UTC"
    what = f"Campaign says that this choice was made again {when}, so the opt-out was not lifted."
    if known_ms == AT_ANY_TIME:
        what = (
            f"Campaign says that this choice was made {when}. The clock of this machine was set "
            "back since the file was given, so that may be later, and the opt-out was not lifted."
        )
    return (
        f"{what} An import can move that stamp without a change. To lift it all the same, run this "
        "row again from a file."
    )


def _minute(at_ms: int) -> str:
    return str(np.datetime64(at_ms, "ms").astype("datetime64[m]")).replace("T", " ")
