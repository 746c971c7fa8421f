"""A far end with a list of very many profiles, and only the changed ones in memory.

    listed.py PROFILES

The profiles are those of ``reading.write_input``, one in a hundred with the other state. A page
shows 10,000 of them at most. The first line on standard output is its URL.
"""

import json
import sys
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

import uvloop
from far_end import FarEnd, response, serve
from reading import key, number_of

_PAGE = 10_000


class Listed(FarEnd):
    """Profiles made on request."""

    def __init__(self, profiles: int) -> None:
        super().__init__(0, 0, 0, 0)
        self._count = profiles
        self._changed: dict[int, bool] = {}

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        parts = urlsplit(path.decode())
        segment = unquote(parts.path.rpartition("/")[2])
        if segment == "profile":
            query = {
                name: int(values[0])
                for name, values in parse_qs(parts.query).items()
                if name in {"_lineStart", "_lineCount"}
            }
            return self._page(parts.path, query.get("_lineStart", 0), query.get("_lineCount", 25))
        if method == b"PATCH":
            self._changed[number_of(segment)] = bool(json.loads(body)["ccpaOptOut"])
            return response({"PKey": segment, "href": parts.path})
        return response(self._profile_of(number_of(segment)))

    def _page(self, path: str, start: int, rows: int) -> bytes:
        end = min(start + min(rows, _PAGE), self._count)
        page: dict[str, object] = {"content": [*map(self._profile_of, range(start, end))]}
        page["count"] = {"value": self._count}
        if end < self._count:
            page["next"] = {
                "href": f"{path}?_lineCount={rows}&_lineStart={end}&_forcePagination=true"
            }
        return response(page)

    def _profile_of(self, number: int) -> dict[str, object]:
        state = self._changed.get(number, (number % 3 > 0) != (number % 100 == 0))
        return {"PKey": key(number), "email": f"p{number}@example.com", "ccpaOptOut": state}


if __name__ == "__main__":
    uvloop.run(serve(partial(Listed, int(sys.argv[1]))))
