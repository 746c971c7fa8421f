"""The shapes of lists and counts of profiles. Pure.

A count stands inline or behind a link; links are absolute, relative or with a double slash
(manual/campaign-api.md, section 2.1).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final, TypedDict
from urllib.parse import parse_qsl, urlsplit

from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import Parse, Response, document
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import EXTENDED, PLURAL, SINGULAR

_APIS: Final = (PLURAL, SINGULAR, EXTENDED, "profilesAndServicesExt", "head")

DEFAULT_ROWS: Final = 25
"""Profiles on a page by default (manual/campaign-api.md, section 2.1)."""

_LINE_COUNT: Final = re.compile(r"(?<=[?&])_lineCount=([0-9]{1,9})(?=&|$)")


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list of profiles.

    Attributes:
        next_path: the next page, below ``campaign/``; None on the last page.
        total: the number of all profiles, if the page shows it.
        count_path: where else the number is, if the page shows it.
        cut_short: the list ends although there is more.
        others: the number of other entries.
    """

    profiles: list[Profile]
    next_path: str | None
    total: int | None
    count_path: str | None
    cut_short: bool
    others: int


@dataclass(frozen=True, slots=True)
class ScanPosition:
    """Where a scan stopped, to go on another day.

    Attributes:
        api: the API's name of the scan.
        path: the next page, below ``campaign/``; None if there is nothing more to read.
        pages: pages so far.
        shown: profiles on them.
        doubtful: positions of keys with two states on the list: they are looked up in any case.
    """

    api: str
    path: str | None
    pages: int
    shown: int
    doubtful: Sequence[int]


def parser_of(fields: Collection[str]) -> Parse:
    """Make a parser of pages, for some fields of each profile.

    It takes a third of the time of a whole page. Other fields need to be JSON in form only: bad
    UTF-8 there, or a number past all bounds, spoils no page. A response without a page is parsed as
    a whole, and judged as any other.
    """
    import msgspec  # noqa: PLC0415 - as soon as there is a second page

    typed_dict: Any = TypedDict  # with fields known at run time only
    profile = typed_dict("profile", dict.fromkeys(fields, Any), total=False)
    around = dict.fromkeys(("next", "count", "value", "serverSidePagination"), Any)
    page = typed_dict("page", {"content": GenericAlias(list, profile), **around}, total=False)
    decoder = msgspec.json.Decoder(page)

    def parse(response: Response) -> object:
        try:
            return decoder.decode(response.body)
        except (ValueError, RecursionError):
            return document(response)

    return parse


def read(parsed: object, requested: str) -> ListPage:
    """Return the page in a response to a path; raise RetryLater if there is none."""
    if not isinstance(parsed, dict) or not isinstance(parsed.get("content"), list):
        raise RetryLater(Reason.BAD_ANSWER, "Campaign answered with JSON that holds no list")
    count = parsed.get("count")
    following = _href(parsed.get("next"))
    counting = _href(count)
    found: list[Profile] = [item for item in parsed["content"] if isinstance(item, dict)]
    number = total(parsed) if total(parsed) is not None else total(count)
    next_path = None if following is None else path(following, forced=True)
    return ListPage(
        profiles=found,
        others=len(parsed["content"]) - len(found),
        next_path=next_path,
        total=number,
        count_path=None if counting is None else path(counting),
        cut_short=next_path is None
        and (
            following is not None
            or (
                parsed.get("serverSidePagination") is False
                and _may_hide_more(len(parsed["content"]), number, requested)
            )
        ),
    )


def _may_hide_more(rows: int, number: int | None, requested: str) -> bool:
    """Return whether a page without a next one may be full, or is not all by its own count."""
    is_first = "_lineStart=" not in requested
    is_less = is_first and number is not None and rows < number
    return is_less or rows >= min(line_count(requested) or 0, DEFAULT_ROWS)


def total(parsed: object) -> int | None:
    """Return a number of profiles: ``{"count": 26}``, ``{"value": 26}`` or just ``26``."""
    if isinstance(parsed, dict):
        parsed = parsed["count"] if "count" in parsed else parsed.get("value")
    if isinstance(parsed, int) and not isinstance(parsed, bool) and parsed >= 0:
        return parsed
    return None


def path(href: str, *, forced: bool = False) -> str | None:
    """Return the path and query of a link below ``campaign/``; None without an API's name.

    Credentials go to the configured endpoint alone, so the link's own host is dropped, with
    everything before the API's name. ``forced`` appends ``_forcePagination=true`` where it is
    missing: without it a large list ends (manual/campaign-api.md, section 2.1).
    """
    try:
        parts = urlsplit("".join(char for char in href if char > " "))
    except ValueError:
        return None
    segments = parts.path.split("/")
    starts = [at for at, name in enumerate(segments) if name in _APIS]
    if not starts or any(name in {".", ".."} for name in segments):
        return None
    below = "/".join(segments[starts[0] :])
    query = parts.query
    if forced and "_forcePagination" not in dict(parse_qsl(query, keep_blank_values=True)):
        query = f"{query}&_forcePagination=true" if query else "_forcePagination=true"
    return f"{below}?{query}" if query else below


def line_count(path: str) -> int | None:
    """Return the number of profiles in a path; None without one."""
    found = _LINE_COUNT.search(path)
    return None if found is None else int(found[1])


def with_line_count(path: str, count: int) -> str:
    """Return a path with another number of profiles."""
    return _LINE_COUNT.sub(f"_lineCount={count}", path)


def _href(link: object) -> str | None:
    href = link.get("href") if isinstance(link, dict) else link
    return href if isinstance(href, str) and href else None
