"""The ledger: every run, and every write that this program ever attempted.

    begin ---> intend ---> settle ---> intend ---> settle ---> end
               (durable before the     (durable after
                first request)          Campaign's answer)

Lines are added to one chain and never changed (``schema.py``, ``chain.py``). A write takes two of
them, its intent and its outcome; an intent without an outcome is a write that was in flight when
the process died, and nobody knows yet what became of it.

One connection for as long as the ledger is open, for one transaction at a time: it may be used
from any thread, and if the server goes away the ledger is gone with it, locks and all.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
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
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.ledger import server_lock
from bulk_sync.ledger.anchor import Anchor
from bulk_sync.ledger.chain import NOTHING, Head, Misfit, Walk, link
from bulk_sync.ledger.records import (
    Begun,
    Ended,
    Intent,
    Run,
    Settled,
    Write,
    dumps,
    loads,
)
from bulk_sync.ledger.schema import Line, LineKind, calls, head, lines
from bulk_sync.outcomes import Outcome

log = logging.getLogger(__name__)

_COLUMNS: Final = (*(each for each in lines.c if each is not lines.c.hash), lines.c.hash)
_NAMES: Final = tuple(column.name for column in _COLUMNS)
_INTENT: Final = (
    lines.c.run_id,
    lines.c.position,
    lines.c.at_ms,
    lines.c.profile_key,
    lines.c.input_row,
    lines.c.input_file,
    lines.c.state_before,
    lines.c.state_desired,
    lines.c.facts,
    lines.c.requested,
)
_OUTCOME: Final = (
    "outcome", "reason", "detail", "attempts", "at_ms", "profile_key", "state_after",
)  # fmt: skip
_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}
_ROWS_A_STATEMENT: Final = 256
_ANCHOR_EVERY_S: Final = 1.0
_BATCH_ROWS: Final = 10_000
_KEYS_A_QUERY: Final = 10_000
"""SQLite takes no more than 32,766 values in one statement."""
_STATES: Final = {True: 1, False: 0, None: None}


class Ledger:
    """An open ledger; ``opening.py`` makes them.

    Args:
        connection: to the database, whose schema is the newest.
        anchor: where the chain ended is noted here as well.
    """

    def __init__(self, connection: Connection, anchor: Anchor) -> None:
        self._connection = connection
        self._anchor = anchor
        self._anchored_at = 0.0
        self._end = Head()
        self._turn = threading.RLock()
        self._is_open = True

    @property
    def name(self) -> str:
        """How messages call the ledger; never with a password."""
        return self._anchor.ledger

    def close(self) -> None:
        """Wait for what another thread is doing, and let none begin anything: the connection goes.

        A driver whose connection is closed under a statement may take the process with it.
        """
        with self._turn:
            self._is_open = False

    def check_anchor(self) -> None:
        """Make sure that the chain holds what it held before.

        Raises:
            UsageProblem: it does not, so nothing is to be added to it.
        """
        noted = self._anchor.head()
        if noted is not None and self._hash_at(noted.position) != noted.hash:
            raise UsageProblem(
                f"The ledger {self.name} does not hold any more what it held before "
                f"({noted.position:,} lines), so nothing is added to it and nothing was sent. "
                "`bulk-sync ledger verify` says where. Bring the ledger back; or, to go on with it "
                f"as it is, move {self._anchor.path} away, and keep it with your records."
            )

    def hold(self, lock: str, holder: str, wait_s: float) -> None:
        """Hold a lock of the database server, if it is one that has locks; see ``server_lock.py``.

        Raises:
            AnotherRun: somebody else holds it.
        """
        with self._told(UsageProblem), self._turn:
            server_lock.take(self._connection, lock, holder, wait_s)

    def begin(self, run_id: str, begun: Begun) -> None:
        """Note that a run came to be."""
        self._append([Line(str(LineKind.BEGUN), run_id, _now_ms(), facts=dumps(begun))])
        self._move_anchor()

    def intend(self, run_id: str, intents: Sequence[Intent]) -> list[int]:
        """Note writes that are about to be attempted; they are durable when this returns.

        Returns:
            The positions of their lines.

        Raises:
            StoppedEarly: they could not be noted, so none of them may be attempted.
        """
        now, kind = _now_ms(), str(LineKind.INTENT)
        positions = self._append(
            [
                Line(
                    kind,
                    run_id,
                    now,
                    each.key,
                    each.file,
                    each.row,
                    _STATES[each.before],
                    int(each.desired),
                    facts=each.used,
                    requested=each.requested,
                )
                for each in intents
            ]
        )
        self._move_anchor()
        return positions

    def settle(self, run_id: str, outcomes: Sequence[Settled]) -> None:
        """Note what became of writes.

        Raises:
            StoppedEarly: it could not be noted.
        """
        kind = str(LineKind.OUTCOME)
        self._append(
            [
                Line(
                    kind,
                    run_id,
                    at_ms,
                    profile_key=profile,
                    intent=intent,
                    outcome=str(outcome),
                    reason=reason,
                    detail=detail or None,
                    attempts=attempts,
                    state_after=_STATES[after],
                )
                for intent, outcome, reason, detail, attempts, at_ms, profile, after in outcomes
            ]
        )
        if time.monotonic() >= self._anchored_at + _ANCHOR_EVERY_S:
            self._move_anchor()

    def end(self, run_id: str, ended: Ended) -> Head:
        """Note with what the work on a run ended, and tell where the chain ends now.

        Raises:
            StoppedEarly: it could not be noted.
        """
        self._append([Line(str(LineKind.ENDED), run_id, _now_ms(), facts=dumps(ended))])
        self._move_anchor()
        return self._end

    def runs(self) -> list[Run]:
        """Tell all runs, the oldest first."""
        ended: dict[str, tuple[int, Ended]] = {}
        wanted = (lines.c.run_id, lines.c.at_ms, lines.c.facts)
        for run_id, at_ms, facts in self._rows(_of_kind(LineKind.ENDED, *wanted)):
            how = loads(Ended, facts)
            if run_id in ended:
                how = how.after(ended[run_id][1])
            ended[run_id] = (at_ms, how)
        found = []
        for position, run_id, at_ms, facts in self._rows(
            _of_kind(LineKind.BEGUN, lines.c.position, *wanted)
        ):
            ended_ms, last = ended.get(run_id, (None, None))
            found.append(Run(run_id, position, at_ms, loads(Begun, facts), ended_ms, last))
        return found

    def run(self, run_id: str) -> Run:
        """Tell one run.

        Raises:
            UsageProblem: the ledger knows no such run.
        """
        for run in self.runs():
            if run.run_id == run_id:
                return run
        raise UsageProblem(
            f"The ledger {self.name} knows no run {run_id!r}. `bulk-sync runs` lists them; look at "
            "--state-dir and --ledger."
        )

    def writes(self, run_id: str) -> Iterator[Write]:
        """Yield the attempted writes of a run, in order; a key attempted again counts again.

        The ledger is free between two batches. A caller that stops in the middle, because of an
        exception or because it has seen enough, keeps neither a writer nor ``close`` waiting.
        Memory: one batch of writes.
        """
        last = 0
        while True:
            batch = self._writes(
                and_(lines.c.run_id == run_id, lines.c.position > last), _BATCH_ROWS
            )
            yield from batch
            if len(batch) < _BATCH_ROWS:
                return
            last = batch[-1].position

    def history(self, *keys: str, addresses: Collection[str] = ()) -> list[Write]:
        """Return every attempted write that has one of some keys, in order.

        Args:
            keys: PKeys, also those that profiles were given when they were created; or keys of the
                rows of a file.
            addresses: e-mail addresses of rows, in small letters; capitals do not count.
        """
        created = select(lines.c.intent).where(
            lines.c.kind == str(LineKind.OUTCOME), lines.c.profile_key.in_(keys)
        )
        is_used = or_(lines.c.facts.in_(keys), func.lower(lines.c.facts).in_(addresses))
        return self._writes(
            or_(
                lines.c.profile_key.in_(keys),
                lines.c.position.in_(created),
                and_(lines.c.kind == str(LineKind.INTENT), is_used),
            )
        )

    def writes_to(self, pkeys: Sequence[str]) -> Iterator[Write]:
        """Yield every attempted write to some profiles; those of one profile in order.

        Memory: those of ten thousand profiles.
        """
        for at in range(0, len(pkeys), _KEYS_A_QUERY):
            some = pkeys[at : at + _KEYS_A_QUERY]
            created = _of_kind(LineKind.OUTCOME, lines.c.intent).where(
                lines.c.profile_key.in_(some)
            )
            intents = [intent for (intent,) in self._rows(created)]
            yield from self._writes(
                or_(lines.c.profile_key.in_(some), lines.c.position.in_(intents))
            )

    def keys_of(self, runs: Collection[str], besides: Collection[Outcome] = ()) -> dict[str, str]:
        """Tell which keys some runs meant to write, and which run did so last.

        A write that was never sent, for its run was stopped before, does not count.

        Args:
            runs: their ids.
            besides: a write of which one of these became does not count.
        """
        query = _of_kind(LineKind.INTENT, lines.c.profile_key, lines.c.run_id)
        outcome = lines.alias()
        became = outcome.c.outcome.in_([str(each) for each in besides])
        is_unsent = and_(outcome.c.outcome == str(Outcome.PENDING), outcome.c.attempts == 0)
        passed_over = exists().where(outcome.c.intent == lines.c.position, or_(became, is_unsent))
        return dict(self._rows(query.where(lines.c.run_id.in_(runs), ~passed_over)))

    def calls_of(self, whose: str, day: str) -> int:
        """Tell how many calls a day has cost so far."""
        found = self._rows(select(calls.c.spent).where(*_of_day(whose, day)))
        return int(found[0][0]) if found else 0

    def take_calls(self, whose: str, day: str, count: int, most: int | None) -> int:
        """Count calls as spent, as long as the day has no more than ``most`` of them.

        Returns:
            How many of ``count`` were left.

        Raises:
            StoppedEarly: they could not be counted.
        """
        with self._told(StoppedEarly):
            try:
                return self._take_calls(whose, day, count, most)
            except IntegrityError:  # another run has made the day's row just now
                return self._take_calls(whose, day, count, most)

    def give_calls_back(self, whose: str, day: str, count: int) -> None:
        """Count calls as not spent after all.

        Raises:
            StoppedEarly: it could not be noted.
        """
        less = update(calls).where(*_of_day(whose, day)).values(spent=calls.c.spent - count)
        with self._told(StoppedEarly), self._transaction() as connection:
            connection.execute(less)

    def verify(self, *noted: Head) -> tuple[Head, Misfit | None]:
        """Walk the whole chain; memory: one batch of lines.

        Args:
            noted: ends of the chain that somebody noted at some time.

        Returns:
            How far the chain fits, and the first line that does not.
        """
        at_the_end = self._rows(select(head.c.position, head.c.hash))
        ends = [Head(position, digest) for position, digest in at_the_end]
        heads = [*noted, *ends]
        if anchored := self._anchor.head():
            heads.append(anchored)
        walk = Walk()
        with self._told(UsageProblem), self._transaction() as connection:
            every = select(*_COLUMNS).order_by(lines.c.position)
            misfit = walk.follow(connection.execute(_streamed(every)), heads)
        if misfit is None and ends != [walk.head]:
            misfit = Misfit(walk.head.position, "is not where the ledger says that it ends")
        return walk.head, misfit

    def _take_calls(self, whose: str, day: str, count: int, most: int | None) -> int:
        row = update(calls).where(*_of_day(whose, day))
        with self._transaction() as connection:
            # Adding first takes the writers' turn; what was too much is taken off again.
            if not connection.execute(row.values(spent=calls.c.spent + count)).rowcount:
                connection.execute(insert(calls).values(whose=whose, day=day, spent=count))
            spent = connection.execute(select(calls.c.spent).where(*_of_day(whose, day))).scalar()
            over = 0 if most is None else min(count, max(0, int(spent or 0) - most))
            if over:
                connection.execute(row.values(spent=calls.c.spent - over))
        return count - over

    def _append(self, new: Sequence[Line]) -> list[int]:
        if not new:
            return []
        with self._told(StoppedEarly), self._transaction() as connection:
            # Moving the head first takes the writers' turn, on SQLite and on servers alike.
            connection.execute(update(head).values(position=head.c.position + len(new)))
            end = connection.execute(select(head.c.position, head.c.hash)).one()
            first, digest = end.position - len(new) + 1, end.hash
            rows = []
            for position, line in enumerate(new, first):
                cells = (position, *line)
                digest = link(digest, cells)
                rows.append((*cells, digest))
            _insert(connection, rows)
            connection.execute(update(head).values(hash=digest))
        self._end = Head(end.position, digest)
        return list(range(first, first + len(new)))

    def _move_anchor(self) -> None:
        try:
            self._anchor.move(self._end)
        except OSError as error:
            log.warning("%s could not be written: %s", self._anchor.path, error.strerror)
        self._anchored_at = time.monotonic()

    def _writes(self, which: ColumnElement[bool], most: int | None = None) -> list[Write]:
        outcome = lines.alias()
        query = (
            _of_kind(LineKind.INTENT, *_INTENT, *(outcome.c[name] for name in _OUTCOME))
            .outerjoin_from(lines, outcome, outcome.c.intent == lines.c.position)
            .where(which)
            .limit(most)
        )
        return [_write(found) for found in self._rows(query)]

    def _hash_at(self, position: int) -> str | None:
        if position == 0:
            return NOTHING
        found = self._rows(select(lines.c.hash).where(lines.c.position == position))
        return str(found[0][0]) if found else None

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._told(UsageProblem), self._transaction() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._turn:
            if not self._is_open:
                raise StoppedEarly(f"The ledger {self.name} is closed: the run is ending.")
            with self._connection.begin():
                yield self._connection

    @contextmanager
    def _told(self, stop: type[StoppedEarly | UsageProblem]) -> Iterator[None]:
        """Map what the database refuses, in this one place."""
        try:
            yield
        except SQLAlchemyError as error:
            raise stop(f"The ledger {self.name} cannot be used: {said(error)}.") from error


def _insert(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many lines in few statements.

    ``executemany`` lets go of the interpreter, and must get it back, once per row; beside an event
    loop at full speed that alone costs more than all the rest (measured: 100,000 writes at
    2,000/s took 1.18 times as long as without a ledger, and 1.04 times with these).
    """
    dialect = connection.dialect
    mark = _MARKS.get(dialect.paramstyle)
    if mark is None:
        connection.execute(insert(lines), [dict(zip(_NAMES, row, strict=True)) for row in rows])
        return
    columns = tuple(zip(*rows, strict=True))
    # Half of the columns are of other kinds of lines, and need not be sent.
    filled = [at for at, cells in enumerate(columns) if cells.count(None) < len(cells)]
    names = ", ".join(dialect.identifier_preparer.quote(_NAMES[at]) for at in filled)
    values = f"({', '.join([mark] * len(filled))})"
    rows = list(zip(*(columns[at] for at in filled), strict=True))
    for at in range(0, len(rows), _ROWS_A_STATEMENT):
        group = rows[at : at + _ROWS_A_STATEMENT]
        statement = f"INSERT INTO {lines.name} ({names}) VALUES {', '.join([values] * len(group))}"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(group)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def said(error: Exception) -> str:
    """Put what a database says into one line, without the statement and its values."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split()).rstrip(".")


def _write(found: Sequence[Any]) -> Write:
    run_id, position, at_ms, key, row, file, before, desired, *more = found
    used, requested, *told = more
    intent = Intent(key, row, file, _state(before), bool(desired), used, requested)
    settled = None if told[0] is None else _settled(position, told)
    return Write(run_id, position, at_ms, intent, settled)


def _settled(intent: int, cells: Sequence[Any]) -> Settled:
    outcome, reason, detail, attempts, at_ms, profile, after = cells
    try:
        became = Outcome(outcome)
    except ValueError as error:
        raise UsageProblem(
            f"The ledger holds the outcome {outcome!r}, which this program does not know: run "
            "`bulk-sync ledger verify`."
        ) from error
    return Settled(intent, became, reason, detail or "", attempts, at_ms, profile, _state(after))


def _state(code: int | None) -> bool | None:
    return None if code is None else bool(code)


def _of_day(whose: str, day: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return calls.c.whose == whose, calls.c.day == day


def _streamed(query: Select[Any]) -> Select[Any]:
    return query.execution_options(yield_per=_BATCH_ROWS)


def _of_kind(kind: LineKind, *wanted: Any) -> Select[Any]:
    return select(*wanted).where(lines.c.kind == str(kind)).order_by(lines.c.position)
