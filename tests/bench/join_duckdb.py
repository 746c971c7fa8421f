"""The plan of a very large file as one statement of DuckDB, without checks.

    join_duckdb.py INPUT.csv|INPUT.parquet KNOWN MEMORY FOLDER

Drops duplicates, joins the known states, which are Parquet files in a folder, and counts the
changes.
"""

import sys

import duckdb

_CHANGES = """
    SELECT count(*)
    FROM (SELECT DISTINCT PKey, ccpaOptOut FROM {source}) AS desired
    LEFT JOIN read_parquet($known) AS known ON known.key = desired.PKey
    WHERE (desired.ccpaOptOut = 'true') IS DISTINCT FROM known.state
"""


def main() -> None:
    source, known, memory, folder = sys.argv[1:]
    is_parquet = source.endswith(".parquet")
    reader = "read_parquet($source)" if is_parquet else "read_csv($source, all_varchar := true)"
    statement = _CHANGES.format(source=reader)
    with duckdb.connect(
        config={"memory_limit": memory, "temp_directory": folder, "preserve_insertion_order": False}
    ) as database:
        found = database.execute(
            statement, {"source": source, "known": f"{known}/listed-*.parquet"}
        ).fetchone()
    assert found is not None
    assert found[0] > 0


if __name__ == "__main__":
    main()
