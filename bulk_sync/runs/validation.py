"""Reads a file and judges its rows, for whatever is to be done with them."""

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

_WHAT: Final = {
    KeyKind.EMAIL: "e-mail addresses",
    KeyKind.CUSTOM: "custom keys",
    KeyKind.FILTER: "what a filter is asked with",
}


def files(given: Input) -> set[Path]:
    """Tell which files an input is read from."""
    return set(read.files(given.source))


def judged(given: Input, job: Job | None = None) -> tuple[pd.DataFrame, str, Keys]:
    """Read and judge a file, and tell the SHA-256 of its content, and what its keys are."""
    stdin = read.stdin() if given.source == read.STDIN else b""
    digest = read.digest(given.source, stdin)
    raw = read.rows(given.source, sheet=given.sheet, stdin=stdin)
    if read.digest(given.source, stdin) != digest:
        raise UsageProblem(
            f"{given.source} changed while it was read. Run again when it is complete; nothing "
            "was sent."
        )
    keys = check.keys_of(raw, given.rules)
    if job is not None and job.creating is not None:
        new_profiles.fields(raw.columns, job.creating, keys)  # what is missing is said at once
    if keys.kind is not KeyKind.PKEY:
        log.info("Keys: the column %r, %s", keys.field, _WHAT[keys.kind])
    return check.rows(raw, given.rules), digest, keys


def with_keys(job: Job, keys: Keys) -> Job:
    """Note what the keys are, for the run and for whoever goes on with it."""
    if keys.kind is KeyKind.PKEY:
        return replace(job, keys=keys)
    told = {"key": str(keys), "key_column": keys.field}
    return replace(job, keys=keys, settings={**job.settings, **told})
