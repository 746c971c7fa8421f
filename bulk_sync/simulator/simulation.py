"""The simulator as a test sees it: an instance with its gateway, its requests and its faults."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from bulk_sync.simulator import answers, rest_api
from bulk_sync.simulator.answers import Answer, Refusal
from bulk_sync.simulator.behavior import Options
from bulk_sync.simulator.call import Call, ReceivedRequest
from bulk_sync.simulator.faults import Fault, FaultPlan
from bulk_sync.simulator.gateway import IMS_PATH, Gateway
from bulk_sync.simulator.instance import Instance

_FOREVER_S: Final = 1e9
_UNANSWERED: Final = {Fault.RESET, Fault.RESET_AFTER_WRITE, Fault.HANG, Fault.HANG_AFTER_WRITE}


@dataclass(frozen=True)
class Counters:
    """How many requests there were."""

    methods: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)


class Simulator(Instance):
    """One simulated instance behind its gateway, with IMS beside it.

    Attributes:
        requests: every request, in order of arrival, if they are logged.
        counters: how many there were, logged or not.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.requests: list[ReceivedRequest] = []
        self.counters = Counters()
        self._gateway = Gateway()
        self._plan = FaultPlan(options.seed)
        self.queue_fault = self._plan.queue

    def revoke_tokens(self) -> None:
        """Answer 401 to every token so far from now on."""
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
            The answer, None to drop the connection instead; and the fault, which may damage the
            answer on its way.
        """
        at = time.time()
        is_ims = call.raw_path == IMS_PATH
        fault = self._plan.next(call.method, call.target, self.options.faults, is_ims=is_ims)
        if self.options.latency_s:
            await asyncio.sleep(self.options.latency_s)
        if fault is Fault.HANG:
            self._record(call, 0, at, fault)
            await self._hang()
            return self._act(call), fault
        answer = None
        if fault is not Fault.RESET:
            replaced = answers.replacement(fault, call.method, self.options) if fault else None
            answer = replaced or self._act(call)
        status = 0 if fault in _UNANSWERED or answer is None else answer.status
        self._record(call, status, at, fault)
        if fault is Fault.HANG_AFTER_WRITE:
            await self._hang()
        return (None if fault is Fault.RESET_AFTER_WRITE else answer), fault

    def _act(self, call: Call) -> Answer:
        try:
            if call.method == "POST" and call.raw_path == IMS_PATH:
                return self._gateway.exchange(call, self.options)
            self._gateway.admit(call, self.options)
            return rest_api.answer(self, call)
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
                ReceivedRequest(call.method, call.target, call.headers, call.body, status, at)
            )
