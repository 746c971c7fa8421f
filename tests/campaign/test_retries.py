"""The backoff before each retry."""

import asyncio
from itertools import pairwise

import pytest
from virtual_time import virtually

from bulk_sync.campaign.pacing import Pacer
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.retries import Retries
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

CONNECTION = Connection(
    "https://mc.adobe.io", "acme", Credentials("demo-key", access_token=Secret("demo-token"))
)


async def waits(later: RetryLater, times: int) -> list[float]:
    """Fail several times, and return the seconds before each retry."""
    pace, stop, clock = Pace(retries=times), Stop(), asyncio.get_running_loop().time
    tries: list[float] = []

    async def once() -> None:
        tries.append(clock())
        if len(tries) <= times:
            raise later

    async def is_reachable() -> bool:
        return True

    retries = Retries(pace, Pacer(pace, stop, clock), stop, Redaction(CONNECTION), is_reachable)
    _, counted = await retries.run(once)
    assert counted == (times + 1 if later.wait_s is None else 1)  # a wait asked for costs no try
    return [after - before for before, after in pairwise(tries)]


@pytest.mark.parametrize(
    ("asked_s", "longest_s"),
    [(None, (0.5, 1, 2, 4, 8, 16, 30, 30)), (0.0, (0.5, 1, 2)), (0.4, (0.9, 1.4, 2.4))],
)
def test_waits_double_up_to_half_a_minute(
    asked_s: float | None, longest_s: tuple[float, ...]
) -> None:
    busy = RetryLater(Reason.HTTP_503, "busy", wait_s=asked_s)
    least_s = [(most + (asked_s or 0)) / 2 for most in longest_s]
    waits_s = virtually(waits(busy, len(longest_s)))
    for least, wait, most in zip(least_s, waits_s, longest_s, strict=True):
        assert least <= wait <= most


def test_a_wait_that_the_server_asks_for_is_observed() -> None:
    busy = RetryLater(Reason.HTTP_503, "busy", wait_s=0.5)
    assert virtually(waits(busy, 4)) == pytest.approx([0.5] * 4)


def test_no_wait_that_nobody_asked_for_is_longer_than_the_patience_left() -> None:
    async def gaps() -> list[float]:
        clock, stop, pace = asyncio.get_running_loop().time, Stop(), Pace(patience_s=5)
        pacer, tries = Pacer(pace, stop, clock), list[float]()

        async def once() -> None:
            await pacer.acquire()
            pacer.release()
            tries.append(clock())
            if len(tries) < 6:
                raise RetryLater(Reason.HTTP_429, "too many", refused=True)

        async def is_reachable() -> bool:
            return True

        await Retries(pace, pacer, stop, Redaction(CONNECTION), is_reachable).run(once)
        return [after - before for before, after in pairwise(tries)]

    assert virtually(gaps()) == pytest.approx([1, 2, 4, 5, 5], abs=0.1)
