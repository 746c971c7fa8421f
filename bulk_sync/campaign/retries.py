"""Retries a request until it succeeds, or until nothing more is to be expected.

The table in ``campaign/__init__.py`` lists the rules.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from bulk_sync.amounts import count
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.responses import Mismatch, Unproven
from bulk_sync.errors import BulkSyncError, RetryLater, RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0
_LONGEST_EXPONENT: Final = 16
"""Keeps 2 ** tries small; the backoff is the longest long before."""

_SILENT_TRIES: Final = 3
"""Tries of a request without any server before the log mentions it."""

_LOG_EVERY_S: Final = 30.0
"""Seconds between two lines of the log about a server out of reach."""

_MISMATCHES: Final = 3
"""Responses about something else, each on another connection, after which a row fails."""


@dataclass(slots=True)
class _Tries:
    """What one request has taken so far."""

    began: float
    count: int = 1
    waits: int = 0
    mismatches: int = 0


@dataclass(slots=True)
class Retries:
    """The retries of one run. Belongs to one event loop.

    Attributes:
        responses: HTTP responses so far; without a new one the server is silent.
    """

    pace: Pace
    pacer: Pacer
    stop: Stop
    redaction: Redaction
    is_reachable: Callable[[], Awaitable[bool]]
    responses: int = 0
    _logged_at: float = float("-inf")

    async def run(
        self, once: Callable[[], Awaitable[T]], explain: Callable[[RowFailed], None] | None = None
    ) -> tuple[T, int]:
        """Call ``once`` until it succeeds; return its result and the number of tries.

        ``explain`` may add to the error of a failed row.

        Raises:
            RowFailed: the request failed for good, or too often.
            StoppedEarly: Campaign needs more patience than there is.
            StopRun: the run cannot go on.
        """
        tries = _Tries(time.monotonic())
        while True:
            responses = self.responses
            try:
                return await once(), tries.count
            except RetryLater as later:
                self.redaction.error(later)
                is_silent = later.unreachable and self.responses == responses
                await self._wait(later, tries, is_silent=is_silent)
            except RowFailed as failed:
                self.redaction.error(failed)
                failed.attempts = max(tries.count, failed.attempts)
                if explain is not None:
                    explain(failed)
                raise
            except BulkSyncError as error:
                self.redaction.error(error)
                raise

    async def _wait(self, later: RetryLater, tries: _Tries, *, is_silent: bool) -> None:
        """Sleep before the next try; raise the last word of the request if there is none."""
        self._check_not_stopped(later, tries)
        if self._needs_no_wait(later, tries):
            tries.count += 1
            return
        is_requested = later.wait_s is not None or later.reason is Reason.HTTP_429
        if not is_requested and tries.count > self.pace.retries:
            is_gone = is_silent and (later.refused or not await self.is_reachable())
            self._check_not_stopped(later, tries)
            if not is_gone:
                raise self._last_word(later, tries)
        left_s = self._patience_left(later, tries)
        if is_requested:
            self.pacer.hold(later, left_s)
            tries.waits += 1
            # Requested waits of no time are followed by growing ones.
            backoff = tries.waits if (later.wait_s or 0.0) < _FIRST_BACKOFF_S else 0
        else:
            backoff = tries.count
            tries.count += 1
            if is_silent and tries.count > _SILENT_TRIES:
                self._log_silence(later, left_s)
        # The pacer keeps the wait of a 429, which holds every request.
        wait_s = 0.0 if later.reason is Reason.HTTP_429 else later.wait_s or 0.0
        with self.pacer.backing_off():
            await self.stop.sleep(min(wait_s + _backoff_s(backoff), left_s))
        self._check_not_stopped(later, tries)

    def _needs_no_wait(self, later: RetryLater, tries: _Tries) -> bool:
        """Return whether only the connection was at fault; raise if several were."""
        if isinstance(later, Mismatch):
            tries.mismatches += 1
            if tries.mismatches >= _MISMATCHES:
                detail = f"{later.detail}, {_MISMATCHES} times, each on another connection."
                raise RowFailed(later.reason, detail, attempts=tries.count)
            return tries.count <= self.pace.retries
        return isinstance(later, Unproven)  # sent once more, whatever --retries says

    def _patience_left(self, later: RetryLater, tries: _Tries) -> float:
        spent_s = time.monotonic() - tries.began
        left_s = self.pace.patience_s - spent_s
        if (later.wait_s or 0.0) > left_s or left_s <= 0:
            raise StoppedEarly(
                f"{later.detail}; Campaign was not available for {spent_s:.0f} s"
                + (f" and asks to wait {later.wait_s:.0f} s more" if later.wait_s else "")
                + f", and the patience is {self.pace.patience_s:g} s (--patience)."
            )
        return left_s

    def _last_word(self, later: RetryLater, tries: _Tries) -> BulkSyncError:
        detail = f"{later.detail}. Tried {count(tries.count, 'time')}."
        failed = later.last_word or RowFailed(later.reason, detail, passing=True)
        self.redaction.error(failed)
        if isinstance(failed, RowFailed):
            failed.attempts = tries.count
        return failed

    def _log_silence(self, later: RetryLater, left_s: float) -> None:
        now = time.monotonic()
        if now >= self._logged_at + _LOG_EVERY_S:
            self._logged_at = now
            facts = {"trouble": later.detail}
            message = "%s. Retrying for %.0f s at most (--patience)"
            log.warning(message, later.detail, left_s, extra={"facts": facts})

    def _check_not_stopped(self, later: RetryLater, tries: _Tries) -> None:
        if self.stop.is_requested:
            detail = f"{later.detail}. The run was stopped before another try."
            raise RowFailed(Reason.STOPPED, detail, outcome=Outcome.PENDING, attempts=tries.count)


def _backoff_s(tries: int) -> float:
    """Return a random time of up to the longest backoff, doubling with each try; 0 for none."""
    if not tries:
        return 0.0
    growing_s = _FIRST_BACKOFF_S * 2 ** min(tries - 1, _LONGEST_EXPONENT)
    longest_s = min(_LONGEST_BACKOFF_S, growing_s)
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - jitter
