"""The files of an input: on this machine, or downloaded for as long as they are read.

source --at_hand--> local: as it lies there, read twice to see that it does not change
                    URL:   copies, called by their URLs in messages, reports and the ledger
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.remote.download import Download, downloaded
from bulk_sync.remote.url import is_url
from bulk_sync.rows import columns, read
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read import Raw, Wanted


class InputFiles(Protocol):
    """The files of an input, to be read."""

    @property
    def facts(self) -> Sequence[Mapping[str, str]]:
        """Return what the ledger keeps of each remote file."""

    def read(self, wanted: Wanted) -> tuple[Raw, str]:
        """Return the rows, and the SHA-256 of the input."""

    def path_of(self, file: str) -> Path:
        """Return where a file of a layout is."""


@contextmanager
def at_hand(source: str, state_dir: Path) -> Iterator[InputFiles]:
    """Find the files of an input; copies of remote ones are here until the block ends."""
    if not is_url(source):
        yield LocalInput(source)
        return
    with downloaded(
        source, state_dir, lambda name: read.is_data(name, source), formats.list_suffixes()
    ) as download:
        yield RemoteInput(source, download)


@dataclass(frozen=True, slots=True)
class LocalInput:
    """An input of this machine, or standard input."""

    source: str

    @property
    def facts(self) -> Sequence[Mapping[str, str]]:
        """Return nothing: the SHA-256 says it all."""
        return ()

    def read(self, wanted: Wanted) -> tuple[Raw, str]:
        """Read the rows; raise UsageProblem if the input changes meanwhile."""
        source = self.source
        stdin = read.stdin() if source == read.STDIN else b""
        digest = read.digest(source, stdin)
        raw = read.rows(source, wanted, stdin=stdin)
        if read.digest(source, stdin) != digest:
            raise UsageProblem(
                f"{source} changed while it was read. Run again when it is complete; nothing was "
                "sent."
            )
        return raw, digest

    def path_of(self, file: str) -> Path:
        """Return the file itself."""
        return Path(file)


@dataclass(frozen=True, slots=True)
class RemoteInput:
    """An input that was downloaded."""

    source: str
    download: Download

    @property
    def facts(self) -> Sequence[Mapping[str, str]]:
        """Return URL, ETag and SHA-256 of each file."""
        return [copy.facts for copy in self.download.copies]

    def read(self, wanted: Wanted) -> tuple[Raw, str]:
        """Read the copies, and call them by their URLs."""
        download = self.download
        read.warn_of_skipped(self.source, download.skipped)
        paths = [copy.path for copy in download.copies]
        urls = {str(copy.path): copy.url for copy in download.copies}
        with _named(urls):
            if download.is_one:
                frame, places = read.rows(str(paths[0]), wanted)
            else:
                frame, places = read.rows(self.source, wanted, copies=paths)
        if columns.FILE in frame:
            names = {str(copy.path): copy.name for copy in download.copies}
            frame[columns.FILE] = frame[columns.FILE].cat.rename_categories(names)
        places = [replace(place, file=urls[place.file]) for place in places]
        return Raw(frame, places), download.sha256

    def path_of(self, file: str) -> Path:
        """Return the copy of a file."""
        return next(copy.path for copy in self.download.copies if copy.url == file)


@contextmanager
def _named(urls: Mapping[str, str]) -> Iterator[None]:
    """Put URLs in place of the paths of their copies, in errors and in the log."""

    def named(text: str) -> str:
        for path, url in urls.items():
            text = text.replace(path, url)
        return text

    def rename(record: logging.LogRecord) -> bool:
        record.msg, record.args = named(record.getMessage()), ()
        return True

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(rename)
    try:
        yield
    except InputProblem as problem:
        overview = [named(line) for line in problem.overview]
        remedies = [each._replace(file=named(each.file)) for each in problem.remedies]
        raise InputProblem(named(str(problem)), overview, remedies) from problem
    finally:
        for handler in handlers:
            handler.removeFilter(rename)
