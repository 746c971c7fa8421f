"""Reads the bytes of a text file, unpacked, and explains errors of the file system.

A packed file is read to its last byte or refused: every stream in it, zeros where the format allows
them as padding, and nothing else behind the last stream. Memory: the whole content, once.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from bulk_sync.errors import InputProblem

_STEP: Final = 1 << 16
_MOST: Final = 16 << 20
_MOST_TIMES: Final = 100
"""A file may unpack to so many bytes, and so many times its bytes so far more. Lists of keys pack
to a tenth, made-up ones to an eightieth; a file made to exhaust memory to a thousandth."""

_XZ_MEMORY: Final = 128 << 20
"""Twice the need of ``xz -9``; the header of a file may ask for gigabytes."""

_XZ_PADDING: Final = bytes(4)


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn an error of the file system into a sentence.

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
        InputProblem: it cannot be read, is damaged, has something else behind the packed data, or
            unpacks to far more than a list of keys.
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


def _ungzip(content: bytes) -> Iterator[tuple[int, bytes]]:
    packed = io.BytesIO(content)
    with gzip.open(packed) as stream:
        while piece := stream.read(_STEP):
            yield packed.tell(), piece


def _unzstd(content: bytes) -> Iterator[tuple[int, bytes]]:
    packed = pa.BufferReader(content)
    with pa.CompressedInputStream(packed, "zstd") as stream:
        while piece := stream.read(_STEP):
            yield packed.tell(), piece


def _unpack_streams(
    content: bytes, *, begin: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[tuple[int, bytes]]:
    """Unpack one stream after the other; lzma.open and bz2.open ignore damage behind the first."""
    at = 0
    while at < len(content):
        stream = begin()
        while not stream.eof:
            given = content[at : at + _STEP] if stream.needs_input else b""
            piece = stream.decompress(given, _STEP)
            at += len(given) - len(stream.unused_data)
            if not given and not piece and not stream.eof:
                raise EOFError("its last stream is not complete")
            yield at, piece
        while isinstance(stream, lzma.LZMADecompressor) and content.startswith(_XZ_PADDING, at):
            at += len(_XZ_PADDING)


_UNPACK: Final[dict[str, Callable[[bytes], Iterator[tuple[int, bytes]]]]] = {
    ".gz": _ungzip,
    ".bz2": partial(_unpack_streams, begin=bz2.BZ2Decompressor),
    ".xz": partial(
        _unpack_streams, begin=partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _XZ_MEMORY)
    ),
    ".zst": _unzstd,
}
