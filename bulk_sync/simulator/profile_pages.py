"""Lists of profiles: filters, order, pages with opaque cursors, counts.

    parse    path and parameters -> Query, or None if the path names no list
    answer   Query -> a page, or a count

The pitfalls for a client are here: pages of 25, a cursor for use in ``next`` only, no ``next`` for
big tables without ``_forcePagination``, and several ways to write a link.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from bulk_sync.simulator import answers
from bulk_sync.simulator.answers import Answer, Refusal
from bulk_sync.simulator.behavior import ByEmail, CountStyle, Dialect, NextStyle, ScanFault
from bulk_sync.simulator.faults import unit
from bulk_sync.simulator.instance import Instance
from bulk_sync.simulator.sample_profiles import Profile

Filter = Callable[[Mapping[str, str], Profile], bool]
"""Whether a profile matches the parameters of a request."""

SORTABLE: Final = ("birthDate", "created", "email", "firstName", "lastModified", "lastName")
CUSTOM_FILTER: Final = "ExternalId"
"""An example of a custom filter: ``byExternalId`` in Campaign Standard."""

_DEFAULT_LINES: Final = 25
_CURSOR_LENGTH: Final = 49
_FOREIGN_HOST: Final = "https://campaign.example.net"
_FETCH_FAILED: Final = (
    "XTK-170006 Unable to parse expression 'FetchData($(apiVersion) , $(_filter) , $(.) , "
    "$(_lineStart) , $(_lineCount) , $(_order))'."
)


@dataclass(frozen=True, slots=True)
class Query:
    """A request for a list.

    Attributes:
        api: the API's name.
        path: segments after ``profile``: filters, or one field.
        params: all parameters.
        field: the field whose bare values are listed; None for whole profiles.
        is_count: only the number is requested.
    """

    api: str
    path: tuple[str, ...]
    params: Mapping[str, str]
    field: str | None
    is_count: bool

    @property
    def identity(self) -> str:
        """The scope of a cursor: everything but position and size of the page."""
        own = ("_lineStart", "_lineCount", "_forcePagination")
        params = sorted((name, value) for name, value in self.params.items() if name not in own)
        return repr((self.api, self.path, params))

    def link_path(self) -> str:
        """Return the path for links to this list."""
        return "/".join(("profile", *(quote(name) for name in self.path)))


def parse(
    instance: Instance, api: str, path: Sequence[str], params: Mapping[str, str]
) -> Query | None:
    """Parse a path after ``profile`` as a list; return None if it is not one."""
    is_count = bool(path) and path[-1] == "_count"
    names = tuple(path[:-1] if is_count else path)
    known = filters(instance, api)
    if all(name in known for name in names):
        return Query(api, names, params, None, is_count)
    if len(names) == 1 and (field := names[0].removesuffix(".json")) in instance.fields(api):
        return Query(api, names, params, field, is_count)
    return None


def filters(instance: Instance, api: str) -> dict[str, Filter]:
    """Return the filters of this API by name.

    Custom filters exist on ``Ext`` only, and have no prefix in Campaign v8.
    """
    by_email = instance.options.by_email
    known: dict[str, Filter] = {} if by_email is ByEmail.NO_FILTERS else {"byText": _by_text}
    if by_email in _BY_EMAIL:
        known["byEmail"] = _BY_EMAIL[by_email]
    if api.endswith("Ext"):
        prefix = "" if instance.options.dialect is Dialect.V8 else "by"
        known[f"{prefix}{CUSTOM_FILTER}"] = lambda params, profile: (
            profile.get("externalId") == params.get("externalId_parameter", "")
        )
    return known


_BY_EMAIL: Final[Mapping[ByEmail, Filter]] = {
    ByEmail.EXACT: lambda params, profile: profile.get("email") == params.get("email", ""),
    ByEmail.ANY_CASE: lambda params, profile: (
        str(profile.get("email")).lower() == params.get("email", "").lower()
    ),
    ByEmail.FINDS_NOTHING: lambda _params, _profile: False,
    ByEmail.FINDS_EVERYBODY: lambda _params, _profile: True,
}


def _by_text(params: Mapping[str, str], profile: Profile) -> bool:
    """With ``filterType`` a case-sensitive prefix of that field, else any part of two fields."""
    text, field = params.get("text", ""), params.get("filterType")
    if field is not None:
        return str(profile.get(field, "")).startswith(text)
    return any(text in str(profile.get(name, "")) for name in ("email", "lastName"))


def answer(instance: Instance, query: Query) -> Answer:
    """Return a page or a count.

    Raises:
        Refusal: a forged cursor, a bad page size, or a field without an order.
    """
    start = _position(instance, query)
    keys = _selected(instance, query, start)
    if query.is_count:
        return answers.json({"count": len(keys)})
    lines = _lines(instance, query)
    on_page = (key for key in keys[start : start + lines] if key in instance.profiles)
    profiles = [instance.show(key, query.api) for key in on_page]
    content = profiles if query.field is None else [each.get(query.field) for each in profiles]
    page: dict[str, Any] = {"content": content}
    is_paged = (
        len(instance.profiles) <= instance.options.big_table_threshold
        or query.params.get("_forcePagination") == "true"
    )
    following = _following(instance, start, lines, len(keys))
    if is_paged and following is not None:
        page["next"] = {"href": _next(instance, query, lines, following)}
    if query.field is None or instance.options.dialect is Dialect.V8:
        page |= _count(instance, query, lines, len(keys))
        page["serverSidePagination"] = is_paged
    return answers.json(page)


def _selected(instance: Instance, query: Query, start: int) -> list[str]:
    """Return the keys of the whole list; later pages see the selection of the first one."""
    identity, keys = instance.snapshot
    if start and identity == query.identity:
        return keys
    options, known = instance.options, filters(instance, query.api)
    if "byEmail" in query.path and options.by_email is ByEmail.EXACT:
        keys = instance.having_email(query.params.get("email", ""))  # not all, for speed
    else:
        keys = list(instance.profiles)
    for matches in (known[name] for name in query.path if name in known):
        keys = [key for key in keys if matches(query.params, instance.profiles[key])]
    if options.scan_fault is ScanFault.HIDES:
        share, seed = options.scan_hides_share, options.seed
        keys = [key for key in keys if unit(f"{seed} hidden {key}") >= share]
    if order := query.params.get("_order"):
        _sort(instance, keys, order)
    if not query.is_count:
        instance.snapshot = (query.identity, keys)
    return keys


def _sort(instance: Instance, keys: list[str], order: str) -> None:
    field, _, direction = order.partition(" ")
    if field not in SORTABLE or direction not in ("", "asc", "desc"):
        raise Refusal(instance.errors.permanent(_FETCH_FAILED))
    keys.sort(
        key=lambda key: str(instance.profiles[key].get(field, "")), reverse=direction == "desc"
    )


def _following(instance: Instance, start: int, lines: int, total: int) -> int | None:
    """Return the position of the next page; None if this one is, or claims to be, the last."""
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
        raise Refusal(instance.errors.permanent(_FETCH_FAILED))
    return min(int(text), instance.options.max_line_count)


def _next(instance: Instance, query: Query, lines: int, position: int) -> str:
    params = {**query.params, "_lineCount": str(lines)}
    params["_lineStart"] = _cursor(instance, query, position)
    if not instance.options.next_keeps_force:
        params.pop("_forcePagination", None)
    tail = f"{query.link_path()}/?{urlencode(params, safe='@')}"
    base = instance.base(query.api)
    rooted = base.removeprefix(instance.url)
    return {
        NextStyle.ABSOLUTE: f"{base}/{tail}",
        NextStyle.RELATIVE: f"/{query.api}/{tail}",
        NextStyle.ROOTED: f"{rooted}/{tail}",
        NextStyle.DOUBLE_SLASH: f"{base}//{tail}",
        NextStyle.FOREIGN_HOST: f"{_FOREIGN_HOST}{rooted}/{tail}",
    }[instance.options.next_style]


def _count(instance: Instance, query: Query, lines: int, total: int) -> dict[str, Any]:
    style = instance.options.count_style
    if style is CountStyle.NONE:
        return {}
    params = {**query.params, "_lineCount": str(lines)}
    params["_lineStart"] = _cursor(instance, query, 0)
    base = instance.base(query.api)
    href = f"{base}/{query.link_path()}//_count?{urlencode(params, safe='@')}"
    inline = {"value": total} if style is CountStyle.INLINE else {}
    return {"count": {"href": href, **inline}}


def _cursor(instance: Instance, query: Query, position: int) -> str:
    """Encode a position for this query only: ``@`` and 48 characters."""
    place = position.to_bytes(8)
    text = f"{instance.options.seed} {position} {query.identity}"
    seal = hashlib.blake2b(text.encode(), digest_size=28).digest()
    return "@" + base64.urlsafe_b64encode(seal + place).decode()


def _position(instance: Instance, query: Query) -> int:
    """Decode the position of a cursor; raise Refusal if it is forged."""
    cursor = query.params.get("_lineStart")
    if cursor is None:
        return 0
    try:
        position = int.from_bytes(base64.urlsafe_b64decode(cursor[1:])[-8:])
    except (binascii.Error, ValueError):
        position = -1
    if len(cursor) != _CURSOR_LENGTH or cursor != _cursor(instance, query, max(position, 0)):
        raise Refusal(instance.errors.permanent(_FETCH_FAILED))
    return position
