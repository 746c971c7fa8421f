"""``undo``: puts back what a run changed, as a run of its own, or saves that as a plan."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bulk_sync import ledger
from bulk_sync.amounts import count
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Intent, Kind, Ledger, Run
from bulk_sync.rows import comparison
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.commands.resumption import give_up, give_up_stopped
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.exclusion import working_alone, working_on_plan
from bulk_sync.runs.history.lineage import same_place
from bulk_sync.runs.history.past_runs import NothingLeft, may_pass
from bulk_sync.runs.kept import kept_rows, plan_file, write_records
from bulk_sync.runs.kept.plan_file import OUT
from bulk_sync.runs.stages import pipeline
from bulk_sync.runs.stages.begin import begin, begun_as, check_files
from bulk_sync.runs.stages.review import Finished, Screen
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import State, new_run_id
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


def undo(job: Job, parent_id: str, screen: Screen, out: Path | None = None) -> Finished:
    """Put back what a run changed, where the profile still is as the run left it.

    With ``out`` this is saved there as a plan for ``apply``, in place of writing to Campaign.

    Raises:
        NothingLeft: it changed nothing, or was undone.
        StopRun: it could not begin; nothing was sent.
    """
    run_id, job = new_run_id(), job.by_pkey()
    if out is not None:
        plan_file.check_path(out, job.protection.files, job.record.reports_of(run_id))
    alone = working_alone(job, run_id) if out is None else ledger.open_ledger(job.record.state)
    with Interrupts() as interrupts, alone as book:
        parent = check(book, parent_id)
        check_files(job, run_id, files_of(parent.begun))
        intents = _to_put_back(book, parent_id)
        planned = _inverse_plan(intents, parent, job.record.state) if intents else None
        may_go_on = not parent.is_finished or may_pass(job.record.state, parent)
        if may_go_on:
            if out is not None:
                raise UsageProblem(
                    f"Run {parent_id} may still go on, so it is not known yet what is to be undone."
                    f" Finish it, or give it up: bulk-sync resume {parent_id} --give-up"
                )
            give_up(book, job.record.state, parent, "Given up, to be undone.")
        if planned is None:
            end = ", and it is given up" if may_go_on else ""
            raise NothingLeft(f"Run {parent_id} changed nothing, so there is nothing to undo{end}.")
        kind = Kind.UNDO if out is None else Kind.PLAN
        source, digest = parent.begun.input, parent.begun.input_sha256
        begun = begun_as(kind, job, source, digest, len(planned), parent_id)
        if out is not None:
            begun = replace(begun, settings={**begun.settings, OUT: str(out.absolute())})
        give_up_stopped(book, job.record.state, begun)
        stem = str(parent.begun.settings["stem"])
        run = begin(book, job, run_id, begun, Slices.of(planned), stem, planned=planned)
        with working_on_plan(book, job.record.state, run_id) if out is not None else nullcontext():
            return pipeline.carry_out(run, job.guarded().with_any_oddity(), screen, interrupts)


def check(book: Ledger, parent_id: str) -> Run:
    """Return a run to be undone, and warn of later runs.

    Raises:
        NothingLeft: it was undone, or is a plan.
        UsageProblem: the ledger does not know it, or its undo was interrupted, or put back.
    """
    parent = book.run(parent_id)
    if parent.begun.is_plan:
        raise NothingLeft(
            f"Run {parent_id} is a plan: it has written nothing, so there is nothing to undo."
        )
    lineage.check_first(book.runs(), Kind.UNDO, parent_id)
    _warn_of_later_runs(book, parent)
    return parent


def _to_put_back(book: Ledger, parent_id: str) -> list[Intent]:
    """Return the writes of a run to be put back; created profiles stay."""
    written, perhaps = write_records.written(book, parent_id)
    if perhaps:
        log.info("Opt-outs that the run failed to lift are checked too: %d", len(perhaps))
    created = sum(each.before is None for each in written)
    if created:
        log.warning(
            "This leaves %s that run %s created: this tool deletes no profile. Delete them in "
            "Campaign if they are wrong.",
            count(created, "profile"),
            parent_id,
        )
    return write_records.in_order(each for each in written + perhaps if each.before is not None)


def _inverse_plan(intents: list[Intent], parent: Run, state: State) -> pd.DataFrame:
    before = [bool(each.before) for each in intents]
    rows = write_records.rows_for(intents, before, parent.begun.attribute)
    own = kept_rows.own_columns(state, parent.run_id, {each.row for each in intents})
    if own is not None:
        rows = write_records.with_own_columns(rows, own)
    left = Steps.blank(len(intents))
    left.state[:] = [each.desired for each in intents]
    return comparison.compare(rows, left)


def _warn_of_later_runs(book: Ledger, parent: Run) -> None:
    """Warn of runs at work since: their files may have agreed with states that are put back."""
    for run in book.runs():
        is_other = run.run_id != parent.run_id and not run.begun.is_plan
        is_since = is_other and run.is_done and run.end > parent.position
        if not is_since or not same_place(run.begun, parent.begun):
            continue
        if lineage.list_of(run) == lineage.list_of(parent):
            log.warning(
                "Run %s of the same list has worked on this organization since. What run %s had "
                "set is put back all the same.",
                run.run_id,
                parent.run_id,
            )
        else:
            log.warning(
                "Run %s has worked on this organization since. An opt-out that its file asks for, "
                "too, stays, if its rows are kept here. All else that run %s had set is put back: "
                "run that file again afterwards.",
                run.run_id,
                parent.run_id,
            )
