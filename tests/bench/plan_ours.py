"""Reads, checks and plans a file against known states, as a run does: a side of ``reading.py``.

plan_ours.py INPUT.csv KNOWN.parquet
"""

import sys
import time
from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from bulk_sync.rows import check, columns, plan, read
from bulk_sync.rows.steps import Steps


def noted(keys: Sequence[str], known: str) -> Steps:
    """Note known states by key, as a scan of Campaign's list notes those of a page."""
    index = {key: at for at, key in enumerate(keys)}
    steps = Steps.of(len(keys))
    now_ms = int(time.time() * 1000)
    with pq.ParquetFile(known) as file:
        for page in file.iter_batches():
            found = np.array([index.get(key, -1) for key in page["PKey"].to_pylist()])
            at = found[found >= 0]
            steps.state[at] = page["ccpaOptOut"].to_numpy(zero_copy_only=False)[found >= 0]
            steps.attempts[at], steps.at_ms[at] = 1, now_ms
    return steps


def main() -> None:
    source, known = sys.argv[1:]
    checked = check.rows(read.rows(source), check.Rules())
    keys = checked[columns.KEY].to_numpy()[plan.open_rows(checked)].tolist()
    assert plan.totals(plan.compare(checked, noted(keys, known))).changes > 0


if __name__ == "__main__":
    main()
