"""What may go from the state folder and the bucket of ``--state-url``. Removes nothing itself.

=========================  =====================================  ==============================
what                       goes                                   never
=========================  =====================================  ==============================
checkpoint of a run        as soon as the run is finished; 30     while it can be resumed, or
                           days later if rows failed, or a limit  while the ledger has no such run
                           or a person refused it
kept rows of a run         after their last day                   while it can be resumed
saved plan                 800 days after it was made             while it can be applied, or its
                                                                  apply can be resumed
temporary file, or half    after a day: its process was killed    in the checkpoint of a run
a checkpoint
parts of a large input,    as soon as the process is dead         while its process is alive
or a downloaded file
=========================  =====================================  ==============================

A checkpoint in the bucket goes as one here does, if the ledger knows its run.

With ``keep``, everything but what a run or a plan still needs goes after so many days, if not
before. Ledger, anchors and locks always stay: a lock that is removed would not lock. So does every
file with a name, or a content, that this program does not write.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bulk_sync.amounts import count
from bulk_sync.ledger import Run
from bulk_sync.outcomes import Outcome
from bulk_sync.remote.mirror import Mirrored, all_mirrored
from bulk_sync.report.destination import LocalFile
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.past_runs import is_held, was_stopped
from bulk_sync.runs.kept import kept_rows, plan_file
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.checkpoint_place import all_checkpoints
from bulk_sync.storage import atomic, scratch

_DAY_S: Final = 86_400
_CHECKPOINT_DAYS: Final = 30
"""How long the checkpoint of a finished run is kept, for ``retry`` or a ``resume`` after 4."""

_DAYS: Final = 800
_ABANDONED_DAYS: Final = 1
_OF_PROCESSES: Final = frozenset({scratch.CHECKS, scratch.DOWNLOADS})
_OWN_FOLDERS: Final = frozenset({"runs", kept_rows.FOLDER, "locks", "page", *_OF_PROCESSES})
"""Folders with rules of their own; the last one belongs to processes that look after it."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that may go.

    Attributes:
        path: a file, or the folder of a checkpoint or of a dead process; or one in a bucket.
        reason: why it may go, for a person.
        size: bytes of its files.
    """

    path: Path | Mirrored
    reason: str
    size: int

    def name(self, folder: Path) -> str:
        """Return its path below the state folder, or its URL."""
        return str(self.path.relative_to(folder) if isinstance(self.path, Path) else self.path)

    def remove(self) -> bool:
        """Remove it, and return whether it is gone."""
        if isinstance(self.path, Mirrored):
            return self.path.remove()
        if self.path.parent.name in _OF_PROCESSES:
            shutil.rmtree(self.path, ignore_errors=True)
            return not self.path.exists()
        if self.path.is_dir():
            checkpoint = Checkpoint(self.path)
            checkpoint.remove()
            return not checkpoint.files()
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """How long things are kept.

    Attributes:
        keep: most days for anything that is not needed; None: its own time.
        plan_valid_s: how long a plan can be applied.
    """

    now: datetime
    keep: int | None = None
    plan_valid_s: float = 0.0

    def most(self, days: int) -> int:
        """Return for how many days something is kept, by default so many."""
        return days if self.keep is None else self.keep

    def age(self, path: Path) -> float:
        """Return for how many days a file has not been changed; 0 if it is gone."""
        with suppress(FileNotFoundError):
            return self.days_since(path.stat().st_mtime)
        return 0.0

    def days_since(self, at_s: float) -> float:
        """Return how many days ago a time was, in seconds since the epoch."""
        return (self.now.timestamp() - at_s) / _DAY_S

    def can_be_resumed(self, run: Run, age: float | None) -> bool:
        """Return whether a run can be resumed, if its checkpoint, if any, is so many days old."""
        if not run.is_finished:
            return True
        return age is not None and was_stopped(run) and age <= _CHECKPOINT_DAYS


def of_runs(
    folder: Path, runs: Mapping[str, Run], is_meant: Callable[[str], bool], rules: RetentionRules
) -> list[Leftover]:
    """Return what may go of some runs: those of the ledger, and others whose ids are meant."""
    checkpoints = {each.run_id: each for each in all_checkpoints(folder)}
    found = []
    for run_id, checkpoint in checkpoints.items():
        if is_meant(run_id) and (why := _why(checkpoint, runs.get(run_id), rules)):
            size = sum(map(_size, checkpoint.files()))
            found.append(Leftover(checkpoint.folder, why, size))
    for run_id, kept in kept_rows.all_of(folder).items():
        run, checkpoint_here = runs.get(run_id), checkpoints.get(run_id)
        since = None if checkpoint_here is None else rules.age(checkpoint_here.folder)
        if not is_meant(run_id) or (run is not None and rules.can_be_resumed(run, since)):
            continue
        age = rules.age(kept.path)
        if kept.until < rules.now.date():
            found.append(_file(kept.path, f"rows were kept until {kept.until}"))
        elif rules.keep is not None and age > rules.keep:
            found.append(_file(kept.path, f"rows of a finished run, {_days(age)} old"))
    return found


def of_bucket(
    state_url: str | None, runs: Mapping[str, Run], rules: RetentionRules
) -> list[Leftover]:
    """Return what may go of some runs from the bucket with their checkpoints, if there is one.

    Raise StoppedEarly if it cannot be listed.
    """
    found = []
    for each in () if state_url is None else all_mirrored(state_url):
        run, age = runs.get(each.run_id), rules.days_since(each.changed.timestamp())
        if run is not None and (why := _why_checkpoint(run, age, rules)):
            found.append(Leftover(each, why, each.size))
    return found


def unknown(folder: Path, runs: Mapping[str, Run]) -> list[Path]:
    """Return the complete checkpoints of runs that the ledger does not know."""
    return [
        each.folder
        for each in all_checkpoints(folder)
        if each.run_id not in runs and each.is_complete
    ]


def of_no_run(folder: Path, runs: Sequence[Run], rules: RetentionRules) -> list[Leftover]:
    """Return what else may go from the state folder."""
    found = []
    for path in scratch.abandoned(folder):
        size = sum(map(_size, path.rglob("*")))
        found.append(Leftover(path, "input at work in a process that was killed", size))
    for path in _files(folder):
        if path.suffix == plan_file.SUFFIX:
            if (made := plan_file.made_at(path)) and (why := _why_plan(path, made, runs, rules)):
                found.append(_file(path, why))
        elif re.fullmatch(atomic.TEMPORARY, path.name) and rules.age(path) > _ABANDONED_DAYS:
            found.append(_file(path, "temporary file of a process that was killed"))
    return found


def _why(checkpoint: Checkpoint, run: Run | None, rules: RetentionRules) -> str:
    """Return why a checkpoint may go; "" if it stays."""
    age = rules.age(checkpoint.folder)
    if run is None:
        is_half = not checkpoint.is_complete and age > _ABANDONED_DAYS
        is_ours = bool(checkpoint.files()) or not any(checkpoint.folder.iterdir())
        return "half a checkpoint: its process was killed" if is_half and is_ours else ""
    return _why_checkpoint(run, age, rules) if checkpoint.files() else ""


def _why_checkpoint(run: Run, age: float, rules: RetentionRules) -> str:
    """Return why the checkpoint of a run, of so many days, may go; "" if it stays."""
    if rules.can_be_resumed(run, age):
        return ""
    if was_stopped(run):
        return f"checkpoint of a run that was refused, {_days(age)} old"
    if run.count(Outcome.FAILED):
        is_over = age > min(_CHECKPOINT_DAYS, rules.most(_CHECKPOINT_DAYS))
        return f"checkpoint with failed rows, {_days(age)} old" if is_over else ""
    return "checkpoint of a finished run"


def _why_plan(path: Path, made: datetime, runs: Sequence[Run], rules: RetentionRules) -> str:
    age_s = (rules.now - made).total_seconds()
    if age_s <= rules.most(_DAYS) * _DAY_S:
        return ""
    applied = lineage.apply_of(runs, LocalFile(path).sha256())
    if applied is None:
        if age_s <= rules.plan_valid_s:
            return ""
        return f"plan that cannot be applied any more, {_days(age_s / _DAY_S)} old"
    if not applied.is_finished or is_held(applied):
        return ""
    return f"plan that was applied, {_days(age_s / _DAY_S)} old"


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below the state folder, but those of folders with rules of their own."""
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in _OWN_FOLDERS]
        paths = [Path(place, name) for name in sorted(names)]
        yield from (path for path in paths if not path.is_symlink())
    yield from sorted((folder / kept_rows.FOLDER).glob(".*"))


def _file(path: Path, reason: str) -> Leftover:
    return Leftover(path, reason, _size(path))


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def _days(days: float) -> str:
    return count(int(days), "day")
