"""The files of an input: on this machine, or downloaded for as long as they are read.

source --at_hand--> local: as it lies there, read twice to see that it does not change
                    URL:   copies, called by their URLs in messages, reports and the ledger
"""

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from sys import maxsize

import pandas as pd

from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.remote.download import Download, downloaded
from bulk_sync.remote.url import is_url
from bulk_sync.rows import columns, read
from bulk_sync.rows.layout import TablePlace
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read import RawSlices, Wanted
from bulk_sync.runs.kept import plan_file


@dataclass(frozen=True, slots=True)
class LocalInput:
    """An input of this machine, or standard input."""

    source: str

    @property
    def facts(self) -> Sequence[Mapping[str, str]]:
        """Return nothing: the SHA-256 says it all."""
        return ()

    @property
    def text_bytes(self) -> float:
        """Estimate how many bytes its cells take; that of standard input may be any number."""
        return inf if self.source == read.STDIN else read.text_bytes(read.files(self.source))

    def slices(
        self, wanted: Wanted, most_bytes: int = maxsize, folder: Path | None = None
    ) -> tuple[RawSlices, str]:
        """Read the rows in slices, see ``read.slices``, and the SHA-256 of the input.

        The last frame is followed by UsageProblem if the input changed while it was read.
        """
        source = self.source
        read_on = partial(read.slices, source, wanted, most_bytes=most_bytes, folder=folder)
        if source == read.STDIN:
            stdin, digest = read.stdin(read.spooling(most_bytes, folder))
            return read_on(stdin=stdin), digest
        digest = read.digest(source)
        _check_no_plan((path, str(path)) for path in read.files(source))
        raw = read_on()

        def frames() -> Generator[pd.DataFrame, None, None]:
            yield from raw.frames
            if read.digest(source) != digest:
                raise UsageProblem(
                    f"{source} changed while it was read. Run again when it is complete; nothing "
                    "was sent."
                )

        return RawSlices(frames(), raw.places), digest

    def path_of(self, file: str) -> Path:
        """Return where a file of a layout is, which has its legible name."""
        found = (path for path in read.files(self.source) if read.legible(path) == file)
        return next(found, Path(file))  # it may be gone by now


@dataclass(frozen=True, slots=True)
class RemoteInput:
    """A downloaded input."""

    source: str
    download: Download

    @property
    def facts(self) -> Sequence[Mapping[str, str]]:
        """Return URL, ETag and SHA-256 of each file."""
        return [copy.facts for copy in self.download.copies]

    @property
    def text_bytes(self) -> float:
        """Estimate how many bytes the cells of the copies take as text."""
        return read.text_bytes(copy.path for copy in self.download.copies)

    def slices(
        self, wanted: Wanted, most_bytes: int = maxsize, folder: Path | None = None
    ) -> tuple[RawSlices, str]:
        """Read the copies in slices, and call them by their URLs."""
        read.warn_of_skipped(self.source, self.download.skipped)
        _check_no_plan((copy.path, copy.url) for copy in self.download.copies)
        paths = [copy.path for copy in self.download.copies]
        source, paths = (str(paths[0]), []) if self.download.is_one else (self.source, paths)
        urls = {str(copy.path): copy.url for copy in self.download.copies}
        places: list[TablePlace] = []
        raw = read.slices(source, wanted, copies=paths, most_bytes=most_bytes, folder=folder)

        def frames() -> Generator[pd.DataFrame, None, None]:
            with _named(urls):
                yield from map(self._renamed, raw.frames)
            places.extend(replace(place, file=urls[place.file]) for place in raw.places)

        return RawSlices(frames(), places), self.download.sha256

    def _renamed(self, frame: pd.DataFrame) -> pd.DataFrame:
        if columns.FILE in frame:
            names = {str(copy.path): copy.name for copy in self.download.copies}
            frame[columns.FILE] = frame[columns.FILE].cat.rename_categories(names)
        return frame

    def path_of(self, file: str) -> Path:
        """Return the copy of a file."""
        return next(copy.path for copy in self.download.copies if copy.url == file)


InputFiles = LocalInput | RemoteInput


def _check_no_plan(files: Iterable[tuple[Path, str]]) -> None:
    """Raise InputProblem if a file, which messages call by the name beside it, is a plan.

    The list in it is that of its input: the plan of an undo would be carried out the wrong way
    round, and others without approval.
    """
    for path, name in files:
        if path.suffix.lower() == plan_file.SUFFIX and plan_file.job_of(path) is not None:
            raise InputProblem(
                f"{name} is a plan, no list. `bulk-sync apply {name}` carries it out. As INPUT, "
                "name the list that it was made of; keep plans out of folders of lists."
            )


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
        raise InputProblem(named(str(problem)), overview, problem.remedies) from problem
    finally:
        for handler in handlers:
            handler.removeFilter(rename)
