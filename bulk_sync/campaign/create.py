"""Creates a profile once, though a POST may get no answer.

    POST --> confirmed
      '---> no clear answer --> is it there? --> no answer at all: wait, is it there? --> POST again
      '---> 202, accepted ----> is it there? --> wait, is it there? --> failed

A POST without a clear answer may have been applied. Without any answer it may still be applied
later; after a 202 it will be. After any doubt the profile is looked up to see that it is there only
once.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson

from bulk_sync.campaign import proof
from bulk_sync.campaign.latency import Latency
from bulk_sync.campaign.responses import Accepted, Request, Response, confirmation
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_CUT_OFF: Final = frozenset({Reason.TIMEOUT, Reason.HTTP_502, Reason.HTTP_504})
"""After these Campaign took too long."""

_UNANSWERED: Final = _CUT_OFF | {Reason.CONNECTION}
"""After these Campaign may still act on a request that it has received."""

_SETTLING: Final = 10.0
_LEAST_S: Final = 1.0
"""A request without an answer may still be acted on for so many times the usual time of an answer,
and for so long at least. One that timed out is given as long again."""


@dataclass(frozen=True, slots=True)
class Settling:
    """Measures how long Campaign may still act on a request without an answer."""

    latency: Latency
    timeout_s: float

    @property
    def usual_s(self) -> float:
        """Seconds, if nothing more is known of the request."""
        usual_s = self.latency.quantile(0.95) or 0.0
        return min(self.timeout_s, max(_LEAST_S, _SETTLING * usual_s))

    def after_s(self, reason: Reason) -> float:
        """Return the seconds after a failure for this reason."""
        return self.timeout_s if reason in _CUT_OFF else self.usual_s


@dataclass(frozen=True, slots=True)
class Creation:
    """A profile to create.

    Attributes:
        body: its fields, JSON.
        desired: the state in it.
        made: returns the PKey if the profile is there; raises RowFailed if it has another state, or
            is there twice.
        in_doubt: whether another request to create it may have been sent before.
    """

    body: bytes
    desired: bool
    made: Callable[[], Awaitable[str | None]]
    in_doubt: bool = False


async def create(
    way: Transport, path: str, creation: Creation, attribute: str, settling: Settling
) -> tuple[str, int]:
    """Create a profile; see ``Client.create``."""
    doubts: list[RetryLater] = []
    email = str(orjson.loads(creation.body).get("email"))

    def check(response: Response) -> str:
        parsed = confirmation(response)
        return proof.check_creation(parsed, attribute, desired=creation.desired, email=email)

    async def once() -> str:
        if doubts and (made := await _made(way.stop, creation, doubts[-1], settling)) is not None:
            return made
        try:
            pkey = await way.request(Request("POST", path, creation.body), check)
        except RetryLater as doubt:
            if not doubt.refused:
                doubts.append(doubt)
            if isinstance(doubt, Accepted):
                return await _made_later(way.stop, creation, doubt, settling)
            raise
        if doubts or creation.in_doubt:
            await creation.made()  # raises if it is there twice
        return pkey

    try:
        return await way.retry(once)
    except StopRun as cause:
        if not doubts:
            raise
        way.stop.ask(cause)
        detail = f"{doubts[-1].detail}. Whether the profile was created is not known."
        raise RowFailed(Reason.STOPPED, detail, outcome=Outcome.PENDING) from cause


async def _made(
    stop: Stop, creation: Creation, doubt: RetryLater, settling: Settling
) -> str | None:
    """Return the PKey if the profile was created after all; wait and look again if need be."""
    pkey = await creation.made()
    is_answered = doubt.reason not in _UNANSWERED and not isinstance(doubt, Accepted)
    if pkey is not None or is_answered:
        return pkey
    wait_s = settling.after_s(doubt.reason)
    log.info("%s: waiting %.0f s for what may come of it yet", doubt.detail, wait_s)
    await stop.sleep(wait_s)
    if stop.is_requested:
        raise doubt
    return await creation.made()


async def _made_later(stop: Stop, creation: Creation, doubt: Accepted, settling: Settling) -> str:
    """Return the PKey of an accepted profile; raise RowFailed if it takes long: two may come."""
    pkey = await _made(stop, creation, doubt, settling)
    if pkey is None:
        detail = f"{doubt.detail}. It was not sent again: `bulk-sync retry RUN` looks for it first."
        raise RowFailed(doubt.reason, detail)
    return pkey
