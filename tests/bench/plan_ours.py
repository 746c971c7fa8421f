"""Reads, checks and plans a file against known states, as a run does: a side of ``reading.py``.

    plan_ours.py INPUT.csv KNOWN.parquet

In a run the states arrive over the network, one after the other. Here all of them are there, so
DuckDB joins them at once, as it does for an input larger than memory. ``scan_pages.py`` measures
this part of a scan.
"""

import sys
import time

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_sync.rows import check, columns, comparison, read
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals


def known_states(checked: pd.DataFrame, known: str) -> Steps:
    """Return the known states of the rows to be looked up."""
    keys = checked.loc[checked[columns.OUTCOME].isna(), columns.KEY]
    steps = Steps.blank(len(keys))
    with duckdb.connect() as database:
        wanted = pa.table({"key": pa.chunked_array(keys), "position": np.arange(len(keys))})
        database.register("wanted", wanted)
        query = (
            "SELECT position, ccpaOptOut FROM wanted "
            "JOIN read_parquet($known) AS known ON key = PKey"
        )
        found = database.execute(query, {"known": known}).fetchnumpy()
    positions = found["position"]
    steps.state[positions] = found["ccpaOptOut"]
    steps.attempts[positions], steps.at_ms[positions] = 1, int(time.time() * 1000)
    assert (steps.attempts == 1).all()
    return steps


def main() -> None:
    source, known = sys.argv[1:]
    (raw,) = read.slices(source).frames
    checked = check.rows(raw, check.Rules())
    changes = Totals.count(comparison.compare(checked, known_states(checked, known))).writes
    assert changes > 0


if __name__ == "__main__":
    main()
