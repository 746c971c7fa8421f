"""Ledgers of older versions: refused where nothing may be changed, else converted as they are."""

from pathlib import Path

import pytest
from ledger_lines import RUN, database_url, fill, intents
from sqlalchemy import Connection, column, create_engine, insert, inspect, table, text

from bulk_sync import ledger
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Head, migrations, schema
from bulk_sync.settings import State

TABLES = (
    """CREATE TABLE lines (
        position {long} NOT NULL, kind VARCHAR(16) NOT NULL, run_id VARCHAR(64) NOT NULL,
        at_ms BIGINT NOT NULL, profile_key TEXT, input_file TEXT, input_row BIGINT,
        state_before SMALLINT, state_desired SMALLINT, intent BIGINT, outcome VARCHAR(32),
        reason VARCHAR(64), detail TEXT, attempts INTEGER, facts TEXT, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (position))""",
    "CREATE INDEX lines_by_run ON lines (run_id, position)",
    "CREATE INDEX lines_by_key ON lines (profile_key, position)",
    "CREATE INDEX lines_by_intent ON lines (intent)",
    """CREATE TABLE head (
        id INTEGER NOT NULL, position BIGINT NOT NULL, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (id))""",
    """CREATE TABLE holders (
        lock VARCHAR(200) NOT NULL, holder TEXT NOT NULL, PRIMARY KEY (lock))""",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
)
CALLS = """CREATE TABLE calls (
    whose VARCHAR(200) NOT NULL, day VARCHAR(10) NOT NULL, spent BIGINT NOT NULL,
    PRIMARY KEY (whose, day))"""
NEW_COLUMNS = ("ALTER TABLE lines ADD COLUMN requested TEXT",
               "ALTER TABLE lines ADD COLUMN state_after SMALLINT")  # fmt: skip
INDEX = """CREATE INDEX lines_of_no_write ON lines (position)
    WHERE kind NOT IN ('intent', 'outcome')"""
SCHEMAS = {
    "0001": TABLES,
    "0002": (*TABLES, CALLS),
    "0003": (*TABLES, CALLS, *NEW_COLUMNS),
    "0004": (*TABLES, CALLS, *NEW_COLUMNS, INDEX),
}

BEGUN = (
    '{"kind": "run", "job": "in", "endpoint": "https://mc.adobe.io", "organization": "acme", '
    '"attribute": "ccpaOptOut", "input": "in.csv", "input_sha256": "9f", "rows": 2, '
    '"parent": null, "settings": {}, "version": "0.1.0", "operator": "nightly on batch-1"}'
)
ENDED = '{"exit": 0, "message": "", "final": true, "outcomes": {"updated": 1}}'
NAMES = (
    "position", "kind", "run_id", "at_ms", "profile_key", "input_row", "state_before",
    "state_desired", "intent", "outcome", "attempts", "facts", "hash",
)  # fmt: skip
LINES = [
    (1, "begun", RUN, 1, None, None, None, None, None, None, None, BEGUN,
     "4b813f88097a0973abc8b3e5ef2eeac1eeaeea8458a0069a488ca2e2a5dfd995"),
    (2, "intent", RUN, 2, "@key-0", 2, 0, 1, None, None, None, None,
     "88ab7bf9c7e19df79e3066b907e96a85a43ad30d7e4df26a9ace77d60d38ca6c"),
    (3, "outcome", RUN, 3, None, None, None, None, 2, "updated", 1, None,
     "9a8c4d70af5af1f15888ded078e15f5d48ab215df97bb9b5095e109b1ae22cee"),
    (4, "ended", RUN, 4, None, None, None, None, None, None, None, ENDED,
     "09bab2894f4c22476a87e87346cc1d3f55b8b25db29b72e4eea7f04fc49f9be0"),
]  # fmt: skip
END = Head(len(LINES), str(LINES[-1][-1]))


def write_old_ledger(state: State, version: str) -> Head:
    """Write the ledger of an older version by plain SQL, and return where its chain ends."""
    if state.ledger is None:
        state.folder.mkdir()
    engine = create_engine(database_url(state))
    long = "INTEGER" if engine.dialect.name == "sqlite" else "BIGINT"
    with engine.begin() as connection:
        for statement in SCHEMAS[version]:
            connection.execute(text(statement.format(long=long)))
        rows: dict[str, list[dict[str, object]]] = {
            "alembic_version": [{"version_num": version}],
            "head": [{"id": 1, "position": END.position, "hash": END.hash}],
            "lines": [dict(zip(NAMES, line, strict=True)) for line in LINES],
        }
        for name, values in rows.items():
            connection.execute(insert(table(name, *map(column, values[0]))), values)
    engine.dispose()
    return END


def tables(connection: Connection) -> dict[str, object]:
    """Return the columns, keys and indexes of all tables, without comments."""
    found = inspect(connection)
    return {
        name: (
            [(each["name"], str(each["type"])) for each in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((each["name"], each["column_names"]) for each in found.get_indexes(name)),
        )
        for name in found.get_table_names()
    }


def tables_of(state: State) -> dict[str, object]:
    engine = create_engine(database_url(state))
    with engine.connect() as connection:
        found = tables(connection)
    engine.dispose()
    return found


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_ledger_is_converted_with_its_chain(
    state: State, version: str, tmp_path: Path
) -> None:
    end = write_old_ledger(state, version)
    with pytest.raises(UsageProblem, match=rf"schema {version}.*converts it"):
        ledger.verify(state, [end])
    with ledger.open_existing(state, forward=True) as book:
        assert book is not None
        assert [run.run_id for run in book.runs()] == [RUN]
    verdict = ledger.verify(state, [end])
    assert (verdict.head, verdict.misfit) == (end, None)
    with ledger.open_ledger(state) as book:
        (write,) = book.writes(RUN)
        assert write.intent == intents(1)[0]
        assert book.take_calls("acme", "2026-11-25", 7, None) == 7
        fill(book, 3, "20261124T020000Z-0a1b2c")
    assert ledger.verify(state, [end]).misfit is None
    made = State(tmp_path / "new")
    with ledger.open_ledger(made):
        pass
    assert set(tables_of(state)) == set(tables_of(made)) == set(schema.metadata.tables)


def test_a_ledger_of_the_last_version_needs_no_conversion(state: State) -> None:
    end = write_old_ledger(state, migrations.NEWEST)
    assert ledger.verify(state, [end]).misfit is None
    old = tables_of(state)
    with ledger.open_ledger(state) as book:
        fill(book, 3, "20261124T020000Z-0a1b2c")
    assert tables_of(state) == old
    assert ledger.verify(state, [end]).misfit is None


def test_a_ledger_that_lacks_an_index_alone_is_read_as_it_is(state: State) -> None:
    end = write_old_ledger(state, "0003")
    old = tables_of(state)
    with ledger.open_existing(state) as book:
        assert book is not None
        assert [run.run_id for run in book.runs()] == [RUN]
    assert ledger.verify(state, [end]).misfit is None
    assert tables_of(state) == old


@pytest.mark.parametrize("version", SCHEMAS)
def test_every_schema_leads_to_the_same_tables(
    version: str, state: State, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    write_old_ledger(state, version)
    new = State(tmp_path / "new")
    if state.ledger is not None:
        new = State(tmp_path / "new", ledger=request.getfixturevalue("new_database")())
    for each in (state, new):
        with ledger.open_ledger(each):
            pass
    assert tables_of(state) == tables_of(new)


def test_a_newer_ledger_is_refused(state: State) -> None:
    with ledger.open_ledger(state):
        pass
    engine = create_engine(database_url(state))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for way in (ledger.open_ledger, ledger.open_existing):
        with pytest.raises(UsageProblem, match="newer bulk-sync"), way(state):
            pass
