"""The bytes of a text file, unpacked; and the one place where a failing file system is explained.

A packed file is read to its last byte or refused: every stream in it, zeros only where the format
allows them as padding, and nothing else behind the last stream.

Memory: the whole content, once.
"""

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from bulk_sync.errors import InputProblem

_STEP: Final = 1 << 16
_MOST: Final = 16 << 20
_MOST_TIMES: Final = 100
"""A file may unpack to so many bytes, and so many times what was read of it more. Lists of keys
pack to a tenth, made-up ones to an eightieth; a file made to exhaust memory to a thousandth."""

_XZ_MEMORY: Final = 128 << 20
"""Twice what ``xz -9`` needs; the header of a file may ask for gigabytes."""


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn what the file system refuses into a sentence.

    Raises:
        InputProblem: the file cannot be opened or read.
    """
    try:
        yield
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise InputProblem(
            f"{place} cannot be read: {why}. See that it is there and that you may read it."
        ) from problem


def unpacked(path: Path) -> bytes:
    """Read a file, and unpack it if its last suffix says so.

    Raises:
        InputProblem: it cannot be read, what is packed is damaged or followed by something else,
            or it unpacks to far more than a list of keys does.
    """
    with explained(str(path)):
        content = path.read_bytes()
    unpack = _UNPACK.get(path.suffix.lower())
    if unpack is None or not content:
        return content
    whole = io.BytesIO()
    try:
        for read, piece in unpack(content):
            whole.write(piece)
            if whole.tell() > _MOST + _MOST_TIMES * read:
                raise InputProblem(
                    f"{path} unpacks to more than {_MOST_TIMES} times its size, as no list of "
                    "keys does, so it was not read. If it is right, unpack it, and name the "
                    "unpacked file."
                )
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as problem:
        raise InputProblem(
            f"{path} is cut off or damaged, or not packed as its suffix says ({problem}). Fetch "
            "or pack it again."
        ) from problem
    return whole.getvalue()


class _Stream(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _streams(
    content: bytes, *, magic: bytes, begin: Callable[[], _Stream], padding: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Unpack one stream after the other, in pieces of a bounded size.

    Args:
        content: the packed file.
        magic: how a stream begins.
        begin: makes what unpacks one.
        padding: zeros may follow a stream in multiples of this; 0 allows none.

    Yields:
        How many bytes were read so far, and the next piece.

    Raises:
        EOFError: the last stream is cut off.
        ValueError: there is something else than a stream.
    """
    at = 0
    while at < len(content):
        if not content.startswith(magic, at):
            raise ValueError(f"what begins at byte {at + 1} is not packed data")
        stream = begin()
        while not stream.eof:
            # bz2 and lzma keep what they were given until they ask for more, zlib returns it.
            given = content[at : at + _STEP] if getattr(stream, "needs_input", True) else b""
            piece = stream.decompress(given, _STEP)
            at += (
                len(given) - len(getattr(stream, "unconsumed_tail", b"")) - len(stream.unused_data)
            )
            if not given and not piece and not stream.eof:
                raise EOFError("its last stream is not complete")
            yield at, piece
        zeros = _ZEROS.match(content, at)
        count = len(zeros[0]) if zeros else 0
        if count and (not padding or count % padding):
            raise ValueError(f"there are {count} zeros at byte {at + 1}, after the packed data")
        at += count


def _unzstd(content: bytes) -> Iterator[tuple[int, bytes]]:
    packed = pa.BufferReader(content)
    with pa.CompressedInputStream(packed, "zstd") as stream:
        while piece := stream.read(_STEP):
            yield packed.tell(), piece


_ZEROS: Final = re.compile(rb"\0*")
_UNPACK: Final[dict[str, Callable[[bytes], Iterator[tuple[int, bytes]]]]] = {
    ".gz": partial(_streams, magic=b"\x1f\x8b", begin=partial(zlib.decompressobj, 31), padding=1),
    ".bz2": partial(_streams, magic=b"BZh", begin=bz2.BZ2Decompressor),
    ".xz": partial(
        _streams,
        magic=b"\xfd7zXZ\0",
        begin=partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _XZ_MEMORY),
        padding=4,
    ),
    ".zst": _unzstd,
}
