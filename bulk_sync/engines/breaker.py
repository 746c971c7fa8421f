"""Ends a run in which too much fails, instead of burning through the file.

Single failures are for the report. The run ends if too many rows fail, if most of the last ones
fail for one reason, or if no row gets an answer any more.
"""

from collections import Counter, deque
from typing import Final

from bulk_sync.amounts import count
from bulk_sync.campaign.profiles import AttributeMissing
from bulk_sync.campaign.responses import (
    AddressRefused,
    FieldRefused,
    Forbidden,
    access_denied,
    field_refused,
)
from bulk_sync.errors import RowFailed, StoppedEarly, StopRun, UsageProblem, clause
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Failures
from bulk_sync.stopping import Stop

_REFUSED_IN_A_ROW: Final = 5
"""Profiles refused one after the other, with no success between, before it is no accident."""


class Breaker:
    """Counts successes and failures over all passes of a run.

    Attributes:
        rows: rows with a success or a first failure.
        succeeded_rows: rows with a success.
    """

    def __init__(self, stop: Stop, failures: Failures, attribute: str) -> None:
        self._stop = stop
        self._limits = failures
        self._attribute = attribute
        self._failed = self._missing = 0
        self._succeeded: set[str] = set()
        self._lost_in_a_row = self._refused_in_a_row = 0
        self.rows = self.succeeded_rows = 0
        self._last: deque[tuple[int, Reason]] = deque()
        self._reasons: Counter[Reason] = Counter()

    def succeeded(self, name: str, *, again: bool) -> None:
        """Count a success of a pass; ``again`` after an earlier failure."""
        self.rows += 1
        self._failed -= again
        self._succeeded.add(name)
        self.succeeded_rows += 1
        self._lost_in_a_row = self._refused_in_a_row = 0

    def failed(
        self,
        failed: RowFailed,
        name: str,
        succeeded: int | None = None,
        *,
        again: bool,
        suspect: bool = False,
    ) -> None:
        """Count a failure of a pass, and stop the run if it is one too many.

        Only a first failure, not ``again``, shows whether Campaign answers: in the second tries
        many bad rows come together. Nor does a ``suspect`` row, which failed, or was in flight,
        when an earlier process ended. More successes than ``succeeded`` when the row was begun show
        the contrary: the bad rows of a small file end together, after the good ones.
        """
        if failed.outcome is not Outcome.FAILED:
            self.rows += 1
            self._failed -= again
            self._lost_in_a_row = self._refused_in_a_row = 0
            return
        if again:
            return
        self._failed += 1
        self._missing += isinstance(failed, AttributeMissing)
        if not suspect:
            self.rows += 1
            is_alone = succeeded is None or succeeded == self.succeeded_rows
            self._lost_in_a_row = self._lost_in_a_row + 1 if failed.passing and is_alone else 0
            self._refused_in_a_row += isinstance(failed, AddressRefused | FieldRefused | Forbidden)
            self._last.append((self.rows, failed.reason))
            self._reasons[failed.reason] += 1
            while self._last[0][0] <= self.rows - self._limits.window:
                self._reasons[self._last.popleft()[1]] -= 1
        cause = self._cause(failed, name)
        if cause is not None:
            self._stop.ask(cause)

    def _cause(self, failed: RowFailed, name: str) -> StopRun | None:
        limits, alike = self._limits, self._reasons[failed.reason]
        last = f"the last one: {clause(failed.detail)}."
        if self._refused_in_a_row >= _REFUSED_IN_A_ROW and self._is_general(failed, name):
            is_field = isinstance(failed, FieldRefused)
            return field_refused(failed) if is_field else access_denied(failed)
        if limits.lost is not None and self._lost_in_a_row >= limits.lost:
            return StoppedEarly(
                f"Campaign does not answer: {self._lost_in_a_row} rows in a row were given up "
                f"({clause(failed.detail)})."
            )
        if limits.most is not None and self._failed > limits.most:
            if self._missing == self._failed and not self._succeeded:
                return no_attribute(self._attribute, self._missing)
            return StoppedEarly(
                f"{count(self._failed, 'row')} failed, more than the limit of {limits.most}; "
                f"{last} See the report, or let all of them pass with --max-failures 100%."
            )
        if limits.alike is not None and self.rows >= limits.window and alike >= limits.alike:
            return StoppedEarly(
                f"{alike} of the last {limits.window} rows failed with {failed.reason}, so the "
                f"cause is not in single rows; {last} If that is right, let them pass with "
                "--max-failures 100%."
            )
        return None

    def _is_general(self, failed: RowFailed, name: str) -> bool:
        """Return whether the settings are refused, and not single profiles.

        A gateway refuses with 403 when rights are withdrawn. Any other refusal is about profiles if
        the pass had a success.
        """
        if isinstance(failed, Forbidden) and failed.by_gateway:
            return True
        is_refusal = isinstance(failed, AddressRefused | FieldRefused | Forbidden)
        return is_refusal and name not in self._succeeded


def no_attribute(attribute: str, profiles: int) -> UsageProblem:
    """Return the problem of an attribute that no profile has."""
    return UsageProblem(
        f"Of {count(profiles, 'profile')} read, none has the attribute {attribute!r}, so "
        "nothing was written. Look at --attribute (custom fields begin with cus) and --api "
        "(custom fields need profileAndServicesExt); `bulk-sync check` shows what is there."
    )
