"""A plan: how it is made, every change before and after, and who approves it.

Nothing is decided from what a browser sends but what a person wants: how the plan stands is read
again while the plan's turn is held, and the command line checks approvals and the file once more.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Final

from aiohttp import web

from bulk_sync.ledger import Deed
from bulk_sync.web import live, plan_state, plan_view, planning, row_pages
from bulk_sync.web.database import now_ms
from bulk_sync.web.forms import Form
from bulk_sync.web.identity import Person
from bulk_sync.web.page import Page, found, page_of, person_of
from bulk_sync.web.plan_state import RAISED, PlanStage, PlanState
from bulk_sync.web.records import PlanVerdict

_LONGEST_COMMENT: Final = 4_000
"""Twice as much as its field takes: a browser sends an end of line as two characters."""

_MADE_AGAIN: Final = (
    PlanStage.NOT_MADE, PlanStage.LIMITED, PlanStage.EXPIRED, PlanStage.DAMAGED,
)  # fmt: skip
"""Stages in which a plan can be made in place of one."""

Problems = Mapping[str, str]

_state: Final = partial(found, read=plan_state.read, what="plan")


async def show(request: web.Request) -> web.StreamResponse:
    """Show a plan."""
    return await _shown(request, await _state(request))


async def events(request: web.Request) -> web.StreamResponse:
    """Send the progress of the process that makes it, or applies it."""
    page, state = page_of(request), await _state(request)
    is_applying = state.stage is PlanStage.APPLYING
    job_id = state.paper.applied_by if is_applying else state.paper.job
    return await live.stream(request, await page.blocking(page.jobs.find, job_id))


async def stop(request: web.Request) -> web.StreamResponse:
    """Stop making it."""
    page, state = page_of(request), await _state(request)
    job = await page.blocking(page.jobs.find, state.paper.job)
    return await page.stop(person_of(request), job, state.paper.id, _path(state))


async def plan_again(request: web.Request) -> web.StreamResponse:
    """Make it again, or a new one in its place."""
    page, form = page_of(request), await Form.read(request)
    async with page.turn(request.match_info["id"]):
        state = await _free(request)
        if state.stage in {PlanStage.MAKING, PlanStage.REPLACED}:
            return page.go(_path(state))
        if state.stage not in _MADE_AGAIN:
            raise _conflict(
                "The plan has changed since you opened its screen, so no other one was made: its "
                f"state is “{state.stage}”."
            )
        hold = form.text("hold") == "yes"
        person = person_of(request)
        new = await page.blocking(planning.make_again, page, state, person, hold=hold)
    return page.go(f"/plans/{new}")


async def raise_limit(request: web.Request) -> web.StreamResponse:
    """Let a plan pass the limits against it, with a reason."""
    page, form = page_of(request), await Form.read(request)
    reason = form.text("reason")[:_LONGEST_COMMENT]
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        if state.stage is not PlanStage.LIMITED:
            raise _conflict("No limit stops this plan now.")
        if not reason:
            problems = {"reason": "Write why it is right to pass the limit."}
            return await _shown(request, state, problems)
        facts = {"sha256": state.paper.sha256, "option": state.option}
        about, options = state.paper.id, {**state.paper.options, RAISED: state.raised_further()}
        await page.record(person_of(request), Deed.LIMIT_RAISED, about, comment=reason, **facts)
        await page.blocking(plan_state.release, page, state)
        is_open = await page.blocking(page.paperwork.set_options, about, options)
    return page.go(_path(state), "raised" if is_open else "")


async def ask(request: web.Request) -> web.StreamResponse:
    """Ask others for approval."""
    page, form = page_of(request), await Form.read(request)
    comment = form.text("comment")[:_LONGEST_COMMENT]
    async with page.turn(request.match_info["id"]):
        state = await _free(request)
        if state.stage is PlanStage.MADE:
            person, paper = person_of(request), state.paper
            facts = {"sha256": paper.sha256}
            await page.record(person, Deed.ASKED, paper.id, comment=comment, **facts)
            await page.blocking(page.paperwork.ask, paper.id, person.name, comment)
        elif state.stage is not PlanStage.ASKED:
            raise _conflict(_why_not(state))
    return page.go(_path(state), "asked")


async def withdraw(request: web.Request) -> web.StreamResponse:
    """End one's own request for approval."""
    page, person = page_of(request), person_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _free(request)
        if state.stage is PlanStage.MADE:
            return page.go(_path(state))
        if not state.may_withdraw(person):
            raise _conflict(_why_not(state))
        paper = state.paper
        await page.record(person, Deed.WITHDRAWN, paper.id, sha256=paper.sha256)
        await page.blocking(page.paperwork.withdraw, paper.id)
    return page.go(_path(state), "withdrawn")


async def seen(request: web.Request) -> web.StreamResponse:
    """Keep that the person has seen a page of opt-ins, and show the next one."""
    page, form = page_of(request), await Form.read(request)
    person, state = person_of(request), await _state(request)
    ticked = await _noted(page, state, person, form)
    if not ticked:
        problems = {"page": "Tick the box once you have looked at these rows."}
        return await _shown(request, state, problems)
    if form.text("comment"):  # it stays in its field, and out of the address
        return await _shown(request, state)
    if await page.blocking(plan_view.unseen, page, state, person):
        return page.go(f"{_path(state)}#opt-ins")  # the first page that was not seen
    return page.go(f"{_path(state)}?page={ticked[-1] + 1}#decide")


async def send_back(request: web.Request) -> web.StreamResponse:
    """Send a plan back to the person who prepared it, with a comment."""
    page, form = page_of(request), await Form.read(request)
    comment = form.text("comment")[:_LONGEST_COMMENT]
    async with page.turn(request.match_info["id"]):
        state = await _free(request)
        if state.stage not in {PlanStage.ASKED, PlanStage.APPROVED, PlanStage.EXPIRED}:
            raise _conflict(_why_not(state))
        if not comment:
            problems = {"comment": "Write what is wrong, so that it can be corrected."}
            return await _shown(request, state, problems)
        await _decide(request, state, comment, is_approval=False)
    return page.go(_path(state), "sent-back")


async def approve(request: web.Request) -> web.StreamResponse:
    """Approve a plan; the last approval that it needs applies it."""
    page, form = page_of(request), await Form.read(request)
    comment, person = form.text("comment")[:_LONGEST_COMMENT], person_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _free(request)
        needed = page.settings.approvals
        if state.has_approved(person) and state.stage in {PlanStage.ASKED, PlanStage.APPROVED}:
            return page.go(_path(state), "approved")
        if not state.may_approve(person, needed):
            raise _conflict(_why_not(state, person))
        if form.text("sha256") != state.paper.sha256:
            raise _conflict(
                "The plan that you have seen is not this one. Look at it again before you approve."
            )
        await _noted(page, state, person, form)
        left = await page.blocking(plan_view.unseen, page, state, person)
        if left:
            problems = {"approve": f"Not confirmed yet: {left}. Tick the box below them."}
            return await _shown(request, state, problems)
        await _decide(request, state, comment, is_approval=True)
        state = await _state(request)
        if state.stage is not PlanStage.APPROVED:
            return page.go(_path(state), "approved")
        job = await page.blocking(planning.apply, page, state)
    return await page.go_to_run(job, _path(state))


async def apply(request: web.Request) -> web.StreamResponse:
    """Go on with a plan that has its approvals, but was not started."""
    page = page_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        if state.stage in {PlanStage.APPLYING, PlanStage.APPLIED}:
            return page.go(_path(state))
        if state.stage is not PlanStage.APPROVED:
            raise _conflict(_why_not(state))
        await page.record(person_of(request), Deed.RESUMED, state.paper.id)
        job = await page.blocking(planning.apply, page, state)
    return await page.go_to_run(job, _path(state))


async def _noted(page: Page, state: PlanState, person: Person, form: Form) -> list[int]:
    """Keep that the person has seen the ticked pages of opt-ins, and return them."""
    pages = await page.blocking(plan_view.opt_in_pages, state)
    numbers = map(row_pages.number_of, form.texts("page"))
    ticked = [number for number in numbers if number in range(pages)]
    if ticked:
        await page.blocking(page.paperwork.note_seen, state.paper, person, ticked)
    return ticked


async def _decide(
    request: web.Request, state: PlanState, comment: str, *, is_approval: bool
) -> None:
    """Record a verdict in the ledger, then in the paperwork."""
    page, person, paper = page_of(request), person_of(request), state.paper
    deed = Deed.APPROVED if is_approval else Deed.SENT_BACK
    await page.record(person, deed, paper.id, comment=comment, sha256=paper.sha256)
    verdict = PlanVerdict(paper.id, paper.sha256, now_ms(), person.name, is_approval, comment)
    if not await page.blocking(page.paperwork.decide, verdict):
        raise _conflict("Somebody else decided about this plan just now. Look at it again.")


async def _free(request: web.Request) -> PlanState:
    """Return how a plan stands; a process that could not begin to apply it is in no one's way."""
    page, state = page_of(request), await _state(request)
    return await page.blocking(plan_state.release, page, state)


def _path(state: PlanState) -> str:
    if state.run is not None:
        return f"/runs/{state.run.run_id}"
    return f"/plans/{state.paper.id}"


def _conflict(text: str) -> web.HTTPException:
    return web.HTTPConflict(text=text)


def _why_not(state: PlanState, person: Person | None = None) -> str:
    if person is not None and state.stage is PlanStage.ASKED and state.is_preparer(person):
        return (
            "You uploaded or prepared this plan, so your approval does not count. Another person "
            "must approve it."
        )
    if state.sender is not None:
        who, comment = state.sender.who, state.sender.comment
        return f"{who} sent this plan back: “{comment}” It has to be asked for again."
    return {
        PlanStage.MAKING: "The plan is being made. Wait until it is complete.",
        PlanStage.NOT_MADE: "There is no plan yet. Make it again.",
        PlanStage.REPLACED: "Another plan stands in the place of this one. Decide about that one.",
        PlanStage.DAMAGED: "A file of the plan was changed or damaged. Make a new plan.",
        PlanStage.DELETED: "The plan is no longer kept. Make a new one.",
        PlanStage.EMPTY: "Nothing would be changed, so there is nothing to approve.",
        PlanStage.LIMITED: "A limit stops this plan. See the plan for what can be done.",
        PlanStage.EXPIRED: "The plan is too old: profiles may have changed since. Make a new plan.",
        PlanStage.MADE: "Nobody asks for the approval of this plan now.",
        PlanStage.ASKED: "The plan waits for approval.",
        PlanStage.APPROVED: "The plan has all approvals that it needs.",
        PlanStage.APPLYING: "The plan is being applied.",
        PlanStage.APPLIED: "The plan has been applied.",
    }[state.stage]


async def _shown(
    request: web.Request, state: PlanState, problems: Problems | None = None
) -> web.Response:
    page, person = page_of(request), person_of(request)
    async with page.turn(f"rows of {state.paper.id}"):
        values = await page.blocking(plan_view.values, page, state, person, request.query)
    status = 400 if problems else 200
    form = Form({}) if request.method == "GET" else await Form.read(request)
    return page.show(
        request,
        "plan.html.j2",
        status=status,
        problems=defaultdict(str, problems or {}),
        typed={name: form.text(name) for name in ("comment", "reason")},
        **values,
    )
