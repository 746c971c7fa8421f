"""The work of a pass: a state is read, or set, row by row.

It is data, and the coroutine that does one row. What comes of a row goes into ``Steps``; a row
costs no task and no object of its own.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.create import Creation
from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.resolve import Finder
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import request_order
from bulk_sync.rows.results import Match, Steps
from bulk_sync.settings import Writing
from bulk_sync.stopping import Stop

Tell = Callable[[str, int, int, Pulse], None]
"""Progress: the pass (``read``, ``scan``, ``write``), how many are done, how many there are, and
how hard Campaign is asked meanwhile."""


class Work(Protocol):
    """What is to be done for n rows."""

    @property
    def name(self) -> str:
        """The pass, as ``Tell`` has it."""

    @property
    def steps(self) -> Steps:
        """What is known to have become of the rows; filled in place."""

    @property
    def calls_each(self) -> int:
        """Return how many calls one row takes, if nothing fails."""

    async def one(self, client: Client, stop: Stop, at: int) -> None:
        """Do one row, and note in ``steps`` that it is done.

        Raises:
            RowFailed: it cannot be done.
            StopRun: the run cannot go on; nothing was sent that Campaign did not refuse.
        """


@dataclass(frozen=True, slots=True)
class Reads:
    """n states to be read, one GET each; see ``Work``."""

    keys: Sequence[str]
    steps: Steps
    name: str = "read"
    calls_each: int = 1

    async def one(self, client: Client, stop: Stop, at: int) -> None:  # noqa: ARG002
        """Read one profile's state."""
        steps = self.steps
        if steps.changed_ms is None:
            state, tries = await client.state(self.keys[at])
        else:
            stamped, tries = await client.stamped_state(self.keys[at])
            state, steps.changed_ms[at] = stamped
        steps.done(at, tries, now_ms(), state=state)


@dataclass(frozen=True, slots=True)
class Finds:
    """The profiles of n keys that are no PKeys are to be found; see ``Work``."""

    keys: Sequence[str]
    steps: Steps
    finder: Finder
    name: str = "read"
    calls_each: int = 1

    async def one(self, client: Client, stop: Stop, at: int) -> None:  # noqa: ARG002
        """Find the profiles that one key stands for."""
        found, tries = await self.finder.find(client, self.keys[at])
        self.steps.found_at(at, tries, now_ms(), found)


@dataclass(frozen=True, slots=True)
class Writes:
    """n states to be set, each confirmed by Campaign; see ``Work``.

    Attributes:
        keys: the keys, each once.
        desired: the state of each.
        how: whether profiles are read before and after.
        in_doubt: positions whose write was in flight when a process died.
        forbidden: positions that must not be written any more, and why, for a person.
        uncertain: positions of which nobody knows whether there is anything to put back.
        requests: when some of them were asked for: their profiles are read before, and left alone
            if Campaign holds a newer choice.
        written: what this tool wrote last to the profiles of those.
        bodies: with what those are created that no profile is known of; their keys are addresses.
        finder: finds profiles by those keys; None if nothing is to be created.
        looks_first: whether it is looked again for them before, since they were not just now.
        sent: positions for which a request that writes was begun; filled in place.
        cleared: positions in doubt of which it is known by now that nothing had arrived; filled in
            place.
        quiet_at: time of ``time.monotonic`` from which on a creation that this process has tried in
            vain is not acted on any more; filled in place.
        began: time of ``time.monotonic`` before which a process has died that had them in flight.
    """

    keys: Sequence[str]
    desired: Sequence[bool]
    steps: Steps
    how: Writing
    in_doubt: frozenset[int] = frozenset()
    forbidden: Mapping[int, str] = field(default_factory=dict)
    uncertain: frozenset[int] = frozenset()
    requests: Mapping[int, request_order.Request] = field(default_factory=dict)
    written: request_order.Writes = field(default_factory=dict)
    bodies: Mapping[int, bytes] = field(default_factory=dict)
    finder: Finder | None = None
    looks_first: bool = False
    began: float = 0.0
    name: str = "write"
    sent: set[int] = field(default_factory=set)
    cleared: set[int] = field(default_factory=set)
    quiet_at: dict[int, float] = field(default_factory=dict)

    @property
    def calls_each(self) -> int:
        """Return how many calls one row takes, if nothing fails."""
        reads_first = self.how.guarded or self.requests or (self.looks_first and self.bodies)
        return 1 + bool(reads_first) + self.how.verify

    def may_have_arrived(self, at: int) -> bool:
        """Tell whether a request that writes may have left this process, or one that died."""
        return at in self.sent or (at in self.in_doubt and at not in self.cleared)

    async def one(self, client: Client, stop: Stop, at: int) -> None:
        """Set one profile's state, unless it holds it already or must be left alone."""
        if at in self.bodies:
            await self._create(client, stop, at)
            return
        key, desired = self.keys[at], self.desired[at]
        doubted = self.steps.problems.get(at)
        tries = doubted.attempts if doubted is not None else 1
        looks = self.how.guarded or at in self.forbidden or at in self.requests
        looks |= self.may_have_arrived(at)
        has_arrived = looks and await self._has_arrived(client, at)
        if not has_arrived:
            with self._sending(at):
                tries = await client.write(key, desired=desired)
        # What another process has sent was just read back.
        if self.how.verify and (not has_arrived or at in self.sent):
            await _check_stored(client, stop, key, desired=desired)
        self.steps.done(at, tries, now_ms(), state=desired)

    async def _has_arrived(self, client: Client, at: int) -> bool:
        """Read a profile, and return whether it holds what an earlier request was to set.

        Raises:
            RowFailed: it cannot be read, or must be left alone.
        """
        desired, in_doubt = self.desired[at], self.may_have_arrived(at)
        forbidden = self.forbidden.get(at)
        try:
            (state, changed_ms), _ = await client.stamped_state(self.keys[at])
        except RowFailed as failed:
            if failed.reason is not Reason.STATE_UNKNOWN:
                doubted = self.steps.problems.get(at)
                read_back = None if doubted is None else doubted.holds
                failed.holds = read_back if in_doubt else not desired
            raise
        if in_doubt and state is desired:
            return True
        if state is desired and at in self.uncertain:
            raise _never_arrived(desired)
        if state is desired or forbidden is not None:
            raise _left_alone(forbidden, state, desired)
        if at not in self.sent:
            self.cleared.add(at)
        request = self.requests.get(at)
        if request is None:
            return False
        own = self.written.get((self.keys[at], not desired))
        choice = request_order.choice(changed_ms, own, request, desired=desired)
        if request_order.is_newer(choice, request, desired=desired):
            raise RowFailed(
                Reason.NEWER_CHOICE,
                request_order.sentence(choice),
                outcome=Outcome.DRIFTED,
                holds=not desired,
            )
        return False

    async def _create(self, client: Client, stop: Stop, at: int) -> None:
        """Create one profile, unless it is there by now."""
        desired, steps = self.desired[at], self.steps
        doubted, in_doubt = steps.problems.get(at), self.may_have_arrived(at)
        tries = doubted.attempts if doubted is not None else 1
        pkey: str | None = None
        if in_doubt or self.looks_first or at in self.forbidden:
            pkey = await self._is_made(client, at, may_be_ours=in_doubt)
            if pkey is None and at in self.forbidden:
                raise RowFailed(Reason.NEWER_RUN, self.forbidden[at], outcome=Outcome.DRIFTED)
            quiet_at = self.quiet_at.get(at, self.began + client.settling.usual_s)
            wait_s = quiet_at - time.monotonic()
            if pkey is None and in_doubt and wait_s > 0:
                await stop.sleep(wait_s)
                if stop.asked:
                    raise RowFailed(
                        Reason.STOPPED,
                        "The run was stopped before it was certain that nobody was created.",
                        outcome=Outcome.PENDING,
                    )
                pkey = await self._is_made(client, at, may_be_ours=True)
        if pkey is None:

            async def made() -> str | None:
                return await self._is_made(client, at, may_be_ours=True)

            with self._sending(at):
                try:
                    creation = Creation(self.bodies[at], desired, made, in_doubt)
                    pkey, tries = await client.create(creation)
                except RowFailed as failed:
                    self.quiet_at[at] = time.monotonic() + client.settling.after_s(failed.reason)
                    raise
        if self.how.verify and pkey:
            await _check_stored(client, stop, pkey, desired=desired)
        matches = (Match(pkey, int(desired), 0),) if pkey else ()
        steps.found_at(at, tries, now_ms(), matches, state=desired)

    async def _is_made(self, client: Client, at: int, *, may_be_ours: bool) -> str | None:
        """Look whether a profile that is to be created is there, and tell its PKey; None if not.

        Raises:
            RowFailed: one is there that another has made, or more than one, or with another state.
        """
        if self.finder is None:
            raise ValueError("Nobody can look for profiles.")
        try:
            found, _ = await self.finder.find(client, self.keys[at])
        except RowFailed as failed:
            if failed.reason is Reason.NOT_FOUND:
                return None
            raise
        desired = self.desired[at]
        holds = all(each.state == desired for each in found)
        if may_be_ours and holds and len(found) == 1:
            return found[0].pkey
        state = desired if holds else not desired
        if may_be_ours and len(found) > 1:
            raise RowFailed(
                Reason.EXISTS,
                f"{len(found)} profiles have this address by now: others made one too, or a "
                "request without an answer was acted on late. Look at them in Campaign, and run "
                "the file again for the state.",
                outcome=Outcome.DRIFTED,
                holds=state,
            )
        if may_be_ours:
            raise RowFailed(
                Reason.EXISTS,
                "A profile with this address is there by now, perhaps by this very run, and has "
                "the other state. Run the file again.",
                outcome=Outcome.DRIFTED,
                holds=state,
            )
        count = "A profile" if len(found) == 1 else f"{len(found)} profiles"
        raise RowFailed(
            Reason.EXISTS,
            f"{count} with this address came to be meanwhile, so none was created."
            + ("" if holds else " Run the file again for the state."),
            outcome=Outcome.UNCHANGED if holds else Outcome.DRIFTED,
            holds=state,
        )

    @contextmanager
    def _sending(self, at: int) -> Iterator[None]:
        """Note that a request that writes is begun; not if the run ends before it is sent."""
        sent_before = at in self.sent
        self.sent.add(at)
        try:
            yield
        except StopRun:  # which says that nothing was sent
            if not sent_before:
                self.sent.remove(at)
            raise


def _never_arrived(state: bool) -> RowFailed:  # noqa: FBT001 - a state
    return RowFailed(
        Reason.STOPPED,
        "The run has not changed this profile, so there is nothing to put back.",
        outcome=Outcome.UNCHANGED,
        holds=state,
    )


def _left_alone(forbidden: str | None, state: bool, desired: bool) -> RowFailed:  # noqa: FBT001 - states
    if forbidden is None:
        detail = f"The profile has moved to {str(state).lower()} since; it was left alone."
        return RowFailed(Reason.MOVED, detail, outcome=Outcome.DRIFTED, holds=state)
    outcome = Outcome.UNCHANGED if state is desired else Outcome.DRIFTED
    return RowFailed(Reason.NEWER_RUN, forbidden, outcome=outcome, holds=state)


async def _check_stored(client: Client, stop: Stop, key: str, *, desired: bool) -> None:
    """Read a profile back after its change was confirmed.

    Raises:
        RowFailed: it does not hold the state; or the run stopped before, so that resume reads it.
    """
    unseen = RowFailed(
        Reason.STOPPED,
        "Campaign confirmed the change; the run stopped before it was read back.",
        passing=True,  # so resume reads it back
    )
    try:
        state, _ = await client.read_back(key)
    except StopRun as cause:
        stop.ask(cause)
        raise unseen from cause
    except RowFailed as failed:
        if failed.outcome is Outcome.PENDING:
            raise unseen from failed
        raise
    if state is not desired:
        raise RowFailed(
            Reason.NOT_STORED,
            "Campaign confirmed the change, but the profile still has the old state.",
            holds=state,
        )


def now_ms() -> int:
    """Tell the UTC time in ms since the epoch."""
    return time.time_ns() // 1_000_000
