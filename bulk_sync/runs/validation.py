"""Reads a file and checks its rows, for every command that takes one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bulk_sync.errors import UsageProblem
from bulk_sync.report.destination import Destination
from bulk_sync.rows import check, hints, new_profiles, read
from bulk_sync.rows.layout import Layout
from bulk_sync.runs.job import Input, Job
from bulk_sync.settings import KeyKind


@dataclass(frozen=True, slots=True)
class Judged:
    """An input, read and checked.

    Attributes:
        rows: from ``check.rows``.
        sha256: of the input.
        layout: what was read as what.
        marked: copies of the input with marks in it.
    """

    rows: pd.DataFrame
    sha256: str
    layout: Layout
    marked: Sequence[Destination] = ()

    @property
    def hints(self) -> list[str]:
        """Return sentences that name options for columns and cells that were not used."""
        rows, layout = self.rows, self.layout
        of_cells = hints.for_keys(rows, layout) + hints.for_states(rows, layout)
        return of_cells + hints.for_dates(layout)


def files(given: Input) -> set[Path]:
    """Return the files of an input."""
    return set(read.files(given.source))


def judged(given: Input, job: Job | None = None) -> Judged:
    """Read a file, and check its rows."""
    stdin = read.stdin() if given.source == read.STDIN else b""
    digest = read.digest(given.source, stdin)
    wanted = read.Wanted(given.sheet, given.header_row, given.rules)
    raw, places = read.rows(given.source, wanted, stdin=stdin)
    if read.digest(given.source, stdin) != digest:
        raise UsageProblem(
            f"{given.source} changed while it was read. Run again when it is complete; nothing "
            "was sent."
        )
    if job is not None and job.matching.creating is not None:
        found = check.find_columns(raw.columns, given.rules)
        new_profiles.fields(raw.columns, job.matching.creating, found.keys)  # raises if one lacks
    checked = check.check(raw, given.rules)
    layout = Layout(places, checked.found, given.rules, checked.dates_read_as)
    return Judged(checked.rows, digest, layout)


def with_layout(job: Job, layout: Layout) -> Job:
    """Return a job with its keys; they are recorded, unless they are PKeys, and the layout too."""
    keys = layout.columns.keys
    job = replace(job, matching=replace(job.matching, keys=keys))
    job = job.with_settings(read_as=str(layout))
    if keys.kind is KeyKind.PKEY:
        return job
    return job.with_settings(key=str(keys), key_column=keys.field)
