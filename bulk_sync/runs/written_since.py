"""Rows with states changed by other runs since they were read: they are unchanged no more.

Times alone do not show what came first: a clock may have been set back, and machines with one
ledger have clocks of their own. The order of the ledger is certain:

=========================================  ===========================================
a confirmed write of another run           it came
=========================================  ===========================================
of a run with its end before the reading   before
behind the last line of the plan           since
behind the first line of the reading, but  since: a clock was set back
by its time before it
any other                                  before or since, by its time
=========================================  ===========================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.ledger import Kind, Run, Write
from bulk_sync.outcomes import CONFIRMED, Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.runs.lineage import same_place
from bulk_sync.runs.run_context import RunContext


class _Change(NamedTuple):
    """The last state that other runs have confirmed for a profile."""

    state: bool
    at_ms: int
    run_id: str
    position: int
    is_since: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """The reading of the states of a plan.

    Attributes:
        since_ms: the time of the first of them.
        run: their reader; None if this ledger does not know it.
    """

    since_ms: int
    run: Run | None

    def is_after(self, other: Run) -> bool:
        """Return whether a run had ended before."""
        if not other.is_finished or other.ended_ms is None:
            return False
        return other.end < self.run.position if self.run else other.ended_ms < self.since_ms

    def is_before(self, write: Write) -> bool:
        """Return whether a write came since, by the order of the ledger."""
        if self.run is None or write.position < self.run.position:
            return False
        is_plan = self.run.begun.kind is Kind.PLAN and self.run.is_finished
        return (is_plan and write.position > self.run.end) or write.at_ms < self.run.begun_ms


def without_outdated(run: RunContext, planned: pd.DataFrame) -> pd.DataFrame:
    """Return a plan in which no row is unchanged that other runs have changed since it was read."""
    is_unchanged = columns.have_outcome(planned, [Outcome.UNCHANGED])
    read_ms = columns.times_ms(planned[columns.AT])
    rows = np.flatnonzero(is_unchanged & (read_ms > 0))
    written = _written_since(run, int(read_ms[rows].min())) if len(rows) else {}
    if not written:
        return planned
    keys = columns.profiles(planned).iloc[rows].astype("str")
    is_written = keys.isin(list(written)).to_numpy()
    desired = columns.state_codes(planned[columns.DESIRED])
    after = columns.state_codes(planned[columns.AFTER])
    verdicts = Verdicts.from_rows(planned)
    for at, key in zip(rows[is_written].tolist(), keys[is_written], strict=True):
        change = written[key]
        is_since = change.is_since or change.at_ms > read_ms[at]
        if is_since and change.state != desired[at]:
            state = str(change.state).lower()
            detail = f"Run {change.run_id} has set this profile to {state} since it was read."
            verdicts.overrule(at, Outcome.DRIFTED, Reason.NEWER_RUN, detail)
            after[at] = change.state
    return verdicts.applied(planned).assign(**{columns.AFTER: columns.states(after)})


def _written_since(run: RunContext, since_ms: int) -> dict[str, _Change]:
    """Return what other runs have confirmed since then, by PKey."""
    runs = run.ledger.runs()
    reading = _Reading(since_ms, _reader(run, runs))
    found: dict[str, _Change] = {}
    for other in runs:
        begun = other.begun
        if other.run_id == run.run_id or begun.attribute != run.begun.attribute:
            continue
        if reading.is_after(other) or not same_place(begun, run.begun):
            continue
        for write in run.ledger.writes(other.run_id):
            settled, intent = write.settled, write.intent
            if settled is None or settled.outcome not in CONFIRMED:
                continue
            is_since = reading.is_before(write)
            if not is_since and settled.at_ms < since_ms:
                continue
            key, ended_ms = settled.profile or intent.key, settled.at_ms
            change = _Change(intent.desired, ended_ms, other.run_id, write.position, is_since)
            if key not in found or _follows(change, found[key]):
                found[key] = change
    return found


def _reader(run: RunContext, runs: Sequence[Run]) -> Run | None:
    """Return the reader of the states: the run of the applied plan, or the run itself."""
    plan = run.begun.plan_sha256
    for each in reversed(runs):
        is_plan = each.begun.kind is Kind.PLAN and each.plan_sha256 == plan
        if is_plan if plan else each.run_id == run.run_id:
            return each
    return None


def _follows(change: _Change, other: _Change) -> bool:
    """Return whether a change came after another: runs work one after the other."""
    if change.run_id == other.run_id:
        return change.at_ms > other.at_ms
    return change.position > other.position
