"""The job of an input that bulk-sync itself wrote for a person to correct."""

from pathlib import Path
from typing import Final, NamedTuple

from bulk_sync import job_names
from bulk_sync.rows.read.sources import is_todo, original_stem
from bulk_sync.storage import workbook_seal

_OF_REST: Final = ".todo"


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
