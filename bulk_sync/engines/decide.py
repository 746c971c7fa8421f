"""Decides what is done with one planned row: send the write, look first, or leave the row.

A row without care is sent at once. One with care is looked at before if it asks for that, or is
forbidden, dated, or may have arrived: a request for it was sent, and got no confirmation. Then a
dot means "either":

    ===========================  ===============  =========  =========  =====  ====================
    a profile to change          may have arrive  uncertain  forbidden  newer  done
    ===========================  ===============  =========  =========  =====  ====================
    has the desired state        yes              .          .          .      updated
    "                            no               yes        .          .      unchanged stopped
    "                            no               no         yes        .      unchanged newer_run
    "                            no               no         no         .      drifted moved
    has the other state          .                .          yes        .      drifted newer_run
    "                            .                .          no         yes    drifted newer_choice
    "                            .                .          no         no     send
    ===========================  ===============  =========  =========  =====  ====================

    ===========================  ===============  =========  ======================================
    a profile to create          may have arrived  forbidden  done
    ===========================  ===============  =========  ======================================
    was created and confirmed    yes              .          created
    is not there, but may come   yes              .          wait, and look once more
    ", and can come no more      .                yes        drifted newer_run
    "                            .                no         send
    one, with the desired state  yes              .          created
    one with the other, several  yes              .          drifted exists
    all with the desired state   no               .          unchanged exists
    some with the other          no               .          drifted exists
    ===========================  ===============  =========  ======================================
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import request_order
from bulk_sync.rows.request_order import Own, Request
from bulk_sync.rows.results import Match


@dataclass(frozen=True, slots=True)
class Care:
    """What must be considered before a row is written. Most rows need none.

    Attributes:
        reads_first: what was read of the profile may be out of date.
        in_doubt: a process died while the write was in flight.
        sent: this process has sent the write; it got no confirmation, or could not read it back.
        created: the PKey of the profile that Campaign confirmed to have created.
        quiet_at: time of the event loop after which Campaign no longer acts on it; None: the usual
            time after the writing began.
        forbidden: why the row must not be written any more, for a person.
        uncertain: perhaps the run to be undone has not changed the profile.
        request: when the state was asked for; a newer choice in Campaign counts.
        own: the last write of this tool to the profile, if it set the other state.
        body: the JSON with which a profile is created; None: there is one to change.
    """

    reads_first: bool = False
    in_doubt: bool = False
    sent: bool = False
    created: str | None = None
    quiet_at: float | None = None
    forbidden: str | None = None
    uncertain: bool = False
    request: Request | None = None
    own: Own | None = None
    body: bytes | None = None

    @property
    def may_have_arrived(self) -> bool:
        """Whether Campaign may have acted on a request for this row."""
        return self.sent or self.in_doubt

    @property
    def has_intent(self) -> bool:
        """Whether the ledger needs no new intent: it has one, or nothing will be sent."""
        return self.in_doubt or self.forbidden is not None


NO_CARE: Final = Care()
READ_FIRST: Final = Care(reads_first=True)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown.

    Attributes:
        profiles: the one to change, or those with the address of the one to create.
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
        outcome: what became of the row.
        reason: why the row is left; None if the write has arrived.
        detail: the same for a person.
        holds: the state in Campaign; None if there is no profile.
        pkey: the profile that an earlier request has created.
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


def decide(care: Care | None, seen: Seen | None, desired: bool) -> Decision:  # noqa: FBT001 - a state
    """Decide what to do with one row.

    Args:
        care: what must be considered; None if nothing.
        seen: what Campaign holds; None before the first look.
        desired: the state to set.
    """
    if care is None:
        return Send.NOW
    if care.created:
        return Done(Outcome.CREATED, holds=desired, pkey=care.created)
    if seen is None:
        is_dated = care.request is not None and care.body is None
        looks = care.reads_first or is_dated or care.forbidden is not None or care.may_have_arrived
        return LookFirst() if looks else Send.NOW
    if care.body is None:
        return _change(care, seen.profiles[0], desired)
    return _create(care, seen, desired) if seen.profiles else _absent(care, seen.may_come_s)


def learned(care: Care, seen: Seen, desired: bool) -> Care:  # noqa: FBT001 - a state
    """Return the care after a look: what a dead process sent has not arrived if it is not there.

    What this process sent may still arrive, and so may a profile.
    """
    has_arrived = care.body is not None or bool(seen.profiles[0].state) is desired
    return care if has_arrived or care.sent else replace(care, in_doubt=False)


def _change(care: Care, profile: Match, desired: bool) -> Decision:  # noqa: FBT001 - a state
    """Decide about a profile to change."""
    state = bool(profile.state)
    if state is desired and care.may_have_arrived:
        return Done(Outcome.UPDATED, holds=state, is_read_back=not care.sent)
    if state is desired and care.uncertain:
        detail = "The run has not changed this profile, so there is nothing to put back."
        return Done(Outcome.UNCHANGED, Reason.STOPPED, detail, state)
    if care.forbidden is not None:
        outcome = Outcome.UNCHANGED if state is desired else Outcome.DRIFTED
        return Done(outcome, Reason.NEWER_RUN, care.forbidden, state)
    if state is desired:
        detail = f"The profile has moved to {str(state).lower()} since; it was left alone."
        return Done(Outcome.DRIFTED, Reason.MOVED, detail, state)
    if care.request is not None:
        choice = request_order.choice(profile.changed_ms, care.own, care.request, desired=desired)
        if request_order.is_newer(choice, care.request, desired=desired):
            detail = request_order.sentence(choice)
            return Done(Outcome.DRIFTED, Reason.NEWER_CHOICE, detail, state)
    return Send.NOW


def _absent(care: Care, may_come_s: float) -> Decision:
    """Decide about a profile to create that is not there."""
    if care.may_have_arrived and may_come_s > 0:
        return LookFirst(may_come_s)
    if care.forbidden is not None:
        return Done(Outcome.DRIFTED, Reason.NEWER_RUN, care.forbidden)
    return Send.NOW


def _create(care: Care, seen: Seen, desired: bool) -> Done:  # noqa: FBT001 - a state
    """Decide about a profile to create whose address is there."""
    count = len(seen.profiles)
    hold = all(each.state == desired for each in seen.profiles)
    state = desired if hold else not desired
    if not care.may_have_arrived:
        detail = "A profile" if count == 1 else f"{count} profiles"
        detail += " with this address came to be meanwhile, so none was created."
        detail += "" if hold else " Run the file again for the state."
        outcome = Outcome.UNCHANGED if hold else Outcome.DRIFTED
        return Done(outcome, Reason.EXISTS, detail, state)
    if count == 1 and hold:
        return Done(Outcome.CREATED, holds=state, pkey=seen.profiles[0].pkey)
    detail = (
        "A profile with this address is there by now, perhaps by this very run, and has the other "
        "state. Run the file again."
    )
    if count > 1:
        detail = (
            f"{count} profiles have this address by now: others made one too, or a request without "
            "an answer was acted on late. Look at them in Campaign, and run the file again for the "
            "state."
        )
    return Done(Outcome.DRIFTED, Reason.EXISTS, detail, state)
