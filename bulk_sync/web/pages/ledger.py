"""The ledger: where it ends, and whether it is as it was written."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bulk_sync import ledger
from bulk_sync.web import plan_state
from bulk_sync.web.page import Page, page_of
from bulk_sync.web.row_pages import number_of

_SHOWN: Final = 50


async def show(request: web.Request) -> web.StreamResponse:
    """Show the head."""
    return await _shown(request)


async def verify(request: web.Request) -> web.StreamResponse:
    """Verify all of the ledger, in a process of its own: it takes long, and a core."""
    page = page_of(request)
    ended = await page.jobs.answer("ledger", "verify", "--json")
    verdict = ended if isinstance(ended, Mapping) else None
    return await _shown(request, verdict, "" if verdict else str(ended))


async def _shown(
    request: web.Request, verdict: Mapping[str, Any] | None = None, problem: str = ""
) -> web.Response:
    page = page_of(request)
    values = await page.blocking(_read, page, number_of(request.query.get("before", "")))
    return page.show(request, "ledger.html.j2", verdict=verdict, problem=problem, **values)


def _read(page: Page, before: int) -> Mapping[str, Any]:
    """Return what is shown; ``before`` is the position of the last line to show, -1 of the end."""
    acts = [act for act in page.ledger.acts()[::-1] if before < 0 or act.position <= before]
    return {
        "head": page.ledger.head(),
        "lines": [(act, *_about(page, act.about)) for act in acts[:_SHOWN]],
        "older": acts[_SHOWN - 1].position if len(acts) > _SHOWN else 0,
        "is_first": before < 0,
        "place": ledger.anchor_of(page.settings.state).ledger,
    }


def _about(page: Page, about: str) -> tuple[str, str]:
    """Return the path of what an act is about, and its name; "" for what is not known here."""
    if paper := page.paperwork.plan(about):
        kind = "plan to undo" if paper.undoes else "plan"
        return f"/plans/{about}", f"{kind}: {plan_state.subject(page, paper)}"
    if upload := page.paperwork.upload(about):
        return f"/uploads/{about}", upload.file_name
    if run := page.ledger.run(about):
        return f"/runs/{about}", f"run: {run.begun.input_name}"
    return "", ""
