"""One person: the whole story, by PKey, e-mail or any key of a file; each search is recorded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Act, Deed
from bulk_sync.outcomes import Outcome
from bulk_sync.report.wording import OUTCOMES, Tone
from bulk_sync.rows import check
from bulk_sync.runs import Story, known, story_of
from bulk_sync.runs.commands import story_text
from bulk_sync.web.database import now_ms
from bulk_sync.web.forms import Form
from bulk_sync.web.page import Page, page_of, person_of

_LONGEST_KEY: Final = 1_000
_UNKNOWN: Final = "outcome unknown"


async def form(request: web.Request) -> web.StreamResponse:
    """Show the form of a search."""
    return _shown(request, "")


async def search(request: web.Request) -> web.StreamResponse:
    """Show the story of one person; the key stands in no address, and so in no log."""
    page = page_of(request)
    fields = await Form.read(request)
    typed = fields.text("key")
    if not typed or len(typed) > _LONGEST_KEY:
        error = "Type the PKey or the e-mail address of one person."
        return _shown(request, typed, error, status=400)
    try:
        key = check.key(typed)
    except UsageProblem as problem:
        return _shown(request, typed, str(problem).replace("KEY", "The key", 1), status=400)
    searches = await page.blocking(_searches, page, key)
    await page.record(person_of(request), Deed.LOOKED_UP, key=key)
    async with page.searching:
        story = await page.blocking(_story, page, key)
    return _shown(
        request,
        key,
        story=story,
        at_ms=now_ms(),
        standing=story_text.standing(story),
        unknown=story_text.notes(story, "search for their PKeys too."),
        events=list(_events(story)),
        searches=searches,
    )


def _shown(
    request: web.Request, key: str, error: str = "", *, status: int = 200, **values: Any
) -> web.Response:
    found = {"story": None, **values}
    page = page_of(request)
    return page.show(request, "people.html.j2", status=status, key=key, error=error, **found)


def _story(page: Page, key: str) -> Story:
    with known(page.settings.state) as book:
        return story_of(book, page.settings.state, key)


def _searches(page: Page, key: str) -> Sequence[Act]:
    return [act for act in page.ledger.acts() if act.deed == Deed.LOOKED_UP and act.key == key]


def _events(story: Story) -> Iterator[Mapping[str, Any]]:
    for event in story.events:
        facts = story_text.event_facts(event)
        settings = event.run.begun.settings
        sign, tone = _look(str(facts["outcome"]))
        yield {
            **facts,
            "outcome": _UNKNOWN if facts["outcome"] == "unknown" else facts["outcome"],
            "sign": sign,
            "tone": tone,
            "at_ms": event.at_ms,
            "prepared_by": settings.get("prepared_by") or facts["operator"],
            "approved_by": ", ".join(settings.get("approved_by") or ()),
        }


def _look(outcome: str) -> tuple[str, Tone]:
    try:
        word = OUTCOMES[Outcome(outcome)]
    except ValueError:
        return "?", Tone.PERSON
    return word.sign, word.tone
