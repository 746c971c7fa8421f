"""Rows read from Parquet are the written ones, and keys are stored once."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_sync.rows import check, columns, parquet_rows
from bulk_sync.rows.check import Rules

Write = Callable[[pd.DataFrame], pa.Table]


def judged(keys: list[str]) -> pd.DataFrame:
    raw = pd.DataFrame({"PKey": pd.Series(keys, dtype="str")})
    raw["ccpaOptOut"] = pd.Series((["true", "no", "maybe"] * len(keys))[: len(keys)], dtype="str")
    raw[columns.ROW] = np.arange(2, len(keys) + 2)
    files = [f"{'ba'[at % 2]}.csv" for at in range(len(keys))]
    raw[columns.FILE] = pd.Categorical(files)
    return check.rows(raw, Rules())


def whole(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False)


WAYS = {"with all columns": whole, "without columns equal to the keys": parquet_rows.table}


def write_and_read(rows: pd.DataFrame, group_rows: int, write: Write = whole) -> pd.DataFrame:
    file = BytesIO()
    table = write(rows)
    pq.write_table(table, file, row_group_size=group_rows)
    return parquet_rows.frame(pq.ParquetFile(file))


KEYS = {
    "as in the input": ["@a", "@b", "@c", "@d", "@e"],
    "with blanks in the input": ["@a", " @b", "@c", "@d ", "@e"],
    "some empty": ["@a", "", "", "@a", "@a"],
}


@pytest.mark.parametrize("group_rows", [1, 2, 3, 1000])
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_rows_come_back_as_they_were(write: Write, keys: list[str], group_rows: int) -> None:
    rows = judged(keys)
    found = write_and_read(rows, group_rows, write)
    assert found[columns.FILE].tolist() == rows[columns.FILE].tolist()
    pd.testing.assert_frame_equal(
        found.drop(columns=columns.FILE), rows.drop(columns=columns.FILE), check_categorical=False
    )


def addresses(column: pd.Series) -> list[int]:
    """Return the memory addresses of the texts of a column."""
    return [chunk.buffers()[2].address for chunk in pa.chunked_array(column).chunks]


def test_keys_take_no_memory_beside_the_column_they_were_read_from() -> None:
    found = write_and_read(judged(["@a", "@b", "@c", " @d", "@e", "@f"]), 2)
    shared, apart = addresses(found["PKey"]), addresses(found[columns.KEY])
    assert [one == other for one, other in zip(shared, apart, strict=True)] == [True, False, True]


@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_a_frame_without_rows_is_read_back(write: Write) -> None:
    rows = judged(["@a"]).iloc[:0]
    pd.testing.assert_frame_equal(write_and_read(rows, 10, write), rows, check_categorical=False)


def test_columns_equal_to_the_keys_are_written_once_wherever_they_are() -> None:
    rows = judged(KEYS["as in the input"])
    rows.insert(0, "email", rows["PKey"])
    assert not {"email", "PKey"} & set(parquet_rows.table(rows).column_names)
    found = write_and_read(rows, 2, parquet_rows.table)
    assert list(found) == list(rows)
    assert found["email"].tolist() == found["PKey"].tolist() == KEYS["as in the input"]
