"""The ledger: every run, and every write that this program ever attempted.

    begin ---> intend ---> settle ---> intend ---> settle ---> end
               (durable before the     (durable after
                first request)          the response)

What people do in the page is a line too (``record``).

Lines are added to one chain and never changed (``schema.py``, ``chain.py``). A write takes two of
them, its intent and its outcome. An intent without an outcome was in flight when the process died:
its result is unknown.
"""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from bulk_sync.errors import StoppedEarly, StopRun
from bulk_sync.ledger import server_lock
from bulk_sync.ledger.anchor import Anchor
from bulk_sync.ledger.chain import NOTHING, Head, Misfit, link, walk
from bulk_sync.ledger.queries import Queries
from bulk_sync.ledger.records import Act, Begun, Ended, Intent, NotBegun, Settled, dumps
from bulk_sync.ledger.schema import COLUMNS, Line, LineKind, head, lines

log = logging.getLogger(__name__)

_NAMES: Final = tuple(column.name for column in COLUMNS)
_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}
_ROWS_A_STATEMENT: Final = 256
_ANCHOR_EVERY_S: Final = 1.0
EVERY_LINE: Final = select(*COLUMNS).order_by(lines.c.position)
_HEAD: Final = select(head.c.position, head.c.hash)
_ADVANCE: Final = update(head).values(position=head.c.position + bindparam("added"))
_SEAL: Final = update(head).values(hash=bindparam("digest"))
_STATES: Final = {True: 1, False: 0, None: None}


class Ledger(Queries):
    """An open ledger with the newest schema, and the note of where its chain ended."""

    def __init__(self, connection: Connection, anchor: Anchor) -> None:
        super().__init__(connection, anchor.ledger)
        self._anchor = anchor
        self._anchored_at = 0.0
        self._end = Head()

    def check_anchor(self) -> None:
        """Raise LedgerProblem if the noted end is missing: nothing may be added then."""
        self._anchor.check(self.hash_at)

    def hold(self, lock: str, holder: str, wait_s: float) -> None:
        """Take a lock of the database server, if it has any; raise AnotherRun if it is taken."""
        with self.exclusive() as connection:
            server_lock.take(connection, lock, holder, wait_s)

    @contextmanager
    def holding(self, lock: str, holder: str, wait_s: float) -> Iterator[None]:
        """Hold a lock of the database server until the block ends; see ``hold``."""
        self.hold(lock, holder, wait_s)
        try:
            yield
        finally:
            with suppress(StopRun), self.transaction() as connection:
                server_lock.release(connection, lock)  # fails if the server lost it anyway

    def holders(self) -> list[str]:
        """Return who holds a lock of the database server now; empty if it has no locks."""
        with self.transaction() as connection:
            return server_lock.find_holders(connection)

    def begin(self, run_id: str, begun: Begun) -> None:
        """Record that a run began."""
        self._append([Line(str(LineKind.BEGUN), run_id, _now_ms(), facts=dumps(begun))])

    def record_failed_start(self, run_id: str, start: NotBegun) -> None:
        """Record a run that could not start; raise StoppedEarly if that fails."""
        self._append([Line(str(LineKind.NOT_BEGUN), run_id, _now_ms(), facts=dumps(start))])

    def intend(self, run_id: str, intents: Sequence[Intent]) -> list[int]:
        """Record writes before they are attempted, and return the positions of their lines.

        They are durable then. Raise StoppedEarly if they could not be recorded: none may be
        attempted.
        """
        now, kind = _now_ms(), str(LineKind.INTENT)
        return self._append(
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

    def settle(self, run_id: str, outcomes: Sequence[Settled]) -> None:
        """Record the outcomes of writes; raise StoppedEarly if that fails."""
        kind = str(LineKind.OUTCOME)
        self._append(
            [
                Line(
                    kind,
                    run_id,
                    each.at_ms,
                    profile_key=each.profile,
                    intent=each.intent,
                    outcome=str(each.outcome),
                    reason=each.reason,
                    detail=each.detail or None,
                    attempts=each.attempts,
                    state_after=_STATES[each.after],
                )
                for each in outcomes
            ],
            is_noted=time.monotonic() >= self._anchored_at + _ANCHOR_EVERY_S,
        )

    def end(self, run_id: str, ended: Ended) -> Head:
        """Record the end of a process of a run, and return the end of the chain.

        Raise StoppedEarly if that fails.
        """
        self._append([Line(str(LineKind.ENDED), run_id, _now_ms(), facts=dumps(ended))])
        return self._end

    def record(self, act: Act) -> int:
        """Record something that a person did in the page, and return the position of its line.

        Raise StoppedEarly if that fails.
        """
        facts = {"deed": act.deed, "who": act.who, "comment": act.comment, **act.facts}
        line = Line(str(LineKind.ACT), act.about, _now_ms(), act.key, facts=json.dumps(facts))
        (position,) = self._append([line])
        return position

    def verify(self, *noted: Head) -> tuple[Head, Misfit | None]:
        """Walk the whole chain; return how far it fits, and the first line that does not.

        ``noted`` are earlier ends of the chain, noted elsewhere. Memory: one batch of lines.
        """
        end, misfit = self._walk(Head(), [*noted, *self.noted()])
        while misfit is None and (said := self.chain_end()) != end:
            if said is None or said.position <= end.position:
                misfit = Misfit(end.position, "is not where the ledger says that it ends")
            else:  # a run at work has added lines
                end, misfit = self._walk(end, [said])
        return end, misfit

    def _walk(self, start: Head, ends: Sequence[Head]) -> tuple[Head, Misfit | None]:
        """Walk along the chain from an end of it; see ``walk``."""
        after = EVERY_LINE.where(lines.c.position > start.position)
        with closing(self.batches(after)) as batches:
            return walk(chain.from_iterable(batches), ends, start)

    def chain_end(self) -> Head | None:
        """Return where the ledger says that it ends; None if it does not."""
        found = [Head(position, digest) for position, digest in self._rows(_HEAD)]
        return found[0] if len(found) == 1 else None

    def noted(self) -> list[Head]:
        """Return the ends of the chain that are noted in the ledger and outside."""
        ends = [Head(position, digest) for position, digest in self._rows(_HEAD)]
        anchored = self._anchor.head()
        return ends if anchored is None else [*ends, anchored]

    def note_end(self) -> None:
        """Write outside the ledger where it ends, after lines were copied to it."""
        self._end = self.chain_end() or self._end
        self._move_anchor()

    def _append(self, new: Sequence[Line], *, is_noted: bool = True) -> list[int]:
        """Add lines, and return their positions; note the end of the chain outside too."""
        if not new:
            return []
        with self.transaction(StoppedEarly) as connection:
            # Moving the head first takes the writers' turn, on SQLite and on servers alike.
            connection.execute(_ADVANCE, {"added": len(new)})
            end = connection.execute(_HEAD).one()
            first, digest = end.position - len(new) + 1, end.hash
            rows = []
            for position, line in enumerate(new, first):
                cells = (position, *line)
                digest = link(digest, cells)
                rows.append((*cells, digest))
            insert_lines(connection, rows)
            connection.execute(_SEAL, {"digest": digest})
        self._end = Head(end.position, digest)
        if is_noted:
            self._move_anchor()
        return list(range(first, first + len(new)))

    def _move_anchor(self) -> None:
        try:
            self._anchor.move(self._end)
        except OSError as error:
            log.warning("%s could not be written: %s", self._anchor.path, error.strerror)
        self._anchored_at = time.monotonic()

    def hash_at(self, position: int) -> str | None:
        """Return the hash of a line; None if there is no such line."""
        if position == 0:
            return NOTHING
        found = self._rows(select(lines.c.hash).where(lines.c.position == position))
        return str(found[0][0]) if found else None


def insert_lines(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many lines in few statements.

    ``executemany`` gives up the interpreter once per row; beside an event loop at full speed that
    costs more than all the rest. Measured (``tests/bench recording``): 100,000 writes at 2,000/s
    took 1.18 times as long as without a ledger, and 1.04 times with these.
    """
    dialect = connection.dialect
    mark = _MARKS.get(dialect.paramstyle)
    if mark is None:
        connection.execute(insert(lines), [dict(zip(_NAMES, row, strict=True)) for row in rows])
        return
    columns = tuple(zip(*rows, strict=True))
    # Half of the columns belong to other kinds of lines and need not be sent.
    filled = [index for index, cells in enumerate(columns) if cells.count(None) < len(cells)]
    names = ", ".join(dialect.identifier_preparer.quote(_NAMES[index]) for index in filled)
    values = f"({', '.join([mark] * len(filled))})"
    rows = list(zip(*(columns[index] for index in filled), strict=True))
    for first in range(0, len(rows), _ROWS_A_STATEMENT):
        group = rows[first : first + _ROWS_A_STATEMENT]
        statement = f"INSERT INTO {lines.name} ({names}) VALUES {', '.join([values] * len(group))}"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(group)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
