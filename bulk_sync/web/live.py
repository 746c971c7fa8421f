"""Live progress of a process, as server-sent events; without the script, the page is reloaded.

event: progress   the fragment to show, whenever it changed
event: status     a short sentence for screen readers, every few seconds
event: end        the process has ended: load the page again
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

from aiohttp import web

from bulk_sync.errors import StopRun
from bulk_sync.web import rendering
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page, page_of

_STATUS_EVERY_S: Final = 5.0


async def stream(request: web.Request, job: PageJob | None) -> web.StreamResponse:
    """Send the progress of a process until it has ended; without a process, the end at once."""
    page, response = page_of(request), await _begun(request)
    status_at = 0.0
    with suppress(ConnectionError, asyncio.CancelledError):
        if job is not None:
            async for progress in page.jobs.follow(job):
                shown = rendering.render("progress.html.j2", {"progress": progress})
                await _send(response, "progress", shown)
                if time.monotonic() >= status_at:
                    status_at = time.monotonic() + _STATUS_EVERY_S
                    await _send(response, "status", progress.sentence)
        await _send(response, "end", "ended")
    return response


async def wait(request: web.Request, run_id: str) -> web.StreamResponse:
    """Send the end once a run that the page has not started is at work no more."""
    page, response = page_of(request), await _begun(request)
    with suppress(ConnectionError, asyncio.CancelledError):
        while await page.blocking(_is_at_work, page, run_id):
            await response.write(b": at work\n\n")  # fails once the browser has gone
            await asyncio.sleep(_STATUS_EVERY_S)
        await _send(response, "end", "ended")
    return response


def _is_at_work(page: Page, run_id: str) -> bool:
    """Return whether a run is at work; if that is not known now, it is looked at again later."""
    try:
        return run_id in page.ledger.at_work()
    except StopRun:
        return True


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, event: str, data: str) -> None:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    await response.write(f"event: {event}\n{lines}\n".encode())
