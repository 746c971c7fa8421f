"""How many requests Campaign may be sent, and how states are read and written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bulk_sync.errors import UsageProblem

_LEAST_RATE: Final = 0.001
_LEAST_TRY_S: Final = 5.0
"""However short the patience is, a slow answer is waited for so long."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests Campaign may be sent.

    Attributes:
        rate: most requests a second of the whole run; None adapts.
        concurrency: requests in flight; None adapts, up to 64, or to as many as ``rate`` needs.
        max_calls: most calls of this run; None: no limit.
        max_calls_per_day: most calls of all runs on a day of UTC; None: no limit.
        retries: further tries after a first one with a passing failure.
        timeout_s: seconds for one request, answer included.
        patience_s: seconds for one request with all its tries and waits.
        most_in_flight: requests in flight, at most, while ``concurrency`` adapts.
    """

    rate: float | None = None
    concurrency: int | None = None
    max_calls: int | None = None
    max_calls_per_day: int | None = None
    retries: int = 5
    timeout_s: float = 60.0
    patience_s: float = 1800.0
    most_in_flight: int = 64

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Pace":
        """Build it from options by name; raise UsageProblem if one is no measure of time."""
        return cls(
            rate=options["rate"],
            concurrency=options["concurrency"],
            max_calls=options["max_calls"],
            max_calls_per_day=options["max_calls_per_day"],
            retries=options["retries"],
            timeout_s=options["timeout"],
            patience_s=options["patience"],
        )

    @property
    def try_s(self) -> float:
        """Seconds for one try: a server that does not answer takes no more than the patience."""
        return min(self.timeout_s, max(_LEAST_TRY_S, self.patience_s))

    def __post_init__(self) -> None:
        """Refuse values that are no measure of time."""
        for option, value in (
            ("--rate", self.rate),
            ("--timeout", self.timeout_s),
            ("--patience", self.patience_s),
        ):
            if value is not None and not math.isfinite(value):
                raise UsageProblem(f"{option} {value}: write a number.")
        if self.rate is not None and self.rate < _LEAST_RATE:
            raise UsageProblem(
                f"--rate {self.rate}: write at least {_LEAST_RATE}, which is a request in a "
                "quarter of an hour."
            )


class Fetch(StrEnum):
    """How current states are read."""

    AUTO = "auto"
    LOOKUP = "lookup"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Reading:
    """How current states are read.

    Attributes:
        fetch: the strategy.
        page_size: ``_lineCount`` of a scan; None finds it by trying.
        memory: bytes that reading, comparing and reporting may take; None takes
            ``memory.default_bytes``.
    """

    fetch: Fetch = Fetch.AUTO
    page_size: int | None = None
    memory: int | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Reading":
        """Build it from options by name."""
        return cls(Fetch(options["fetch"]), options["page_size"], options["memory"])


@dataclass(frozen=True, slots=True)
class Writing:
    """How states are written.

    Attributes:
        verify: read every changed profile back, and count only what is stored.
        guarded: read every profile again before it is written, and leave it alone if it moved.
    """

    verify: bool = False
    guarded: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Writing":
        """Build it from options by name; ``guarded`` is none."""
        return cls(verify=bool(options["verify"]))
