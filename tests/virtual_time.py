"""A clock that jumps to the next event, and far ends in this time."""

import asyncio
import heapq
import itertools
import math
import random
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bulk_sync.campaign.pacing import Pacer
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

T = TypeVar("T")

TOOK_S = 0.01
"""The time for making something durable on the disk."""


class Impatient(selectors.DefaultSelector):
    """A selector that never waits."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the files that are ready now."""
        del timeout  # also the timeout of a timer after cancelled ones
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time.

    The heap holds pairs of numbers, and the loop does not ask the system while there are
    timers: that takes a fourth of the time of 20,000 calls.
    """

    def __init__(self) -> None:
        super().__init__(Impatient())
        self._now = 1000.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle | asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def call_at(  # type: ignore[override]  # typeshed ties the types of the arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Call a function at a time; calls at the same time keep their order."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def sleep(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done after some seconds, at half the cost of ``asyncio.sleep``."""
        done = self.create_future()
        heapq.heappush(self._timers, (self._now + seconds, next(self._numbers), done))
        return done

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if not ready and not timers:
            super()._run_once()  # type: ignore[misc]
            return
        if not ready:
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if isinstance(timer, asyncio.TimerHandle):
                ready.append(timer)
            elif not timer.done():
                timer.set_result(None)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()


class BusyLoop(VirtualLoop):
    """A loop on a busy machine: some of its rounds take long, so what comes next is late."""

    def __init__(self) -> None:
        super().__init__()
        self._random = random.Random(7)

    def _run_once(self) -> None:
        super()._run_once()
        if self._random.random() < 0.2:
            self._now += self._random.expovariate(1 / 0.05)


def sleep(seconds: float) -> asyncio.Future[None]:
    """Return what is done after some seconds of the running virtual time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.sleep(seconds)


def virtually(work: Coroutine[Any, Any, T], loop: type[VirtualLoop] = VirtualLoop) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


class Disk(Executor):
    """An executor with the latency of a disk."""

    def submit(self, work: Callable[..., T], /, *given: Any, **named: Any) -> "Future[T]":
        future: Future[T] = Future()

        def done() -> None:
            future.set_result(work(*given, **named))

        asyncio.get_running_loop().call_later(TOOK_S, done)
        return future


class FarEnd:
    """A server that answers after a while, with a status only."""

    def __init__(
        self, latency_s: float, jitter: float = 0.0, seed: int = 7, way: float = 0.0
    ) -> None:
        self.latency_s = latency_s
        self.in_flight = 0
        self.refusal = 429
        self._jitter = jitter
        self._way = way
        self._random = random.Random(seed)

    def took_s(self) -> float:
        """Return the seconds of an answer that begins now."""
        return self.latency_s * math.exp(self._random.gauss(0, self._jitter))

    def refuses(self, _now: float) -> bool:
        """Return whether a request is one too many."""
        return False

    async def answer(self) -> int:
        """Answer one request; ``way`` is its share of the time before it arrives."""
        if self._way:
            await sleep(self._way * self.took_s())
        now = asyncio.get_running_loop().time()
        if self.refuses(now):
            await sleep(self.refused_after_s())
            return self.refusal
        self.in_flight += 1
        await sleep((1 - self._way) * self.took_s())
        self.in_flight -= 1
        return 200

    def refused_after_s(self) -> float:
        """Return the seconds of a refusal after the request's arrival."""
        return (1 - self._way) * self.took_s() if self._way else self.latency_s


class Bucket(FarEnd):
    """A server with a rate limit, by a bucket with tokens for some seconds."""

    def __init__(
        self,
        rate: float,
        latency_s: float,
        burst_s: float,
        *,
        at_once: bool,
        jitter: float = 0.0,
        seed: int = 7,
        way: float = 0.0,
    ) -> None:
        super().__init__(latency_s, jitter, seed, way)
        self.rate = rate
        self._burst = max(1.0, burst_s * rate)
        self._left = self._burst
        self._filled_at = 0.0
        self._at_once = at_once

    def refuses(self, _now: float) -> bool:
        """Take a token from the bucket, if there is one."""
        filled = self._left + (_now - self._filled_at) * self.rate
        self._left, self._filled_at = min(self._burst, filled), _now
        if self._left < 1:
            return True
        self._left -= 1
        return False

    def refused_after_s(self) -> float:
        """Return the time of the gateway, or that of an answer."""
        return 0.001 if self._at_once else super().refused_after_s()


class Window(FarEnd):
    """A server with a limit of requests in each second of its clock."""

    def __init__(
        self, rate: float, latency_s: float, jitter: float = 0.0, seed: int = 7, way: float = 0.0
    ) -> None:
        super().__init__(latency_s, jitter, seed, way)
        self._rate = rate
        self._began = self._random.random() if jitter else 0.0
        self._counts: Counter[int] = Counter()

    def refuses(self, _now: float) -> bool:
        """Count a request in its second."""
        second = int(_now + self._began)
        self._counts[second] += 1
        return self._counts[second] > self._rate


class Slowing(FarEnd):
    """A server that slows down under load (the universal scalability law)."""

    def __init__(self, latency_s: float, contention: float, crosstalk: float) -> None:
        super().__init__(latency_s, jitter=0.1)
        self._contention, self._crosstalk = contention, crosstalk

    def took_s(self) -> float:
        """Return the seconds of an answer at the present load."""
        return super().took_s() * self._slower(self.in_flight)

    def granted_a_second(self, n: int) -> float:
        """Return the throughput with n requests in flight."""
        usual_s = self.latency_s * math.exp(self._jitter**2 / 2)
        return n / (usual_s * self._slower(n))

    def _slower(self, n: int) -> float:
        return 1 + self._contention * (n - 1) + self._crosstalk * n * (n - 1)


class AtOnce(FarEnd):
    """A server with a limit of requests at once; it refuses others after a fixed time."""

    def __init__(
        self,
        most: int,
        latency_s: float,
        *,
        status: int = 429,
        refused_after_s: float = 0.001,
        jitter: float = 0.0,
        seed: int = 7,
        way: float = 0.0,
    ) -> None:
        super().__init__(latency_s, jitter, seed, way)
        self.most = most
        self.refusal = status
        self._refused_after_s = refused_after_s

    def refuses(self, _now: float) -> bool:
        """Return whether the limit is reached."""
        return self.in_flight >= self.most

    def refused_after_s(self) -> float:
        """Return the fixed time."""
        return self._refused_after_s


class Failing(FarEnd):
    """A far end that fails a share of the requests with a status, and passes the others on."""

    def __init__(self, far_end: FarEnd, shares: Mapping[int, float], seed: int = 7) -> None:
        super().__init__(far_end.latency_s, seed=seed)
        self._far_end = far_end
        self._shares = shares

    async def answer(self) -> int:
        """Answer one request, or fail: 504 stands for a lost connection too."""
        status = await self._far_end.answer()
        drawn = self._random.random()
        for failed, share in self._shares.items():
            drawn -= share
            if drawn < 0:
                return failed
        return status


WORKERS = 2048
"""The most requests that any pace allows at once."""


def too_many(wait_s: float | None, sent_at: float | None = None) -> RetryLater:
    """Build a 429 with a wait or without one."""
    return RetryLater(Reason.HTTP_429, "Too many", wait_s=wait_s, refused=True, sent_at=sent_at)


def busy(wait_s: float) -> RetryLater:
    """Build a 503 with a wait."""
    return RetryLater(Reason.HTTP_503, "Busy", wait_s=wait_s)


@dataclass
class Went:
    """The course of a number of calls: seconds, answers by status, and the times of sending."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    sent: list[float] = field(default_factory=list)

    @property
    def granted_a_second(self) -> float:
        return self.statuses[200] / self.seconds


def learn(pacer: Pacer, status: int, sent_at: float, retry_after_s: float | None) -> float | None:
    """Report a failure to the pacer; return the seconds for which its request alone backs off."""
    match status:
        case 429:
            pacer.hold(too_many(retry_after_s, sent_at))
            return None
        case 503:
            pacer.was_too_much("http_503", sent_at)
            if retry_after_s is not None:
                pacer.hold(busy(retry_after_s))
            return retry_after_s or 0.0
        case _:
            pacer.was_lost("http_504", sent_at)
            return 0.0


async def calls(
    far_end: FarEnd,
    pace: Pace,
    count: int,
    *,
    retry_after_s: float | None = 1.0,
    watch: Callable[[float], None] | None = None,
) -> Went:
    """Make a number of granted calls, each as soon as the pacer allows it."""
    loop = asyncio.get_running_loop()
    pacer, went, began = Pacer(pace, Stop(), loop.time), Went(), loop.time()
    left, backoff = iter(range(count)), random.Random(7)

    async def worker() -> None:
        for _ in left:
            while True:
                sent_at = await pacer.acquire()
                went.sent.append(sent_at)
                status = await far_end.answer()
                went.statuses[status] += 1
                pacer.release()
                if status == 200:
                    pacer.went_well(sent_at)
                    break
                waits_s = learn(pacer, status, sent_at, retry_after_s)
                if waits_s is not None:
                    await sleep(waits_s + backoff.uniform(0.0, 0.5))
            if watch is not None:
                watch(loop.time())

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(count, WORKERS)):
            workers.create_task(worker())
    went.seconds = loop.time() - began
    return went
