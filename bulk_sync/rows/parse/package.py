"""The ZIP archive of a workbook, with a limit on its unpacked size."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.parsers import expat

from bulk_sync.errors import InputProblem

_PIECE: Final = 1 << 18
_MOST: Final = 16 << 20
_MOST_TIMES: Final = 250
"""The parts of a file may unpack to so many bytes, and so many times the file's size more. Sheets
of an .xlsx pack to a twentieth, of an .ods to a hundredth or less, a file made to exhaust memory to
a thousandth."""


class Package:
    """The parts of a workbook, found whatever the case and the slashes of their names."""

    def __init__(self, archive: zipfile.ZipFile, place: str, size: int) -> None:
        self._archive = archive
        self._place = place
        self._most = _MOST + _MOST_TIMES * size
        self._parts = {_plain(info.filename): info for info in archive.infolist()}
        self._unpacked: dict[str, int] = {}  # by name: what the parts read so far unpack to

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    @property
    def parts(self) -> Mapping[str, zipfile.ZipInfo]:
        """Return all parts by their names in small letters."""
        return self._parts

    def read(self, name: str) -> bytes:
        """Return a part.

        Raises:
            InputProblem: the file unpacks to too much.
            KeyError: there is no such part.
        """
        return b"".join(self.pieces(name))

    def parse(
        self,
        name: str,
        start: Callable[[str, dict[str, str]], object],
        end: Callable[[str], object] | None = None,
        text: Callable[[str], object] | None = None,
    ) -> Iterator[None]:
        """Parse the XML of a part piece by piece; yield after each of them.

        ``start`` takes the tag and the attributes of each element, ``end`` its tag, ``text`` what
        stands between two tags.

        Raises:
            InputProblem: the file unpacks to too much.
            KeyError, expat.ExpatError: there is no such part, or it is damaged.
        """
        parser: Any = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = text
        for piece in self.pieces(name):
            parser.Parse(piece)
            yield
        parser.Parse(b"", True)  # noqa: FBT003 - it takes no keyword
        yield

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a part piece by piece; raise as ``read``."""
        info = self._parts[_plain(name)]
        self._unpacked[info.filename] = info.file_size  # zipfile reads no more than that
        if sum(self._unpacked.values()) > self._most:
            raise InputProblem(
                f"{self._place} unpacks to more than {self._most >> 20} MB, far more than "
                "a workbook of its size does, so it was not read. Save it again, or as CSV."
            )
        with self._archive.open(info) as part:
            while piece := part.read(_PIECE):
                yield piece


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
