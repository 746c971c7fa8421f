"""Planned faults: by share, drawn from a seed, or queued one by one.

The n-th request of one method and path always draws the same number, whatever else is in flight,
so a concurrent run meets the same faults every time.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """A way for one request to fail. The server acts on the request only where stated."""

    TRANSIENT_500 = "transient_500"
    """Campaign's bare ``RST-360011``."""
    OOPS_500 = "oops_500"
    """The gateway's answer to a wrong organization."""
    OOPS_502 = "oops_502"
    """The gateway's answer to a missing CNAME."""
    BAD_GATEWAY_HTML = "bad_gateway_html"
    """502 with a proxy's page."""
    UNAVAILABLE_503 = "unavailable_503"
    GATEWAY_TIMEOUT_504 = "gateway_timeout_504"
    THROTTLED_429 = "throttled_429"
    UNAUTHORIZED_401 = "unauthorized_401"
    NOT_JSON = "not_json"
    """200 with a captive portal's page."""
    WRONG_JSON = "wrong_json"
    """200 with ``[]`` for a GET and ``{}`` for anything else."""
    RESET = "reset"
    """The connection is dropped before the server acts."""
    RESET_AFTER_WRITE = "reset_after_write"
    """The server acts, then the connection is dropped."""
    TRUNCATED_JSON = "truncated_json"
    """The server acts; the connection ends in the middle of the body."""
    CUT_JSON = "cut_json"
    """The server acts; the message is complete, the JSON in it is not."""
    HANG = "hang"
    """The server waits before it acts."""
    HANG_AFTER_WRITE = "hang_after_write"
    """The server acts, then waits before it answers."""


@dataclass
class _Queued:
    fault: Fault
    method: str | None
    times: int
    matching: str | None


@dataclass
class FaultPlan:
    """Chooses the fault of the next request, if any: a queued one before a drawn one."""

    seed: int
    _queue: list[_Queued] = field(default_factory=list)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def queue(
        self, fault: Fault, method: str | None = None, times: int = 1, matching: str | None = None
    ) -> None:
        """Let so many of the next requests fail; earlier faults in the queue go first.

        They are those with this method, and with the text ``matching`` in path and query, as sent.
        Without that text IMS is spared.
        """
        self._queue.append(_Queued(fault, method, times, matching))

    def next(
        self, method: str, target: str, shares: Mapping[Fault, float], *, is_ims: bool
    ) -> Fault | None:
        """Take the first matching fault of the queue, or draw one by share."""
        for queued in self._queue:
            if is_ims and queued.matching is None:
                continue
            if queued.method in (None, method) and (queued.matching or "") in target:
                queued.times -= 1
                if queued.times <= 0:
                    self._queue.remove(queued)
                return queued.fault
        return self._draw(method, target, shares) if shares and not is_ims else None

    def _draw(self, method: str, target: str, shares: Mapping[Fault, float]) -> Fault | None:
        key = (method, target)
        self._seen[key] += 1
        point = unit(f"{self.seed} {self._seen[key]} {method} {target}")
        for fault, share in shares.items():
            point -= share
            if point < 0:
                return fault
        return None

    def clear(self) -> None:
        """Forget the queue and the draws."""
        self._queue.clear()
        self._seen.clear()


def unit(text: str) -> float:
    """Map a text to a number in [0, 1), evenly and always the same."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
