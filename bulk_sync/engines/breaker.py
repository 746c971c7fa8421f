"""Ends a run in which too much fails, instead of burning through the file.

Rows that fail one by one are for the report. Too many of them, most of the last ones for one
reason, or none with an answer any more: that is no matter of single rows.
"""

from collections import Counter, deque
from typing import Final

from bulk_sync.errors import RowFailed, StoppedEarly, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Failures
from bulk_sync.stopping import Stop

_DEAD_AFTER: Final = 25
"""So many rows given up in a row, with no answer between, mean that Campaign is not there."""


class Breaker:
    """Counts how rows of a run, over all its passes, go.

    Args:
        stop: is asked to end the run.
        failures: when that is to be.
        attribute: the attribute's name, for the message if no profile has it.
    """

    def __init__(self, stop: Stop, failures: Failures, attribute: str) -> None:
        self._stop = stop
        self._limits = failures
        self._attribute = attribute
        self._failed = 0
        self._unknown = 0
        self._succeeded = False
        self._lost_in_a_row = 0
        self._rows = 0
        self._last: deque[tuple[int, Reason]] = deque()
        self._reasons: Counter[Reason] = Counter()

    def succeeded(self, *, again: bool) -> None:
        """Count a row that went well, perhaps after it had failed."""
        self._rows += 1
        self._failed -= again
        self._succeeded = True
        self._lost_in_a_row = 0

    def failed(self, failed: RowFailed, *, again: bool) -> None:
        """Count a row that failed, and stop the run when it is one too many."""
        self._rows += 1
        if failed.outcome is not Outcome.FAILED:
            self._failed -= again
            self._lost_in_a_row = 0
            return
        self._failed += not again
        self._unknown += failed.reason is Reason.STATE_UNKNOWN
        self._lost_in_a_row = self._lost_in_a_row + 1 if failed.passing else 0
        self._remember(failed.reason)
        most, alike = self._limits.most, self._reasons[failed.reason]
        if self._lost_in_a_row >= _DEAD_AFTER:
            self._stop.ask(
                StoppedEarly(
                    f"Campaign does not answer: {self._lost_in_a_row} rows in a row were given up "
                    f"({failed.detail})."
                )
            )
        elif most is not None and self._failed > most:
            if self._unknown == self._failed and not self._succeeded:
                self._stop.ask(no_attribute(self._attribute, self._unknown))
            self._stop.ask(
                StoppedEarly(
                    f"{self._failed} rows failed, more than the limit of {most}; the last one: "
                    f"{failed.detail} See the report, or let more pass with --max-failures."
                )
            )
        elif self._is_full and alike >= (self._limits.alike or 0):
            self._stop.ask(
                StoppedEarly(
                    f"{alike} of the last {self._limits.window} rows failed with {failed.reason}, "
                    f"which is no matter of single rows; the last one: {failed.detail} If that is "
                    "right, let them pass with --max-failures 100%."
                )
            )

    @property
    def _is_full(self) -> bool:
        return self._limits.alike is not None and self._rows >= self._limits.window

    def _remember(self, reason: Reason) -> None:
        """Keep the reasons of those of the last rows that failed."""
        self._last.append((self._rows, reason))
        self._reasons[reason] += 1
        while self._last[0][0] <= self._rows - self._limits.window:
            self._reasons[self._last.popleft()[1]] -= 1


def no_attribute(attribute: str, profiles: int) -> UsageProblem:
    """Say that the profiles read have no such attribute, so that the settings must be wrong."""
    return UsageProblem(
        f"None of the {profiles} profiles read has a value for the attribute {attribute!r}, so "
        "nothing was written. Look at --attribute (custom fields begin with cus) and --api "
        "(custom fields need profileAndServicesExt); `bulk-sync check` shows what is there."
    )
