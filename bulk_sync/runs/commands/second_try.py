"""``retry``: sends the failed rows of a run once more, as a run of its own."""

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.layout import FACTS
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.commands.resumption import give_up_stopped
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.exclusion import working_alone
from bulk_sync.runs.history.past_runs import NothingLeft
from bulk_sync.runs.kept import checkpoint_place
from bulk_sync.runs.stages import pipeline
from bulk_sync.runs.stages.begin import begin, begun_as, check_files
from bulk_sync.runs.stages.review import Finished, Screen
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import State, new_run_id
from bulk_sync.signals import Interrupts


def retry(job: Job, parent_id: str, screen: Screen) -> Finished:
    """Send only the failed rows of a run once more.

    Raises:
        NothingLeft: none did.
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        parent = book.run(parent_id)
        _check_parent(book, parent)
        rows = _failed_rows(job.record.state, parent)
        check_files(job, run_id, files_of(parent.begun))
        was_read = {name: parent.begun.settings.get(name) for name in FACTS}
        job = job.with_settings(**was_read)
        digest = parent.begun.input_sha256
        begun = begun_as(Kind.RETRY, job, parent.begun.input, digest, len(rows), parent_id)
        give_up_stopped(book, job.record.state, begun)
        run = begin(book, job, run_id, begun, Slices.of(rows), str(parent.begun.settings["stem"]))
        return pipeline.carry_out(run, job.with_any_oddity(), screen, interrupts)


def _check_parent(book: Ledger, parent: Run) -> None:
    """Check that the failed rows of a run may be tried again.

    Raise NothingLeft if they were, and UsageProblem if it is a plan, is not finished, or was
    undone.
    """
    if parent.begun.is_plan:
        raise UsageProblem(
            f"Run {parent.run_id} is a plan: it has written nothing, so there is nothing to retry. "
            "Plan its input again."
        )
    if not parent.is_finished:
        raise UsageProblem(
            f"Run {parent.run_id} was interrupted, so there is nothing to retry yet. Finish it "
            f"first: bulk-sync resume {parent.run_id}"
        )
    runs = book.runs()
    lineage.check_first(runs, Kind.RETRY, parent.run_id)
    if (found := lineage.find_undo(runs, parent.run_id)) is not None:
        undo, wrong = found
        raise UsageProblem(
            f"Run {wrong} was undone by {undo}, so its failed rows are not tried again. If they "
            "are right all the same, give its todo file to `bulk-sync run`."
        )


def _failed_rows(state: State, parent: Run) -> pd.DataFrame:
    """Return the failed rows of a run, to be looked up again.

    Raise NothingLeft if there are none, and UsageProblem if they are not kept any more.
    """
    failed = parent.count(Outcome.FAILED)
    if not failed:
        raise NothingLeft("No row failed, so there is nothing to retry.", parent)
    checkpoint = checkpoint_place.take_over(state, parent.run_id)
    rows = None if checkpoint is None else checkpoint.rows()
    results = None if checkpoint is None or rows is None else checkpoint.results(rows)
    if rows is None or results is None:
        raise UsageProblem(
            f"What failed in run {parent.run_id} ({count(failed, 'row')}) is not kept here any "
            "more. The todo file of that run holds it: give that to `bulk-sync run`."
        )
    has_failed = columns.have_outcome(results, [Outcome.FAILED])
    return comparison.reopened(columns.rows_of(rows, has_failed).reset_index(drop=True))
