"""Writes a file of very many rows, and the states in Campaign: for ``vast.py``.

    write_vast.py ROWS INPUT.csv|INPUT.parquet STATE_DIR RUN_ID

A row takes 80 bytes: a random key, a state, a date and a channel. One in a thousand repeats a key
of the first rows, one in ten thousand with the other state; as many have no key, or an unreadable
state. Campaign has the same keys in another order, one in a hundred with the other state, stored
as a run stores the list.
"""

import base64
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.engines.whole_list import LISTED
from bulk_sync.runs.kept.checkpoint import Checkpoint, checkpoint_folder
from bulk_sync.runs.kept.large_input import LargeInput
from bulk_sync.storage import atomic

SLICE_ROWS = 1_000_000
GROUP_ROWS = 122_880
"""As DuckDB writes them; larger groups take it more memory."""
PAGES_ROWS = 250_000
"""Profiles in one part."""
REPEATED, CONFLICTS, BAD, FLIPPED = 1e-3, 1e-4, 1e-4, 1e-2
DATES = pa.array([f"2026-{month:02}-{day:02}" for month in (10, 11) for day in range(1, 31)])
CHANNELS = pa.array(["web form", "e-mail", "phone", "call center"])
_RANDOM_BYTES = 39
"""Of a key: 52 characters in base 64."""


class Profiles(NamedTuple):
    """Keys and their desired states."""

    keys: pa.StringArray
    forbid: npt.NDArray[np.bool_]


def profiles(number: int, rows: int) -> Profiles:
    """Build one slice of the profiles."""
    rng = np.random.default_rng([1, number])
    text = base64.urlsafe_b64encode(rng.bytes(_RANDOM_BYTES * rows))
    length = 1 + len(text) // rows
    letters = np.full((rows, length), ord("@"), np.uint8)
    letters[:, 1:] = np.frombuffer(text, np.uint8).reshape(rows, length - 1)
    offsets = np.arange(rows + 1, dtype=np.int32) * length
    keys = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(letters))
    return Profiles(keys, rng.random(rows) < 2 / 3)


def input_rows(number: int, rows: int, first: Profiles) -> pa.Table:
    """Build one slice of the input; its second half repeats keys of the first profiles."""
    rng, own = np.random.default_rng([2, number]), profiles(number, rows)
    index, later = np.arange(rows), np.arange(rows) >= rows // 2
    again = later & (rng.random(rows) < 2 * REPEATED)
    index[again] = rows + rng.integers(0, len(first.keys) // 2, again.sum())
    forbid = np.concatenate([own.forbid, first.forbid])[index]
    forbid ^= again & (rng.random(rows) < CONFLICTS / REPEATED)
    keys = pa.concat_arrays([own.keys, first.keys]).take(pa.array(index))
    states = pc.if_else(pa.array(forbid), "true", "false")
    return pa.table(
        {
            "PKey": pc.if_else(pa.array(rng.random(rows) < BAD), "", keys),
            "ccpaOptOut": pc.if_else(pa.array(rng.random(rows) < BAD), "perhaps", states),
            "requestDate": DATES.take(pa.array(rng.integers(0, len(DATES), rows))),
            "requestChannel": CHANNELS.take(pa.array(rng.integers(0, len(CHANNELS), rows))),
        }
    )


def known(number: int, rows: int) -> pa.Table:
    """Build one slice of the states in Campaign."""
    rng, own = np.random.default_rng([3, number]), profiles(number, rows)
    states, times = own.forbid ^ (rng.random(rows) < FLIPPED), np.full(rows, 1_793_500_000_000)
    table = pa.table({"key": own.keys, "state": states, "changed_ms": 0 * times, "at_ms": times})
    return table.cast(LISTED).take(pa.array(rng.permutation(rows)))


def write(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write tables into one file, one after the other."""
    table = next(tables)
    writer = (
        pq.ParquetWriter(path, table.schema)
        if path.suffix == ".parquet"
        else csv.CSVWriter(path, table.schema, write_options=csv.WriteOptions(quoting_style="none"))
    )
    with writer:
        for each in chain([table], tables):
            writer.write_table(each, GROUP_ROWS)


def main() -> None:
    rows, source, state_dir, run_id = int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    sizes = [min(SLICE_ROWS, rows - first) for first in range(0, rows, SLICE_ROWS)]
    first = profiles(0, sizes[0])
    write(source, (input_rows(number, size, first) for number, size in enumerate(sizes)))
    folder = checkpoint_folder(Path(state_dir), run_id)
    atomic.make_folder(folder)
    run = LargeInput(Checkpoint(folder), rows=0, wanted=0, parts=0, is_planned=False)
    for page, number in enumerate(np.random.default_rng(4).permutation(len(sizes)).tolist(), 1):
        listed = known(number, sizes[number])
        for start in range(0, len(listed), PAGES_ROWS):
            run.save(listed.slice(start, PAGES_ROWS), ScanPosition("profile", None, page, 0, []))


if __name__ == "__main__":
    main()
