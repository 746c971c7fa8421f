"""Finds Campaign, and reads and writes single profiles.

Requests travel by ``transport.py``; ``responses.py`` and ``profiles.py`` read what comes back.
"""

import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import orjson

from bulk_sync.campaign import concurrency, create, list_pages, profiles, proof, resource_metadata
from bulk_sync.campaign.call_budget import Budget
from bulk_sync.campaign.connections import Pool, room_for
from bulk_sync.campaign.create import Creation, Settling
from bulk_sync.campaign.list_pages import ListPage
from bulk_sync.campaign.profile_list import Listing
from bulk_sync.campaign.responses import (
    FieldRefused,
    Forbidden,
    Request,
    Response,
    Unproven,
    access_denied,
    confirmation,
    document,
    field_refused,
)
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed, StoppedEarly, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import AUTO, PLURAL, SINGULAR, Connection, Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_OF_ANOTHER: Final = (
    " It may be of another instance, or of Campaign Standard before a migration: `bulk-sync map` "
    "finds the new one by another column."
)

_ANSWER: Final = re.compile(r"Campaign answered \d+(: [A-Z]+-\d+)?")

_UNAVAILABLE: Final = frozenset({Reason.CONNECTION, Reason.TIMEOUT, Reason.HTTP_503})
"""Failures for which the API's name is not at fault."""

T = TypeVar("T")

Tried = Coroutine[Any, Any, tuple[T, int]]
"""A result, and the number of tries."""


@asynccontextmanager
async def connected(
    connection: Connection, pace: Pace, stop: Stop, budget: Budget | None = None
) -> AsyncIterator["Client"]:
    """Open a client; with the block it closes, and unspent calls are given back."""
    async with aclosing(Pool(connection.ca_file, pace.timeout_s)) as pool:
        transport = Transport(pool, connection, _within_open_files(pace), stop, budget)
        try:
            yield Client(transport, connection)
        finally:
            await transport.calls.close()


def _within_open_files(pace: Pace) -> Pace:
    wanted = concurrency.most_in_flight(pace)
    room = max(1, room_for(2 * wanted) // 2)  # reads and writes share no connection
    if room == wanted:
        return pace
    log.warning(
        "At most %d requests are in flight: the system allows no more open files (ulimit -n)", room
    )
    return replace(pace, concurrency=room)


class Client:
    """One run's view of Campaign. Belongs to one event loop.

    Attributes:
        api: the API's name in the URL.
        is_ready: the preflight has found the name.
        has_attribute: whether the profiles read one by one have the attribute, blank or not; None
            if none was read.
        listing: the list of profiles.
        settling: how long Campaign may still act on a request without a response.

    Every call may raise ``StopRun`` where going on makes no sense, and ``RowFailed`` for its one
    profile, or page.
    """

    def __init__(self, transport: Transport, connection: Connection) -> None:
        self.calls = transport.calls
        self.pacer = transport.pacer
        self.settling = Settling(transport.pacer.latency, transport.timeout_s)
        self._transport = transport
        self._connection = connection
        self._attribute = connection.attribute
        self.api = connection.api
        self.listing = Listing(transport)
        self.is_ready = False
        self.has_attribute: bool | None = None

    async def preflight(self, page_size: int = 1) -> ListPage:
        """Find out, with one call or two, whether and by which name the API answers.

        The call reads and returns the first page of the list, as ``Listing.first`` does, so a scan
        can go on from there.

        Raises:
            AccessDenied: the credentials, the organization or the API's name are refused.
            StoppedEarly: Campaign does not answer.
        """
        given = self._connection.api
        refusals: list[RowFailed] = []
        for api in (PLURAL, SINGULAR) if given == AUTO else (given,):
            self.api = api
            try:
                page = await self.listing.first(api, page_size)
            except RowFailed as failed:
                refusals.append(failed)
                is_final = isinstance(failed, Forbidden) or failed.reason in _UNAVAILABLE
                if is_final or self._transport.stop.is_requested:
                    break
                log.info("The API's name %s is refused: %s", api, failed.detail)
            else:
                self.is_ready = True
                return page
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

    async def count(self, page: ListPage) -> int | None:
        """Return the number of profiles, with one small call if need be; None if unknown."""
        if page.total is not None or page.count_path is None:
            return page.total
        try:
            return await self._get(page.count_path, lambda found: list_pages.total(document(found)))
        except RowFailed as failed:
            log.warning("The number of profiles could not be read: %s", failed.detail)
            return None

    async def check_attribute(self) -> None:
        """Check, with one call or two, for a boolean field of the attribute's name.

        Raises:
            UsageProblem: there is none; the message names similar fields.
        """
        api = self.api if self.is_ready else self._connection.api
        await resource_metadata.check_attribute(self._fields, self._attribute, api)

    async def check_fields(self, names: Sequence[str], option: str) -> None:
        """Check, with one call, for some fields of profiles.

        Raises:
            UsageProblem: one is missing; the message names similar fields.
        """
        known = await self._fields(self.api) or {}
        resource_metadata.check_fields(known, names, option, self.api)

    async def _fields(self, api: str) -> Mapping[str, str] | None:
        """Read the fields of profiles and their types; None if the API does not show them."""

        def parse(response: Response) -> Mapping[str, str]:
            return resource_metadata.fields(document(response))

        try:
            return await self._get(f"{api}/resourceType/profile", parse)
        except RowFailed as failed:
            log.info("The fields on %s could not be read: %s", api, failed.detail)
            return None

    async def _get(self, path: str, parse: Callable[[Response], T]) -> T:
        send = partial(self._transport.request, Request("GET", path), parse)
        return (await self._transport.retry(send))[0]

    def profile(self, key: str, check: profiles.Check | None = None) -> Tried[profiles.Profile]:
        """Read one profile; ``check`` is for a custom key."""
        return self._read(key, lambda profile: profile, check)

    def state(self, key: str) -> Tried[bool]:
        """Read one profile's current state; an unknown state raises ``RowFailed``."""
        return self._read(key, self._state)

    def read_back(self, key: str) -> Tried[bool]:
        """Read a state as ``state`` does, after a write.

        A response equal to the one before it on its connection may be a copy from before the write,
        so it is requested once more.
        """

        def take(profile: profiles.Profile) -> bool:
            raise Unproven(self._state(profile))

        return self._read(key, take)

    def stamped_state(self, key: str) -> Tried[tuple[bool, int]]:
        """Read a state as ``state`` does, and the time of its last change in ms; 0 if unknown."""
        return self._read(
            key,
            lambda profile: (self._state(profile), profiles.changed_ms(profile, self._attribute)),
        )

    def _read(
        self, key: str, take: Callable[[profiles.Profile], T], check: profiles.Check | None = None
    ) -> Tried[T]:
        """Read a part of one profile. No coroutine of its own: there are many rows."""
        attribute = self._attribute

        def parse(response: Response) -> T:
            profile = profiles.single(document(response), attribute)
            if check is None:
                proof.check_profile(profile, key)
            else:
                check(profile)
            self.has_attribute = self.has_attribute or attribute in profile
            return take(profile)

        def explain(failed: RowFailed) -> None:
            if failed.outcome is Outcome.NOT_FOUND:
                failed.detail = _not_found(failed, key)

        request = Request("GET", f"{self.api}/profile/{profiles.segment(key)}", None, (key,))
        send = partial(self._transport.request, request, parse)
        return self._transport.retry(send, explain if check is None else None)

    def _state(self, profile: profiles.Profile) -> bool:
        found = profiles.state(profile, self._attribute)
        if found is None:
            raise profiles.unknown(profile, self._attribute)
        return found

    async def write(self, key: str, *, desired: bool) -> int:
        """Set one profile's state, and return the number of tries.

        A PATCH without a clear response may have been applied, or be applied yet. So the profile is
        read before another PATCH.

        Raises:
            RowFailed: Campaign did not confirm the state; ``pending`` if the run stops and the
                change had not arrived. ``holds`` is the state if nothing was changed: after a
                refusal, or if the profile was read back.
            StopRun: the run stops, and nothing was sent but what Campaign refused.
        """
        path = f"{self.api}/profile/{profiles.segment(key)}"
        request = Request("PATCH", path, orjson.dumps({self._attribute: desired}), (key,))
        doubts: list[RetryLater] = []
        is_read_back = True

        def check(response: Response) -> None:
            parsed = confirmation(response)
            proof.check_change(parsed, self._attribute, desired=desired, key=key)

        async def once() -> None:
            nonlocal is_read_back
            try:
                await self._transport.request(request, check)
            except RetryLater as doubt:
                if doubt.refused:
                    raise
                is_read_back = False
                if not await self._holds(key, doubt, desired=desired):
                    is_read_back = True
                    doubts.append(doubt)
                    raise

        try:
            return (await self._transport.retry(once))[1]
        except RowFailed as failed:
            failed.holds = not desired if is_read_back else None
            raise
        except StopRun as cause:
            if not doubts:
                raise
            self._transport.stop.ask(cause)
            detail = f"{doubts[-1].detail}. It had not arrived when the profile was read back."
            raise RowFailed(
                Reason.STOPPED, detail, outcome=Outcome.PENDING, holds=not desired
            ) from cause

    async def _holds(self, key: str, doubt: RetryLater, *, desired: bool) -> bool:
        """Read back whether a change without a clear response was applied.

        Raise RowFailed without time or a call left to find out: not done, as far as is known.
        """
        detail = f"{doubt.detail}. Whether it was applied is not known."
        unknown = RowFailed(doubt.reason, detail, passing=True)
        try:
            return (await self.read_back(key))[0] is desired
        except StopRun as cause:
            self._transport.stop.ask(cause)
            raise unknown from cause
        except RowFailed as failed:
            if failed.outcome is Outcome.PENDING:
                raise unknown from failed
            raise

    async def create(self, creation: Creation) -> tuple[str, int]:
        """Create a profile, and return its PKey and the number of tries.

        Raises:
            RowFailed: Campaign did not confirm the profile; ``pending`` if the run stops in
                doubt.
            StopRun: the run stops, and nothing was sent but what Campaign refused.
        """
        path = f"{self.api}/profile"
        return await create.create(self._transport, path, creation, self._attribute, self.settling)


def _not_found(failed: RowFailed, key: str) -> str:
    hint = profiles.hint(key)
    if failed.reason is Reason.INVALID_KEY and not hint:
        hint = _OF_ANOTHER
    # The rest of the answer repeats the key, and would fill reports.
    answer = _ANSWER.match(failed.detail)
    return f"Campaign knows no profile by this key.{hint}{f' {answer[0]}.' if answer else ''}"
