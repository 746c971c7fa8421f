"""SQL that is compiled once for all SQLite databases of the tests.

Each opening of a ledger makes an engine, which compiles each statement anew: 6 % of the CPU time of
a small run.
"""

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


def share() -> None:
    """Give all engines for SQLite one dialect, and the statements compiled for it."""
    first = create_engine("sqlite://", query_cache_size=2_000)
    first.connect().close()  # the dialect asks SQLite for its version
    first.dispose()

    def use_first(_: type[SQLiteDialect_pysqlite], engine: Engine) -> None:
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache

    SQLiteDialect_pysqlite.engine_created = classmethod(use_first)  # type: ignore[assignment]
