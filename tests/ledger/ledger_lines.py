"""Made-up runs and writes, and how a database finds them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from bulk_sync import ledger
from bulk_sync.ledger import Begun, Ended, Intent, Kind, Ledger, Settled
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import State

RUN = "20261123T020000Z-7f3a9c"
OTHER = "20261124T020000Z-0a1b2c"


def database_url(state: State) -> str:
    """Return the URL of a ledger for SQLAlchemy."""
    if state.ledger is None:
        return f"sqlite:///{state.folder / ledger.connect.FILE}"
    return state.ledger.replace("postgresql://", "postgresql+psycopg://")


def begun(**changed: object) -> Begun:
    facts: dict[str, object] = {
        "kind": Kind.RUN,
        "job": "optouts",
        "endpoint": "https://mc.adobe.io",
        "organization": "acme",
        "attribute": "ccpaOptOut",
        "input": "optouts.csv",
        "input_sha256": "9f" * 32,
        "rows": 3,
        "parent": None,
        "settings": {"rate": 20.5, "report": ["/archive/r.csv"]},
        "version": "0.1.0",
        "operator": "nightly on batch-1",
    }
    return Begun(**(facts | changed))  # type: ignore[arg-type]


def intents(count: int, first: int = 0) -> list[Intent]:
    return [
        Intent(f"@key-{number}", number + 2, None, before=False, desired=True)
        for number in range(first, first + count)
    ]


def dated(number: int, requested: str) -> Intent:
    return intents(1, number)[0]._replace(requested=requested)


def fill(book: Ledger, writes: int = 4, run_id: str = RUN) -> list[int]:
    """Record a whole run, and return the positions of its intents."""
    book.begin(run_id, begun())
    positions = book.intend(run_id, intents(writes))
    book.settle(run_id, [updated(at) for at in positions])
    book.end(run_id, Ended(0, "", final=True, outcomes={"updated": writes}, opt_outs=writes))
    return positions


def updated(intent: int, at_ms: int = 1_795_572_000_000) -> Settled:
    return Settled(intent, Outcome.UPDATED, None, "", 1, at_ms)


def way_to(book: Ledger, ask: Callable[[], object]) -> str:
    """Ask a ledger, and return how the database finds the answer to the last query."""
    queries: list[tuple[str, Any]] = []
    event.listen(
        book._connection,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, values, *_: queries.append((statement, values)),
    )
    ask()
    statement, values = queries[-1]
    with book.transaction() as connection:
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        return str(connection.exec_driver_sql(f"{explain} {statement}", values).all())
