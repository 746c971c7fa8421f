"""How hard Campaign is asked by several processes together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bulk_sync.engines.local import Local
from bulk_sync.engines.processes.handle import Handle


class SharedPulse:
    """How hard Campaign is asked by all workers together; see ``pacing.Pulse``."""

    def __init__(self, near: Local, workers: Sequence[Handle]) -> None:
        self._pacer = near.client.pacer
        self._workers = workers

    def __str__(self) -> str:
        facts = self.facts()
        parts = [f"{len(self._workers)} processes", f"{facts['in_flight']} in flight"]
        if facts["rate"] is not None:
            parts.append(f"at most {facts['rate']:.4g}/s")
        return ", ".join([*parts, *self._pacer.waits()])

    def facts(self) -> Mapping[str, Any]:
        """Sum up what the workers tell."""
        told = [worker.facts for worker in self._workers if worker.facts]
        rates = [facts["rate"] for facts in told]
        known = [rate for rate in rates if rate is not None]
        return {
            **self._pacer.facts(),
            "in_flight": sum(facts["in_flight"] or 0 for facts in told),
            "most_in_flight": sum(facts["most_in_flight"] or 0 for facts in told),
            "rate": sum(known) if known and len(known) == len(rates) else None,
            "slowed_by": dict(sum((Counter(facts["slowed_by"]) for facts in told), Counter())),
            "processes": len(self._workers),
        }
