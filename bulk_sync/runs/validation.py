"""Reads a file and checks its rows, for every command that takes one."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from bulk_sync.errors import UsageProblem
from bulk_sync.rows import check, new_profiles, read
from bulk_sync.runs.job import Input, Job
from bulk_sync.settings import KeyKind, Keys

log = logging.getLogger(__name__)

_KINDS: Final = {
    KeyKind.EMAIL: "e-mail addresses",
    KeyKind.CUSTOM: "custom keys",
    KeyKind.FILTER: "values for a filter",
}


def files(given: Input) -> set[Path]:
    """Return the files of an input."""
    return set(read.files(given.source))


def judged(given: Input, job: Job | None = None) -> tuple[pd.DataFrame, str, Keys]:
    """Return the checked rows of a file, its SHA-256, and the kind of its keys."""
    stdin = read.stdin() if given.source == read.STDIN else b""
    digest = read.digest(given.source, stdin)
    raw = read.rows(given.source, sheet=given.sheet, stdin=stdin)
    if read.digest(given.source, stdin) != digest:
        raise UsageProblem(
            f"{given.source} changed while it was read. Run again when it is complete; nothing "
            "was sent."
        )
    keys = check.keys_of(raw, given.rules)
    if job is not None and job.matching.creating is not None:
        new_profiles.fields(raw.columns, job.matching.creating, keys)  # raises if one is missing
    if keys.kind is not KeyKind.PKEY:
        log.info("Keys: the column %r, %s", keys.field, _KINDS[keys.kind])
    return check.rows(raw, given.rules), digest, keys


def with_keys(job: Job, keys: Keys) -> Job:
    """Return a job with its keys; they are recorded, unless they are PKeys."""
    job = replace(job, matching=replace(job.matching, keys=keys))
    if keys.kind is KeyKind.PKEY:
        return job
    return job.with_settings(key=str(keys), key_column=keys.field)
