"""How a run ends: its reports, its last line in the ledger, and what is kept of it.

    results --reports--> ledger --> the working set goes, unless something may be asked of it yet

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
from bulk_sync.ledger import Ended, utc
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, due_dates, matched
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.job import Cost, Finished, Job
from bulk_sync.runs.opened import Opened

log = logging.getLogger(__name__)


def of(run: Opened, job: Job, rows: pd.DataFrame, cause: StopRun | None, cost: Cost) -> Finished:
    """Write the reports, end the run in the ledger, and keep what may still be asked of it."""
    totals = Totals.of(rows)
    rows = matched.joined(rows)
    paths = job.reports_of(run.run_id)
    todo = paths[0].with_name(f"{run.stem}.{run.run_id}.todo.csv") if paths else Path()
    written, todo_written, failure = write_reports(rows, paths, todo, _facts(run, totals))
    cause = cause or failure
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
        settings=job.settings,
    )
    try:
        has_failed = totals.outcomes.get(Outcome.FAILED, 0)
        if is_final and cause is None and has_failed:
            run.working_set.keep_results(rows)
        head = run.ledger.end(run.run_id, _ended(finished, is_final=is_final))
        if is_final and not has_failed and not isinstance(cause, Refused):
            run.working_set.remove()
    except StopRun as failure:
        log.warning("%s", failure)
        return replace(finished, cause=cause or failure, is_resumable=True)
    return replace(finished, head=head)


def write_reports(
    rows: pd.DataFrame, paths: Sequence[Path], todo: Path, facts: Mapping[str, str]
) -> tuple[tuple[Path, ...], Path | None, StopRun | None]:
    """Write what was asked for.

    Returns:
        The reports written, the todo file if there is one, and what went wrong.
    """
    written: list[Path] = []
    rows = due_dates.with_due(rows)
    try:
        for path in paths:
            report.write(rows, path, title=facts)
            written.append(path)
        left = paths and report.write_todo(rows, todo)
    except StopRun as failure:
        log.warning("%s", failure)
        return tuple(written), None, failure
    return tuple(written), todo if left else None, None


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
