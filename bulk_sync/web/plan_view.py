"""What the screen of a plan shows: its rows in pages, those that a person has seen, its limits."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bulk_sync.amounts import count, duration
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Run
from bulk_sync.outcomes import Outcome
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.html_file import SECTIONS
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.stages import report_facts
from bulk_sync.settings import Bound, Limits
from bulk_sync.web import plan_state, planning
from bulk_sync.web.identity import Person
from bulk_sync.web.page import Page
from bulk_sync.web.plan_state import HOLD, PlanStage, PlanState
from bulk_sync.web.progress import Progress
from bulk_sync.web.records import Paper
from bulk_sync.web.row_pages import PAGE_ROWS, RowPages, Section, number_of

_ADVICE: Final = re.compile(r" If that is right, let (?:it|them) pass with [^.]*\.")
"""What a limit says to people at a terminal."""

_ANOTHER_FILE: Final = (
    "The file on the server was changed after it was uploaded, so it is not the one that was "
    "checked. Nothing was changed in Campaign. Upload the file again, and tell the person who "
    "looks after this page."
)

_NOTES: Final = {
    "asked": (PlanStage.ASKED,),
    "raised": (PlanStage.MADE,),
    "stopping": (PlanStage.MAKING,),
    "sent-back": (PlanStage.MADE,),
    "withdrawn": (PlanStage.MADE,),
}
"""Stages in which sentences of ``rendering.NOTES`` still hold; the others hold in any."""

TITLES: Final = {name: (title, note) for name, title, note in SECTIONS}
"""Headings and notes of the sections, as in reports."""


def _pages(state: PlanState) -> RowPages | None:
    """Return the rows of a plan; None if there are none to show.

    Raises:
        UsageProblem: they cannot be read, or are not those of the plan.
    """
    sha256 = state.paper.sha256
    if not sha256 or not state.made_ms:
        return None
    made_on = datetime.fromtimestamp(state.made_ms / 1000, UTC).date()
    folder = state.path.parent / f"rows-{sha256}"
    try:
        if not folder.is_dir():
            _check(state.path, sha256)
        return RowPages.open(state.path, folder, made_on, is_plan=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageProblem(
            f"The plan {state.paper.id} cannot be read: {error}. Make a new plan."
        ) from error


def _check(path: Path, sha256: str) -> None:
    found = LocalFile(path).sha256()
    if found != sha256:
        raise UsageProblem(
            f"The file of this plan was changed after it was made: its SHA-256 is {found}. It "
            "cannot be applied. Make a new plan, and tell the person who looks after this machine."
        )


def opt_in_pages(state: PlanState) -> int:
    """Return how many pages of opt-ins have to be seen."""
    pages = _pages(state)
    return 0 if pages is None or state.held else pages.pages(Section.OPT_INS)


def unseen(page: Page, state: PlanState, person: Person) -> str:
    """Return which opt-ins a person has not seen, in words; "" if they have seen all."""
    pages = _pages(state)
    return _in_words(pages, _missing(page, state, person, pages))


def _in_words(pages: RowPages | None, missing: Sequence[int]) -> str:
    if pages is None or not missing:
        return ""
    first = missing[0] * PAGE_ROWS + 1
    last = min(first + PAGE_ROWS - 1, pages.counts[Section.OPT_INS])
    more = f" and on {count(len(missing) - 1, 'more page')}" if len(missing) > 1 else ""
    return f"opt-in {first:,}" if first == last else f"opt-ins {first:,} to {last:,}{more}"


def _missing(page: Page, state: PlanState, person: Person, pages: RowPages | None) -> list[int]:
    if pages is None or state.held:
        return []
    return sorted(
        set(range(pages.pages(Section.OPT_INS))) - page.paperwork.seen(state.paper, person)
    )


def _note(state: PlanState, person: Person, note: str) -> str:
    """Return a note that still holds: a person may have got the address of a plan with it."""
    of_person = {"asked": state.is_preparer, "approved": state.has_approved}
    if note in of_person and not of_person[note](person):
        return ""
    return note if state.stage in _NOTES.get(note, tuple(PlanStage)) else ""


def values(
    page: Page, state: PlanState, person: Person, query: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the template needs. Blocks."""
    rows, needed = _pages(state), page.settings.approvals
    may_approve = state.may_approve(person, needed)
    missing = _missing(page, state, person, rows) if may_approve else []
    first = number_of(query.get("page", "")) if "page" in query else (missing or [0])[0]
    planned, facts = state.planned, None
    if rows is not None and planned is not None and planned.ended is not None:
        facts = report_facts.facts_from(planned, rows.tally)
    return {
        "state": state,
        "PlanStage": PlanStage,
        "note": _note(state, person, query.get("note", "")),
        "name": plan_state.subject(page, state.paper),
        "copies": () if state.upload is None else page.paperwork.copies_of(state.upload),
        "newer": _newer(page, state),
        "corrected": state.upload and page.paperwork.corrections_of(state.upload.id),
        "facts": facts,
        "opt_ins": rows and rows.page(Section.OPT_INS, first),
        "changes": rows and rows.page(Section.CHANGES, number_of(query.get("changes", ""))),
        "left": rows and rows.page(Section.PERSON, number_of(query.get("left", ""))),
        "may_approve": may_approve,
        "missing": missing,
        "unseen": _in_words(rows, missing),
        "needed": needed,
        "why_not_made": _ANOTHER_FILE
        if state.is_of_another_file
        else _message(state, state.making),
        "why_not_applied": _message(state, state.applying),
        "limit": without_advice(str(state.limit.get("message") or "")),
        "acts": page.ledger.acts(state.paper.id),
        "limits": "" if planned is None else _limits(planned),
        "holds": bool(state.paper.options.get(HOLD)),
        "approval_valid_ms": round(page.settings.approval_valid_s * 1000),
        "approval_valid": duration(page.settings.approval_valid_s),
        "valid_until_ms": state.made_ms + round(page.settings.plan_valid_s * 1000),
        "titles": TITLES,
    }


def _newer(page: Page, state: PlanState) -> Paper | None:
    papers = page.paperwork.plans(upload=state.paper.upload, most=1) if state.upload else []
    return next((paper for paper in papers if paper.id != state.paper.id), None)


def _limits(run: Run) -> str:
    """Return what a plan would change, each number with the most that may pass."""
    settings, rows = run.begun.settings, run.begun.rows
    given = {name: settings.get(name) for name in plan_file.LIMITS}
    bounds = {name: Bound.parse(str(most), "") for name, most in given.items() if most is not None}
    opt_ins = Limits(max_opt_ins=bounds.get("max_opt_ins")).opt_ins(rows)
    bounds["max_opt_ins"] = Bound(count=opt_ins)

    def beside(number: int, what: str, name: str) -> str:
        most = f"at most {bounds[name].most(rows):,}" if name in bounds else "no limit"
        return f"{count(number, what)} ({most})"

    created = run.count(Outcome.WOULD_CREATE)
    found = [
        beside(0 if run.ended is None else run.ended.opt_ins, "opt-in", "max_opt_ins"),
        beside(run.count(Outcome.WOULD_UPDATE) + created, "change", "max_changes"),
    ]
    if created:
        found.append(beside(created, "new profile", "max_creates"))
    return ", ".join(found)


def _message(state: PlanState, progress: Progress | None) -> str:
    """Return why a process ended early, with the name of the file as people know it."""
    text = "" if progress is None else progress.message
    text = text.replace(str(state.path), "This file")
    if state.upload is None:
        return text
    return text.replace(planning.file_of(state.paper), state.upload.file_name)


def without_advice(text: str) -> str:
    """Return what a limit says, without what it says to people at a terminal."""
    return _ADVICE.sub("", text).removeprefix("Nothing was written: ")
