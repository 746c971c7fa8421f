"""The tables of a ledger: a change of them needs a version of its own."""

import pytest
from sqlalchemy import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from bulk_sync.ledger.connect import SCHEMA
from bulk_sync.ledger.schema import metadata

TABLES = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))
CREATE TABLE calls (
    whose VARCHAR(200) NOT NULL, day VARCHAR(10) NOT NULL, spent BIGINT NOT NULL,
    PRIMARY KEY (whose, day)
)
CREATE TABLE head (
    id INTEGER NOT NULL, position BIGINT NOT NULL, hash VARCHAR(64) NOT NULL, PRIMARY KEY (id)
)
CREATE TABLE holders (lock VARCHAR(200) NOT NULL, holder TEXT NOT NULL, PRIMARY KEY (lock))
CREATE TABLE lines (
    position {long} NOT NULL, kind VARCHAR(16) NOT NULL, run_id VARCHAR(64) NOT NULL,
    at_ms BIGINT NOT NULL, profile_key TEXT, input_file TEXT, input_row BIGINT,
    state_before SMALLINT, state_desired SMALLINT, intent BIGINT, outcome VARCHAR(32),
    reason VARCHAR(64), detail TEXT, attempts INTEGER, facts TEXT, hash VARCHAR(64) NOT NULL,
    requested TEXT, state_after SMALLINT,
    PRIMARY KEY (position)
)
CREATE INDEX lines_by_intent ON lines (intent)
CREATE INDEX lines_by_key ON lines (profile_key, position)
CREATE INDEX lines_by_run ON lines (run_id, position)
CREATE INDEX lines_by_used ON lines (substr(lower(facts), 1, 100))
    WHERE kind = 'intent' AND facts IS NOT NULL
CREATE INDEX lines_of_no_write ON lines (position) WHERE kind NOT IN ('intent', 'outcome')
"""


@pytest.mark.parametrize(
    ("name", "long"), [("sqlite", "INTEGER"), ("postgresql", "BIGINT")], ids=["a file", "a server"]
)
def test_a_ledger_of_this_version_has_these_tables(name: str, long: str) -> None:
    dialect = make_url(f"{name}://").get_dialect()()
    made = list[str]()
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += sorted(str(CreateIndex(each).compile(dialect=dialect)) for each in table.indexes)
    assert SCHEMA == "0004"
    assert "".join(" ".join(made).split()) == "".join(TABLES.format(long=long).split())
