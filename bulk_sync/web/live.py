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

from bulk_sync.web import rendering
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import page_of

_STATUS_EVERY_S: Final = 5.0


async def stream(request: web.Request, job: PageJob | None) -> web.StreamResponse:
    """Send the progress of a process until it has ended; without a process, the end at once."""
    page, status_at = page_of(request), 0.0
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
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


async def _send(response: web.StreamResponse, event: str, data: str) -> None:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    await response.write(f"event: {event}\n{lines}\n".encode())
