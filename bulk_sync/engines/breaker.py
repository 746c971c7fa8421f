"""Ends a run in which too much fails, instead of burning through the file.

Rows that fail one by one are for the report. Too many of them, most of the last ones for one
reason, or none with an answer any more: that is no matter of single rows.
"""

from collections import Counter, deque
from typing import Final

from bulk_sync.campaign.responses import (
    AddressRefused,
    FieldRefused,
    Forbidden,
    access_denied,
    field_refused,
)
from bulk_sync.errors import RowFailed, StoppedEarly, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Failures
from bulk_sync.stopping import Stop

_REFUSED_IN_A_ROW: Final = 5
"""So many profiles refused one after the other, with no success between, are no accident."""


class Breaker:
    """Counts how rows of a run, over all its passes, go.

    Args:
        stop: is asked to end the run.
        failures: when that is to be.
        attribute: the attribute's name, for the message if no profile has it.

    Attributes:
        succeeded_rows: how many rows went well so far.
    """

    def __init__(self, stop: Stop, failures: Failures, attribute: str) -> None:
        self._stop = stop
        self._limits = failures
        self._attribute = attribute
        self._failed = 0
        self._unknown = 0
        self._succeeded: set[str] = set()
        self.succeeded_rows = 0
        self._lost_in_a_row = 0
        self._refused_in_a_row = 0
        self.rows = 0
        self._last: deque[tuple[int, Reason]] = deque()
        self._reasons: Counter[Reason] = Counter()

    def succeeded(self, what: str, *, again: bool) -> None:
        """Count a row that went well.

        Args:
            what: the pass.
            again: it had failed before in this run.
        """
        self.rows += 1
        self._failed -= again
        self._succeeded.add(what)
        self.succeeded_rows += 1
        self._lost_in_a_row = self._refused_in_a_row = 0

    def failed(
        self,
        failed: RowFailed,
        what: str,
        *,
        again: bool,
        suspect: bool = False,
        succeeded: int | None = None,
    ) -> None:
        """Count a row that failed, and stop the run when it is one too many.

        Whether Campaign is there is learnt from rows that have not failed before: of those that
        have, many may fail in a row while all others would go well. Nor does a row say anything
        during whose tries others went well: the tries of a bad row take so long that all bad ones
        of a small file end together, after the good ones.

        Args:
            failed: what it failed with.
            what: the pass.
            again: it had failed before in this run.
            suspect: it had failed, or was in flight, when an earlier process ended.
            succeeded: how many rows had gone well when it was begun; None if as many as now.
        """
        if failed.outcome is not Outcome.FAILED:
            self.rows += 1
            self._failed -= again
            self._lost_in_a_row = self._refused_in_a_row = 0
            return
        if again:
            return
        self._failed += 1
        self._unknown += failed.reason is Reason.STATE_UNKNOWN
        if not suspect:
            self.rows += 1
            is_alone = succeeded is None or succeeded == self.succeeded_rows
            self._lost_in_a_row = self._lost_in_a_row + 1 if failed.passing and is_alone else 0
            self._remember(failed.reason)
            if isinstance(failed, AddressRefused | FieldRefused | Forbidden):
                self._refused_in_a_row += 1
        cause = self._cause(failed, what)
        if cause is not None:
            self._stop.ask(cause)

    def _cause(self, failed: RowFailed, what: str) -> StopRun | None:
        """Return why the run is to end with this row; None if it is to go on."""
        most, alike = self._limits.most, self._reasons[failed.reason]
        last = f"the last one: {failed.detail.rstrip('.')}."
        if self._refused_in_a_row >= _REFUSED_IN_A_ROW and self._is_general(failed, what):
            is_field = isinstance(failed, FieldRefused)
            return field_refused(failed) if is_field else access_denied(failed)
        if self._limits.lost is not None and self._lost_in_a_row >= self._limits.lost:
            return StoppedEarly(
                f"Campaign does not answer: {self._lost_in_a_row} rows in a row were given up "
                f"({failed.detail})."
            )
        if most is not None and self._failed > most:
            noun = "row" if self._failed == 1 else "rows"
            too_many = StoppedEarly(
                f"{self._failed} {noun} failed, more than the limit of {most}; {last} See the "
                "report, or let all of them pass with --max-failures 100%."
            )
            is_unset = self._unknown == self._failed and not self._succeeded
            return no_attribute(self._attribute, self._unknown) if is_unset else too_many
        if self._is_full and alike >= (self._limits.alike or 0):
            return StoppedEarly(
                f"{alike} of the last {self._limits.window} rows failed with {failed.reason}, "
                f"so the cause is not in single rows; {last} If that is right, let them pass with "
                "--max-failures 100%."
            )
        return None

    def _is_general(self, failed: RowFailed, what: str) -> bool:
        """Check whether a refusal is due to the settings, and not to single profiles.

        A gateway's 403 may begin in the middle of a run, when rights are withdrawn. All else that
        did not hold for the rows that went well in the same pass is a matter of profiles.
        """
        if isinstance(failed, Forbidden) and failed.by_gateway:
            return True
        is_refusal = isinstance(failed, AddressRefused | FieldRefused | Forbidden)
        return is_refusal and what not in self._succeeded

    @property
    def _is_full(self) -> bool:
        return self._limits.alike is not None and self.rows >= self._limits.window

    def _remember(self, reason: Reason) -> None:
        """Keep the reasons of those of the last rows that failed."""
        self._last.append((self.rows, reason))
        self._reasons[reason] += 1
        while self._last[0][0] <= self.rows - self._limits.window:
            self._reasons[self._last.popleft()[1]] -= 1


def no_attribute(attribute: str, profiles: int) -> UsageProblem:
    """Say that the profiles read have no such attribute, so that the settings must be wrong."""
    return UsageProblem(
        f"None of the {profiles} profiles read has a value for the attribute {attribute!r}, so "
        "nothing was written. Look at --attribute (custom fields begin with cus) and --api "
        "(custom fields need profileAndServicesExt); `bulk-sync check` shows what is there."
    )
