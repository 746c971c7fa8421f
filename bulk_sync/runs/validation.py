"""Reads a file and checks its rows, for every command that takes one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Begun
from bulk_sync.remote.url import is_url
from bulk_sync.rows import check, hints, new_profiles, read
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.input_files import InputFiles, at_hand
from bulk_sync.runs.job import Input, Job
from bulk_sync.settings import KeyKind


@dataclass(frozen=True, slots=True)
class Judged:
    """An input, read and checked.

    Attributes:
        rows: from ``check.rows``.
        sha256: of the input.
        layout: what was read as what.
        downloaded: what the ledger keeps of each remote file: URL, ETag, SHA-256.
    """

    rows: Slices
    sha256: str
    layout: Layout
    downloaded: Sequence[Mapping[str, str]] = ()

    @property
    def hints(self) -> list[str]:
        """Return sentences that name options for columns and cells that were not used."""
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


def judged(given: Input, job: Job | None = None) -> Judged:
    """Read a file, and check its rows."""
    with at_hand(given.source, given.state_dir) as found:
        return judged_at_hand(given, found, job)


def judged_at_hand(given: Input, found: InputFiles, job: Job | None = None) -> Judged:
    """Read files that are at hand, and check their rows."""
    wanted = read.Wanted(given.sheet, given.header_row, given.rules)
    (raw, places), digest = found.read(wanted)
    if job is not None and job.matching.creating is not None:
        columns = check.find_columns(raw.columns, given.rules)
        new_profiles.fields(raw.columns, job.matching.creating, columns.keys)  # raises if one lacks
    checked = check.check(raw, given.rules)
    layout = Layout(places, checked.found, given.rules, checked.dates_read_as, checked.date_order)
    return Judged(Slices.of(checked.rows), digest, layout, found.facts)


def with_input(job: Job, judged: Judged) -> Job:
    """Return a job with its keys; they are recorded, unless they are PKeys, as is what was read."""
    keys = judged.layout.columns.keys
    job = replace(job, matching=replace(job.matching, keys=keys))
    job = job.with_settings(**judged.layout.facts)
    if judged.downloaded:
        job = job.with_settings(downloaded=[dict(each) for each in judged.downloaded])
    if keys.kind is KeyKind.PKEY:
        return job
    return job.with_settings(key=str(keys), key_column=keys.field)
