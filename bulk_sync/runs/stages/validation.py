"""Reads a file and checks its rows, for every command that takes one."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Final

import pandas as pd

from bulk_sync import memory
from bulk_sync.background import prefetch
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Begun
from bulk_sync.remote.url import is_url
from bulk_sync.rows import check, hints, new_profiles, read
from bulk_sync.rows.check import Checked
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.on_disk import Store
from bulk_sync.rows.slices import RowProgress, Slices
from bulk_sync.runs.terms.input_files import InputFiles, at_hand
from bulk_sync.runs.terms.job import Input, Job
from bulk_sync.settings import KeyKind
from bulk_sync.storage import scratch

_WHOLE: Final = 10
"""An input is held whole if this many times its text fits into memory."""

_SLICES: Final = 32
"""Else it is read in slices, and the texts of this many fit."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An input, read and checked.

    Attributes:
        rows: from ``check.rows``.
        layout: what was read as what.
        files: its files, as long as its rows can be read.
    """

    rows: Slices
    sha256: str
    layout: Layout
    files: InputFiles

    @property
    def hints(self) -> list[str]:
        """Return sentences with options for unused columns and cells."""
        return hints.find(self.rows, self.layout)


def files(given: Input) -> set[Path]:
    """Return the files of an input that are on this machine."""
    return set() if is_url(given.source) else set(read.files(given.source))


def files_of(begun: Begun) -> set[Path]:
    """Return the files that a run read, its plan among them, as far as they are still here."""
    found = set() if begun.plan is None else {Path(begun.plan)}
    with suppress(UsageProblem):
        found |= files(Input(begun.input))
    # In a folder that was read its reports may lie by now.
    reports = map(Path, begun.settings.get("report", ()))
    return {path.absolute() for path in found} - set(reports)


@contextmanager
def judged(given: Input, progress: RowProgress, job: Job | None = None) -> Iterator[Judged]:
    """Read a file, and check its rows, slice by slice if they are large.

    Its rows can be read until the block ends.
    """
    wanted = read.Wanted(given.sheet, given.header_row, given.rules)
    with ExitStack() as until_read:
        found = until_read.enter_context(at_hand(given.source, given.state_dir))
        if found.text_bytes <= (given.memory or memory.default_bytes()) // _WHOLE:
            (frames, places), digest = found.slices(wanted)
            (raw,) = frames
            _check_fields(raw, given, job)
            checked = check.check(raw, given.rules)
        else:
            bytes_free = memory.sliced_bytes(given.memory)
            folder = until_read.enter_context(scratch.folder(given.state_dir, scratch.CHECKS))
            store = until_read.enter_context(Store(folder, bytes_free, progress))
            (frames, places), digest = found.slices(wanted, bytes_free // _SLICES, folder)
            with closing(frames):  # also if the check ends early: a process may read them
                checked = _checked(frames, given, job, store, found.text_bytes, progress)
        layout = Layout(places, checked.found, given.rules, *checked[2:])
        yield Judged(checked.rows, digest, layout, found)


def _checked(
    frames: Iterator[pd.DataFrame],
    given: Input,
    job: Job | None,
    store: Store,
    text_bytes: float,
    progress: RowProgress,
) -> Checked:
    """Check slices, with what does not fit into memory in a store."""
    first, second = next(frames), next(frames, None)
    _check_fields(first, given, job)
    if second is None:
        return check.check(first, given.rules)
    # Late: few inputs are so large.
    from bulk_sync.rows.check import slices  # noqa: PLC0415

    with closing(prefetch(chain([first, second], frames))) as coming:
        return slices.check(_watched(coming, text_bytes, progress), given.rules, store)


def _watched(
    frames: Iterable[pd.DataFrame], text_bytes: float, progress: RowProgress
) -> Iterator[pd.DataFrame]:
    """Yield slices; show how many rows are done, of about how many by the size of their texts."""
    rows = size = 0
    for frame in frames:
        yield frame
        rows, size = rows + len(frame), size + read.cell_bytes(frame)
        if size and isfinite(text_bytes):
            progress("Checking the rows", rows, max(rows + 1, round(rows * text_bytes / size)))


def _check_fields(raw: pd.DataFrame, given: Input, job: Job | None) -> None:
    if job is not None and job.matching.creating is not None:
        columns = check.find_columns(raw.columns, given.rules)
        new_profiles.fields(raw.columns, job.matching.creating, columns.keys)


def with_input(job: Job, judged: Judged) -> Job:
    """Return a job with its keys; they are recorded, unless they are PKeys, as is what was read."""
    keys = judged.layout.columns.keys
    job = replace(job, matching=replace(job.matching, keys=keys))
    job = job.with_settings(**judged.layout.facts)
    if judged.files.facts:
        job = job.with_settings(downloaded=[dict(each) for each in judged.files.facts])
    if keys.kind is KeyKind.PKEY:
        return job
    return job.with_settings(key=str(keys), key_column=keys.field)
