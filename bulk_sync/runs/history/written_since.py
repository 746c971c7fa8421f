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

A plan is read while other runs write, and an answer can arrive late: a write confirmed up to a
minute before the answer came since.

A write without a recorded answer, as of a run that was killed, may have changed the profile: the
state is not known then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.ledger import Kind, Run, Write
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.results import UNREAD
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.lineage import same_place
from bulk_sync.runs.history.run_context import RunContext

ANSWER_MS: Final = 60_000
"""How old a read state may be when its answer arrives: the usual time limit of a request."""


class Change(NamedTuple):
    """The write of another run, which has changed a profile, for certain or not."""

    write: Write
    is_since: bool

    def follows(self, other: "Change | None") -> bool:
        """Return whether it came after another: runs work one after the other."""
        if other is None:
            return True
        if self.write.run_id == other.write.run_id:
            return self.write.ended_ms > other.write.ended_ms
        return self.write.position > other.write.position

    def sentence(self) -> str:
        """Return the sentence for the report about a row that is unchanged no more."""
        run_id, state = self.write.run_id, str(self.write.intent.desired).lower()
        if self.write.is_doubtful:
            return (
                f"Run {run_id} may have set this profile to {state} since it was read: "
                "Campaign's answer to it was not recorded."
            )
        return f"Run {run_id} has set this profile to {state} since it was read."


@dataclass(frozen=True, slots=True)
class Reading:
    """The reading of the states of a plan.

    Attributes:
        since_ms: the time of the first of them.
        run: their reader; None if this ledger does not know it.
    """

    since_ms: int
    run: Run | None

    def began_after(self, other: Run) -> bool:
        """Return whether another run had ended before the first state was read."""
        if not other.is_finished or other.ended_ms is None:
            return False
        return other.end < self.run.position if self.run else other.ended_ms < self.since_ms

    def precedes(self, write: Write) -> bool:
        """Return whether a write came after the reading, by the order of the ledger."""
        if self.run is None or write.position < self.run.position:
            return False
        is_plan = self.run.begun.kind is Kind.PLAN and self.run.is_finished
        return (is_plan and write.position > self.run.end) or write.at_ms < self.run.begun_ms


def without_outdated(run: RunContext, planned: pd.DataFrame) -> pd.DataFrame:
    """Return a plan in which no row is unchanged that other runs have changed since it was read."""
    read_ms = columns.times_ms(planned[columns.AT])
    is_read = columns.have_outcome(planned, [Outcome.UNCHANGED]) & (read_ms > 0)
    if not is_read.any():
        return planned
    settle = outdating(run, int(read_ms[is_read].min()))
    return planned if settle is None else settle(planned)


def outdating(run: RunContext, since_ms: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
    """Return what ``without_outdated`` does with rows read since a time; None if it is nothing."""
    plan = run.begun.plan_sha256
    answer_ms = ANSWER_MS if plan else 0
    reader = lineage.reader(run.ledger.runs(), run.run_id, plan)
    written = written_since(run, Reading(since_ms - answer_ms, reader))
    return partial(_drifted, written, answer_ms) if written else None


def _drifted(
    written: Mapping[str, Sequence[Change]], answer_ms: int, rows: pd.DataFrame
) -> pd.DataFrame:
    read_ms = columns.times_ms(rows[columns.AT])
    is_read = columns.have_outcome(rows, [Outcome.UNCHANGED]) & (read_ms > 0)
    profiles = columns.profiles(rows)
    found = np.flatnonzero(is_read & profiles.isin(list(written)).to_numpy(np.bool_))
    if not len(found):
        return rows
    desired = columns.state_codes(rows[columns.DESIRED])
    after = columns.state_codes(rows[columns.AFTER])
    verdicts = Verdicts.from_rows(rows)
    for at in found.tolist():
        for change in written[str(profiles.iat[at])]:
            state = change.write.intent.desired
            is_since = change.is_since or change.write.ended_ms > read_ms[at] - answer_ms
            if is_since and state != desired[at]:
                verdicts.overrule(at, Outcome.DRIFTED, Reason.NEWER_RUN, change.sentence())
                after[at] = UNREAD if change.write.is_doubtful else state
                break
    return verdicts.applied(rows).assign(**{columns.AFTER: columns.states(after)})


def written_since(
    run: RunContext, reading: Reading, pkeys: Sequence[str] | None = None
) -> dict[str, list[Change]]:
    """Return what other runs have changed since then, by PKey; None: of all profiles.

    That is the last confirmed change of a profile, and doubtful ones after it.
    """
    others = {
        other.run_id: other
        for other in run.ledger.runs()
        if other.run_id != run.run_id
        and other.begun.attribute == run.begun.attribute
        and same_place(other.begun, run.begun)
        and not reading.began_after(other)
    }
    of_all = chain.from_iterable(map(run.ledger.writes, others))
    found: dict[str, list[Change]] = {}
    for write in of_all if pkeys is None else run.ledger.writes_to(pkeys):
        change = Change(write, reading.precedes(write))
        may_have_changed = write.run_id in others and write.may_have_changed
        if may_have_changed and (change.is_since or change.write.ended_ms >= reading.since_ms):
            _add(found.setdefault(write.pkey, []), change)
    return found


def _add(known: list[Change], change: Change) -> None:
    confirmed = next((each for each in known if each.write.is_confirmed), None)
    if not change.follows(confirmed):
        return
    if change.write.is_confirmed:
        doubtful = (each for each in known if each.write.is_doubtful)
        known[:] = [change, *(each for each in doubtful if each.follows(change))]
    else:
        known.append(change)
