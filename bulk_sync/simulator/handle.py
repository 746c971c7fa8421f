"""The simulator as a test sees it: what it holds, what it was asked, what is to go wrong."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bulk_sync.simulator import bodies, rest_api
from bulk_sync.simulator.behavior import Options
from bulk_sync.simulator.bodies import Answer, Refusal
from bulk_sync.simulator.faults import Fault, FaultPlan
from bulk_sync.simulator.gateway import IMS_PATH, Gateway
from bulk_sync.simulator.instance import Instance
from bulk_sync.simulator.received import Call
from bulk_sync.simulator.sample_profiles import Profile

_FOREVER_S = 1e9
_UNANSWERED = frozenset({Fault.RESET, Fault.RESET_AFTER_WRITE, Fault.HANG, Fault.HANG_AFTER_WRITE})


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived.

    Attributes:
        method: in upper case.
        raw_path: without the query, exactly as sent.
        query: exactly as sent.
        headers: names are compared without regard to case.
        body: exactly as sent.
        status: of the answer; 0 if there was none, or not in time.
        at: seconds since the epoch.
    """

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    at: float


@dataclass(frozen=True)
class Counters:
    """How many requests there were."""

    methods: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)


class Simulator:
    """One simulated instance behind its gateway, with IMS beside it.

    Attributes:
        requests: every request, in order of arrival, if they are logged.
        counters: how many there were, logged or not.
    """

    def __init__(self, options: Options) -> None:
        self.requests: list[Request] = []
        self.counters = Counters()
        self._instance = Instance(options)
        self._gateway = Gateway()
        self._plan = FaultPlan(options.seed)

    @property
    def options(self) -> Options:
        """How it behaves. Assign others to change that while it serves."""
        return self._instance.options

    @options.setter
    def options(self, options: Options) -> None:
        self._instance.options = options

    @property
    def url(self) -> str:
        """Where it is reached, e.g. ``http://127.0.0.1:8080``; Campaign and IMS alike."""
        return self._instance.url

    @url.setter
    def url(self, url: str) -> None:
        self._instance.url = url

    @property
    def profiles(self) -> dict[str, Profile]:
        """The profiles by PKey, to be read and changed: a missing attribute is absent."""
        return self._instance.profiles

    @property
    def states(self) -> dict[str, object]:
        """The opt-out of every profile by PKey; None if it is null or absent."""
        attribute = self.options.attribute
        return {key: profile.get(attribute) for key, profile in self.profiles.items()}

    @property
    def patched(self) -> list[tuple[str, bool | None]]:
        """The writes in the order in which they were applied: PKey and new opt-out."""
        return self._instance.patched

    @property
    def forbidden(self) -> set[str]:
        """PKeys of profiles that may be read but not modified; add to it."""
        return self._instance.forbidden

    def add(self, pkey: str | None = None, **fields: object) -> str:
        """Add a profile with just these fields, and tell its PKey."""
        return self._instance.add({"PKey": pkey, **fields})

    def queue_fault(
        self,
        fault: Fault,
        method: str | None = None,
        times: int = 1,
        matching: str | None = None,
    ) -> None:
        """Let the next requests that fit go wrong.

        Args:
            fault: how.
            method: only requests with this method.
            times: how many of them.
            matching: only requests whose path and query, as sent, contain this. IMS is spared
                unless it is named so.
        """
        self._plan.queue(fault, method, times, matching)

    def revoke_tokens(self) -> None:
        """Let every token so far be answered with 401 from now on."""
        self._gateway.revoke(self.options)

    def clear(self) -> None:
        """Forget requests, counters, writes and queued faults; profiles and tokens stay."""
        self.requests.clear()
        for counter in (self.counters.methods, self.counters.statuses, self.counters.faults):
            counter.clear()
        self.patched.clear()
        self._plan.clear()

    async def answer(self, call: Call) -> tuple[Answer | None, Fault | None]:
        """Answer one request.

        Returns:
            The answer, None where the connection is to be dropped instead; and the fault, which
            may want the answer damaged.
        """
        at = time.time()
        fault = self._fault(call)
        if self.options.latency_s:
            await asyncio.sleep(self.options.latency_s)
        if fault is Fault.HANG:
            self._record(call, 0, at, fault)
            await self._hang()
            return self._act(call), fault
        answer = None if fault is Fault.RESET else self._answer(call, fault)
        status = 0 if fault in _UNANSWERED or answer is None else answer.status
        self._record(call, status, at, fault)
        if fault is Fault.HANG_AFTER_WRITE:
            await self._hang()
        return (None if fault is Fault.RESET_AFTER_WRITE else answer), fault

    def _fault(self, call: Call) -> Fault | None:
        if call.raw_path == IMS_PATH:
            return self._plan.next_queued(call.method, call.target, named=True)
        queued = self._plan.next_queued(call.method, call.target, named=False)
        return queued or self._plan.drawn(call.method, call.target, self.options.faults)

    def _answer(self, call: Call, fault: Fault | None) -> Answer:
        replaced = bodies.of_fault(fault, call.method, self.options) if fault else None
        return replaced or self._act(call)

    def _act(self, call: Call) -> Answer:
        try:
            if call.method == "POST" and call.raw_path == IMS_PATH:
                return self._gateway.exchange(call, self.options)
            self._gateway.admit(call, self.options)
            return rest_api.answer(self._instance, call)
        except Refusal as refusal:
            return refusal.answer

    async def _hang(self) -> None:
        hang_s = self.options.hang_s
        await asyncio.sleep(_FOREVER_S if hang_s is None else hang_s)

    def _record(self, call: Call, status: int, at: float, fault: Fault | None) -> None:
        self.counters.methods[call.method] += 1
        self.counters.statuses[status] += 1
        if fault is not None:
            self.counters.faults[fault] += 1
        if self.options.log_requests:
            self.requests.append(
                Request(call.method, call.raw_path, call.query, call.headers, call.body, status, at)
            )
