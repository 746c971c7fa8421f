"""The current states of a run: how they are read, and how they are compared."""

from collections.abc import Sequence

import pandas as pd

from bulk_sync.engines.current import StateReader
from bulk_sync.engines.producer import PKeys, Producer
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.ledger import Write
from bulk_sync.rows import columns, comparison, expand, new_profiles
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.request_order import LastWrites
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history import precedence
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.terms.job import Job, Matching
from bulk_sync.runs.terms.protection import Protection
from bulk_sync.settings import KeyKind, Oddity


def unread(rows: pd.DataFrame) -> Steps:
    """Return the states of the open rows, all unknown."""
    return Steps.blank(len(comparison.open_rows(rows)), stamped=columns.LATEST in rows)


def reader_of(
    session: Session,
    rows: pd.DataFrame,
    states: Steps,
    job: Job,
    checkpoint: Checkpoint | None = None,
) -> StateReader:
    """Return what reads the unknown states of the open rows."""
    keys = Texts(rows[columns.KEY], comparison.open_rows(rows))
    producer = _producer(job, rows)
    return session.reading(keys, states, job.reading, producer, checkpoint)


def _producer(job: Job, rows: pd.DataFrame) -> Producer:
    """Return what gets from the job's keys to the states of their profiles."""
    attribute, matching = job.connection.attribute, job.matching
    if matching.keys.kind is KeyKind.PKEY:
        tries_keys = Oddity.UNKNOWN_KEYS not in job.limits.allowed
        return PKeys(attribute, stamped=columns.LATEST in rows, tries_keys=tries_keys)
    creating = matching.creating
    fields = () if creating is None else [name for name, _ in creating.fields]
    return Resolver(
        matching.keys,
        attribute,
        is_wary=creating is not None,
        other_spellings=expand.other_spellings(rows),
        created_with=fields,
    )


def compare(
    rows: pd.DataFrame, states: Steps, matching: Matching, attribute: str, last_writes: LastWrites
) -> pd.DataFrame:
    """Return the plan, as far as states are known: a row per profile."""
    rows, states = expand.expand(rows, states, matching.keys, matching.on_conflict)
    planned = comparison.compare(rows, states, last_writes)
    if matching.creating is None:
        return planned
    return new_profiles.planned(planned, matching.creating, matching.keys, attribute)


def compare_run(run: RunContext, states: Steps, job: Job) -> pd.DataFrame:
    """Return the plan of a run; its own early writes count as not yet made.

    Profiles that were read again since would show these writes, and their time.
    """
    last_writes = precedence.last_writes(run.ledger, job.record.state, job.connection, run.run_id)
    if run.checkpoint.early():
        own = list(run.ledger.writes(run.run_id))
        last_writes = before_own(run.rows, states, own, last_writes)
    attribute = job.connection.attribute
    planned = compare(run.rows, states, job.matching, attribute, last_writes)
    return protected(run, planned, job.protection)


def before_own(
    rows: pd.DataFrame, states: Steps, own: Sequence[Write], last_writes: LastWrites
) -> LastWrites:
    """Put states back as they were before a run's own writes, and leave these out of the last ones.

    What to do with their rows was decided.
    """
    intents = (write.intent for write in own)
    before = {each.key: each.before for each in intents if each.before is not None}
    states.put_back(Texts(rows[columns.KEY], comparison.open_rows(rows)), before)
    return precedence.without_own(last_writes, own)


def protected(run: RunContext, planned: pd.DataFrame, protection: Protection) -> pd.DataFrame:
    """Return a plan with the rows of protected people rejected; what the run has written stays."""
    if not protection.files:
        return planned
    written = {write.intent.key for write in run.ledger.writes(run.run_id)}
    return comparison.as_read(protection.rejected(planned, written))
