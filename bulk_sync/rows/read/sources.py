"""Finds the files of a source: one, all of a folder, or the matches of a glob; and their job.

A file with the very name of the source wins over the glob. bulk-sync itself wrote some inputs for a
person to correct: these have the job of the first one.
"""

import glob
import logging
import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from hashlib import file_digest, sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final, NamedTuple

from bulk_sync import job_names
from bulk_sync.amounts import count
from bulk_sync.errors import InputProblem
from bulk_sync.rows.listing import first_few
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read.content import explained
from bulk_sync.settings import RUN_ID_PATTERN
from bulk_sync.storage import workbook_seal

log = logging.getLogger(__name__)

STDIN: Final = "-"
"""The source for standard input."""

STDIN_NAME: Final = "Standard input"
"""Its name in messages."""

_RUN: Final = re.compile(rf"\.{RUN_ID_PATTERN}(?:-\d+)?\.")
"""In the names of our files: the run's id, and a number if another file has the name already."""

_TODO: Final = re.compile(rf"(?:{_RUN.pattern}todo)+\.[a-z]+$")
"""What follows the input's stem in the name of a todo file, or of one that a todo file left."""

_OUR_REPORT: Final = re.compile(_RUN.pattern + r"(results|todo)\.[a-z]+$")
"""By the run's id in it: another file called ``.results.csv`` is data."""
_NAMED: Final = 10
_PACKED_TIMES: Final = 10
"""Lists of keys are packed to a tenth."""

_OF_REST: Final = ".todo"

_OF_THE_DISK: Final = "lost+found"
"""The folder in which file systems keep damaged files; root alone may read it."""

_HIDDEN: Final = (".", "~$")  # the second is how Office names its locks


def is_one(source: str) -> bool:
    """Check whether a source is a single file by its very name.

    Raises:
        InputProblem: it is a pipe or a device.
    """
    with explained(source):
        try:
            mode = Path(source).stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
    if S_ISDIR(mode):
        return False
    if not S_ISREG(mode):
        raise InputProblem(
            f"{source} is a pipe or a device, and a file is read more than once. Give {STDIN} as "
            "INPUT, and the data on standard input."
        )
    return True


def is_todo(source: str) -> bool:
    """Check whether a source is a todo file by its name: a run's id is in it."""
    report = _OUR_REPORT.search(Path(source).name)
    return report is not None and report[1] == "todo"


def is_named_as_report(path: Path) -> bool:
    """Check whether a file is a report or todo file by its name; a glob that spells it reads it."""
    return _OUR_REPORT.search(path.name) is not None


def original_stem(todo: str) -> str:
    """Return how the reports of the file are called whose rows came into a todo file first."""
    return _TODO.sub("", Path(todo).name)


class Origin(NamedTuple):
    """Where the rows of a file come from.

    Attributes:
        job: the job of their input.
        is_rest: they are rows left of it, as in a todo file, not the whole.
    """

    job: str
    is_rest: bool


def origin(source: str, called: str = "") -> Origin | None:
    """Return what a workbook's properties, or the name of a todo file, show; None if nothing.

    ``called`` is its name for people, if it is kept under another one.
    """
    if found := of_workbook(source):
        return found
    name = called or source
    job = job_names.of_stem(original_stem(name))
    return Origin(job, is_rest=True) if is_todo(name) else None


def of_workbook(source: str) -> Origin | None:
    """Return what the properties of a workbook show, whatever its name; None if nothing."""
    path = Path(source)
    if path.suffix.lower() not in {".xlsx", ".ods"}:
        return None
    found = workbook_seal.properties(path)
    for name, is_rest in ((workbook_seal.JOB, False), (workbook_seal.JOB_OF_REST, True)):
        if job := found.get(name, "").strip():
            return Origin(job, is_rest)
    return None


def default_job(source: str, stem: str, called: str = "") -> str:
    """Return the job of an input without ``--job``.

    The todo files of an input are a job of their own, the same every night: ``requests.todo``. They
    are compared with no run, and do not count as the nightly one.
    """
    found = origin(source, called)
    if found is not None and is_todo(called or source):
        return f"{found.job}{_OF_REST}"
    return job_names.of_stem(stem) if found is None or found.is_rest else found.job


def files(source: str) -> list[Path]:
    """Return the files of a source, sorted by name.

    Args:
        source: a file, a folder, a glob, or ``-`` for standard input.

    Returns:
        The file itself; of a folder or glob the files with an accepted suffix, without hidden
        ones and without this program's reports, unless the glob spells ``.todo.`` or
        ``.results.``; nothing for standard input.

    Raises:
        InputProblem: there is no such file, or none with an accepted suffix; or one of a folder
            is a link to nothing.
    """
    if source == STDIN:
        return []
    if not source.strip():
        raise InputProblem("INPUT is empty; an unset variable, perhaps. Name a file.")
    if is_one(source):
        return [Path(source)]
    with explained(source):
        found = [path for path in _found(source) if is_data(path.name, source)]
        taken = sorted(path for path in found if path.is_file())
        lost = sorted(path for path in {*found} - {*taken} if not path.is_dir())
        where = f"{'In the folder' if Path(source).is_dir() else 'By the pattern'} {source}"
    if lost:
        what = "link to a file that is not there" if lost[0].is_symlink() else "pipe or a device"
        raise InputProblem(
            f"{lost[0]} cannot be read: it is a {what}. Put the file there, or remove that name: "
            "its rows may be wanted."
        )
    if not taken:
        raise InputProblem(
            f"{where} there is no data file. Looked for the suffixes {formats.list_suffixes()}; "
            "reports of earlier runs do not count."
        )
    return taken


def warn_of_others(source: str, taken: Sequence[Path]) -> None:
    """Warn of other files and folders in a folder or glob, but for folders on the way of ``**``."""
    with explained(source):
        others = sorted(set(_found(source)) - set(taken))
        names = [
            f"{path.name}/" if path.is_dir() else path.name
            for path in others
            if not ("**" in source and path.is_dir())
        ]
    warn_of_skipped(source, names)


def warn_of_skipped(source: str, names: Sequence[str]) -> None:
    """Warn of files and folders that were not read, hidden ones and our reports left out."""
    skipped = [
        name for name in names if not name.startswith(_HIDDEN) and _OUR_REPORT.search(name) is None
    ]
    if skipped:
        log.warning(
            "%s: %s not read: %s. Only the suffixes %s are "
            "read: save others as one of these, unpack archives, and name each folder by itself.",
            source,
            count(
                len(skipped),
                "of the files and folders in it was",
                "of the files and folders in it were",
            ),
            first_few(skipped, _NAMED),
            formats.list_suffixes(),
        )


def text_bytes(paths: Iterable[Path]) -> int:
    """Estimate how many bytes the cells of some files take as text, if there may be many.

    Workbooks are small: a sheet has a million rows at most.

    Raises:
        InputProblem: a file is not there any more.
    """
    total = 0
    for path in paths:
        with explained(str(path)):
            size = path.stat().st_size
        kind = formats.find(path)
        if kind is not None and not kind.has_sheets:
            is_packed = bool(kind.parser) or path.suffix.lower() in formats.PACKED
            total += size * (_PACKED_TIMES if is_packed else 1)
    return total


def digest(source: str) -> str:
    """Return the SHA-256 of files: of one as ``sha256sum`` has it, of several that of its output.

    Raises:
        InputProblem: it cannot be read.
    """
    paths = files(source)
    digests = [_digest(path) for path in paths]
    if is_one(source):
        return digests[0]
    lines = (f"{each}  {path}\n" for each, path in zip(digests, paths, strict=True))
    return sha256("".join(lines).encode("utf-8", "replace")).hexdigest()


def _digest(path: Path) -> str:
    with explained(str(path)), path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _found(source: str) -> list[Path]:
    if Path(source).is_dir():
        return list(Path(source).iterdir())
    if any(char in source for char in "*?["):
        _check_folders(source)
        return [Path(name) for name in glob.iglob(source, recursive=True)]  # noqa: PTH207 - may be absolute
    raise InputProblem(_missing(Path(source)))


def _check_folders(pattern: str) -> None:
    """Raise InputProblem if a folder on the way of a glob cannot be read: it may hold matches."""
    parts = Path(pattern).parts
    for at, part in enumerate(parts):
        wanted = os.X_OK | (os.R_OK if glob.has_magic(part) else 0)
        above = str(Path(*parts[:at], ""))
        for folder in glob.iglob(f"{above}/", recursive=True):  # noqa: PTH207 - may be absolute
            if not os.access(folder, wanted) and Path(folder).name != _OF_THE_DISK:
                raise InputProblem(
                    f"{Path(folder)} cannot be read: Permission denied. See that you may read it, "
                    f"or name a pattern without it: by {pattern}, its files may be wanted."
                )


def is_data(name: str, source: str) -> bool:
    """Return whether a file of a folder or glob is read, by its name."""
    report = _OUR_REPORT.search(name)
    return (
        formats.find(Path(name)) is not None
        and not name.startswith(_HIDDEN)
        and (report is None or f".{report[1]}." in source)
    )


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"No such file: {path}, and no folder {path.parent}. Check the path."
    inputs = [each.name for each in path.parent.iterdir() if formats.find(each) and each.is_file()]
    near = get_close_matches(path.name, inputs)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Check the path."
    return f"No such file: {path}. {hint}"
