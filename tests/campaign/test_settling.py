"""How long Campaign may still act on a request without an answer."""

import asyncio

import pytest
from virtual_time import virtually

from bulk_sync.campaign import create
from bulk_sync.campaign.create import Creation, Settling
from bulk_sync.campaign.latency import Latency
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.stopping import Stop


def settling(*took_s: float) -> Settling:
    latency = Latency()
    for seconds in took_s:
        latency.add(seconds)
    return Settling(latency, timeout_s=60.0)


@pytest.mark.parametrize(
    ("took_s", "usual_s"),
    [
        ((), 1.0),
        ((0.05,), 1.0),
        ((0.5,) * 20, 5.0),
        ((0.5,) * 19 + (4.0,), 5.0),
        ((0.5,) * 18 + (4.0,) * 2, 40.0),
        ((9.0,), 60.0),
    ],
    ids=["unknown", "fast", "ten times as long", "one slow of 20", "two slow of 20", "slow"],
)
def test_a_request_settles_in_ten_times_the_usual_time_within_bounds(
    took_s: tuple[float, ...], usual_s: float
) -> None:
    found = settling(*took_s)
    assert found.usual_s == pytest.approx(usual_s, rel=0.03)
    for reason in Reason:
        is_cut_off = reason in {Reason.TIMEOUT, Reason.HTTP_502, Reason.HTTP_504}
        assert found.after_s(reason) == (60.0 if is_cut_off else found.usual_s)


@pytest.mark.parametrize(
    ("reason", "found", "waits_s", "pkey"),
    [
        (Reason.TIMEOUT, ["@1"], 0, "@1"),
        (Reason.TIMEOUT, [None, "@1"], 60, "@1"),
        (Reason.CONNECTION, [None, None], 1, None),
        (Reason.HTTP_500, [None], 0, None),
        (Reason.HTTP_500, ["@1"], 0, "@1"),
    ],
    ids=["there", "there after a wait", "not there", "refused", "refused and there"],
)
def test_a_profile_that_may_still_come_is_looked_for_again_after_a_wait(
    reason: Reason, found: list[str | None], waits_s: float, pkey: str | None
) -> None:
    looks = iter(found)

    async def made() -> str | None:
        return next(looks)

    async def waited() -> tuple[str | None, float]:
        now = asyncio.get_running_loop().time
        began, creation = now(), Creation(b"{}", desired=True, made=made)
        doubt = RetryLater(reason, "no answer")
        return await create._made(Stop(), creation, doubt, settling()), now() - began

    assert virtually(waited()) == (pkey, waits_s)
    assert next(looks, "none is left") == "none is left"
