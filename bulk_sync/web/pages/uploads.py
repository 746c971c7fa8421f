"""Uploads: a file comes in, is checked, its columns are chosen, and it is compared with Campaign.

Every verdict is that of ``bulk-sync validate``; comparing is ``bulk-sync plan``.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from aiohttp import web

from bulk_sync.ledger import Deed
from bulk_sync.web import (
    choices,
    live,
    old_files,
    planning,
    template_workbook,
    upload_file,
    upload_state,
    upload_view,
)
from bulk_sync.web.database import now_ms
from bulk_sync.web.forms import Form
from bulk_sync.web.identity import Person
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page, attachment, found, page_of, person_of
from bulk_sync.web.paperwork import new_id
from bulk_sync.web.records import Upload
from bulk_sync.web.upload_file import NotReceived, Received
from bulk_sync.web.upload_state import UploadStage

_WAITS_S: Final = 6.0
"""Most files are checked within that; so nobody has to load the page again."""

_LONGEST: Final = 200
_CHECK: Final = "check"
"""Among the options of a plan: the check whose verdict the person saw."""

_state: Final = partial(found, read=upload_state.read, what="upload")


async def new(request: web.Request) -> web.StreamResponse:
    """Show the form."""
    page = page_of(request)
    before = await page.blocking(page.paperwork.upload, request.query.get("corrects", ""))
    return await _form(request, before, {})


async def receive(request: web.Request) -> web.StreamResponse:
    """Keep a file, record it in the ledger, and begin to check it."""
    page, person, upload_id = page_of(request), person_of(request), new_id()
    folder = page.settings.folder / "uploads" / upload_id
    upload: Upload | None = None
    remembered: Mapping[str, str] = {}
    async with upload_file.received(page, request, folder) as given:
        before = await page.blocking(page.paperwork.upload, given.fields.get("corrects", ""))
        if given.problem is None:
            upload = await page.blocking(_upload, upload_id, person, given, before)
            facts = {name: getattr(upload, name) for name in ("size", "sha256", "job", "ticket")}
            await page.record(person, Deed.UPLOADED, upload_id, name=upload.file_name, **facts)
            remembered = await page.blocking(_remembered, page, upload, before)
            await page.blocking(page.paperwork.add, upload)
    if upload is None:
        return await _form(request, before, given.fields, given.problem)
    await page.finish(_first_check(page, upload, person, remembered), _WAITS_S)
    return page.go(_path(upload))


async def template(_request: web.Request) -> web.StreamResponse:
    """Send a workbook with the right headings."""
    headers = attachment(template_workbook.NAME)
    return web.Response(body=template_workbook.workbook(), headers=headers)


async def show(request: web.Request) -> web.StreamResponse:
    """Show the columns and the verdict."""
    page, state = page_of(request), await _state(request)
    values = await page.blocking(upload_view.values, page, state, request.query)
    return page.show(request, "upload.html.j2", **values)


async def events(request: web.Request) -> web.StreamResponse:
    """Send the progress of the check."""
    state = await _state(request)
    return await live.stream(request, state.check if state.stage is UploadStage.CHECKING else None)


async def check(request: web.Request) -> web.StreamResponse:
    """Check the file again, with the choices of the form."""
    page, state = page_of(request), await _state(request)
    form = await Form.read(request)
    if state.stage is UploadStage.DELETED:
        raise _gone()
    if state.check is not None and state.stage is UploadStage.CHECKING:
        await page.blocking(state.check.stop)
    await page.finish(_check(page, state.upload, person_of(request), state.chosen(form)), _WAITS_S)
    return page.go(_path(state.upload))


async def compare(request: web.Request) -> web.StreamResponse:
    """Begin a plan with the choices whose verdict the person has seen, once."""
    page, person = page_of(request), person_of(request)
    form = await Form.read(request)
    async with page.turn(request.match_info["id"]):
        state = await _state(request)
        upload, path = state.upload, await page.blocking(upload_state.path_of, page, state.upload)
        if path is None:
            raise _gone()
        if state.check is None or state.stage is not UploadStage.CHECKED or not state.usable:
            raise web.HTTPConflict(
                text="This file cannot be compared as it stands. Check it again."
            )
        if form.text("check") != state.check.id:
            return page.go(_path(upload), "checked-since")
        chosen = state.chosen(form)
        if chosen != state.choices:
            await page.finish(_check(page, upload, person, chosen), _WAITS_S)
            return page.go(_path(upload), "checked-again")
        plan_id = await page.blocking(_plan_of, page, upload, state.check)
        if plan_id is None:
            words = [str(path), f"--job={upload.job}", *choices.words(state.choices)]
            if state.is_partial:  # it has fewer rows than the file that it corrects
                words.append("--allow=fewer-rows")
            plan_id = await page.blocking(
                planning.begin,
                page,
                person.name,
                words,
                upload=upload.id,
                texts={"ticket": upload.ticket, "input_name": upload.file_name},
                options={_CHECK: state.check.id},
            )
    return page.go(f"/plans/{plan_id}")


async def discard(request: web.Request) -> web.StreamResponse:
    """Delete a wrong file, unless it was compared with Campaign."""
    page, person, upload_id = page_of(request), person_of(request), request.match_info["id"]
    async with page.turn(upload_id):
        state = await _state(request)
        if not state.may_be_discarded_by(person):
            raise web.HTTPForbidden(text=f"Only {state.upload.who} or an admin can discard it.")
        if await page.blocking(partial(page.paperwork.plans, upload=upload_id)):
            raise web.HTTPConflict(text="This file was compared with Campaign, so it is kept.")
        if state.stage is not UploadStage.DELETED:
            if state.check is not None and state.stage is UploadStage.CHECKING:
                await page.blocking(state.check.stop)
            await page.record(person, Deed.DISCARDED, upload_id)
            folder = page.settings.folder / "uploads" / upload_id
            await page.blocking(old_files.discard, folder, page.paperwork, page.jobs)
    return page.go(_path(state.upload), "discarded")


async def rows_to_correct(request: web.Request) -> web.StreamResponse:
    """Send the workbook with its bad cells marked, or just the rows to correct."""
    page, state = page_of(request), await _state(request)
    path = await page.blocking(lambda: state.to_correct)
    if path is None:
        raise web.HTTPNotFound(text="There are no rows to correct.")
    stem = upload_file.stem_of(state.upload.file_name)
    name = f"{stem}.rows-to-correct{path.suffix}"
    return web.FileResponse(path, headers=attachment(name))


async def _form(
    request: web.Request,
    before: Upload | None,
    typed: Mapping[str, str],
    problem: NotReceived | None = None,
) -> web.Response:
    page = page_of(request)
    return page.show(
        request,
        "upload_new.html.j2",
        status=200 if problem is None else problem.status,
        before=before,
        job=typed.get("job", "" if before is None else before.job),
        ticket=typed.get("ticket", "" if before is None else before.ticket),
        problem="" if problem is None else str(problem),
        known_jobs=await page.blocking(page.paperwork.jobs),
        most=page.settings.max_upload,
        most_text=upload_file.megabytes(page.settings.max_upload),
    )


def _upload(upload_id: str, person: Person, given: Received, before: Upload | None) -> Upload:
    return Upload(
        id=upload_id,
        at_ms=now_ms(),
        who=person.name,
        file_name=given.file_name,
        size=given.size,
        sha256=given.sha256,
        job=(given.fields.get("job") or (before and before.job) or given.job)[:_LONGEST],
        ticket=(given.fields.get("ticket") or "")[:_LONGEST],
        choices={},
        corrects=None if before is None else before.id,
        is_deleted=False,
    )


def _remembered(page: Page, upload: Upload, before: Upload | None) -> Mapping[str, str]:
    """Return the choices for a new file: those of the one that it corrects, or of its job."""
    if before is not None:
        return choices.of_columns(before.choices)
    return choices.of_job(page.paperwork.choices_of(upload.job))


async def _first_check(
    page: Page, upload: Upload, person: Person, remembered: Mapping[str, str]
) -> None:
    """Check a new file with the choices of an earlier one; without them if they do not fit."""
    await _check(page, upload, person, remembered)
    state = await page.blocking(upload_state.read, page, upload.id)
    if state is not None and state.stage is UploadStage.UNREADABLE and state.choices != remembered:
        await _check(page, upload, person, {})


async def _check(page: Page, upload: Upload, person: Person, chosen: Mapping[str, str]) -> None:
    job = await page.blocking(upload_state.check, page, upload, person.name, chosen)
    async for _ in page.jobs.follow(job):
        pass


def _plan_of(page: Page, upload: Upload, job: PageJob) -> str | None:
    plans = page.paperwork.plans(upload=upload.id)
    return next((each.id for each in plans if each.options.get(_CHECK) == job.id), None)


def _path(upload: Upload) -> str:
    return f"/uploads/{upload.id}"


def _gone() -> web.HTTPException:
    return web.HTTPGone(text="This file is no longer kept. Upload it again.")
