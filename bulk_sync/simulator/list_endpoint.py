"""Lists of profiles: filters, order, pages with opaque cursors, counts.

    parse    path and parameters -> Query, or None if the path names no list
    answer   Query -> a page, or a count

What makes a client's life hard is here: pages of 25, a cursor that only ``next`` may carry, no
``next`` at all for big tables unless it was asked for, and every way of writing a link.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

from bulk_sync.simulator import bodies
from bulk_sync.simulator.behavior import ByEmail, CountStyle, Dialect, NextStyle, ScanFault
from bulk_sync.simulator.bodies import Answer, Refusal
from bulk_sync.simulator.faults import unit
from bulk_sync.simulator.instance import Instance
from bulk_sync.simulator.sample_profiles import Profile

Predicate = Callable[[Profile], bool]

SORTABLE: Final = ("birthDate", "created", "email", "firstName", "lastModified", "lastName")
CUSTOM_FILTER: Final = "ExternalId"
"""A custom filter as somebody might have added it: ``byExternalId`` in Campaign Standard."""

_DEFAULT_LINES: Final = 25
_CURSOR_LENGTH: Final = 49
_FOREIGN_HOST: Final = "https://campaign.example.net"
_FETCH_FAILED: Final = (
    "XTK-170006 Unable to parse expression 'FetchData($(apiVersion) , $(_filter) , $(.) , "
    "$(_lineStart) , $(_lineCount) , $(_order))'."
)


@dataclass(frozen=True, slots=True)
class Query:
    """A list that was asked for.

    Attributes:
        api: the API's name.
        path: segments after ``profile``: filters, or one field.
        params: all parameters.
        field: the field of which bare values are listed; None for whole profiles.
        counts: only the number is asked for.
    """

    api: str
    path: tuple[str, ...]
    params: Mapping[str, str]
    field: str | None
    counts: bool

    @property
    def identity(self) -> str:
        """What a cursor is tied to: everything but where and how large the page is."""
        own = ("_lineStart", "_lineCount", "_forcePagination")
        params = sorted((name, value) for name, value in self.params.items() if name not in own)
        return repr((self.api, self.path, params))


def parse(
    instance: Instance, api: str, path: Sequence[str], params: Mapping[str, str]
) -> Query | None:
    """Understand a path after ``profile`` as a list; None if it is not one."""
    counts = bool(path) and path[-1] == "_count"
    names = tuple(path[:-1] if counts else path)
    known = filters(instance, api)
    if all(name in known for name in names):
        return Query(api, names, params, None, counts)
    if len(names) == 1 and (field := names[0].removesuffix(".json")) in instance.fields(api):
        return Query(api, names, params, field, counts)
    return None


def filters(instance: Instance, api: str) -> dict[str, Callable[[Mapping[str, str]], Predicate]]:
    """Tell the filters that this API knows: each makes a predicate of the parameters.

    Custom filters exist on ``Ext`` only, and lose their prefix in Campaign v8.
    """
    by_email = instance.options.by_email
    known: dict[str, Callable[[Mapping[str, str]], Predicate]] = {"byText": _by_text}
    if by_email is not ByEmail.ABSENT:
        known["byEmail"] = partial(_by_email, by_email)
    if api.endswith("Ext"):
        prefix = "" if instance.options.dialect is Dialect.V8 else "by"
        known[f"{prefix}{CUSTOM_FILTER}"] = _by_external_id
    return known


def _by_email(how: ByEmail, params: Mapping[str, str]) -> Predicate:
    wanted = params.get("email", "")
    match how:
        case ByEmail.ANY_CASE:
            return lambda profile: str(profile.get("email")).lower() == wanted.lower()
        case ByEmail.FINDS_NOTHING | ByEmail.FINDS_EVERYBODY:
            finds = how is ByEmail.FINDS_EVERYBODY
            return lambda _: finds
        case _:
            return lambda profile: profile.get("email") == wanted


def _by_external_id(params: Mapping[str, str]) -> Predicate:
    wanted = params.get("externalId_parameter", "")
    return lambda profile: profile.get("externalId") == wanted


def _by_text(params: Mapping[str, str]) -> Predicate:
    """With ``filterType`` a case-sensitive prefix of that field, else any part of two fields."""
    text, field = params.get("text", ""), params.get("filterType")
    if field is not None:
        return lambda profile: str(profile.get(field, "")).startswith(text)
    return lambda profile: any(text in str(profile.get(name, "")) for name in ("email", "lastName"))


def answer(instance: Instance, query: Query) -> Answer:
    """Answer with a page or a count.

    Raises:
        Refusal: a forged cursor, a page size that is none, a field that cannot be ordered by.
    """
    start = _position(instance, query)
    keys = _selected(instance, query, start)
    if query.counts:
        return bodies.json({"count": len(keys)})
    lines = _lines(instance, query)
    on_page = (key for key in keys[start : start + lines] if key in instance.profiles)
    shown = [instance.show(key, query.api) for key in on_page]
    content = shown if query.field is None else [one.get(query.field) for one in shown]
    page: dict[str, Any] = {"content": content}
    paged = (
        len(instance.profiles) <= instance.options.big_table_threshold
        or query.params.get("_forcePagination") == "true"
    )
    following = _following(instance, start, lines, len(keys))
    if paged and following is not None:
        page["next"] = {"href": _next(instance, query, lines, following)}
    if query.field is None or instance.options.dialect is Dialect.V8:
        page |= _count(instance, query, lines, len(keys))
        page["serverSidePagination"] = paged
    return bodies.json(page)


def _selected(instance: Instance, query: Query, start: int) -> list[str]:
    """Tell the keys of the whole list; later pages see what the first one saw."""
    identity, keys = instance.snapshot
    if start and identity == query.identity:
        return keys
    known = filters(instance, query.api)
    predicates = [known[name](query.params) for name in query.path if name in known]
    keys = [
        key
        for key in _candidates(instance, query)
        if all(predicate(instance.profiles[key]) for predicate in predicates)
    ]
    if instance.options.scan_fault is ScanFault.HIDES:
        share, seed = instance.options.scan_hides_share, instance.options.seed
        keys = [key for key in keys if unit(f"{seed} hidden {key}") >= share]
    if order := query.params.get("_order"):
        _sort(instance, keys, order)
    if not query.counts:
        instance.snapshot = (query.identity, keys)
    return keys


def _candidates(instance: Instance, query: Query) -> list[str]:
    """Tell which profiles a list may hold, so that not all of them are looked at for an address."""
    if "byEmail" in query.path and instance.options.by_email is ByEmail.EXACT:
        return instance.having_email(query.params.get("email", ""))
    return list(instance.profiles)


def _sort(instance: Instance, keys: list[str], order: str) -> None:
    field, _, direction = order.partition(" ")
    if field not in SORTABLE or direction not in ("", "asc", "desc"):
        raise Refusal(instance.campaign.permanent(_FETCH_FAILED))
    keys.sort(
        key=lambda key: str(instance.profiles[key].get(field, "")), reverse=direction == "desc"
    )


def _following(instance: Instance, start: int, lines: int, total: int) -> int | None:
    """Tell where the next page begins; None if this one is, or claims to be, the last."""
    after = start + lines
    past_half = 2 * after >= total
    match instance.options.scan_fault:
        case ScanFault.ENDS_EARLY if past_half:
            return None
        case ScanFault.LOOPS if past_half:
            return start
    return after if after < total else None


def _lines(instance: Instance, query: Query) -> int:
    text = query.params.get("_lineCount", str(_DEFAULT_LINES))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise Refusal(instance.campaign.permanent(_FETCH_FAILED))
    return min(int(text), instance.options.max_line_count)


def _next(instance: Instance, query: Query, lines: int, position: int) -> str:
    params = {**query.params, "_lineCount": str(lines)}
    params["_lineStart"] = _cursor(instance, query, position)
    if not instance.options.next_keeps_force:
        params.pop("_forcePagination", None)
    path = "/".join(("profile", *(quote(name) for name in query.path)))
    tail = f"{path}/?{urlencode(params, safe='@')}"
    base = instance.base(query.api)
    rooted = base.removeprefix(instance.url)
    match instance.options.next_style:
        case NextStyle.ABSOLUTE:
            return f"{base}/{tail}"
        case NextStyle.RELATIVE:
            return f"/{query.api}/{tail}"
        case NextStyle.ROOTED:
            return f"{rooted}/{tail}"
        case NextStyle.DOUBLE_SLASH:
            return f"{base}//{tail}"
        case NextStyle.FOREIGN_HOST:
            return f"{_FOREIGN_HOST}{rooted}/{tail}"


def _count(instance: Instance, query: Query, lines: int, total: int) -> dict[str, Any]:
    style = instance.options.count_style
    if style is CountStyle.NONE:
        return {}
    params = {**query.params, "_lineCount": str(lines)}
    params["_lineStart"] = _cursor(instance, query, 0)
    path = "/".join(("profile", *(quote(name) for name in query.path)))
    href = f"{instance.base(query.api)}/{path}//_count?{urlencode(params, safe='@')}"
    inline = {"value": total} if style is CountStyle.INLINE else {}
    return {"count": {"href": href, **inline}}


def _cursor(instance: Instance, query: Query, position: int) -> str:
    """Write a position so that only this query can read it: ``@`` and 48 characters."""
    place = position.to_bytes(8)
    text = f"{instance.options.seed} {position} {query.identity}"
    seal = hashlib.blake2b(text.encode(), digest_size=28).digest()
    return "@" + base64.urlsafe_b64encode(seal + place).decode()


def _position(instance: Instance, query: Query) -> int:
    """Read the position out of a cursor that this query was given."""
    cursor = query.params.get("_lineStart")
    if cursor is None:
        return 0
    try:
        position = int.from_bytes(base64.urlsafe_b64decode(cursor[1:])[-8:])
    except (binascii.Error, ValueError):
        position = -1
    if len(cursor) != _CURSOR_LENGTH or cursor != _cursor(instance, query, max(position, 0)):
        raise Refusal(instance.campaign.permanent(_FETCH_FAILED))
    return position
