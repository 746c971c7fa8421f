"""The bytes of a text file, unpacked; and the one place where a failing file system is explained.

Memory: the whole content, once.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from bulk_sync.errors import InputProblem


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
        InputProblem: it cannot be read, or what is packed is damaged.
    """
    with explained(str(path)):
        content = path.read_bytes()
    unpack = _UNPACK.get(path.suffix.lower())
    if unpack is None or not content:
        return content
    try:
        return unpack(content)
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as problem:
        raise InputProblem(
            f"{path} is cut off or damaged, or not packed as its suffix says ({problem}). Fetch "
            "or pack it again."
        ) from problem


def _unzstd(content: bytes) -> bytes:
    with pa.input_stream(pa.py_buffer(content), compression="zstd") as stream:
        unpacked_bytes: bytes = stream.read()
    return unpacked_bytes


_UNPACK: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": _unzstd,
}
