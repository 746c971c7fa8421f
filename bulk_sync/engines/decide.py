"""Decides what is done with one planned row: send the write, look first, or leave the row.

A row without care is sent at once. A row is looked at first if its care wants that, or if it is
forbidden, dated, or in doubt: an earlier request may have arrived. An opt-in without a date is
dated by the time when its file was given; that of an undo by the write that it puts back. After the
look (a dot: either):

    =======================  ========  =========  =========  =====  ====================
    a profile to change      in doubt  uncertain  forbidden  newer  decision
    =======================  ========  =========  =========  =====  ====================
    has the desired state    yes [1]   .          .          .      updated
    "                        no        yes        .          .      unchanged stopped
    "                        no        no         yes        .      unchanged newer_run
    "                        no        no         no         .      drifted moved
    has the other state      .         .          yes        .      drifted newer_run
    "                        .         .          no         yes    drifted newer_choice
    "                        .         .          no         no     send
    =======================  ========  =========  =========  =====  ====================

    =============================  ========  =========  ================================
    a profile to create            in doubt  forbidden  decision
    =============================  ========  =========  ================================
    creation was confirmed         yes       .          created
    absent, but may still come     yes       .          wait, and look once more
    absent                         .         yes        drifted newer_run
    "                              .         no         send
    one, with the desired state    yes       .          created
    another state, or several      yes       .          drifted exists
    all with the desired state     no        .          unchanged exists
    some with the other state      no        .          drifted exists
    =============================  ========  =========  ================================

[1] Unless it was changed after Campaign can have acted on the row: then the row is not in doubt.

A row forbidden by ``--protect`` is ``rejected protected`` in place of ``drifted newer_run``. A
newer choice that this tool knows by another run is ``drifted newer_run``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import request_order
from bulk_sync.rows.request_order import Own, RequestDate
from bulk_sync.rows.results import Match


@dataclass(frozen=True, slots=True)
class Flight:
    """An earlier request to write a row.

    Attributes:
        in_doubt: a process died while the write was in flight.
        acted_ms: when Campaign had acted on it at the latest, in ms since the epoch; a
            later change is of others.
        sent: this process has sent the write, without a confirmation or without reading it back.
        created: the PKey of the profile, if Campaign confirmed its creation.
        quiet_at: when Campaign no longer acts on the request, by the clock of the event loop; None:
            the usual time after the writing began.
    """

    in_doubt: bool = False
    acted_ms: int | None = None
    sent: bool = False
    created: str | None = None
    quiet_at: float | None = None

    @property
    def may_have_arrived(self) -> bool:
        """Whether Campaign may have acted on the request."""
        return self.sent or self.in_doubt


@dataclass(frozen=True, slots=True)
class Asked:
    """When a state was asked for, and what may be a newer choice.

    Attributes:
        request: when the state was asked for; a newer choice in Campaign counts.
        own: the last write of this tool to the profile, if it set the other state.
        known_ms: when the file was given, the opt-out written, or the opt-in first sent; a later
            choice counts, and any choice if it is ``AT_ANY_TIME``.
        overtaken: why another run's work since the plan is the newer choice, for a person.
    """

    request: RequestDate | None = None
    own: Own | None = None
    known_ms: int | None = None
    overtaken: str | None = None

    @property
    def is_dated(self) -> bool:
        """Whether a later choice counts, of Campaign or of another run."""
        return self.request is not None or self.known_ms is not None or self.overtaken is not None


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why a row must not be written any more, for a person, and the reason in its result."""

    sentence: str
    reason: Reason = Reason.NEWER_RUN

    def leave(self, *, desired: bool, holds: bool | None) -> "Done":
        """Leave a profile in the state it holds; None: there is no profile."""
        outcome = Outcome.UNCHANGED if holds is desired else _FORBIDDEN[self.reason]
        return Done(outcome, self.reason, self.sentence, holds)


@dataclass(frozen=True, slots=True)
class Care:
    """Reasons for not just sending the write of a row. Most rows have none.

    Attributes:
        reads_first: the state read before may be out of date.
        uncertain: perhaps the run to be undone has not changed the profile.
        body: the JSON of a profile to create; None: change the one there is.
    """

    reads_first: bool = False
    flight: Flight = Flight()
    forbidden: Forbidden | None = None
    uncertain: bool = False
    asked: Asked = Asked()
    body: bytes | None = None

    @property
    def has_intent(self) -> bool:
        """Whether the ledger needs no new intent: it has one, or nothing will be sent."""
        return self.flight.in_doubt or self.forbidden is not None


NO_CARE: Final = Care()
_FORBIDDEN: Final = {Reason.NEWER_RUN: Outcome.DRIFTED, Reason.PROTECTED: Outcome.REJECTED}
READ_FIRST: Final = Care(reads_first=True)


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of a look.

    Attributes:
        profiles: the one to change, or all with the address of the one to create.
        may_come_s: seconds in which Campaign may still act on an earlier request.
    """

    profiles: tuple[Match, ...]
    may_come_s: float = 0.0


class Send(Enum):
    """Send the write now."""

    NOW = "now"


@dataclass(frozen=True, slots=True)
class LookFirst:
    """Look at Campaign, after a wait if need be, and decide again."""

    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is sent.

    Attributes:
        outcome: the outcome of the row.
        reason: why the row is left alone; None if the write has arrived.
        detail: the reason for a person.
        holds: the state in Campaign; None if there is no profile.
        pkey: the profile created by an earlier request, or by others.
        is_read_back: the profile was read after the last request for it.
    """

    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""
    holds: bool | None = None
    pkey: str | None = None
    is_read_back: bool = False

    def check(self) -> None:
        """Raise RowFailed unless the write has arrived."""
        if self.reason is not None:
            raise RowFailed(self.reason, self.detail, outcome=self.outcome, holds=self.holds)


Decision = Send | LookFirst | Done


def decide(care: Care | None, seen: Seen | None, *, desired: bool) -> Decision:
    """Decide what to do with one row; ``seen`` is None before the first look."""
    if care is None:
        return Send.NOW
    if care.flight.created:
        return Done(Outcome.CREATED, holds=desired, pkey=care.flight.created)
    if seen is None:
        is_dated = care.asked.is_dated and care.body is None
        is_careful = care.forbidden is not None or care.flight.may_have_arrived
        return LookFirst() if care.reads_first or is_dated or is_careful else Send.NOW
    if care.body is None:
        return _change(care, seen.profiles[0], desired=desired)
    if seen.profiles:
        return _create(care.flight, seen.profiles, desired=desired)
    return _absent(care, seen.may_come_s, desired=desired)


def learned(care: Care, seen: Seen, *, desired: bool) -> Care:
    """Return the care after a look: a change by a dead process has not arrived if it is not there.

    A change by this process may still arrive, and so may a profile.
    """
    has_arrived = care.body is not None or bool(seen.profiles[0].state) is desired
    return care if has_arrived else replace(care, flight=replace(care.flight, in_doubt=False))


def _change(care: Care, profile: Match, *, desired: bool) -> Decision:
    state, flight = bool(profile.state), care.flight
    is_there = state is desired
    if is_there and flight.may_have_arrived and not _is_of_others(flight, profile):
        return Done(Outcome.UPDATED, holds=state, is_read_back=not flight.sent)
    if is_there and care.uncertain:
        detail = "The run to undo has not changed this profile, so there is nothing to put back."
        return Done(Outcome.UNCHANGED, Reason.STOPPED, detail, state)
    if care.forbidden is not None:
        return care.forbidden.leave(desired=desired, holds=state)
    if is_there:
        detail = (
            f"The profile was set to {str(state).lower()} by other means since the change was "
            "planned, so nothing was sent."
        )
        return Done(Outcome.DRIFTED, Reason.MOVED, detail, state)
    if newer := _newer(care.asked, profile.changed_ms, desired=desired):
        reason, detail = newer
        return Done(Outcome.DRIFTED, reason, detail, state)
    return Send.NOW


def _is_of_others(flight: Flight, profile: Match) -> bool:
    """Return whether others have set the state since a process died while a write was in flight."""
    if flight.sent or flight.acted_ms is None:
        return False
    return request_order.is_since(profile.changed_ms, flight.acted_ms)


def _newer(asked: Asked, changed_ms: int, *, desired: bool) -> tuple[Reason, str] | None:
    if asked.overtaken is not None:
        return Reason.NEWER_RUN, asked.overtaken
    if asked.request is not None:
        choice = request_order.choice(changed_ms, asked.own, asked.request, desired=desired)
        if request_order.is_newer(choice, asked.request, desired=desired):
            return Reason.NEWER_CHOICE, request_order.sentence(choice)
    if asked.known_ms is not None and request_order.is_since(changed_ms, asked.known_ms):
        return Reason.NEWER_CHOICE, request_order.sentence_since(changed_ms, asked.known_ms)
    return None


def _absent(care: Care, may_come_s: float, *, desired: bool) -> Decision:
    if care.flight.may_have_arrived and may_come_s > 0:
        return LookFirst(may_come_s)
    if care.forbidden is not None:
        return care.forbidden.leave(desired=desired, holds=None)
    return Send.NOW


def _create(flight: Flight, profiles: Sequence[Match], *, desired: bool) -> Done:
    count = len(profiles)
    is_alike = all(each.state == desired for each in profiles)
    holds = desired if is_alike else not desired
    again = "Run the file again to set the state."
    if not flight.may_have_arrived:
        have = "A profile has" if count == 1 else f"{count} profiles have"
        detail = f"{have} this address by now, so none was created."
        if is_alike:
            pkey = profiles[0].pkey
            return Done(Outcome.UNCHANGED, Reason.EXISTS, detail, holds, pkey)
        return Done(Outcome.DRIFTED, Reason.EXISTS, f"{detail} {again}", holds)
    if count > 1:
        detail = (
            f"{count} profiles have this address by now: others created one too, or Campaign acted "
            f"late on a request without an answer. Look at them in Campaign. {again}"
        )
        return Done(Outcome.DRIFTED, Reason.EXISTS, detail, holds)
    if is_alike:
        return Done(Outcome.CREATED, holds=holds, pkey=profiles[0].pkey)
    detail = (
        "A profile has this address by now, perhaps created by this run, and has the other state. "
        f"{again}"
    )
    return Done(Outcome.DRIFTED, Reason.EXISTS, detail, holds)
