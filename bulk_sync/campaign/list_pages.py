"""The shapes of lists and counts of profiles that the documentation shows. Pure.

Section 2.1 of campaign-api.md lists them: a count inline or behind a link, links absolute, relative
or with a double slash.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final, TypedDict
from urllib.parse import parse_qsl, urlsplit

from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import Answer, Parse, document
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import EXTENDED, PLURAL, SINGULAR

_APIS: Final = (PLURAL, SINGULAR, EXTENDED, "profilesAndServicesExt", "head")

_LINE_COUNT: Final = re.compile(r"(?<=[?&])_lineCount=([0-9]{1,9})(?=&|$)")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of profiles.

    Attributes:
        profiles: the profiles on it.
        next_path: where the next page is, below ``campaign/``; None on the last page.
        total: how many profiles there are, if the page says so.
        count_path: where that number can be had, if the page says so.
        cut_short: the list does not go on although, by what Campaign says, there is more.
        others: how many things on it are no profiles.
    """

    profiles: list[Profile]
    next_path: str | None
    total: int | None
    count_path: str | None
    cut_short: bool
    others: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list was left, for whoever goes on with it another day.

    Attributes:
        api: the API's name by which it was asked for.
        path: where the next page is, below ``campaign/``; None if the list has nothing more to say.
        pages: how many pages it has shown so far.
        shown: how many profiles were on them.
        doubtful: positions of the keys that it showed in two ways: they are looked up, whatever
            it says of them later.
    """

    api: str
    path: str | None
    pages: int
    shown: int
    doubtful: Sequence[int]


def parser_of(fields: Collection[str]) -> Parse:
    """Make a parser of pages that takes only some fields of each profile.

    That takes a third of the time in which all of a page becomes objects. What is skipped must be
    JSON in its form alone: text there that is no UTF-8, or a number past all bounds, spoils no
    page. An answer that is no page is parsed as a whole, and judged as any other.
    """
    import msgspec  # noqa: PLC0415 - as soon as there is a second page

    typed_dict: Any = TypedDict  # whose fields nobody knows before
    profile = typed_dict("profile", dict.fromkeys(fields, Any), total=False)
    around = dict.fromkeys(("next", "count", "value", "serverSidePagination"), Any)
    page = typed_dict("page", {"content": GenericAlias(list, profile), **around}, total=False)
    decoder = msgspec.json.Decoder(page)

    def parse(answer: Answer) -> object:
        try:
            return decoder.decode(answer.body)
        except (ValueError, RecursionError):
            return document(answer)

    return parse


def read(parsed: object) -> Page:
    """Read the answer to a list call.

    Raises:
        RetryLater: it is not one.
    """
    if not isinstance(parsed, dict) or not isinstance(parsed.get("content"), list):
        raise RetryLater(Reason.BAD_ANSWER, "Campaign answered with JSON that holds no list")
    count = parsed.get("count")
    following = _href(parsed.get("next"))
    counting = _href(count)
    found: list[Profile] = [item for item in parsed["content"] if isinstance(item, dict)]
    next_path = None if following is None else path(following, forced=True)
    return Page(
        profiles=found,
        others=len(parsed["content"]) - len(found),
        next_path=next_path,
        total=total(parsed) if total(parsed) is not None else total(count),
        count_path=None if counting is None else path(counting),
        cut_short=next_path is None
        and (following is not None or parsed.get("serverSidePagination") is False),
    )


def total(parsed: object) -> int | None:
    """Read a number of profiles: ``{"count": 26}``, ``{"value": 26}`` or just ``26``."""
    if isinstance(parsed, dict):
        parsed = parsed["count"] if "count" in parsed else parsed.get("value")
    is_number = isinstance(parsed, int) and not isinstance(parsed, bool)
    return parsed if is_number and isinstance(parsed, int) and parsed >= 0 else None


def path(href: str, *, forced: bool = False) -> str | None:
    """Take from a link what may be followed: path and query below ``campaign/``, no host.

    Credentials go to the configured endpoint alone, so the link's own host is dropped, and with it
    whatever stands before the API's name: samples come without host, and without ``/campaign``.

    Args:
        href: the link as Campaign gave it.
        forced: append ``_forcePagination=true`` where it is missing; no sample shows whether
            Campaign keeps it (campaign-api.md, section 2.1), and without it a large list ends.

    Returns:
        A path that begins with an API's name, or None if the link holds none.
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
    """Tell how many profiles a path asks for on a page; None if it does not say."""
    found = _LINE_COUNT.search(path)
    return None if found is None else int(found[1])


def with_line_count(path: str, count: int) -> str:
    """Let a path that asks for so many profiles on a page ask for another number."""
    return _LINE_COUNT.sub(f"_lineCount={count}", path)


def _href(link: object) -> str | None:
    href = link.get("href") if isinstance(link, dict) else link
    return href if isinstance(href, str) and href else None
