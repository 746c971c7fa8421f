"""The results of an unfinished run, as far as it got, from its checkpoint and the ledger.

They are those of the report that it wrote when it stopped.
"""

import logging

import pandas as pd

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Ledger, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.history import current_states, precedence
from bulk_sync.runs.kept import checkpoint_place, kept_rows, large_input
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.terms.job import Matching
from bulk_sync.settings import State

log = logging.getLogger(__name__)


def so_far(book: Ledger, state: State, run: Run) -> Slices | None:
    """Return results of an unfinished run, as far as it got; None if its rows are not here.

    Reading those of a large input raises UsageProblem if they are damaged, or gone by then.
    """
    checkpoint = checkpoint_place.find(state, run.run_id)
    if checkpoint is None:
        return None
    try:
        if (large := large_input.find(checkpoint)) is not None:
            return large.pending(Reason.STOPPED)
        rows, rest = checkpoint.rows(), large_input.rest_of(checkpoint)
        planned, early = checkpoint.plan(rows), checkpoint.early()
    except UsageProblem as problem:
        log.warning("%s", problem)
        return None
    if planned is None:
        planned = _compared(book, state, run, checkpoint, rows)
    writes = comparison.writes(planned)
    if len(writes):
        planned = Recording(book, run.run_id, planned, writes, early).results(planned)
    return rest.with_results(comparison.hold_back(planned, Reason.STOPPED))


def _compared(
    book: Ledger, state: State, run: Run, checkpoint: Checkpoint, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return a plan of what was read before the plan of a run was complete.

    Nothing is planned if the profiles of a write are not known any more: the ledger has it alone.
    """
    own = list(book.writes(run.run_id))
    states = current_states.unread(rows)
    with kept_rows.warning_of(run.run_id):
        states = checkpoint.states(current_states.unread(rows))
    matching = Matching.of(run.begun.settings, run.begun.attribute)
    last_writes = precedence.last_writes(book, state, run.begun, run.run_id)
    last_writes = current_states.before_own(rows, states, own, last_writes)
    planned = current_states.compare(rows, states, matching, run.begun.attribute, last_writes)
    written = {write.intent.key for write in own if write.may_have_changed}
    if written <= set(Texts(columns.profiles(planned), comparison.writes(planned))):
        return planned
    return comparison.without_states(rows, Outcome.PENDING)
