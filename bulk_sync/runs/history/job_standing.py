"""How a job stands by the ledger, for those who monitor it."""

import logging
from datetime import UTC, datetime
from typing import Final

from bulk_sync import ledger
from bulk_sync.errors import Exit, StopRun
from bulk_sync.ledger import Kind
from bulk_sync.monitoring.run_end import JobStanding
from bulk_sync.runs.history import exclusion
from bulk_sync.runs.history.lineage import same_place
from bulk_sync.settings import Place, State
from bulk_sync.storage import lock

log = logging.getLogger(__name__)

_CARRIED_OUT: Final = frozenset({Kind.RUN, Kind.APPLY, Kind.RETRY, Kind.UNDO})


def standing_of(job: str, state: State, place: Place | None) -> JobStanding:
    """Return how a job stands; what cannot be read now is not known.

    ``place`` is None if organization and endpoint are not known.
    """
    try:
        with ledger.open_existing(state) as book:
            at_work = exclusion.at_work(state, book)
            runs = [
                run
                for run in (book.runs() if book is not None else ())
                if run.begun.job == job and (place is None or same_place(run.begun, place))
            ]
            today = str(datetime.now(UTC).date())
            calls = (
                None if place is None or book is None else book.calls_of(lock.name(place), today)
            )
    except StopRun as problem:
        log.debug("Not known for the metrics: %s", problem)
        return JobStanding()
    succeeded = [
        run.ended_ms / 1000
        for run in runs
        if run.begun.kind in _CARRIED_OUT
        and run.ended is not None
        and run.ended_ms is not None
        and run.ended.exit == Exit.DONE
    ]
    return JobStanding(
        last_success_s=max(succeeded, default=0.0),
        to_resume=sum(not run.is_finished and run.run_id not in at_work for run in runs),
        calls_today=calls,
    )
