"""Questions to the ledger: past runs, their writes, and the calls of each day."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.ledger.records import (
    Act,
    Begun,
    Ended,
    Intent,
    NotBegun,
    Run,
    Settled,
    Write,
    act_of,
    loads,
)
from bulk_sync.ledger.schema import IS_NO_WRITE, IS_USED, USED_BEGINS, LineKind, calls, lines
from bulk_sync.ledger.transactions import BATCH_ROWS, Transactions
from bulk_sync.outcomes import Outcome

_KEYS_A_QUERY: Final = 10_000
"""SQLite takes at most 32,766 values in one statement."""
_SHORTEST_ID: Final = 8
"""Characters of a run's id that stand for all of it: the day. A mere slip is no run."""

_INTENT: Final = (
    "run_id", "position", "at_ms", "profile_key", "input_row", "input_file", "state_before",
    "state_desired", "facts", "requested",
)  # fmt: skip
_LAST: Final = select(func.max(lines.c.position))
_STORY: Final = ("position", "kind", "run_id", "at_ms", "facts", "profile_key")
_OUTCOME: Final = (
    "outcome", "reason", "detail", "attempts", "at_ms", "profile_key", "state_after", "position",
)  # fmt: skip


class Queries(Transactions):
    """The lines of a ledger as records, and the calls of each day."""

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(connection, name)
        self._known: dict[str, Run] = {}
        self._followed = 0

    def runs(self) -> list[Run]:
        """Return all begun runs, the oldest first."""
        return [run for run in self.all_requested() if run.has_begun]

    def follow(self, runs: dict[str, Run], acts: list[Act], after: int) -> int:
        """Add the lines after a position to what is known; return the position of the last one.

        ``runs`` are all requested ones by id, ``acts`` those of people in the page, both the oldest
        first.
        """
        end = self.last()  # what is added meanwhile is followed the next time
        if end <= after:
            return end
        found = select(*(lines.c[name] for name in _STORY)).where(
            lines.c.position > after, lines.c.position <= end, IS_NO_WRITE
        )
        for position, kind, run_id, at_ms, facts, key in self._rows(
            found.order_by(lines.c.position)
        ):
            if kind == LineKind.BEGUN:
                runs[run_id] = Run(run_id, position, at_ms, loads(Begun, facts), None, None)
            elif kind == LineKind.NOT_BEGUN:
                runs[run_id] = _not_begun(position, run_id, at_ms, facts)
            elif kind == LineKind.ACT:
                acts.append(act_of(facts, run_id, key, at_ms, position))
            elif kind == LineKind.ENDED and (run := runs.get(run_id)):
                result = loads(Ended, facts)
                ended = result if run.ended is None else result.after(run.ended)
                runs[run_id] = replace(run, ended_ms=at_ms, ended=ended, end=position)
        return end

    def last(self) -> int:
        """Return the position of the last line; 0 if there is none."""
        return int(self._rows(_LAST)[0][0] or 0)

    def run(self, run_id: str) -> Run:
        """Return the run with an id, or with the only id that begins so.

        Raise UsageProblem if the ledger knows none, or several, or if it could not start.
        """
        run = _pick(run_id, self.runs())
        if run is not None:
            return run
        run = self.requested(run_id)
        raise UsageProblem(
            f"Run {run.run_id} could not start, so it has written nothing and there is nothing to "
            f"go on with. `bulk-sync runs {run.run_id}` shows why."
        )

    def requested(self, run_id: str) -> Run:
        """Return the run with an id, or with the only id that begins so, started or not.

        Raise UsageProblem if the ledger knows none, or several.
        """
        run = _pick(run_id, self.all_requested())
        if run is None:
            raise UsageProblem(
                f"The ledger {self.name} knows no run {run_id!r}. `bulk-sync runs` lists them; "
                "look at --state-dir and --ledger."
            )
        return run

    def all_requested(self) -> list[Run]:
        """Return every requested run, also those that could not start, the oldest first.

        For people alone: no run is compared with one that did not start. Lines are never changed,
        so those that were read before are not read again: a run asks seven times.
        """
        runs = self._known.copy()
        self._followed = self.follow(runs, [], self._followed)
        self._known = runs
        return list(runs.values())

    def has_begun(self, run_id: str) -> bool:
        """Return whether a run began."""
        query = _of_kind(LineKind.BEGUN, lines.c.position).where(lines.c.run_id == run_id)
        return bool(self._rows(query.limit(1)))  # its first line

    def writes(self, run_id: str) -> Iterator[Write]:
        """Yield the attempted writes of a run, in order; a key attempted again counts again.

        The ledger is free between two batches, so a caller may stop at any write. Memory: one
        batch of writes.
        """
        last = 0
        while True:
            is_next = and_(lines.c.run_id == run_id, lines.c.position > last)
            batch = self._writes(is_next, BATCH_ROWS)
            yield from batch
            if len(batch) < BATCH_ROWS:
                return
            last = batch[-1].position

    def history(self, *keys: str, addresses: Collection[str] = ()) -> list[Write]:
        """Return every attempted write with one of some keys, in order.

        ``keys`` are PKeys, also of profiles that were created, or keys of the rows of a file;
        ``addresses`` are e-mail addresses of rows, in small letters: capitals do not count.
        """
        begins = [func.substr(func.lower(key), 1, 100) for key in keys]
        begins += [func.substr(address, 1, 100) for address in addresses]
        is_one = or_(lines.c.facts.in_(keys), func.lower(lines.c.facts).in_(addresses))
        # Each from an index of its own: joined by OR they would read the whole ledger.
        found = union_all(
            select(lines.c.position).where(lines.c.profile_key.in_(keys)),
            _created(keys).order_by(None),
            select(lines.c.position).where(IS_USED, USED_BEGINS.in_(begins), is_one),
        )
        return self._writes(lines.c.position.in_(found))

    def writes_to(self, pkeys: Sequence[str]) -> Iterator[Write]:
        """Yield every attempted write to some profiles; those of one profile in order.

        Memory: those of ten thousand profiles.
        """
        for first in range(0, len(pkeys), _KEYS_A_QUERY):
            some = pkeys[first : first + _KEYS_A_QUERY]
            intents = [intent for (intent,) in self._rows(_created(some))]
            yield from self._writes(
                or_(lines.c.profile_key.in_(some), lines.c.position.in_(intents))
            )

    def keys_of(self, runs: Collection[str], besides: Collection[Outcome] = ()) -> dict[str, str]:
        """Return the keys of the writes that some runs meant to make, with the last run of each.

        A write does not count if its run stopped before sending it, or with an outcome of
        ``besides``.
        """
        query = _of_kind(LineKind.INTENT, lines.c.profile_key, lines.c.run_id)
        outcome = lines.alias()
        is_excluded = outcome.c.outcome.in_([str(each) for each in besides])
        is_unsent = and_(outcome.c.outcome == str(Outcome.PENDING), outcome.c.attempts == 0)
        does_not_count = exists().where(
            outcome.c.intent == lines.c.position, or_(is_excluded, is_unsent)
        )
        return dict(self._rows(query.where(lines.c.run_id.in_(runs), ~does_not_count)))

    def calls_of(self, whose: str, day: str) -> int:
        """Return how many calls a day has cost so far."""
        found = self._rows(select(calls.c.spent).where(*_of_day(whose, day)))
        return int(found[0][0]) if found else 0

    def take_calls(self, whose: str, day: str, count: int, most: int | None) -> int:
        """Count calls as spent, up to ``most`` on this day, and return how many were left.

        Raise StoppedEarly if they could not be counted.
        """
        try:
            return self._take_calls(whose, day, count, most)
        except StoppedEarly as stop:
            if not isinstance(stop.__cause__, IntegrityError):
                raise
            return self._take_calls(whose, day, count, most)  # another run just made the row

    def give_calls_back(self, whose: str, day: str, count: int) -> None:
        """Count calls as not spent after all; raise StoppedEarly if that fails."""
        less = update(calls).where(*_of_day(whose, day)).values(spent=calls.c.spent - count)
        with self.transaction(StoppedEarly) as connection:
            connection.execute(less)

    def _take_calls(self, whose: str, day: str, count: int, most: int | None) -> int:
        row = update(calls).where(*_of_day(whose, day))
        with self.transaction(StoppedEarly) as connection:
            # Adding first takes the writers' turn; what was too much is taken off again.
            if not connection.execute(row.values(spent=calls.c.spent + count)).rowcount:
                connection.execute(insert(calls).values(whose=whose, day=day, spent=count))
            spent = connection.execute(select(calls.c.spent).where(*_of_day(whose, day))).scalar()
            over = 0 if most is None else min(count, max(0, int(spent or 0) - most))
            if over:
                connection.execute(row.values(spent=calls.c.spent - over))
        return count - over

    def _writes(self, which: ColumnElement[bool], most: int | None = None) -> list[Write]:
        return [_write(cells) for cells in self._rows(_WRITES.where(which).limit(most))]


def _pick(run_id: str, runs: Sequence[Run]) -> Run | None:
    begin_so = [run for run in runs if run.run_id.startswith(run_id)]
    if whole := [run for run in begin_so if run.run_id == run_id]:
        return whole[0]
    if len(run_id) < _SHORTEST_ID:
        return None
    if len(begin_so) > 1:
        raise UsageProblem(
            f"{len(begin_so):,} runs begin with {run_id!r}, such as {begin_so[-1].run_id}: type "
            "more of the id."
        )
    return begin_so[0] if begin_so else None


def _not_begun(position: int, run_id: str, at_ms: int, facts: str) -> Run:
    begun = loads(NotBegun, facts)
    ended = Ended(begun.exit, begun.message, final=True, seconds=begun.seconds)
    return Run(run_id, position, at_ms - round(begun.seconds * 1000), begun, at_ms, ended)


def _write(cells: Sequence[Any]) -> Write:
    run_id, position, at_ms, key, row, file, before, desired, used, requested, *result = cells
    intent = Intent(key, row, file, _state(before), bool(desired), used, requested)
    settled = None if result[0] is None else _settled(position, result)
    return Write(run_id, position, at_ms, intent, settled)


def _settled(intent: int, cells: Sequence[Any]) -> Settled:
    outcome, reason, detail, attempts, at_ms, profile, after, position = cells
    try:
        became = Outcome(outcome)
    except ValueError as error:
        raise UsageProblem(
            f"The ledger holds the outcome {outcome!r}, which this program does not know: run "
            "`bulk-sync ledger verify`."
        ) from error
    why = became, reason, detail or ""
    return Settled(intent, *why, attempts, at_ms, profile, _state(after), position)


def _state(code: int | None) -> bool | None:
    return None if code is None else bool(code)


def _of_day(whose: str, day: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return calls.c.whose == whose, calls.c.day == day


def _created(keys: Collection[str]) -> Select[Any]:
    """Select the intents whose outcome has the PKey of a created profile."""
    return _of_kind(LineKind.OUTCOME, lines.c.intent).where(lines.c.profile_key.in_(keys))


def _of_kind(kind: LineKind, *columns: Any) -> Select[Any]:
    return select(*columns).where(lines.c.kind == str(kind)).order_by(lines.c.position)


_OUTCOMES: Final = lines.alias()
_WRITES: Final = _of_kind(
    LineKind.INTENT, *(lines.c[name] for name in _INTENT), *(_OUTCOMES.c[name] for name in _OUTCOME)
).outerjoin_from(lines, _OUTCOMES, _OUTCOMES.c.intent == lines.c.position)
"""Intents, each beside its outcome if there is one."""
