"""The ledger: where it ends, and whether it is as it was written."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bulk_sync import ledger
from bulk_sync.ledger import Act, Head
from bulk_sync.web.page import Page, page_of

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
    head, acts, place = await page.blocking(_read, page)
    return page.show(
        request,
        "ledger.html.j2",
        head=head,
        acts=acts,
        place=place,
        verdict=verdict,
        problem=problem,
    )


def _read(page: Page) -> tuple[Head | None, list[Act], str]:
    acts = page.ledger.acts()[-_SHOWN:]
    return page.ledger.head(), list(reversed(acts)), ledger.anchor_of(page.settings.state).ledger
