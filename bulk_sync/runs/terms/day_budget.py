"""What all runs on one organization together may spend in a day, by the ledger.

Every run is counted, dry runs, plans and audits too, with or without a limit: the next run with a
limit knows what is left. A day is a day of UTC.
"""

import logging
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta

from bulk_sync import ledger
from bulk_sync.campaign.call_budget import Grant
from bulk_sync.errors import BudgetSpent, StoppedEarly, StopRun
from bulk_sync.ledger import Ledger
from bulk_sync.runs.terms.job import Job
from bulk_sync.storage import lock

log = logging.getLogger(__name__)


class DayBudget:
    """The calls of one organization's days.

    ``place`` is the organization and endpoint, as ``lock.name`` returns them. Without a limit,
    ``most`` is None, and a failure to count stops no run.
    """

    def __init__(self, book: Ledger, place: str, most: int | None) -> None:
        self.most = most
        self._book = book
        self._place = place

    def left(self) -> int | None:
        """Return the calls left of today; None without a limit, or if they are not known."""
        if self.most is None:
            return None
        try:
            spent = self._book.calls_of(self._place, str(_today()))
        except StopRun as failure:
            log.debug("No forecast: %s", failure)
            return None
        return max(0, self.most - spent)

    def take(self, count: int) -> Grant:
        """Take calls out of what is left of today; see ``campaign.call_budget.Budget``."""
        today = _today()
        tomorrow = today + timedelta(days=1)
        until = datetime.combine(tomorrow, time(), UTC).timestamp()
        try:
            granted = self._book.take_calls(self._place, str(today), count, self.most)
        except StoppedEarly as failure:
            if self.most is not None:
                raise
            log.debug("The calls are not counted: %s", failure)
            granted = count
        if not granted:
            raise BudgetSpent(
                f"The {self.most:,} calls that all runs may spend on {today} (UTC) are spent "
                f"(--max-calls-per-day). There are new ones from {tomorrow} 00:00 UTC."
            )
        return Grant(granted, str(today), until)

    def give_back(self, day: str, count: int) -> None:
        """Return unspent calls."""
        try:
            self._book.give_calls_back(self._place, day, count)
        except StoppedEarly as failure:
            log.debug("%d calls stay counted: %s", count, failure)


def budget_of(book: Ledger, job: Job) -> DayBudget:
    """Return the daily budget of a job."""
    return DayBudget(book, lock.name(job.connection), job.pace.max_calls_per_day)


def reading(job: Job) -> AbstractContextManager[Ledger | None]:
    """Open the ledger for a command that only reads; make none without a limit."""
    has_limit = job.pace.max_calls_per_day is not None
    return (ledger.open_ledger if has_limit else ledger.open_existing)(job.record.state)


def _today() -> date:
    return datetime.now(UTC).date()
