"""What a run is to do, and how: its input and its settings."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bulk_sync.remote.url import unquoted
from bulk_sync.report import destination
from bulk_sync.report.destination import Destination
from bulk_sync.rows import read
from bulk_sync.rows.check import OnConflict, Rules
from bulk_sync.runs.terms.protection import Protection
from bulk_sync.settings import (
    Connection,
    Creating,
    Fetch,
    Keys,
    Limits,
    Oddity,
    Pace,
    Reading,
    State,
    Writing,
)

_LONGEST_STEM: Final = 180


@dataclass(frozen=True, slots=True)
class Input:
    """What to read.

    Attributes:
        source: a file, a folder, a glob, ``-`` for standard input, or a URL.
        sheet: the sheet of a workbook; None chooses one.
        header_row: the number of the header's row; None finds it.
        state_dir: where a remote input is kept while it is read.
        memory: bytes that reading and checking may take; None: see ``memory.py``.
    """

    source: str
    sheet: str | None = None
    header_row: int | None = None
    rules: Rules = field(default_factory=Rules)
    state_dir: Path = field(default_factory=Path)
    memory: int | None = None

    @property
    def stem(self) -> str:
        """Return the beginning of the names of reports."""
        path = Path(unquoted(self.source))
        if self.source == "-":
            return "stdin"
        if any(char in self.source for char in "*?[") and not os.path.lexists(path):
            return path.parent.name or "input"
        name = path.name if path.name not in {"", ".."} else path.resolve().name
        for suffix in reversed(path.suffixes):
            if suffix.lower() not in read.SUFFIXES:
                break
            name = name[: -len(suffix)]
        # A file's name has room for 255 bytes: a run's id and a suffix follow.
        return os.fsencode(name)[:_LONGEST_STEM].decode("utf-8", "ignore") or "input"


@dataclass(frozen=True, slots=True)
class Matching:
    """How rows find their profiles.

    Attributes:
        on_conflict: what becomes of one profile with two states.
        creating: the fields of new profiles for unknown keys; None creates none.
    """

    keys: Keys = field(default_factory=Keys)
    on_conflict: OnConflict = OnConflict.REJECT
    creating: Creating | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], attribute: str) -> "Matching":
        """Build them from options; raise UsageProblem if one is wrong."""
        columns = options.get("create_column") or ()
        return cls(
            keys=Keys.from_options(options),
            on_conflict=OnConflict(options.get("on_conflict") or OnConflict.REJECT),
            creating=Creating.parse(columns, attribute) if options.get("create") else None,
        )


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What a run of a job is recorded with, and where.

    Attributes:
        state: where the run is kept while it works, and the ledger.
        name: a common name for runs over the same kind of input.
        settings: the options as they were given, without secrets, for the commands that follow.
        reports: where to write the report; the suffix decides its format, and the run's id takes
            the place of ``{run_id}``.
        of_input: the names of the settings that are needed to read the rows, and to look for their
            profiles, once more.
        began_s: when this process began to work on it, by the monotonic clock.
    """

    state: State
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    reports: tuple[str, ...] = ()
    of_input: frozenset[str] = frozenset()
    began_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return how long this process has worked on it: reading, waiting and reports included."""
        return time.monotonic() - self.began_s

    def reports_of(self, run_id: str) -> tuple[Destination, ...]:
        """Return where the reports of one run go, whatever the working directory is later."""
        return tuple(destination.of_run(text, run_id, self.state.folder) for text in self.reports)


@dataclass(frozen=True, slots=True)
class Job:
    """How a run is to work.

    Attributes:
        protection: people that no run may change.
    """

    connection: Connection
    record: JobRecord
    pace: Pace = field(default_factory=Pace)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)
    limits: Limits = field(default_factory=Limits)
    matching: Matching = field(default_factory=Matching)
    protection: Protection = field(default_factory=Protection)

    def with_settings(self, **settings: Any) -> "Job":
        """Return the job with further options to be recorded."""
        return replace(
            self, record=replace(self.record, settings={**self.record.settings, **settings})
        )

    def after_the_list(self, *, is_known: bool) -> "Job":
        """Return the job for the keys missing in Campaign's list.

        With ``is_known`` the list showed another key of the input.
        """
        allowed = self.limits.allowed | ({Oddity.UNKNOWN_KEYS} if is_known else set())
        return replace(
            self,
            reading=replace(self.reading, fetch=Fetch.LOOKUP),
            limits=replace(self.limits, allowed=allowed),
        )

    def guarded(self) -> "Job":
        """Return the job, with every profile to be read again before it is written."""
        return replace(self, writing=replace(self.writing, guarded=True))

    def with_any_oddity(self) -> "Job":
        """Return the job for an input that is odd by its nature: an inverse, or a few rows."""
        return replace(self, limits=replace(self.limits, allowed=frozenset(Oddity)))

    def by_pkey(self) -> "Job":
        """Return the job for the writes of a run: their keys are PKeys, whatever its input held."""
        settings, of_input = self.record.settings, self.record.of_input
        kept = {name: settings[name] for name in settings if name not in of_input}
        kept["api"] = self.connection.api  # may have been chosen for the keys
        record = replace(self.record, settings=kept)
        return replace(self, matching=Matching(), record=record)
