"""How a run ends: its reports, its last line in the ledger, and what is kept of it.

    results --reports--> kept rows --> ledger --> the working set goes, unless it is still needed

What goes wrong here is what ended the run early, unless it had another reason already.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

import pandas as pd

from bulk_sync import report
from bulk_sync.engines.work import now_ms
from bulk_sync.errors import AccessDenied, Refused, StopRun, UsageProblem
from bulk_sync.ledger import Ended, Kind, utc
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, due_dates, expand
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import plan_file, row_keeping, write_records
from bulk_sync.runs.job import Cost, Finished, Job
from bulk_sync.runs.plan_file import OUT, facts_of
from bulk_sync.runs.remaining_cost import ToCome
from bulk_sync.runs.run_context import Opened

log = logging.getLogger(__name__)


def of(
    run: Opened,
    job: Job,
    rows: pd.DataFrame,
    cause: StopRun | None,
    cost: Cost,
    to_come: ToCome | None = None,
    needed: ToCome | None = None,
) -> Finished:
    """Write the reports, end the run in the ledger, and keep what may still be asked of it."""
    totals, by_profile = Totals.of(rows), rows
    rows = expand.joined(rows)
    paths = job.reports_of(run.run_id)
    todo = paths[0].with_name(f"{run.stem}.{run.run_id}.todo.csv") if paths else Path()
    # What an undo leaves is to be put back, which is not what the original input says.
    left = rows if run.undone is None else write_records.as_input(rows, run.begun.attribute)
    written, todo_written, failure = write_reports(rows, paths, todo, _facts(run, totals), left)
    cause, made = cause or failure, None
    is_plan = run.begun.kind is Kind.PLAN
    if cause is None and is_plan and (out := run.begun.settings.get(OUT)):
        facts = facts_of(run.run_id, run.begun, totals)
        try:
            made = plan_file.write(Path(out), by_profile, facts)
        except UsageProblem as failure:
            cause = failure
    # Wrong settings end a run for good only while nothing was found out that would be lost.
    is_wrong = isinstance(cause, UsageProblem | AccessDenied)
    is_final = (
        cause is None
        or isinstance(cause, Refused)
        or (is_wrong and not rows[columns.BEFORE].notna().any())
    )
    finished = Finished(
        run_id=run.run_id,
        rows=rows,
        totals=totals,
        cost=cost,
        cause=cause,
        reports=written,
        todo=todo_written,
        is_resumable=not is_final,
        plan_sha256=made,
        to_come=to_come,
        needed=needed,
        settings=job.settings,
    )
    try:
        has_failed = 0 if is_plan else totals.outcomes.get(Outcome.FAILED, 0)
        if is_final and cause is None and has_failed:
            run.working_set.keep_results(rows)
        keeps = is_final and not is_plan
        until = row_keeping.keep(job.state, run.run_id, run.begun, by_profile) if keeps else None
        ended = _ended(finished, is_final=is_final)
        ended = replace(ended, rows_kept_until="" if until is None else str(until))
        head = run.ledger.end(run.run_id, ended)
        if is_final and not has_failed and not isinstance(cause, Refused):
            run.working_set.remove()
    except StopRun as failure:
        log.warning("%s", failure)
        return replace(finished, cause=cause or failure, is_resumable=True)
    return replace(finished, head=head)


def write_reports(
    rows: pd.DataFrame,
    paths: Sequence[Path],
    todo: Path,
    facts: Mapping[str, str],
    left: pd.DataFrame | None = None,
) -> tuple[tuple[Path, ...], Path | None, StopRun | None]:
    """Write what was asked for.

    Args:
        rows: results.
        paths: where the reports go.
        todo: where the rows go that need a person.
        facts: what the reports are of.
        left: the results as the todo file is to have them; None for the same.

    Returns:
        The reports written, the todo file if there is one, and what went wrong.
    """
    written: list[Path] = []
    rows = due_dates.with_due(rows)
    try:
        for path in paths:
            report.write(rows, path, title=facts)
            written.append(path)
        has_left = paths and report.write_todo(rows if left is None else left, todo)
    except StopRun as failure:
        log.warning("%s", failure)
        return tuple(written), None, failure
    return tuple(written), todo if has_left else None, None


def _ended(finished: Finished, *, is_final: bool) -> Ended:
    return Ended(
        exit=int(finished.exit),
        message="" if finished.cause is None else str(finished.cause),
        final=is_final,
        outcomes=finished.totals.outcomes,
        opt_ins=finished.totals.opt_ins,
        opt_outs=finished.totals.opt_outs,
        calls=finished.cost.calls,
        seconds=round(finished.cost.seconds, 3),
        reports={str(path): _digest(path) for path in finished.reports},
    )


def _facts(run: Opened, totals: Totals) -> Mapping[str, str]:
    """Say what a report is of, for formats that have room for it."""
    return {
        "Run": run.run_id,
        "Kind": run.begun.kind,
        "Input": run.begun.input,
        "Input SHA-256": run.begun.input_sha256,
        "Endpoint": run.begun.endpoint,
        "Organization": run.begun.organization,
        "Attribute": run.begun.attribute,
        "Operator": run.begun.operator,
        "Written": utc(now_ms()),
        "Rows": str(totals.rows),
    }


def _digest(path: Path) -> str:
    """Tell the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
