"""A run: its progress, then its result, what can follow from it, and its reports."""

from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from bulk_sync.ledger import Deed, Kind
from bulk_sync.web import live, planning, report_files, run_view
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import attachment, found, page_of, person_of
from bulk_sync.web.run_view import RunState

_state: Final = partial(found, read=run_view.read, what="run")


async def show(request: web.Request) -> web.StreamResponse:
    """Show a run."""
    page, state = page_of(request), await _state(request)
    async with page.turn(f"rows of {state.run.run_id}"):
        values = await page.blocking(run_view.values, page, state, request.query)
    return page.show(request, "run.html.j2", **values)


async def events(request: web.Request) -> web.StreamResponse:
    """Send the progress of a run until it has ended."""
    state = await _state(request)
    return await live.stream(request, state.job)


async def report(request: web.Request) -> web.StreamResponse:
    """Send a report, or the rows to correct, as a file."""
    page, state = page_of(request), await _state(request)
    kind = request.match_info["kind"]
    if kind not in report_files.KINDS or state.run.ended is None:
        raise web.HTTPNotFound(text="There is no such report.")
    path = await report_files.made(page, state.run, kind)
    if path is None:
        raise web.HTTPNotFound(text="No row of this run needs a person.")
    of = state.run.begun.input_name
    end = path.name.removeprefix(f"{state.run.ended_ms}.")
    name = f"{Path(of).stem}.{state.run.run_id}.{end}"
    return web.FileResponse(path, headers=attachment(name))


async def stop(request: web.Request) -> web.StreamResponse:
    """Ask a run to finish what is in flight and stop."""
    page, state = page_of(request), await _state(request)
    job = state.job if state.is_at_work else None
    return await page.stop(person_of(request), job, state.run.run_id, _path(state))


async def resume(request: web.Request) -> web.StreamResponse:
    """Go on with a run that was stopped, or broke off."""
    page = page_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        if state.is_at_work or state.run.is_finished:
            return page.go(_path(state))
        if state.run.begun.kind is Kind.PLAN or state.why_not:
            raise web.HTTPConflict(text=state.why_not or "Make the plan again, on its own page.")
        await page.record(person_of(request), Deed.RESUMED, state.run.run_id)
        await _start(request, state, "resume", ["--yes"])
    return page.go(_path(state), "resumed")


async def retry(request: web.Request) -> web.StreamResponse:
    """Try the failed rows again, as a run of its own."""
    page = page_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        for job in await page.blocking(page.jobs.list_about, state.run.run_id, "retry"):
            if job.is_alive:
                return await page.go_to_run(job, _path(state))
        if not state.failed:
            raise web.HTTPConflict(text="No row of this run can be tried again.")
        name = person_of(request).name
        folder = await page.blocking(report_files.make_folder, page, state.run)
        path = folder / "{run_id}.results.csv"
        words = ["--yes", f"--prepared-by={name}", f"--report={path}"]
        job = await _start(request, state, "retry", words)
    return await page.go_to_run(job, _path(state))


async def undo(request: web.Request) -> web.StreamResponse:
    """Make a plan that puts back what a run changed; it needs approval as any other."""
    page, person = page_of(request), person_of(request)
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        run_id = state.run.run_id
        if state.may_resume:
            raise web.HTTPConflict(
                text="This run is not finished, so it cannot be undone yet. If its list is wrong, "
                f"do not resume it: {run_view.give_up(state.run)}"
            )
        if not state.may_undo:
            raise web.HTTPConflict(text="There is nothing of this run to put back.")
        plan_id = await page.blocking(run_view.open_undo, page, run_id)
        if plan_id is None:
            await page.record(person, Deed.UNDO_ASKED, run_id)
            texts = {"input_name": state.run.begun.input_name}
            plan_id = await page.blocking(
                planning.begin, page, person.name, [run_id], undoes=run_id, texts=texts
            )
    return page.go(f"/plans/{plan_id}")


async def _start(request: web.Request, state: RunState, command: str, words: list[str]) -> PageJob:
    page, run_id = page_of(request), state.run.run_id
    typed, who = [run_id, *words], person_of(request).name
    named = {"BULK_SYNC_INPUT_NAME": state.run.begun.input_name}
    return await page.blocking(
        page.jobs.start, command, typed, about=run_id, who=who, variables=named
    )


def _path(state: RunState) -> str:
    return f"/runs/{state.run.run_id}"
