"""Receives an uploaded file: streamed to the disk, under a name of ours, for this user alone.

The name that a browser sends is shown, and its suffix chosen from a list; it is never a path.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePath
from typing import IO, Final

from aiohttp import BodyPartReader, web

from bulk_sync.errors import UsageProblem
from bulk_sync.rows import read
from bulk_sync.rows.parse import formats
from bulk_sync.storage import atomic
from bulk_sync.web.forms import UNREADABLE, clean
from bulk_sync.web.page import Page

FILE: Final = "file"
"""The name of the field."""

_STEM: Final = "upload"
_CHUNK: Final = 1 << 20
_FIELD_BYTES: Final = 16_384
_FIELDS: Final = 20
_NAME_CHARACTERS: Final = 200
_READ_ON_TIMES: Final = 5
"""Of a file that is too large, so many times the limit is read and thrown away: a browser shows the
answer only after it has sent the file. What comes after that is not read."""

_NO_FILE: Final = "Choose a file."


class NotReceived(Exception):
    """The file is not kept: the text is for the person, ``status`` is that of HTTP."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Received:
    """A form with a file.

    Attributes:
        fields: the other fields, by name.
        file_name: as the person's machine calls it.
        path: where the file is; None without one.
        problem: why it is not kept; None if it is.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    path: Path | None = None
    size: int = 0
    sha256: str = ""
    problem: NotReceived | None = None

    @property
    def job(self) -> str:
        """Return the job of the file, as without ``--job``. Blocks."""
        return read.default_job(str(self.path), stem_of(self.file_name), self.file_name)


@asynccontextmanager
async def received(page: Page, request: web.Request, folder: Path) -> AsyncIterator[Received]:
    """Read a form with a file into a new folder; if the block raises, the folder goes.

    Raises:
        HTTPBadRequest: it is no such form.
        UsageProblem: the file cannot be kept.
    """
    found = Received()
    try:
        try:
            await _read(page, request, folder, found)
            if found.path is None and found.problem is None:
                found.problem = NotReceived(_NO_FILE, 400)
        except UNREADABLE as error:
            raise web.HTTPBadRequest(
                text="The form could not be read, so nothing was kept. Load the page again."
            ) from error
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise UsageProblem(
                f"The file could not be kept in {folder}: {error.strerror or error}. Tell "
                "the person who looks after this page: there must be room, and the right to "
                "write there."
            ) from error
        yield found
    except BaseException:
        await page.blocking(shutil.rmtree, folder, ignore_errors=True)
        raise
    if found.problem is not None:
        await page.blocking(shutil.rmtree, folder, ignore_errors=True)


def stem_of(file_name: str) -> str:
    """Return the name of a file without the suffixes that can be read."""
    name = PurePath(file_name)
    while name.suffix.lower() in read.SUFFIXES:
        name = name.with_suffix("")
    return name.name


def shown_name(text: str) -> str:
    """Return the last part of a file's name, to be shown."""
    last = clean(text).replace("\\", "/").rpartition("/")[2].strip()
    plain = "".join(char if char.isprintable() else "\ufffd" for char in last)
    if len(plain) <= _NAME_CHARACTERS:
        return plain
    suffix = "".join(PurePath(plain).suffixes[-2:])[-20:]
    return f"{plain[: _NAME_CHARACTERS - len(suffix) - 1]}…{suffix}"


async def _read(page: Page, request: web.Request, folder: Path, found: Received) -> None:
    reader = await request.multipart()
    for _ in range(_FIELDS):
        part = await reader.next()
        if part is None:
            return
        if not isinstance(part, BodyPartReader):
            raise TypeError("a form within a form")
        if part.name == FILE and not found.file_name:
            found.file_name = shown_name(part.filename or "")
            await _keep(page, part, folder, found)
            if not part.at_eof():  # the next part begins behind all of it
                return
        elif part.name:
            found.fields[part.name] = await _text(part)
    raise ValueError("too many fields")


async def _text(part: BodyPartReader) -> str:
    text = b""
    while chunk := await part.read_chunk():
        text += chunk
        if len(text) > _FIELD_BYTES:
            raise ValueError("a field is too long")
    return clean(text.decode("utf-8", "replace")).strip()


async def _keep(page: Page, part: BodyPartReader, folder: Path, found: Received) -> None:
    """Write the file; if it cannot be taken, read it to its end, and note why."""
    most = page.settings.max_upload
    suffix = _suffix(found.file_name)
    if not suffix:
        unknown = NotReceived(_unknown_kind(found.file_name), 415)
        found.problem = unknown if found.file_name else NotReceived(_NO_FILE, 400)
    digest, sink = sha256(), None
    try:
        while chunk := await part.read_chunk(_CHUNK):
            found.size += len(chunk)
            if found.size > most and found.problem is None:
                found.problem = NotReceived(_too_large(most), 413)
            if found.problem is None:
                if sink is None:
                    found.path = folder / f"{_STEM}{suffix}"
                    sink = await page.blocking(_open, found.path)
                await page.blocking(_write, sink, digest.update, bytes(chunk))
            elif found.size > most * _READ_ON_TIMES:
                return
        if sink is not None:
            await page.blocking(_sync, sink)
    finally:
        if sink is not None:
            sink.close()
    found.sha256 = digest.hexdigest()
    if not found.size and found.problem is None:
        found.problem = NotReceived("This file is empty. See that its export finished.", 400)


def _suffix(file_name: str) -> str:
    """Return the suffix of a format that can be read, in small letters; "" if there is none."""
    path = PurePath(file_name)
    if formats.find(Path(path.name or "none")) is None:
        return ""
    last = path.suffix.lower()
    return f"{path.with_suffix('').suffix.lower()}{last}" if last in formats.PACKED else last


def _open(path: Path) -> IO[bytes]:
    atomic.make_folder(path.parent)
    return open(path, "xb", opener=atomic.private)


def _write(sink: IO[bytes], update: Callable[[bytes], object], chunk: bytes) -> None:
    sink.write(chunk)
    update(chunk)


def _sync(sink: IO[bytes]) -> None:
    sink.flush()
    os.fsync(sink.fileno())


def _unknown_kind(file_name: str) -> str:
    ending = PurePath(file_name).suffix
    what = f"A file that ends in {ending}" if ending else "A file without an ending such as .xlsx"
    return (
        f"{what} cannot be read. Save the list as .xlsx or .csv, without macros, and choose it "
        f"again. These can be read: {formats.list_suffixes()}."
    )


def _too_large(most: int) -> str:
    return (
        f"This file is too large: at most {megabytes(most)} can be uploaded. Leave out sheets and "
        "columns that are not needed, or split the list."
    )


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1_000_000:,.0f} MB" if size >= 1_000_000 else f"{-(-size // 1_000)} kB"
