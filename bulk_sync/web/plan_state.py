"""How a plan stands, always from the files, the ledger and the paperwork: nothing else is kept.

making --> made --ask--> asked --enough approvals--> approved --> applying --> applied
  |         |  '--limit--> limited   |  '--sent back--> made
  '--> not made                      '--too old--> expired
"""

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from bulk_sync.ledger import Run
from bulk_sync.runs.history import lineage
from bulk_sync.runs.kept import plan_file
from bulk_sync.settings import folded
from bulk_sync.web.identity import Person, Right
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page
from bulk_sync.web.progress import Progress
from bulk_sync.web.records import Paper, PlanVerdict, Upload

HOLD: Final = "hold_opt_ins"
"""Among the options of a plan: opt-ins that pass their limit are held back."""
RAISED: Final = "raised"
"""Among the options of a plan: the words that let it pass its limits."""

_OPTION: Final[re.Pattern[str]] = re.compile(r"--\S+(?: (?!--)\S+)*")


class PlanStage(StrEnum):
    """How far a plan is."""

    MAKING = "being made"
    NOT_MADE = "not made"
    DAMAGED = "its files were changed or damaged"
    DELETED = "no longer kept"
    REPLACED = "replaced by another plan"
    EMPTY = "nothing to change"
    LIMITED = "stopped by a limit"
    EXPIRED = "too old"
    MADE = "approval not asked for"
    ASKED = "waits for approval"
    APPROVED = "approved, not started"
    APPLYING = "being applied"
    APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class PlanState:
    """How a plan stands.

    Attributes:
        making: the process that makes it, or made it.
        applying: the process that applies it, or tried to.
        planned: the run that made it, as the ledger has it.
        made_ms: when it was complete; 0 if it is not.
        facts: counts of the plan, as ``event: plan`` has them.
        approvals: those that count.
        verdicts: all that people decided.
        preparers: people whose approval does not count.
        approvers: who may approve now, by folded names; None if that is not known.
    """

    paper: Paper
    stage: PlanStage
    upload: Upload | None
    path: Path
    making: Progress
    applying: Progress | None
    run: Run | None
    planned: Run | None
    made_ms: int
    facts: dict[str, Any]
    approvals: tuple[PlanVerdict, ...]
    verdicts: tuple[PlanVerdict, ...]
    preparers: tuple[str, ...]
    approvers: Collection[str] | None

    @property
    def is_of_another_file(self) -> bool:
        """Return whether the file on the disk was not the uploaded one when it was compared."""
        return _is_of_another_file(self.upload, self.planned)

    @property
    def held(self) -> int:
        """Return how many opt-ins are held back."""
        return int(self.facts.get("held") or 0)

    @property
    def limit(self) -> Mapping[str, Any]:
        """Return ``event: limit`` of the limits against it; empty if there are none."""
        if self.applying is not None and self.run is None and self.applying.limit:
            return self.applying.limit
        return {} if self.held else self.making.limit or {}

    @property
    def option(self) -> str:
        """Return the options that would let it pass the limits against it; "" without any."""
        return str(self.limit.get("option") or "")

    @property
    def raised(self) -> str:
        """Return the options that an admin lets it pass with; "" without any."""
        return str(self.paper.options.get(RAISED) or "")

    @property
    def sender(self) -> PlanVerdict | None:
        """Return who sent it back last, unless approval was asked for again."""
        last = self.verdicts[-1] if self.verdicts and self.stage is PlanStage.MADE else None
        return None if last is None or last.is_approval else last

    def raised_further(self) -> str:
        """Return the options to pass all limits so far."""
        return " ".join(dict.fromkeys([*_options(self.raised), *_options(self.option)]))

    def is_preparer(self, person: Person) -> bool:
        """Return whether a person's approval does not count."""
        return any(map(person.is_same, self.preparers))

    def may_withdraw(self, person: Person) -> bool:
        """Return whether a person has asked for the approval of a plan that is not applied."""
        asked_by, is_open = self.paper.asked_by, {PlanStage.ASKED, PlanStage.APPROVED}
        return self.stage in is_open and asked_by is not None and person.is_same(asked_by)

    def has_approved(self, person: Person) -> bool:
        """Return whether a person's approval counts already."""
        return any(person.is_same(each.who) for each in self.approvals)

    def lacks_approvers(self, needed: int) -> bool:
        """Return whether fewer other people may approve it than are needed."""
        others = set(self.approvers or ()).difference(map(folded, self.preparers))
        return self.approvers is not None and len(others) < needed

    def may_approve(self, person: Person, needed: int) -> bool:
        """Return whether a person may approve it now; the rows have to be seen besides."""
        if not person.may(Right.APPROVE):
            return False
        if not needed:
            return self.stage in {PlanStage.MADE, PlanStage.ASKED}
        is_asked = self.stage is PlanStage.ASKED
        return is_asked and not self.is_preparer(person) and not self.has_approved(person)


def path_of(page: Page, plan_id: str) -> Path:
    """Return the path of the file of a plan."""
    return page.settings.folder / "plans" / plan_id / "plan.parquet"


def subject(page: Page, paper: Paper) -> str:
    """Return the name of the file that a plan is about, or whose run it would undo. Blocks."""
    upload = page.paperwork.upload(paper.upload) if paper.upload else None
    if upload is not None:
        return upload.file_name
    run = page.ledger.run(paper.undoes) if paper.undoes else None
    return "" if run is None else run.begun.input_name


def read(page: Page, plan_id: str, runs: Sequence[Run] | None = None) -> PlanState | None:
    """Find out how a plan stands; None if there is none. Blocks.

    ``runs`` are all of them, the newest first, if they were read just now.
    """
    paper = page.paperwork.plan(plan_id)
    if paper is None:
        return None
    making = _progress(page, paper.job) or Progress(is_alive=False)
    sha256 = str((making.summary or {}).get("plan_sha256") or "")
    is_new = bool(sha256) and not paper.sha256
    runs = (page.ledger.runs() if runs is None or is_new else runs)[::-1]
    planned = next((each for each in runs if each.run_id == making.run_id), None)
    upload = None if paper.upload is None else page.paperwork.upload(paper.upload)
    if is_new and not _is_of_another_file(upload, planned):
        page.paperwork.set_made(plan_id, sha256)
        paper = page.paperwork.plan(plan_id) or paper
    path = path_of(page, plan_id)
    made = plan_file.made_at(path) if paper.sha256 else None
    applying = _progress(page, paper.applied_by)
    run = _run_of(runs, paper.sha256)
    verdicts = tuple(page.paperwork.verdicts(plan_id))
    needs_others = page.settings.approvals > 0
    approvals = page.paperwork.approvals(paper) if needs_others else _own(verdicts, paper)
    approvers = page.who_may(Right.APPROVE)
    state = PlanState(
        paper=paper,
        stage=PlanStage.MADE,
        upload=upload,
        path=path,
        making=making,
        applying=applying,
        run=run,
        planned=planned,
        made_ms=0 if made is None else round(made.timestamp() * 1000),
        facts=dict(making.plan or {}),
        approvals=tuple(
            each for each in approvals if approvers is None or folded(each.who) in approvers
        ),
        verdicts=verdicts,
        preparers=tuple(page.paperwork.preparers(paper)),
        approvers=approvers,
    )
    return replace(state, stage=_stage(state, page))


def _run_of(runs: Sequence[Run], sha256: str) -> Run | None:
    """Return the newest run of a plan; one that was given up counts, since it may have written."""
    if not sha256:
        return None
    given_up = (run for run in runs[::-1] if run.begun.plan_sha256 == sha256 and run.is_given_up)
    return lineage.apply_of(runs, sha256) or next(given_up, None)


def release(page: Page, state: PlanState) -> PlanState:
    """Let a plan be approved again if the process that was to apply it has not begun. Blocks."""
    job = state.paper.applied_by
    if job is None or state.run is not None or state.stage is PlanStage.APPLYING:
        return state
    page.paperwork.release(state.paper.id, job)
    return read(page, state.paper.id) or state


def is_too_old(page: Page, paper: Paper) -> bool:
    """Return whether a plan that was made is too old to be applied. Blocks."""
    valid_s = page.settings.plan_valid_s
    if not is_expired(paper.at_ms, valid_s):  # no plan is made before it is begun
        return False
    made = plan_file.made_at(path_of(page, paper.id))
    return made is not None and is_expired(round(made.timestamp() * 1000), valid_s)


def is_expired(made_ms: int, valid_s: float) -> bool:
    """Return whether a plan is too old to be applied."""
    return time.time() - made_ms / 1000 >= valid_s


def _stage(state: PlanState, page: Page) -> PlanStage:
    paper, needed = state.paper, max(1, page.settings.approvals)
    for stage, holds in (
        (PlanStage.APPLIED, state.run is not None),
        (PlanStage.APPLYING, state.applying is not None and state.applying.is_alive),
        (PlanStage.DELETED, paper.is_deleted),
        (PlanStage.REPLACED, paper.replaced_by is not None),
        (PlanStage.MAKING, state.making.is_alive),
        (PlanStage.NOT_MADE, not paper.sha256),
        (PlanStage.DAMAGED, not state.made_ms and os.path.lexists(state.path)),
        (PlanStage.DELETED, not state.made_ms),
        (PlanStage.EXPIRED, is_expired(state.made_ms, page.settings.plan_valid_s)),
        (PlanStage.DAMAGED, not state.facts),  # its limits and changes are not known
        (PlanStage.LIMITED, not set(_options(state.option)) <= set(_options(state.raised))),
        (PlanStage.EMPTY, not _changes(state)),
        (PlanStage.APPROVED, len(state.approvals) >= needed),
        (PlanStage.ASKED, paper.asked_ms is not None),
    ):
        if holds:
            return stage
    return PlanStage.MADE


def _is_of_another_file(upload: Upload | None, planned: Run | None) -> bool:
    if upload is None or planned is None:
        return False
    return planned.begun.input_sha256 != upload.sha256


def _options(text: str) -> list[str]:
    """Return options, each with its value."""
    return _OPTION.findall(text)


def _own(verdicts: Sequence[PlanVerdict], paper: Paper) -> list[PlanVerdict]:
    """Return the approval by one person where no other person has to approve."""
    return [each for each in verdicts[-1:] if each.is_approval and each.sha256 == paper.sha256]


def _changes(state: PlanState) -> int:
    outcomes = state.facts.get("outcomes") or {}
    return int(outcomes.get("would_update", 0)) + int(outcomes.get("would_create", 0))


def _progress(page: Page, job_id: str | None) -> Progress | None:
    if job_id is None:
        return None
    job: PageJob | None = page.jobs.find(job_id)
    return Progress(is_alive=False) if job is None else job.progress()
