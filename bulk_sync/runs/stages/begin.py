"""Puts a run on the disk and into the ledger: from then on it can be resumed.

    working_alone ---> begin ---> pipeline.carry_out

One run at a time works on an organization.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import pandas as pd

from bulk_sync import __version__, ledger, report
from bulk_sync.errors import DiskFull, LedgerAway, StoppedEarly, UsageProblem
from bulk_sync.ledger import Begun, Kind, Ledger, NotBegun, Run
from bulk_sync.outcomes import CONFIRMED, FOLLOW_UPS, Outcome
from bulk_sync.rows import read
from bulk_sync.rows.plan_limits import Past
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.history import housekeeping, lineage
from bulk_sync.runs.history.lineage import Lineage
from bulk_sync.runs.history.past_runs import is_held
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept import checkpoint_place
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import Oddity, State
from bulk_sync.storage import lock

log = logging.getLogger(__name__)

_COMPARED: Final = 5
"""How many finished runs of the same job an input is compared with."""


def check_files(job: Job, run_id: str, inputs: Iterable[Path]) -> None:
    """Raise UsageProblem if a list of protected people cannot be read, or a report written.

    A report may replace neither such a list nor an input.
    """
    job.protection.read()
    report.check_writable(job.record.reports_of(run_id), {*inputs, *job.protection.files})


def begun_as(
    kind: Kind, job: Job, source: str, digest: str, rows: int, parent: str | None = None
) -> Begun:
    """Return the facts at the beginning of a run, for the ledger.

    ``source`` is the input as it was given, ``digest`` its SHA-256, ``parent`` the run to be
    retried or undone.
    """
    return Begun(
        kind=kind,
        job=job.record.name,
        endpoint=job.connection.endpoint,
        organization=job.connection.organization,
        attribute=job.connection.attribute,
        input=source,
        input_sha256=digest,
        rows=rows,
        parent=parent,
        settings=dict(job.record.settings),
        version=__version__,
        operator=lock.operator(),
    )


def begin(
    book: Ledger,
    job: Job,
    run_id: str,
    begun: Begun,
    rows: Slices,
    stem: str,
    *,
    planned: pd.DataFrame | None = None,
) -> RunContext:
    """Put a run with these checked rows on the disk, then into the ledger.

    ``stem`` is the beginning of its reports' names; ``planned`` is its plan, if that is known
    already.

    Raises:
        UsageProblem: it cannot be kept; nothing was sent.
        DiskFull: there is no room for it.
        LedgerAway: the ledger cannot be reached.
    """
    reports = [str(report) for report in job.record.reports_of(run_id)]
    begun = replace(begun, settings={**begun.settings, "report": reports, "stem": stem})
    if not begun.is_plan:  # which does not work alone
        housekeeping.tidy_up(book, job.record.state, job.connection)
    checkpoint = checkpoint_place.create(job.record.state, run_id, rows)
    try:
        if planned is not None:
            checkpoint.keep_plan(planned)
        book.begin(run_id, begun)
    except StoppedEarly as failure:
        checkpoint.remove()
        if isinstance(failure, DiskFull | LedgerAway):
            raise
        raise UsageProblem(f"The run did not begin, and nothing was sent. {failure}") from failure
    return RunContext(
        run_id=run_id,
        begun=begun,
        rows=rows.first.iloc[:0] if rows.only is None else rows.only,
        planned=planned,
        checkpoint=checkpoint,
        ledger=book,
        # Of a new input no run can be later yet.
        lineage=lineage.trace(book.runs(), run_id) if begun.parent else Lineage(),
    )


def record_failed_start(state: State, run_id: str, start: NotBegun) -> bool:
    """Record a run that could not start, and return whether the ledger has it now.

    A command that follows up a run makes no ledger: it may look in the wrong place.
    """
    if start.kind in FOLLOW_UPS:
        with ledger.open_existing(state) as found:
            if found is None:
                return False
    with ledger.open_ledger(state) as book:
        if not book.has_begun(run_id):
            book.record_failed_start(run_id, start)
    return True


def past_of(book: Ledger, job: Job, source: str) -> list[Past]:
    """Return the last finished runs of the same job, the newest first.

    A todo file has a few rows of an input: it is compared with no run, and no run with it.
    """
    if read.is_todo(source):
        return []
    done = (run for run in _done_before(book.runs(), job) if not read.is_todo(run.begun.input))
    return [Past(run.begun.rows, run.changes) for run in islice(done, _COMPARED)]


def warn_of_same_file(book: Ledger, job: Job, digest: str) -> None:
    """Warn if a run of the same job that stands has carried out this very input."""
    if Oddity.SAME_FILE in job.limits.allowed:
        return
    runs = book.runs()
    put_back = lineage.undone(runs)
    for run in _done_before(runs, job):
        begun, holds = run.begun, run.count(*CONFIRMED, Outcome.UNCHANGED) > 0
        is_same = begun.input_sha256 == digest and begun.attribute == job.connection.attribute
        if is_same and holds and not is_held(run) and run.run_id not in put_back:
            log.warning(
                "Run %s of this job, begun %s, has carried out this very file. If it is meant "
                "again, --allow same-file leaves out this warning.",
                run.run_id,
                ledger.local(run.begun_ms),
            )
            return


def _done_before(runs: Sequence[Run], job: Job) -> Iterator[Run]:
    """Yield the runs of the same job that reached their end, the newest first."""
    same = lineage.of_job(reversed(runs), job.record.name, job.connection)
    return (run for run in same if run.is_done)
