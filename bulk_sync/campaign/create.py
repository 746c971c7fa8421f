"""Creates a profile so that it is there once, though a POST may go without an answer.

    POST --> confirmed
      '---> no clear answer --> is it there? --> none at all: wait, is it there? --> POST again

A POST without a clear answer may have been applied; where there was no answer at all it may be
applied yet. After any doubt it is looked whether the profile is there but once.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson

from bulk_sync.campaign import proof
from bulk_sync.campaign.latency import Latency
from bulk_sync.campaign.responses import Answer, document
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed, StopRun
from bulk_sync.outcomes import Outcome, Reason

log = logging.getLogger(__name__)

_CUT_OFF: Final = frozenset({Reason.TIMEOUT, Reason.HTTP_502, Reason.HTTP_504})
"""After these it was Campaign that took too long."""

_UNANSWERED: Final = _CUT_OFF | {Reason.CONNECTION}
"""After these Campaign may still act on a request that it has received."""

_SETTLING: Final = 10.0
_LEAST_S: Final = 1.0
"""So many times as long as answers usually take, and so long at least, a request without an answer
may still be acted on. One that timed out is given as long again."""


@dataclass(frozen=True, slots=True)
class Settling:
    """How long Campaign may still act on a request whose answer nobody will hear.

    Attributes:
        latency: how long answers took.
        timeout_s: how long one may take.
    """

    latency: Latency
    timeout_s: float

    @property
    def usual_s(self) -> float:
        """How long, if nothing more is known of it."""
        usual_s = self.latency.quantile(0.95) or 0.0
        return min(self.timeout_s, max(_LEAST_S, _SETTLING * usual_s))

    def after_s(self, reason: Reason) -> float:
        """How long, if it failed for this reason."""
        return self.timeout_s if reason in _CUT_OFF else self.usual_s


@dataclass(frozen=True, slots=True)
class Creation:
    """A profile to be created.

    Attributes:
        body: what it is to hold, JSON.
        desired: the state in it.
        made: tells the PKey of the profile if it is there; raises RowFailed if it is not as it was
            to be, or is there twice.
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

    def check(answer: Answer) -> str:
        parsed = document(answer)
        return proof.check_creation(parsed, attribute, desired=creation.desired, email=email)

    async def once() -> str:
        if doubts and (made := await _made(way, creation, doubts[-1], settling)) is not None:
            return made
        try:
            pkey = await way.request("POST", path, check, creation.body)
        except RetryLater as doubt:
            if not doubt.refused:
                doubts.append(doubt)
            raise
        if doubts or creation.in_doubt:
            await creation.made()  # which says so if it is there twice
        return pkey

    try:
        return await way.ask(once)
    except StopRun as cause:
        if not doubts:
            raise
        way.stop.ask(cause)
        detail = f"{doubts[-1].detail}. Whether the profile was created is not known."
        raise RowFailed(Reason.STOPPED, detail, outcome=Outcome.PENDING) from cause


async def _made(
    way: Transport, creation: Creation, doubt: RetryLater, settling: Settling
) -> str | None:
    """Look whether a profile was created after all, at once and, if that is not sure, again."""
    pkey = await creation.made()
    if pkey is not None or doubt.reason not in _UNANSWERED:
        return pkey
    wait_s = settling.after_s(doubt.reason)
    log.info("%s: waiting %.0f s for what may come of it yet", doubt.detail, wait_s)
    await way.stop.sleep(wait_s)
    if way.stop.asked:
        raise doubt
    return await creation.made()
