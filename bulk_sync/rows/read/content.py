"""The bytes of an input, in memory or on disk, and the unpacking of them.

A packed file is read to its last byte or refused: every stream in it, zeros where the format allows
them as padding, and nothing else behind the last stream. Memory: a block, and what is unpacked into
memory.
"""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

import pyarrow as pa

from bulk_sync.errors import InputProblem, unwritable

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK_BYTES: Final = 1 << 20

_STEP: Final = 1 << 16
_MOST: Final = 16 << 20
_MOST_TIMES: Final = 100
"""A file may unpack to so many bytes, and so many times its bytes so far more. Lists of keys pack
to a tenth, made-up ones to an eightieth; a file made to exhaust memory to a thousandth."""

_XZ_MEMORY: Final = 128 << 20
"""Twice the need of ``xz -9``; the header of a file may ask for gigabytes."""

_XZ_PADDING: Final = bytes(4)

Spool = Callable[[], BinaryIO]
"""Makes an empty file for a text that is rewritten: unpacked, or decoded."""


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


def spooling(most_bytes: int, folder: Path | None) -> Spool:
    """Return what makes files in memory up to a size, then in a folder, nameless and 0600.

    They are gone when they are no longer used, or when the process ends. Without a folder they stay
    in memory.
    """
    if folder is None:
        return io.BytesIO
    return lambda: cast("BinaryIO", _Spooled(max_size=most_bytes, dir=str(folder)))


class _Spooled(SpooledTemporaryFile[bytes]):
    def write(self, data: "Buffer") -> int:
        """Write to the file; raise StopRun if there is no room."""
        try:
            written = super().write(data)
            self.flush()
        except OSError as error:
            raise unwritable(
                error,
                f"The input could not be kept while it is read: {error.strerror or error}. Nothing "
                "was sent. Make room, or name another folder with --state-dir.",
            ) from error
        return written

    def __del__(self) -> None:
        """Close the file; what there was no room for is given up."""
        with suppress(OSError):
            self.close()


class Content:
    """Bytes in memory or on disk, of which a block is read at a time.

    Args:
        file: with all of them; it stays open.
        begin: where they begin in it.
        size: how many there are; None if they end with the file.
    """

    def __init__(self, file: BinaryIO, begin: int = 0, size: int | None = None) -> None:
        self._file, self._begin = file, begin
        self._size = file.seek(0, os.SEEK_END) - begin if size is None else size

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return bytes in memory; they are not copied."""
        return cls(io.BytesIO(content))

    def __len__(self) -> int:
        return self._size

    def behind(self, offset: int) -> "Content":
        """Return the bytes from an offset on."""
        return Content(self._file, self._begin + offset)

    def read(self, start: int, end: int) -> bytes:
        """Return a copy of a part; shorter if the content ends before, or the file was cut."""
        self._file.seek(self._begin + start)
        return self._file.read(max(0, min(end, self._size) - start))

    def part(self, start: int, end: int) -> "Content":
        """Return a part in memory; what is there already is not copied."""
        if isinstance(self._file, io.BytesIO):
            return Content(self._file, self._begin + start, end - start)
        return Content.of(self.read(start, end))

    def view(self) -> "bytes | memoryview[int]":
        """Return all bytes; those in memory are not copied."""
        if isinstance(self._file, io.BytesIO):
            return memoryview(self._file.getvalue())[self._begin : self._begin + self._size]
        return self.read(0, self._size)

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield a part block by block, each with its offset."""
        end = self._size if end is None else end
        while start < end and (block := self.read(start, min(start + BLOCK_BYTES, end))):
            yield start, block
            start += len(block)

    def find(self, byte: bytes, start: int = 0, end: int | None = None) -> int:
        """Return the offset of the first such byte in a part; -1 if there is none."""
        for at, block in self.blocks(start, end):
            if (found := block.find(byte)) >= 0:
                return at + found
        return -1

    def line_at(self, offset: int) -> int:
        """Return the number of the line at an offset, as in an editor."""
        line, last = 1, b""
        for _, block in self.blocks(0, offset):
            line += block.count(b"\n") + block.count(b"\r") - (last + block).count(b"\r\n")
            last = block[-1:]
        return line

    def lines(self, start: int) -> Iterator[str]:
        """Return the lines of UTF-8 from an offset on, with their ends."""
        content = io.BufferedReader(_Reader(self, start), BLOCK_BYTES)
        return io.TextIOWrapper(content, encoding="utf-8", newline="")


class _Reader(io.RawIOBase):
    """Reads content from an offset on; several may be at work in turns."""

    def __init__(self, content: Content, start: int) -> None:
        self._content, self._at = content, start

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, into: "Buffer") -> int:
        """Read the next bytes."""
        room = memoryview(into)
        found = self._content.read(self._at, self._at + len(room))
        room[: len(found)] = found
        self._at += len(found)
        return len(found)


@contextmanager
def unpacked(path: Path, spool: Spool) -> Iterator[Content]:
    """Open a file until the block ends, and unpack it if its last suffix says so.

    Raises:
        InputProblem: it cannot be read, is damaged, has something else behind the packed data, or
            unpacks to far more than a list of keys.
    """
    with explained(str(path)), path.open("rb") as file:
        yield Content(_unpack(file, path, spool))


def _unpack(file: BinaryIO, path: Path, spool: Spool) -> BinaryIO:
    streams = _UNPACK.get(path.suffix.lower())
    if streams is None or not file.read(1):
        return file
    file.seek(0)
    whole = spool()
    try:
        for read, piece in streams(file):
            whole.write(piece)
            if whole.tell() > _MOST + _MOST_TIMES * read:
                raise InputProblem(
                    f"{path} unpacks to more than {_MOST_TIMES} times its size, as no list of "
                    "keys does, so it was not read. If it is right, unpack it, and name the "
                    "unpacked file."
                )
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as problem:
        raise InputProblem(
            f"{path} is cut off or damaged, or not packed as its name says ({problem}). Fetch "
            "or pack it again."
        ) from problem
    return whole


def _ungzip(packed: BinaryIO) -> Iterator[tuple[int, bytes]]:
    with gzip.open(packed) as stream:
        while piece := stream.read(_STEP):
            yield packed.tell(), piece


def _unzstd(packed: BinaryIO) -> Iterator[tuple[int, bytes]]:
    with pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd") as stream:
        while piece := stream.read(_STEP):
            yield packed.tell(), piece


def _unpack_streams(
    packed: BinaryIO, *, begin: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[tuple[int, bytes]]:
    """Unpack one stream after the other; lzma.open and bz2.open ignore damage behind the first."""
    content, at = Content(packed), 0
    while at < len(content):
        stream = begin()
        while not stream.eof:
            given = content.read(at, at + _STEP) if stream.needs_input else b""
            piece = stream.decompress(given, _STEP)
            at += len(given) - len(stream.unused_data)
            if not given and not piece and not stream.eof:
                raise EOFError("its last stream is not complete")
            yield at, piece
        padding = at, at + len(_XZ_PADDING)
        while isinstance(stream, lzma.LZMADecompressor) and content.read(*padding) == _XZ_PADDING:
            at += len(_XZ_PADDING)
            padding = at, at + len(_XZ_PADDING)


_UNPACK: Final[dict[str, Callable[[BinaryIO], Iterator[tuple[int, bytes]]]]] = {
    ".gz": _ungzip,
    ".bz2": partial(_unpack_streams, begin=bz2.BZ2Decompressor),
    ".xz": partial(
        _unpack_streams, begin=partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _XZ_MEMORY)
    ),
    ".zst": _unzstd,
}
