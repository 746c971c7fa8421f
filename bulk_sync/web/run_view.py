"""How a run stands, and what its screen shows: from the ledger, kept rows, and processes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa

from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.ledger import Kind, Run
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.report.facts import Facts
from bulk_sync.report.wording import Tone, lacks_upload_alone
from bulk_sync.runs import has_checkpoint, is_held, without_checkpoint
from bulk_sync.runs.history import lineage
from bulk_sync.runs.kept import kept_rows
from bulk_sync.runs.kept.tally import Tally
from bulk_sync.runs.stages import report_facts
from bulk_sync.storage.lock import RunProcess
from bulk_sync.web import plan_state, report_files
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page
from bulk_sync.web.plan_state import PlanStage
from bulk_sync.web.plan_view import TITLES, without_advice
from bulk_sync.web.records import Paper
from bulk_sync.web.row_pages import RowPages, Section, number_of

_QUIET: Final = (Exit.DONE, Exit.ROWS_LEFT)
_NOTES: Final = ("resumed", "stopping")
"""Sentences of ``rendering.NOTES`` that hold as long as a process is at work."""
_OPEN: Final = (
    PlanStage.MAKING, PlanStage.MADE, PlanStage.ASKED, PlanStage.LIMITED, PlanStage.APPROVED,
    PlanStage.APPLYING,
)  # fmt: skip
"""Stages of a plan from which something may follow."""


class RunStanding(NamedTuple):
    """How a run stands, in a colour, a sign and a word."""

    tone: Tone
    sign: str
    word: str


_ENDED: Final[Mapping[int, RunStanding]] = {
    Exit.DONE: RunStanding(Tone.DONE, "✓", "done"),
    Exit.ROWS_LEFT: RunStanding(Tone.PERSON, "?", "rows left"),
    Exit.REFUSED: RunStanding(Tone.PERSON, "✗", "refused"),
}
_NOT_UPLOADED: Final = RunStanding(Tone.PERSON, "?", "report not uploaded")
_FAILED: Final = RunStanding(Tone.FAILED, "!", "failed")


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands.

    Attributes:
        job: the process of the page that works on it, or worked on it last; None without one.
        worker: the process that works on it, of the page or another one; None if none does.
        paper: the plan that it applies, or made; None if the page has none.
        undone_by: the run that puts it back, done or begun; None without one.
        retried_by: the run that tries its failed rows again, done or begun; None without one.
        why_not: why it cannot be resumed; "" if it can.
    """

    run: Run
    standing: RunStanding
    job: PageJob | None
    worker: RunProcess | None
    paper: Paper | None
    undone_by: Run | None
    retried_by: Run | None
    why_not: str

    @property
    def is_at_work(self) -> bool:
        """Return whether a process works on it."""
        return self.worker is not None

    @property
    def may_resume(self) -> bool:
        """Return whether it can go on."""
        return not (self.is_at_work or self.run.is_finished or self.why_not)

    @property
    def failed(self) -> int:
        """Return how many rows can be tried again."""
        is_open = self._is_over and not self.retried_by and not self.undone_by
        return self.run.count(Outcome.FAILED) if is_open else 0

    @property
    def may_undo(self) -> bool:
        """Return whether it has changed anything that stands."""
        changed = self.run.count(Outcome.UPDATED, Outcome.FAILED)
        return self._is_over and bool(changed) and not self.undone_by

    @property
    def _is_over(self) -> bool:
        is_over = self.run.is_finished and not self.is_at_work
        return is_over and self.run.begun.kind is not Kind.PLAN


def read(page: Page, run_id: str) -> RunState | None:
    """Find out how a run stands; None if there is none. Blocks."""
    requested, at_work = page.ledger.requested_and_at_work()
    runs = [run for run in requested if run.has_begun]
    run = next((run for run in runs if run.run_id == run_id), None)
    if run is None:
        return None
    paper = page.paperwork.plan_of(run.plan_sha256)
    jobs = _jobs(page, run, paper)
    alive = next((job for job in jobs if job.is_alive), None)
    if alive is not None:
        at_work.setdefault(run_id, RunProcess("a process of this page"))
    why_not = ""
    if not run.is_finished and not has_checkpoint(page.settings.state, run):
        why_not = without_checkpoint(page.settings.state, run)
    undone_by = lineage.undone(runs[::-1], also_begun=True).get(run_id)
    return RunState(
        run=run,
        standing=standing_of(run, at_work),
        job=alive or next(iter(jobs), None),
        worker=at_work.get(run_id),
        paper=paper,
        undone_by=next((each for each in runs if each.run_id == undone_by), None),
        retried_by=next((each for each in runs if _retries(each, run_id)), None),
        why_not=why_not,
    )


def _retries(run: Run, parent: str) -> bool:
    is_open = run.is_done or not run.is_finished
    return run.begun.kind is Kind.RETRY and run.begun.parent == parent and is_open


def standing_of(run: Run, at_work: Collection[str]) -> RunStanding:
    """Return how a run stands."""
    if not run.has_begun:
        return RunStanding(Tone.FAILED, "!", "could not start")
    if run.run_id in at_work:
        return RunStanding(Tone.PLANNED, "→", "at work")
    if run.ended is None:
        return RunStanding(Tone.FAILED, "!", "broke off")
    if not run.ended.final:
        return RunStanding(Tone.PERSON, "…", "stopped")
    if run.ended.exit == Exit.DONE and run.begun.kind is Kind.PLAN:
        return RunStanding(Tone.DONE, "✓", "planned")
    is_upload = lacks_upload_alone(run.ended.exit, run.ended.outcomes)
    return _NOT_UPLOADED if is_upload else _ENDED.get(run.ended.exit, _FAILED)


def what(run: Run) -> str:
    """Return the kind of a run in words, with the run that it undoes or retries."""
    return run.begun.purpose or str(run.begun.kind)


def give_up(run: Run) -> str:
    """Return how an unfinished run comes to be undone."""
    return (
        "ask the person who looks after this page to give it up with "
        f"`bulk-sync resume {run.run_id} --give-up`. What it has changed can then be undone here."
    )


def open_undo(page: Page, run_id: str) -> str | None:
    """Return the plan to undo a run from which something may still follow. Blocks."""
    for paper in page.paperwork.undos_of(run_id):
        state = plan_state.read(page, paper.id)
        if state is not None and state.stage in _OPEN:
            return paper.id
    return None


def values(page: Page, state: RunState, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template needs. Blocks."""
    progress = None if state.job is None else state.job.progress()
    if state.is_at_work and progress is not None and not progress.is_alive:
        state = read(page, state.run.run_id) or state  # its process has ended since it was read
    rows, run = _pages(page, state), state.run
    facts = _facts(page, run, rows)
    note = query.get("note", "")
    return {
        "state": state,
        "note": note if state.is_at_work or note not in _NOTES else "",
        "what": what(run),
        "acts": page.ledger.acts(run.run_id),
        "give_up": give_up(run),
        "needy": run.count(*NEEDS_A_PERSON),
        "held": run.count(Outcome.PENDING) if is_held(run) else 0,
        "progress": progress if progress is not None and progress.is_alive else None,
        "facts": facts,
        "sentences": () if facts is None else _sentences(run, facts),
        "refusal": "" if run.ended is None else without_advice(run.ended.message),
        "titles": TITLES,
        "problem": _problem(state),
        "undo": open_undo(page, run.run_id) if state.may_undo else None,
        "left": rows and rows.page(Section.PERSON, number_of(query.get("left", ""))),
        "opt_ins": rows and rows.page(Section.OPT_INS, number_of(query.get("opt_ins", ""))),
        "changes": rows and rows.page(Section.CHANGES, number_of(query.get("changes", ""))),
    }


def _jobs(page: Page, run: Run, paper: Paper | None) -> list[PageJob]:
    """Return the processes of the page that worked on a run, the newest first."""
    found = [
        job
        for job in page.jobs.list_about(run.run_id, "resume", "retry")
        if job.command != "retry" or _could_not_begin(page, job)
    ]
    others = [] if paper is None else page.jobs.list_about(paper.id, "apply")
    if run.begun.parent is not None:
        others += page.jobs.list_about(run.begun.parent, "retry")
    found += [job for job in others if job.progress().run_id == run.run_id]
    return sorted(found, key=lambda job: job.id, reverse=True)


def _could_not_begin(page: Page, job: PageJob) -> bool:
    progress = job.progress()
    return not progress.is_alive and page.ledger.run(progress.run_id or "") is None


def _pages(page: Page, state: RunState) -> RowPages | None:
    """Return the rows of a finished run; None if they are not here."""
    run = state.run
    kept = kept_rows.all_of(page.settings.state.folder).get(run.run_id)
    if kept is None or not run.is_finished:
        return None
    folder = report_files.folder_of(page, run) / f"{run.ended_ms}.rows"
    try:
        return RowPages.open(kept.path, folder, report_facts.ended_on(run), is_plan=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageProblem(f"The rows of run {run.run_id} cannot be read: {error}.") from error


def _facts(page: Page, run: Run, rows: RowPages | None) -> Facts | None:
    if run.ended is None:
        return None
    tally = Tally(rows=run.begun.rows) if rows is None else rows.tally
    return report_facts.facts_from(run, tally, page.ledger.runs()[::-1])


def _sentences(run: Run, facts: Facts) -> Sequence[str]:
    """Return what became of the rows; and how it ended, if nothing else on the screen says so."""
    became, *how = facts.result.sentences
    standing = standing_of(run, ())
    is_told = bool(run.ended and run.ended.message) or standing not in (_NOT_UPLOADED, _FAILED)
    return [became] if is_told else [became, *how]


def _problem(state: RunState) -> str:
    """Return why the last thing that a person asked for did not happen."""
    if (job := state.job) is None or job.at_ms <= (state.run.ended_ms or 0):
        return ""
    progress, is_past = job.progress(), job.command == "retry" and state.retried_by is not None
    if is_past or progress.is_alive or progress.exit in _QUIET:
        return ""
    broke_off = "What was begun last broke off. Try it again."
    return progress.message or ("" if state.run.ended is None else broke_off)
