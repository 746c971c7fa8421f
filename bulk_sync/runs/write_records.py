"""Between a run's writes and the ledger: what goes into it, and what is known from it again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.engines.decide import Care
from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import RowFailed
from bulk_sync.ledger import Intent, Ledger, Settled, Write
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, request_order
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.request_order import Request
from bulk_sync.rows.results import UNREAD, Steps


class Recording:
    """The writes of one run, and what is known of them.

    Args:
        ledger: where they are recorded.
        run_id: whose they are.
        planned: every row of the input, with what is to become of it.
        writes: positions of those that are to be written.
        early: keys of profiles that were written before the plan was complete.

    Attributes:
        keys: n keys, each once, of the rows to be written: PKeys, and the addresses of profiles
            that are to be created.
        desired: the state of each.
        steps: what is known to have become of them.
        in_doubt: which of them were in flight when a process died.
        has_begun: whether any write of the whole plan was ever intended.
        bodies: by place, the JSON with which a profile is created.
    """

    def __init__(
        self,
        ledger: Ledger,
        run_id: str,
        planned: pd.DataFrame,
        writes: npt.NDArray[np.intp],
        early: Collection[str] = (),
    ) -> None:
        self.keys = Texts(columns.profiles(planned), writes)
        self.desired: list[bool] = _states(planned[columns.DESIRED], writes)
        self.bodies = _bodies(planned, writes)
        self.steps = Steps.of(len(writes))
        self._before = _known(planned[columns.BEFORE], writes)
        self._rows: list[int] = planned[columns.ROW].to_numpy()[writes].tolist()
        self._files = _files(planned, writes)
        self._requests = request_order.requests(planned, writes)
        has_others = columns.PROFILE in planned
        self._used = Texts(planned[columns.KEY], writes) if has_others else None
        self._ledger = ledger
        self._run_id = run_id
        self._intents: dict[int, int] = {}
        self._early = early
        self.has_begun = self._recall(ledger.writes(run_id))
        self.in_doubt = frozenset(self._intents)

    @property
    def opt_ins(self) -> list[int]:
        """Which of them lift an opt-out."""
        return [
            at for at, desired in enumerate(self.desired) if not desired and at not in self.bodies
        ]

    def cares(
        self,
        in_doubt: Collection[int],
        forbidden: Mapping[int, str],
        uncertain: Collection[int],
        requests: Mapping[int, Request],
        written: request_order.Writes,
        *,
        read_first: bool,
        find_first: bool,
    ) -> dict[int, Care]:
        """Return what must be considered before rows are written, of those that need any.

        Args:
            in_doubt: rows that were in flight when a process died.
            forbidden: rows that must not be written any more, and why.
            uncertain: rows of which the run to be undone may not have changed anything.
            requests: rows with the date of their request, where a newer choice counts.
            written: the last writes of this tool to the profiles of those.
            read_first: whether every profile is read before it is changed.
            find_first: whether every address is looked up before its profile is created.
        """
        cares: dict[int, Care] = {}
        for at in sorted({*in_doubt, *forbidden, *uncertain, *requests, *self.bodies}):
            own = written.get((self.keys[at], not self.desired[at])) if at in requests else None
            cares[at] = Care(
                reads_first=find_first if at in self.bodies else read_first,
                in_doubt=at in in_doubt,
                forbidden=forbidden.get(at),
                uncertain=at in uncertain,
                request=requests.get(at),
                own=own,
                body=self.bodies.get(at),
            )
        return cares

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
                requested=None if (asked := self._requests[at]) is None else str(asked),
            )
            for at in positions
        ]
        lines = self._ledger.intend(self._run_id, intents)
        self._intents.update(zip(positions, lines, strict=True))

    def settle(self, positions: Sequence[int]) -> None:
        """Make outcomes durable; see ``Journal``. What was never intended has no line."""
        positions = [at for at in positions if at in self._intents]
        self._ledger.settle(self._run_id, [self._outcome(at) for at in positions])
        for at in positions:
            del self._intents[at]

    @property
    def unrecorded(self) -> int:
        """How many writes Campaign confirmed whose outcome could not be recorded."""
        confirmed = self.steps.state != UNREAD
        return sum(bool(confirmed[at]) for at in self._intents if at not in self.steps.problems)

    def leave_in_doubt(self, positions: Iterable[int]) -> None:
        """Say of writes that were in flight when a process died that nobody knows of them yet."""
        for at in positions:
            self.steps.failed(
                at,
                0,
                RowFailed(
                    Reason.STOPPED,
                    "The change was in flight, or about to be, when the process that sent it died: "
                    "whether it arrived is not known. The profile is read again before anything "
                    "is written.",
                    outcome=Outcome.PENDING,
                ),
            )

    def _outcome(self, at: int) -> Settled:
        steps, intent = self.steps, self._intents[at]
        problem, tries = steps.problems.get(at), int(steps.attempts[at])
        at_ms = int(steps.at_ms[at])
        if problem is not None:
            told = str(problem.reason), problem.detail
            return Settled(intent, problem.outcome, *told, tries, at_ms, after=problem.holds)
        if steps.state[at] != UNREAD:
            if at not in self.bodies:
                return Settled(intent, Outcome.UPDATED, None, "", tries, at_ms)
            made = next((each.pkey for each in steps.found.get(at, ())), None)
            return Settled(intent, Outcome.CREATED, None, "", tries, at_ms, made)
        return Settled(intent, Outcome.PENDING, str(Reason.STOPPED), "Not sent.", 0, now_ms())

    def _recall(self, recorded: Iterable[Write]) -> bool:
        """Apply what is recorded, and return whether the writes of the whole plan have begun."""
        index: dict[str, int] = {}
        has_begun = False
        for write in recorded:
            if not index:  # which takes a dict of all keys, and only a resumed run needs it
                index = {key: at for at, key in enumerate(self.keys)}
            at, settled = index[write.intent.key], write.settled
            has_begun |= write.intent.key not in self._early
            if settled is None:
                self._intents[at] = write.position
            elif settled.outcome in _DONE:
                self.steps.done(at, settled.attempts, settled.at_ms, state=self.desired[at])
            elif settled.outcome is not Outcome.PENDING:
                reason = Reason(settled.reason or Reason.BAD_ANSWER)
                problem = RowFailed(
                    reason, settled.detail, outcome=settled.outcome, holds=settled.after
                )
                problem.attempts = settled.attempts
                self.steps.failed(at, settled.at_ms, problem)
        return has_begun


_DONE: Final = (Outcome.UPDATED, Outcome.CREATED)


def _known(column: pd.Series, positions: npt.NDArray[np.intp]) -> list[bool | None]:
    """Tell states; None where there is none, for the profile is to be created."""
    codes = columns.state_codes(column)[positions]
    return [None if code == UNREAD else bool(code) for code in codes.tolist()]


def _bodies(planned: pd.DataFrame, positions: npt.NDArray[np.intp]) -> dict[int, bytes]:
    if columns.CREATE not in planned:
        return {}
    bodies = planned[columns.CREATE].iloc[positions].tolist()
    return {at: body.encode() for at, body in enumerate(bodies) if body}


def _states(column: pd.Series, positions: npt.NDArray[np.intp]) -> list[bool]:
    codes = columns.state_codes(column)[positions]
    if (codes == UNREAD).any():
        raise ValueError(f"A change without a state in {column.name}.")
    found: list[bool] = codes.astype(bool).tolist()
    return found


def _files(planned: pd.DataFrame, positions: npt.NDArray[np.intp]) -> list[str]:
    """Name each row's file, as text that every database takes; nothing if there is but one."""
    if columns.FILE not in planned:
        return []
    names = planned[columns.FILE].iloc[positions].astype(object)
    return [_text(name) for name in names]


class Written(NamedTuple):
    """What a run did, in the input's order.

    Attributes:
        done: writes that Campaign confirmed, or that were in flight when the run was interrupted.
            What was created bears the key that it was given, if that is known.
        perhaps_lifted: opt-outs that it may have lifted although it says that it failed to: a
            write may have arrived whose answer was lost, whatever another try was answered.
    """

    done: list[Intent]
    perhaps_lifted: list[Intent]


def written(ledger: Ledger, run_id: str) -> Written:
    """Tell what a run wrote, or may have written."""
    done: dict[str, Intent] = {}
    perhaps: dict[str, Intent] = {}
    for write in ledger.writes(run_id):
        intent, settled = write.intent, write.settled
        if settled is None or settled.outcome in _DONE:
            made = None if settled is None else settled.profile
            done[intent.key] = intent if made is None else intent._replace(key=made)
            perhaps.pop(intent.key, None)
        elif settled.outcome is Outcome.FAILED and intent.before and not intent.desired:
            perhaps[intent.key] = intent
    return Written(in_order(done.values()), in_order(perhaps.values()))


def in_order(intents: Iterable[Intent]) -> list[Intent]:
    """Put writes into the order of the input."""
    return sorted(intents, key=lambda intent: (intent.file or "", intent.row))


def judged(intents: Sequence[Intent], desired: Sequence[bool], attribute: str) -> pd.DataFrame:
    """Make judged rows, as ``check.rows`` returns them, out of writes of another run.

    Args:
        intents: the writes, each key once.
        desired: the state that each row is to have.
        attribute: what the column of states is called; with that of keys, it makes of the rows
            that are left an input again.
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
    """Replace the columns that ``judged`` has made by those of the original input.

    Args:
        rows: what ``judged`` returned.
        original: ROW, FILE if there are several, and the input's own columns.

    Returns:
        The same rows; an own column is empty where the original has no such row.
    """
    places = {place: at for at, place in enumerate(_places(original))}
    found = np.array([places.get(place, -1) for place in _places(rows)], np.intp)
    taken = original.drop(columns=[columns.ROW, columns.FILE], errors="ignore").iloc[found]
    taken = taken.reset_index(drop=True)
    if (found < 0).any():
        taken = taken.mask(pd.Series(found < 0), "")
    made = [name for name in rows.columns if name not in columns.OURS]
    return pd.concat([taken, rows.drop(columns=made)], axis="columns")


def as_input(rows: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Replace an input's own columns by the keys and states as they are used.

    The rows that an undo leaves want the other state than the original input does.
    """
    states = rows[columns.DESIRED].map({True: "true", False: "false"}).astype("str")
    made = pd.DataFrame({"PKey": rows[columns.KEY], attribute: states})
    own = [name for name in rows.columns if name not in columns.OURS]
    return pd.concat([made, rows.drop(columns=own)], axis="columns")


def _places(rows: pd.DataFrame) -> list[tuple[str, int]]:
    numbers = rows[columns.ROW].tolist()
    if columns.FILE not in rows:
        return [("", number) for number in numbers]
    return list(zip(map(_text, rows[columns.FILE].astype(object)), numbers, strict=True))


def _text(name: object) -> str:
    """Return the name of a file as text that every database takes."""
    return str(name).encode("utf-8", "replace").decode()
