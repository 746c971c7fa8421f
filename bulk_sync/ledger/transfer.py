"""Copies a ledger into another database: in one transaction, and proved on both sides.

    source --lines, batch by batch--> walked --> target --all of them--> walked again --> committed

The target is empty, or a beginning of the same chain. If anything does not fit, or the process is
killed, it stays as it was.
"""

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger.chain import Head, walk
from bulk_sync.ledger.database import EVERY_LINE, Ledger, insert_lines
from bulk_sync.ledger.schema import COLUMNS, LineKind, head, lines, metadata, schema_version
from bulk_sync.ledger.transactions import BATCH_ROWS

log = logging.getLogger(__name__)

_ANNOUNCED_EVERY: Final = 500_000
_OTHERS: Final = [
    each for each in metadata.sorted_tables if each not in {lines, head, schema_version}
]


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was copied.

    Attributes:
        source: the ledger, without a password.
        target: the copy, without a password.
        heads: where each of them ends, in this order; they are equal.
        added: lines that the target did not have before.
        runs: runs in the copy.
        writes: attempted writes in the copy.
    """

    source: str
    target: str
    heads: tuple[Head, Head]
    added: int
    runs: int
    writes: int


def transfer(source: Ledger, target: Ledger) -> Transfer:
    """Copy every table of a ledger into another one; memory: one batch of lines.

    Raises:
        UsageProblem: the target holds something else, the source was altered or goes on meanwhile,
            or a database refuses.
    """
    end, noted = source.chain_end() or Head(), source.noted()
    with target.transaction() as writing:
        # Moving the head first takes the writers' turn.
        writing.execute(update(head).values(position=head.c.position))
        before = Head(*writing.execute(select(head.c.position, head.c.hash)).one())
        _check_beginning(source, target, before, end)
        with closing(_copied(source, writing, before)) as copied:
            if not _fits(copied, end, noted):
                raise UsageProblem(
                    f"The ledger {source.name} was altered, or a run has added to it meanwhile, so "
                    "nothing was copied. `bulk-sync ledger verify` shows if it was altered; if "
                    "not, try again while no run is at work."
                )
        for table in _OTHERS:
            writing.execute(delete(table))
            with closing(source.batches(select(*table.c))) as batches:
                for rows in batches:
                    writing.execute(insert(table), [row._asdict() for row in rows])
        writing.execute(update(head).values(position=end.position, hash=end.hash))
        with writing.execute(EVERY_LINE.execution_options(yield_per=BATCH_ROWS)) as written:
            if not _fits(written, end, [end]):
                raise UsageProblem(
                    f"{target.name} does not give back what was written to it, so it was left as "
                    "it was. Use another database."
                )
        runs, writes = (_count(writing, kind) for kind in (LineKind.BEGUN, LineKind.INTENT))
    target.note_end()
    heads = source.chain_end() or Head(), target.chain_end() or Head()
    return Transfer(source.name, target.name, heads, end.position - before.position, runs, writes)


def _check_beginning(source: Ledger, target: Ledger, before: Head, end: Head) -> None:
    if before.position > end.position:
        problem = f"has {before.position:,} lines, and {source.name} only {end.position:,}"
    elif source.hash_at(before.position) != before.hash:
        problem = "holds another ledger"
    else:
        return
    raise UsageProblem(
        f"{target.name} {problem}, so nothing was copied. Name an empty database, or an earlier "
        "copy of this ledger that no run has added to."
    )


def _copied(
    source: Ledger, writing: Connection, before: Head
) -> Generator[Sequence[object], None, None]:
    """Yield every line of the source, and add each batch to the target after that."""
    announced = before.position
    with closing(source.batches(EVERY_LINE)) as batches:
        for rows in batches:
            yield from rows
            new = [tuple(row) for row in rows if row.position > before.position]
            if new:
                _add(writing, new)
            if new and new[-1][0] >= announced + _ANNOUNCED_EVERY:
                announced = new[-1][0]
                log.info("%s lines copied", f"{announced:,}")


def _add(writing: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add lines to the target.

    PostgreSQL takes them as a stream: 500,000 lines took it 78 s as statements.
    """
    if writing.dialect.name != "postgresql":
        insert_lines(writing, rows)
        return
    names = ", ".join(column.name for column in COLUMNS)
    cursor = writing.connection.cursor()
    with closing(cursor), cursor.copy(f"COPY {lines.name} ({names}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row(row)


def _fits(rows: Iterable[Sequence[object]], end: Head, noted: Iterable[Head]) -> bool:
    """Walk a chain, and return whether it is whole and ends so."""
    return walk(rows, [end, *noted]) == (end, None)


def _count(connection: Connection, kind: LineKind) -> int:
    counted = select(func.count()).select_from(lines).where(lines.c.kind == str(kind))
    return int(connection.execute(counted).scalar() or 0)
