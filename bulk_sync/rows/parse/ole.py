"""The small file system that an old Office file is ([MS-CFB]): finds one stream in it."""

import struct
from collections.abc import Iterator
from typing import Final

_FREE: Final = 0xFFFF_FFF0
"""From here on the number of a sector says that none follows."""

_ENTRY: Final = 128


def stream(content: bytes, names: frozenset[str]) -> bytes:
    """Return the stream of one of some names; nothing if there is none.

    Args:
        content: the whole file.
        names: in small letters.

    Raises:
        struct.error, IndexError: it is damaged.
    """
    shift, small_shift = struct.unpack_from("<HH", content, 30)
    directory, _, least, small_table = struct.unpack_from("<IIII", content, 48)
    sectors = _Sectors(content[1 << shift :], 1 << shift, _table(content, 1 << shift))
    entries = sectors.read(directory)
    root, found = struct.unpack_from("<I", entries, 116)[0], None
    for at in range(0, len(entries) - _ENTRY + 1, _ENTRY):
        length = struct.unpack_from("<H", entries, at + 64)[0]
        name = entries[at : at + max(0, length - 2)].decode("utf-16-le", "replace")
        if name.casefold() in names:
            found = struct.unpack_from("<II", entries, at + 116)
    if found is None:
        return b""
    start, size = found
    if size < least:
        small = _numbers(sectors.read(small_table))
        sectors = _Sectors(sectors.read(root), 1 << small_shift, small)
    return sectors.read(start)[:size]


class _Sectors:
    """Pieces of one size, and a table of which follows which."""

    def __init__(self, content: bytes, size: int, following: list[int]) -> None:
        self._content, self._size, self._following = content, size, following

    def read(self, start: int) -> bytes:
        size = self._size
        return b"".join(self._content[at * size : (at + 1) * size] for at in self._chain(start))

    def _chain(self, at: int) -> Iterator[int]:
        for _ in self._following:  # not longer, should it be a circle
            if at >= len(self._following):
                return
            yield at
            at = self._following[at]


def _table(content: bytes, size: int) -> list[int]:
    """Return by sector which one follows: a table in sectors that the header lists, and others."""
    places = list(struct.unpack_from("<109I", content, 76))
    more, count = struct.unpack_from("<II", content, 68)
    for _ in range(min(count, len(content) // size)):
        *further, more = _numbers(content[(more + 1) * size : (more + 2) * size])
        places += further
    sectors = (content[(at + 1) * size : (at + 2) * size] for at in places if at < _FREE)
    return [number for sector in sectors for number in _numbers(sector)]


def _numbers(raw: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
