"""Parquet reports, read back with pyarrow and with pandas."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from report_frames import expected, nasty_results, report_columns, results, write

from bulk_sync.rows import columns


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.parquet"


def test_columns_have_plain_types(path: Path) -> None:
    write(results(1, {"PKey": ["@a"]}, {columns.FILE: ["a.csv"]}), path)
    schema = pq.read_schema(path)
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "PKey": pa.string(),
        columns.ROW: pa.int64(),
        columns.FILE: pa.string(),
        columns.KEY: pa.string(),
        columns.DESIRED: pa.bool_(),
        columns.BEFORE: pa.bool_(),
        columns.AFTER: pa.bool_(),
        columns.OUTCOME: pa.string(),
        columns.REASON: pa.string(),
        columns.DETAIL: pa.string(),
        columns.ATTEMPTS: pa.int64(),
        columns.AT: pa.timestamp("ms", "UTC"),
    }
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


@given(frame=nasty_results())
@examples(25)
def test_every_value_is_read_back_and_missing_is_null(path: Path, frame: pd.DataFrame) -> None:
    write(frame, path)
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        stamp = row[columns.AT]
        row[columns.AT] = stamp and f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03}Z"
    assert rows == expected(frame)


def test_pandas_reads_it_into_the_same_columns(path: Path) -> None:
    frame = results(2, {"PKey": ["007", "NA"]})
    write(frame, path)
    read = pd.read_parquet(path)
    assert list(read.columns) == report_columns(frame)
    assert read["PKey"].tolist() == ["007", "NA"]
    assert read[columns.AT].tolist() == frame[columns.AT].tolist()
