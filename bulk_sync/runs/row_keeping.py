"""What is kept of a run's rows: when it is finished, and what is known of them before."""

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pyarrow as pa

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Begun, Ledger, Run
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.results import Steps
from bulk_sync.runs import archive
from bulk_sync.runs.checkpoint import WorkingSet
from bulk_sync.runs.write_records import Recording
from bulk_sync.settings import KeyKind, Keys, State

log = logging.getLogger(__name__)


def keep(state: State, run_id: str, begun: Begun, rows: pd.DataFrame) -> date | None:
    """Write the outcome of every row of a finished run, and delete rows that have expired.

    Args:
        state: where, and for how long.
        run_id: which run.
        begun: what it was asked to do.
        rows: results, a row per profile if keys are no PKeys.

    Returns:
        The last day on which they are kept; None if they are not, of which the log says why.
    """
    today = datetime.now(UTC).date()
    archive.remove_expired(state.folder, today)
    days = state.days_kept(columns.input_rows(rows))
    if not days:
        return None
    until = min(today, date.max - timedelta(days)) + timedelta(days)
    try:
        archive.keep(state.folder, run_id, rows, recognized(begun, rows.columns), until)
    except OSError as error:
        log.warning(
            "The rows of run %s could not be kept (%s), so `bulk-sync history` knows only what it "
            "wrote. Its reports hold them.",
            run_id,
            error.strerror or error,
        )
        return None
    return until


def recognized(begun: Begun, names: Iterable[object] = ()) -> archive.Recognized:
    """Return in which columns of a run's rows, of these names, people can be recognized."""
    are_pkeys = Keys.of(begun.settings).kind is KeyKind.PKEY
    return archive.Recognized.of(names, are_pkeys=are_pkeys)


def own_columns(state: State, run_id: str) -> pd.DataFrame | None:
    """Return ROW, FILE and the input's own columns of a run's rows; None if they are not here."""
    working_set = WorkingSet.find(state.folder, run_id)
    try:
        if working_set is not None:
            rows = working_set.rows()
        elif (found := archive.all_of(state.folder).get(run_id)) is not None:
            rows = found.rows()
        else:
            return None
    except (UsageProblem, OSError, pa.ArrowException) as problem:
        log.warning("The rows of run %s cannot be read: %s", run_id, problem)
        return None
    ours = set(columns.OURS) - {columns.ROW, columns.FILE}
    return rows[[name for name in rows.columns if name not in ours]]


def so_far(book: Ledger, state: State, run: Run) -> pd.DataFrame | None:
    """Return what is known of the rows of a run that is not finished; None if they are not here.

    Returns:
        Results, a row per profile if keys are no PKeys; what is left to do is ``pending``.
    """
    working_set = WorkingSet.find(state.folder, run.run_id)
    if working_set is None:
        return None
    try:
        rows = working_set.rows()
        planned = working_set.plan(rows)
    except UsageProblem as problem:
        log.warning("%s", problem)
        return None
    if planned is None:
        results = comparison.compare(rows, Steps.of(len(comparison.open_rows(rows))))
    else:
        recording = Recording(book, run.run_id, planned, comparison.writes(planned))
        recording.leave_in_doubt(recording.in_doubt)
        results = comparison.settle(planned, recording.steps)
    why = "" if run.ended is None else run.ended.message
    return comparison.hold_back(results, Reason.STOPPED, why or "The run is not finished.")
