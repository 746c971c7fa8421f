"""The ZIP archive that a workbook is, opened with a limit on what it may unpack to."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bulk_sync.errors import InputProblem

BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What zipfile raises on damage; RuntimeError where it takes a part for encrypted."""

_PIECE: Final = 1 << 20
_MOST: Final = 16 << 20
_MOST_TIMES: Final = 250
"""The parts that are read may unpack to so many bytes, and so many times the file's size more.
Sheets of an .xlsx pack to a twentieth, of an .ods to a hundredth or less; a file made to
exhaust memory packs to a thousandth."""


class Package:
    """The parts of a workbook, found whatever the case and the slashes of their names.

    Args:
        archive: the opened file.
        place: how messages call it.
        size: its bytes.
    """

    def __init__(self, archive: zipfile.ZipFile, place: str, size: int) -> None:
        self._archive = archive
        self._place = place
        self._left = self._most = _MOST + _MOST_TIMES * size
        self._parts = {_plain(info.filename): info for info in archive.infolist()}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    def read(self, name: str) -> bytes:
        """Return a part; nothing if it is missing.

        Raises:
            InputProblem: the file unpacks to too much.
        """
        return b"".join(self.pieces(name)) if name in self else b""

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a part in pieces.

        Raises:
            InputProblem: the file unpacks to too much.
        """
        info = self._parts[_plain(name)]
        if info.file_size > self._left:
            raise self._too_large()
        with self._archive.open(info) as part:
            while piece := part.read(_PIECE):
                self._left -= len(piece)
                if self._left < 0:
                    raise self._too_large()
                yield piece

    def _too_large(self) -> InputProblem:
        return InputProblem(
            f"{self._place} unpacks to more than {self._most >> 20} MB, far more than a workbook "
            "of its size does, so it was not read. Save it again, or as CSV."
        )


def written(path: Path) -> zipfile.ZipFile:
    """Open a new archive; packed, because the folder for temporary files may be in memory."""
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
