"""Finds Campaign, and reads and writes single profiles.

How a request travels is ``transport.py``'s, what an
answer means ``answers.py``'s, and how a profile looks ``profiles.py``'s.
"""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from bulk_sync.campaign import create, list_pages, pacing, profiles, proof, resource_metadata
from bulk_sync.campaign.call_budget import Budget
from bulk_sync.campaign.connections import pool_of, room_for
from bulk_sync.campaign.create import Creation, Settling
from bulk_sync.campaign.list_pages import Page
from bulk_sync.campaign.profile_list import Listing
from bulk_sync.campaign.responses import (
    Answer,
    FieldRefused,
    Forbidden,
    Unproven,
    access_denied,
    document,
    field_refused,
)
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed, StoppedEarly, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import AUTO, PLURAL, SINGULAR, Connection, Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_OF_ANOTHER: Final = (
    " It may be of another instance, or of Campaign Standard before a migration: `bulk-sync map` "
    "finds the new one by another column."
)

_NO_MATTER_OF_THE_NAME: Final = frozenset({Reason.CONNECTION, Reason.TIMEOUT, Reason.HTTP_503})


T = TypeVar("T")

Asked = Coroutine[Any, Any, tuple[T, int]]
"""What Campaign said, and how many tries it took."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What the preflight found.

    Attributes:
        api: the API's name that works.
        profiles: how many profiles there are, if the list says so.
        count_path: where that number can be had otherwise.
        first: the first page of the list.
    """

    api: str
    profiles: int | None
    count_path: str | None
    first: Page


@asynccontextmanager
async def connected(
    connection: Connection, pace: Pace, stop: Stop, budget: Budget | None = None
) -> AsyncIterator["Client"]:
    """Open a client; its connections close with the block, and calls not spent are given back."""
    async with pool_of(connection, pace.timeout_s) as pool:
        way = Transport(pool, connection, _that_fits(pace), stop, budget)
        try:
            yield Client(way, connection)
        finally:
            await way.calls.close()


def _that_fits(pace: Pace) -> Pace:
    """Ask no more at once than connections may be open."""
    wanted = pacing.most_in_flight(pace)
    room = max(1, room_for(2 * wanted) // 2)  # reads and writes share no connection
    if room == wanted:
        return pace
    log.warning(
        "At most %d requests are in flight, for the system lets no more files be open (ulimit -n)",
        room,
    )
    return replace(pace, concurrency=room)


class Client:
    """One run's view of Campaign. Belongs to one event loop.

    Attributes:
        api: the API's name in the URL.
        is_ready: the preflight has found that name.
        listing: the list of profiles.
        settling: how long Campaign may still act on a request without an answer.

    Every call may raise ``StopRun`` where going on makes no sense, and ``RowFailed`` for the one
    profile, or page, that it was asked about.
    """

    def __init__(self, way: Transport, connection: Connection) -> None:
        self.calls = way.calls
        self.pacer = way.pacer
        self.settling = Settling(way.pacer.latency, way.timeout_s)
        self._way = way
        self._connection = connection
        self._attribute = connection.attribute
        self.api = connection.api
        self.listing = Listing(way)
        self.is_ready = False
        self._bodies = {
            state: f'{{"{self._attribute}":{str(state).lower()}}}'.encode()
            for state in (True, False)
        }

    async def preflight(self, page_size: int = 1) -> Instance:
        """Find out with one call, two at the most, whether and by which name the API answers.

        The call reads the first page of the list, so that a scan can go on from there.

        Args:
            page_size: profiles asked for; see ``Listing.first``. Campaign may give fewer, which
                shows how many it puts on a page.

        Raises:
            AccessDenied: the credentials, the organization or the API's name are refused.
            StoppedEarly: Campaign does not answer.
        """
        asked = self._connection.api
        refusals: list[RowFailed] = []
        for api in (PLURAL, SINGULAR) if asked == AUTO else (asked,):
            self.api = api
            try:
                page = await self.listing.first(api, page_size)
            except RowFailed as failed:
                refusals.append(failed)
                if self._way.stop.asked:
                    break
                if isinstance(failed, Forbidden) or failed.reason in _NO_MATTER_OF_THE_NAME:
                    break
                log.info("The API's name %s is refused: %s", api, failed.detail)
            else:
                self.is_ready = True
                return Instance(api, page.total, page.count_path, page)
        raise self._cannot_start(refusals[-1])

    def _cannot_start(self, failed: RowFailed) -> StopRun:
        if isinstance(failed, FieldRefused):
            return field_refused(failed)
        if failed.passing and failed.reason not in {Reason.HTTP_403, Reason.REDIRECT}:
            return StoppedEarly(
                f"{failed.detail} Campaign is not available at {self._connection.endpoint}; "
                "nothing was written. Try again later."
            )
        return access_denied(failed)

    async def count(self, instance: Instance) -> int | None:
        """Tell how many profiles there are, with one small call if need be; None if unknown."""
        if instance.profiles is not None or instance.count_path is None:
            return instance.profiles
        path = instance.count_path

        async def once() -> int | None:
            return list_pages.total(await self._way.request("GET", path, document))

        try:
            return (await self._way.ask(once))[0]
        except RowFailed as failed:
            log.warning("How many profiles there are could not be read: %s", failed.detail)
            return None

    async def check_attribute(self) -> None:
        """Make sure, with one call, that the attribute is there, and a boolean.

        Raises:
            UsageProblem: it is not; the message tells the names that come close.
        """
        attribute, api = self._attribute, self._connection.api if not self.is_ready else self.api
        known = await self._fields(api)
        if known is None:
            log.warning("Whether profiles have %s could not be found out", attribute)
            return
        kind = known.get(attribute)
        if kind == "boolean" or kind == "":
            return
        if kind is not None:
            raise UsageProblem(
                f"--attribute {attribute}: the field is no boolean, but {kind}."
                + resource_metadata.listed(resource_metadata.close(attribute, known))
            )
        elsewhere = resource_metadata.other(api)
        there = await self._fields(elsewhere) or {}
        if attribute in there:
            raise UsageProblem(
                f"--attribute {attribute}: {api} does not show this field, {elsewhere} does. Give "
                f"--api {elsewhere}."
            )
        raise UsageProblem(
            f"--attribute {attribute}: profiles have no such field, neither on {api} nor on "
            f"{elsewhere}."
            + resource_metadata.listed(resource_metadata.close(attribute, {**there, **known}))
        )

    async def check_fields(self, names: Sequence[str], option: str) -> None:
        """Make sure, with one call, that profiles have some fields.

        Raises:
            UsageProblem: one is missing; the message tells the names that come close.
        """
        known = await self._fields(self.api)
        for name in names:
            if known and name not in known:
                raise UsageProblem(
                    f"{option} {name}: profiles have no such field on {self.api}."
                    + resource_metadata.listed(resource_metadata.alike(name, known), "Fields")
                )

    async def _fields(self, api: str) -> Mapping[str, str] | None:
        """Read what fields profiles have on an API; None if it does not say."""

        async def once() -> Mapping[str, str]:
            path = f"{api}/resourceType/profile"
            return resource_metadata.fields(await self._way.request("GET", path, document))

        try:
            return (await self._way.ask(once))[0]
        except RowFailed as failed:
            log.info("The fields on %s could not be read: %s", api, failed.detail)
            return None

    def profile(self, key: str, check: profiles.Check | None = None) -> Asked[profiles.Profile]:
        """Read one profile, and tell how many tries it took.

        Args:
            key: as it stands in the URL.
            check: raises Mismatch if a profile is not the one with this custom key; None if it is
                a PKey.

        Raises:
            RowFailed: there is no such profile, or Campaign did not say.
        """
        return self._read(key, lambda profile: profile, check)

    def state(self, key: str) -> Asked[bool]:
        """Read one profile's current state, and tell how many tries it took.

        Raises:
            RowFailed: as ``profile``, or the state is unknown.
        """
        return self._read(key, self._state)

    def read_back(self, key: str) -> Asked[bool]:
        """Read a state as ``state`` does, after a write.

        An answer that is the same as the one before it on its connection may be a copy of it, from
        before the write, so it is asked for once more.
        """

        def take(profile: profiles.Profile) -> bool:
            raise Unproven(self._state(profile))

        return self._read(key, take)

    def stamped_state(self, key: str) -> Asked[tuple[bool, int]]:
        """Read a state as ``state`` does, and when it was last changed, in ms; 0 where unknown."""
        return self._read(
            key,
            lambda profile: (self._state(profile), profiles.changed_ms(profile, self._attribute)),
        )

    def _read(
        self,
        key: str,
        take: Callable[[profiles.Profile], T],
        check: profiles.Check | None = None,
    ) -> Asked[T]:
        """Read of one profile what is asked for; no coroutine of its own, for rows are many."""
        path = f"{self.api}/profile/{profiles.segment(key)}"

        def parse(answer: Answer) -> T:
            profile = profiles.one(document(answer), self._attribute)
            if check is None:
                proof.check_profile(profile, key)
            else:
                check(profile)
            return take(profile)

        def explain(failed: RowFailed) -> None:
            if failed.outcome is Outcome.NOT_FOUND:
                failed.detail = _not_found(failed, key)

        request = partial(self._way.request, "GET", path, parse, None, (key,))
        return self._way.ask(request, explain if check is None else None)

    def _state(self, profile: profiles.Profile) -> bool:
        found = profiles.state(profile, self._attribute)
        if found is None:
            raise profiles.unknown(profile, self._attribute)
        return found

    async def write(self, key: str, *, desired: bool) -> int:
        """Set one profile's state, and tell how many tries it took.

        A PATCH without a clear answer may have been applied, or be applied yet: the profile is
        read again before another one is sent, so that none is sent in vain.

        Raises:
            RowFailed: Campaign did not confirm that it holds the state: ``pending`` if the run is
                to end after a change that had not arrived by then. A refused change has changed
                nothing, and so has one that had not arrived when the profile was read back:
                ``holds`` says so.
            StopRun: the run is to end, and nothing was sent that Campaign did not refuse.
        """
        path = f"{self.api}/profile/{profiles.segment(key)}"
        doubts: list[RetryLater] = []
        is_read_back = True

        def check(answer: Answer) -> None:
            proof.check_change(document(answer), self._attribute, desired=desired, key=key)

        async def once() -> None:
            nonlocal is_read_back
            try:
                await self._way.request("PATCH", path, check, self._bodies[desired], (key,))
            except RetryLater as doubt:
                if doubt.refused:
                    raise
                is_read_back = False
                if not await self._holds(key, desired, doubt):
                    is_read_back = True
                    doubts.append(doubt)
                    raise

        try:
            return (await self._way.ask(once))[1]
        except RowFailed as failed:
            failed.holds = not desired if is_read_back else None
            raise
        except StopRun as cause:
            if not doubts:
                raise
            self._way.stop.ask(cause)
            detail = f"{doubts[-1].detail}. It had not arrived when the profile was read back."
            raise RowFailed(
                Reason.STOPPED, detail, outcome=Outcome.PENDING, holds=not desired
            ) from cause

    async def create(self, creation: Creation) -> tuple[str, int]:
        """Create a profile, and tell its PKey and how many tries it took.

        Raises:
            RowFailed: Campaign did not confirm that it made the profile: ``pending`` if the run is
                to end while that is not known.
            StopRun: the run is to end, and nothing was sent that Campaign did not refuse.
        """
        path = f"{self.api}/profile"
        return await create.create(self._way, path, creation, self._attribute, self.settling)

    async def _holds(self, key: str, desired: bool, doubt: RetryLater) -> bool:  # noqa: FBT001
        """Read back whether a change without a clear answer was applied.

        Raises:
            RowFailed: there was no time or no call left to find out: not done, as far as is known.
        """
        detail = f"{doubt.detail}. Whether it was applied is not known."
        unknown = RowFailed(doubt.reason, detail, passing=True)
        try:
            return (await self.read_back(key))[0] is desired
        except StopRun as cause:
            self._way.stop.ask(cause)
            raise unknown from cause
        except RowFailed as failed:
            if failed.outcome is Outcome.PENDING:
                raise unknown from failed
            raise


def _not_found(failed: RowFailed, key: str) -> str:
    told, hint = failed.detail.rstrip("."), profiles.looks_like(key)
    if failed.reason is Reason.INVALID_KEY and not hint:
        hint = _OF_ANOTHER
    return f"Campaign knows no profile by this key ({told}).{hint}"
