"""The start: what waits for the person, then all runs, the newest first."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from aiohttp import web

from bulk_sync.amounts import count
from bulk_sync.errors import Exit
from bulk_sync.ledger import Kind, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.report.facts import PAST_RUNS
from bulk_sync.runs.history import lineage
from bulk_sync.runs.stages import report_facts
from bulk_sync.runs.stages.report_facts import for_a_person
from bulk_sync.settings import folded
from bulk_sync.web import plan_state, upload_state
from bulk_sync.web.identity import Person, Right
from bulk_sync.web.page import Page, page_of, person_of
from bulk_sync.web.plan_state import PlanStage
from bulk_sync.web.records import Paper, PlanVerdict
from bulk_sync.web.run_view import standing_of, what

_SHOWN: Final = 50
_LOOKED_AT: Final = 30
_COMPARE: Final = "An upload to compare with Campaign"


class Task(NamedTuple):
    """Something waiting for the person."""

    path: str
    title: str
    detail: str
    at_ms: int


async def show(request: web.Request) -> web.StreamResponse:
    """Show what waits, and the runs."""
    page = page_of(request)
    values = await page.blocking(_read, page, person_of(request), request.query.get("before", ""))
    return page.show(request, "start.html.j2", **values)


def _read(page: Page, person: Person, before: str) -> dict[str, Any]:
    requested, at_work = page.ledger.requested_and_at_work()
    every = [run for run in requested if run.has_begun]
    runs = [run for run in requested if not before or run.run_id < before]
    past = report_facts.past_runs(run for run in every if run.begun.kind is not Kind.PLAN)
    older = runs[_SHOWN - 1].run_id if len(runs) > _SHOWN else ""
    return {
        "tasks": list(_tasks(page, person, every, at_work)),
        "others": list(_with_others(page, person, every)),
        "past": list(islice(past, PAST_RUNS))[::-1],
        "lines": [
            (run, standing_of(run, at_work), what(run), run.ended and for_a_person(run.ended))
            for run in runs[:_SHOWN]
        ],
        "older": older,
    }


def _tasks(
    page: Page, person: Person, runs: Sequence[Run], at_work: Collection[str]
) -> Iterator[Task]:
    yield from _plans(page, person, runs)
    yield from _uploads(page, person)
    if person.may(Right.RESUME):
        for run in runs:
            if not run.is_finished and run.run_id not in at_work and run.begun.kind != Kind.PLAN:
                name = run.begun.input_name
                yield Task(f"/runs/{run.run_id}", "A run to resume", name, run.begun_ms)


def _plans(page: Page, person: Person, runs: Sequence[Run]) -> Iterator[Task]:
    """Yield plans that the person may approve, start or let pass, and those to go on with."""
    for paper in _open_plans(page, runs):
        path, verdicts = f"/plans/{paper.id}", page.paperwork.verdicts(paper.id)
        if paper.asked_ms is not None:
            asked = f"{_subject(page, paper)}, asked by {paper.asked_by}"
            if title := _title_once_asked(page, person, paper, verdicts, runs):
                yield Task(path, title, asked, paper.asked_ms)
        elif verdicts and not verdicts[-1].is_approval:
            if _goes_on(page, person, paper.who):
                last = verdicts[-1]
                said = f"{_subject(page, paper)}: {last.comment}"
                yield Task(path, "A plan that was sent back", said, last.at_ms)
        elif _goes_on(page, person, paper.who) or person.may(Right.RAISE):
            title = _title(page, person, paper, _stage(page, paper, runs))
            yield from [Task(path, title, _subject(page, paper), paper.at_ms)] if title else []


def _goes_on(page: Page, person: Person, who: str) -> bool:
    """Return whether a person goes on with some work: their own, or what another has left.

    It is left by a person who may not upload any more.
    """
    if not person.may(Right.PREPARE) or person.is_same(who):
        return person.may(Right.PREPARE)
    at_work = page.who_may(Right.PREPARE)
    return at_work is not None and folded(who) not in at_work


def _open_plans(page: Page, runs: Sequence[Run]) -> list[Paper]:
    """Return the plans that wait for a person, the newest first.

    A process that could not begin to apply a plan has left no run.
    """
    applied, found = lineage.applied_plans(runs), page.paperwork.open_plans()
    for paper in page.paperwork.begun_plans():
        if paper.sha256 not in applied:
            job = page.jobs.find(paper.applied_by)
            found += [] if job is not None and job.is_alive else [paper]
    return sorted(found, key=lambda paper: paper.id, reverse=True)


def _title_once_asked(
    page: Page,
    person: Person,
    paper: Paper,
    verdicts: Sequence[PlanVerdict],
    runs: Sequence[Run],
) -> str:
    """Return what the person may do about a plan whose approval was asked for; "" if nothing."""
    if plan_state.is_too_old(page, paper):
        return "A plan that is too old" if _goes_on(page, person, paper.who) else ""
    # Without an approval it waits for one: how it stands need not be read.
    is_approved = any(each.is_approval for each in verdicts)
    stage = _stage(page, paper, runs) if is_approved else PlanStage.ASKED
    if stage in {PlanStage.APPROVED, PlanStage.LIMITED}:
        return _title(page, person, paper, stage)
    is_open = stage is not PlanStage.APPLIED  # its run was given up
    decides = is_open and person.may(Right.APPROVE) and not _has_part(page, person, paper)
    return "A plan to approve" if decides else ""


def _title(page: Page, person: Person, paper: Paper, stage: PlanStage | None) -> str:
    """Return what the person may do about a plan at a stage; "" if nothing."""
    is_own = _goes_on(page, person, paper.who)
    if stage is PlanStage.APPROVED and person.may(Right.RESUME):
        return "An approved plan that was not started"
    if stage is PlanStage.LIMITED and (is_own or person.may(Right.RAISE)):
        return "" if _is_replaced(page, paper.upload or "") else "A plan that a limit stops"
    if stage is PlanStage.MADE and is_own:
        decides = not page.settings.approvals and person.may(Right.APPROVE)
        return "A plan to approve" if decides else "A plan to ask approval for"
    return ""


def _has_part(page: Page, person: Person, paper: Paper) -> bool:
    """Return whether a person prepared a plan, or has approved it already, if that counts."""
    if not page.settings.approvals:
        return False
    approved = [each.who for each in page.paperwork.approvals(paper)]
    return any(map(person.is_same, [*page.paperwork.preparers(paper), *approved]))


def _with_others(page: Page, person: Person, runs: Sequence[Run]) -> Iterator[Task]:
    for paper in page.paperwork.open_plans():
        is_own = paper.asked_ms is not None and person.is_same(paper.who)
        if is_own and _stage(page, paper, runs) is PlanStage.ASKED:
            title, what = "A plan that waits for approval", _subject(page, paper)
            yield Task(f"/plans/{paper.id}", title, what, paper.asked_ms or paper.at_ms)


def _stage(page: Page, paper: Paper, runs: Sequence[Run]) -> PlanStage | None:
    """Return how far a plan is; None if it is too old, or its file has a newer one."""
    if plan_state.is_expired(paper.at_ms, page.settings.plan_valid_s):
        return None
    if paper.upload and page.paperwork.plans(upload=paper.upload, most=1)[0].id != paper.id:
        return None
    state = plan_state.read(page, paper.id, runs)
    return None if state is None else state.stage


def _subject(page: Page, paper: Paper) -> str:
    what = plan_state.subject(page, paper)
    return f"undo of {what}" if paper.undoes else what


def _uploads(page: Page, person: Person) -> Iterator[Task]:
    """Yield the person's last uploads with rows to correct, unless a correction has come.

    Of a file that was uploaded again, the last upload counts; and a file that cannot be used as it
    is has had its correction with any newer file of the job. One without such rows waits until a
    plan is made of it, and so does one whose correction has just these rows.
    """
    uploads = [each for each in page.paperwork.uploads(_LOOKED_AT) if not each.is_deleted]
    with_plan = {paper.upload for paper in page.paperwork.plans()}
    compared = {upload.sha256 for upload in uploads if upload.id in with_plan}
    done = {upload.corrects for upload in uploads}
    contents, jobs = set[str](), set[str]()
    for upload in uploads:
        if not _goes_on(page, person, upload.who):
            continue
        is_repeated, has_newer = upload.sha256 in contents, upload.job in jobs
        contents.add(upload.sha256)
        jobs.add(upload.job)
        if is_repeated:
            continue
        path, name = f"/uploads/{upload.id}", upload.file_name
        for job in page.jobs.list_about(upload.id, "validate")[:1]:
            summary = job.progress().summary or {}
            rejected = summary.get("outcomes", {}).get(Outcome.REJECTED, 0)
            has_rest = upload.sha256 not in compared and bool(summary.get("usable"))
            if upload.id in done:
                if has_rest and not summary.get("marked") and not _is_replaced(page, upload.id):
                    yield Task(path, _COMPARE, f"{name}: its other rows", upload.at_ms)
            elif rejected:
                what = f"{name}: {count(rejected, 'row')} to correct"
                yield Task(path, "An upload to correct", what, upload.at_ms)
            elif summary.get("exit") == Exit.USAGE and not has_newer:
                yield Task(path, "An upload that cannot be used as it is", name, upload.at_ms)
            elif has_rest:
                yield Task(path, _COMPARE, name, upload.at_ms)


def _is_replaced(page: Page, upload_id: str) -> bool:
    """Return whether a correction has all rows of an upload, and not just those to correct."""
    states = (upload_state.read(page, each.id) for each in page.paperwork.corrections_of(upload_id))
    return any(state is not None and not state.is_partial for state in states)
