"""Records the writes of a run in the ledger, and reads them back."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import RowFailed
from bulk_sync.ledger import Intent, Ledger, Settled, Write
from bulk_sync.outcomes import CONFIRMED, Outcome, Reason
from bulk_sync.rows import columns, comparison, request_order
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import UNREAD, Steps

_IN_DOUBT: Final = (
    "The change was in flight, or about to be, when the process that sent it died: whether it "
    "arrived is not known. The profile is read again before anything is written."
)


class Recording:
    """The writes of one run, and their results so far.

    They are at some positions of a plan. ``early`` has the keys written before it was complete.

    Attributes:
        keys: n keys, each once: PKeys, and the addresses of profiles to create.
        desired: the state of each.
        in_doubt: positions of writes in flight when a process died.
        acted_ms: when Campaign had acted on these at the latest, in ms since the epoch, by
            position.
        has_begun: whether any write of the whole plan was ever intended.
        has_lifted: whether any opt-in was ever intended.
        bodies: by position, the JSON with which a profile is created.
    """

    def __init__(
        self,
        ledger: Ledger,
        run_id: str,
        planned: pd.DataFrame,
        writes: npt.NDArray[np.intp],
        early: Collection[str] = (),
    ) -> None:
        self._ledger, self._run_id, self._early = ledger, run_id, early
        self.keys = Texts(columns.profiles(planned), writes)
        desired = columns.desired(planned)[writes]
        if (desired == UNREAD).any():
            raise ValueError("A change without a desired state.")
        self.desired: list[bool] = desired.astype(bool).tolist()
        self.bodies: dict[int, bytes] = {}
        if columns.CREATE in planned:
            bodies = planned[columns.CREATE].iloc[writes].tolist()
            self.bodies = {at: body.encode() for at, body in enumerate(bodies) if body}
        self.steps = Steps.blank(len(writes))
        before = columns.state_codes(planned[columns.BEFORE])[writes].tolist()
        self._before = [None if code == UNREAD else bool(code) for code in before]
        self._rows: list[int] = planned[columns.ROW].to_numpy()[writes].tolist()
        self._files: list[str] = []
        if columns.FILE in planned:
            self._files = _texts(planned[columns.FILE].iloc[writes])
        self._requests = request_order.requests(planned, writes)
        self._firsts = request_order.first_known(planned, writes)
        has_others = columns.PROFILE in planned
        self._used = Texts(planned[columns.KEY], writes) if has_others else None
        self._intents: dict[int, int] = {}
        self.acted_ms: dict[int, int] = {}
        self.has_lifted = False
        self.has_begun = self._recall(ledger.writes(run_id))
        self.in_doubt = frozenset(self._intents)

    @property
    def opt_ins(self) -> list[int]:
        """Positions of opt-ins."""
        positions = range(len(self.desired))
        return [at for at in positions if not self.desired[at] and at not in self.bodies]

    def intend(self, positions: Sequence[int]) -> None:
        """Make intents durable; see ``Journal``."""
        intents = [
            Intent(
                key=self.keys[at],
                row=self._rows[at],
                file=self._files[at] if self._files else None,
                before=self._before[at],
                desired=self.desired[at],
                used=self._used[at] if self._used is not None else None,
                requested=self._requested(at),
            )
            for at in positions
        ]
        lines = self._ledger.intend(self._run_id, intents)
        self._intents.update(zip(positions, lines, strict=True))

    def settle(self, positions: Sequence[int]) -> None:
        """Make outcomes durable; see ``Journal``. A row without an intent has no line."""
        positions = [at for at in positions if at in self._intents]
        self._ledger.settle(self._run_id, [self._outcome(at) for at in positions])
        for at in positions:
            del self._intents[at]

    @property
    def unrecorded(self) -> int:
        """How many confirmed writes could not be recorded."""
        confirmed = self.steps.state != UNREAD
        return sum(bool(confirmed[at]) for at in self._intents if at not in self.steps.problems)

    def leave_in_doubt(self, positions: Iterable[int]) -> None:
        """Mark writes as in flight when a process died, and not read back yet."""
        for at in positions:
            problem = RowFailed(Reason.STOPPED, _IN_DOUBT, outcome=Outcome.PENDING)
            self.steps.failed(at, 0, problem)

    def results(self, planned: pd.DataFrame) -> pd.DataFrame:
        """Return the plan with its results by the ledger; writes in flight are in doubt."""
        self.leave_in_doubt(self.in_doubt)
        return comparison.settle(planned, self.steps)

    def _requested(self, at: int) -> str | None:
        if at in self._firsts:
            return f"{self._firsts[at]}{request_order.OR_LATER}"
        return None if (request := self._requests[at]) is None else str(request)

    def _outcome(self, at: int) -> Settled:
        steps, intent = self.steps, self._intents[at]
        problem, tries = steps.problems.get(at), int(steps.attempts[at])
        at_ms = int(steps.at_ms[at])
        made = next((each.pkey for each in steps.found.get(at, ())), None)
        if problem is not None:
            why = str(problem.reason), problem.detail
            return Settled(intent, problem.outcome, *why, tries, at_ms, made, problem.holds)
        if steps.state[at] != UNREAD:
            if at not in self.bodies:
                return Settled(intent, Outcome.UPDATED, None, "", tries, at_ms)
            return Settled(intent, Outcome.CREATED, None, "", tries, at_ms, made)
        return Settled(intent, Outcome.PENDING, str(Reason.STOPPED), "Not sent.", 0, now_ms())

    def _recall(self, recorded: Iterable[Write]) -> bool:
        """Apply what is recorded, and return whether the writes of the whole plan have begun."""
        index: dict[str, int] = {}
        has_begun = False
        for write in recorded:
            if not index:  # which takes a dict of all keys, and only a resumed run needs it
                index = {key: at for at, key in enumerate(self.keys)}
            if write.intent.key not in index and not write.may_have_changed:
                continue  # an early one, overtaken by a newer request
            at, settled = index[write.intent.key], write.settled
            has_begun |= write.intent.key not in self._early
            self.has_lifted |= not self.desired[at] and at not in self.bodies
            if settled is None:
                self._intents[at] = write.position
                self.acted_ms[at] = write.acted_ms
            elif settled.outcome in CONFIRMED:
                self.steps.done(at, settled.attempts, settled.at_ms, state=self.desired[at])
            elif settled.outcome is not Outcome.PENDING:
                reason = Reason(settled.reason or Reason.BAD_ANSWER)
                problem = RowFailed(
                    reason,
                    settled.detail,
                    outcome=settled.outcome,
                    holds=settled.after,
                    attempts=settled.attempts,
                )
                self.steps.failed(at, settled.at_ms, problem)
        return has_begun


class Written(NamedTuple):
    """The writes of a run, in the input's order.

    Attributes:
        done: confirmed, or in flight when the run was interrupted. A created profile has the PKey
            from Campaign, if that is known.
        perhaps_lifted: opt-outs of failed rows, perhaps lifted: the answer to one try may have been
            lost, whatever the answer to the next one.
    """

    done: list[Intent]
    perhaps_lifted: list[Intent]


def written(ledger: Ledger, run_id: str) -> Written:
    """Read what a run wrote, or may have written."""
    done: dict[str, Intent] = {}
    perhaps: dict[str, Intent] = {}
    for write in ledger.writes(run_id):
        intent, settled = write.intent, write.settled
        if settled is None or write.is_confirmed:
            done[intent.key] = intent._replace(key=write.pkey)
            perhaps.pop(intent.key, None)
        elif settled.outcome is Outcome.FAILED and intent.before and not intent.desired:
            perhaps[intent.key] = intent
    return Written(in_order(done.values()), in_order(perhaps.values()))


def in_order(intents: Iterable[Intent]) -> list[Intent]:
    """Return writes in the order of the input."""
    return sorted(intents, key=lambda intent: (intent.file or "", intent.row))


def rows_for(intents: Sequence[Intent], desired: Sequence[bool], attribute: str) -> pd.DataFrame:
    """Build checked rows, as ``check.rows`` returns them, from writes of another run.

    Each key is there once; ``attribute`` names the column of states: the rows can be an input
    again.
    """
    frame = pd.DataFrame(
        {
            "PKey": pd.Series([each.key for each in intents], dtype="str"),
            attribute: pd.Series([str(state).lower() for state in desired], dtype="str"),
            columns.ROW: np.array([each.row for each in intents], np.int64),
        }
    )
    if any(each.file for each in intents):
        frame[columns.FILE] = pd.Categorical([each.file for each in intents])
    frame[columns.KEY] = pd.Series([each.key for each in intents], dtype="str")
    frame[columns.DESIRED] = columns.states(np.array(desired, np.int8))
    return comparison.unjudged(frame)


def with_own_columns(rows: pd.DataFrame, original: pd.DataFrame) -> pd.DataFrame:
    """Replace the columns of ``rows_for`` by those of the original input, empty where it has none.

    ``original`` has ROW, FILE if there are several, and the input's own columns.
    """
    places = {place: at for at, place in enumerate(_places(original))}
    found = np.array([places.get(place, -1) for place in _places(rows)], np.intp)
    taken = original.drop(columns=[columns.ROW, columns.FILE], errors="ignore").iloc[found]
    taken = taken.reset_index(drop=True).mask(pd.Series(found < 0), "")
    made = [name for name in rows.columns if name not in columns.OURS]
    return pd.concat([taken, rows.drop(columns=made)], axis="columns")


def as_input(rows: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Replace an input's own columns by the keys and states in use: an undo turns the states.

    The place of each row in an earlier original file stays.
    """
    states = rows[columns.DESIRED].map({True: "true", False: "false"}).astype("str")
    made = pd.DataFrame({"PKey": rows[columns.KEY], attribute: states})
    kept = {*columns.OURS, *columns.ORIGINAL}
    own = [name for name in rows.columns if name not in kept]
    return pd.concat([made, rows.drop(columns=own)], axis="columns")


def _places(rows: pd.DataFrame) -> list[tuple[str, int]]:
    numbers = rows[columns.ROW].tolist()
    files = _texts(rows[columns.FILE]) if columns.FILE in rows else [""] * len(rows)
    return list(zip(files, numbers, strict=True))


def _texts(names: pd.Series) -> list[str]:
    """Return the names of files as text for any database."""
    return [str(name).encode("utf-8", "replace").decode() for name in names.astype(object)]
