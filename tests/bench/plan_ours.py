"""Reads, checks and plans a file against known states, as a run does: a side of ``reading.py``.

    plan_ours.py INPUT.csv KNOWN.parquet

In a run the states arrive over the network, one after the other. Here all of them are there, so
Arrow finds their rows at once. ``scan_pages.py`` measures this part of a scan.
"""

import sys
import time

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_sync.rows import check, columns, comparison, read
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals


def known_states(checked: pd.DataFrame, known: str) -> Steps:
    """Return the known states of the rows to be looked up."""
    keys = checked.loc[checked[columns.OUTCOME].isna(), columns.KEY]
    states = pq.read_table(known)
    wanted = states["PKey"].cast(pa.large_string())
    found = pc.fill_null(pc.index_in(wanted, pa.chunked_array(keys)), -1).to_numpy()
    at = found[found >= 0]
    steps = Steps.blank(len(keys))
    steps.state[at] = states["ccpaOptOut"].to_numpy()[found >= 0]
    steps.attempts[at], steps.at_ms[at] = 1, int(time.time() * 1000)
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
