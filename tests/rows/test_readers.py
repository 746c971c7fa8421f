"""Every reader: any bytes are read or refused, and a valid file loses no row.

Readers with a process of their own run here in this process, where an example takes a thousandth of
the time. Examples that could abort or loop use the process.
"""

import bz2
import csv
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import office_files as office
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.parse import formats
from bulk_sync.rows.parse.sheets import Sheet

Table = list[list[str]]
Rows = list[tuple[int, list[str]]]
NAMES: Final = ["PKey", "ccpaOptOut", "note"]


def as_text(table: Table, separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([NAMES, *table])
    return text.getvalue().encode()


def as_xlsx(table: Table) -> bytes:
    rows = enumerate([NAMES, *table], 1)
    with tempfile.TemporaryDirectory() as folder:
        path = office.xlsx(
            Path(folder) / "f", {"S": "".join(office.row(at, *cells) for at, cells in rows)}
        )
        return path.read_bytes()


def as_ods(table: Table) -> bytes:
    rows = "".join(office.ods_row(*map(office.ods_text, cells)) for cells in [NAMES, *table])
    with tempfile.TemporaryDirectory() as folder:
        return office.ods(Path(folder) / "f", {"S": rows}).read_bytes()


def as_xls(table: Table) -> bytes:
    cells = b"".join(
        office.xls_text(at, column, cell)
        for at, row in enumerate([NAMES, *table])
        for column, cell in enumerate(row)
        if cell
    )
    with tempfile.TemporaryDirectory() as folder:
        return office.xls(Path(folder) / "f", {"S": cells}).read_bytes()


def as_parquet(table: Table) -> bytes:
    file = io.BytesIO()
    texts = list(zip(*table, strict=True)) or [(), (), ()]
    arrays = [pa.array(each, pa.string()) for each in texts]
    pq.write_table(pa.table(arrays, names=NAMES), file)
    return file.getvalue()


WRITE: Final[dict[str, Callable[[Table], bytes]]] = {
    ".csv": lambda table: as_text(table, ","),
    ".tsv": lambda table: as_text(table, "\t"),
    ".csv.gz": lambda table: gzip.compress(as_text(table, ",")),
    ".csv.bz2": lambda table: bz2.compress(as_text(table, ",")),
    ".csv.xz": lambda table: lzma.compress(as_text(table, ",")),
    ".csv.zst": lambda table: pa.compress(as_text(table, ","), "zstd", asbytes=True),
    ".xlsx": as_xlsx,
    ".xls": as_xls,
    ".ods": as_ods,
    ".parquet": as_parquet,
}


def test_every_format_is_tried() -> None:
    packed = {f".csv{suffix}" for suffix in formats.PACKED}
    assert {*WRITE, ".txt"} == {*formats.SUFFIXES} - {*formats.PACKED} | packed


def first_sheet(sheets: Sequence[Sheet]) -> tuple[int, int]:
    """Choose the first row of the first sheet with content."""
    at, rows = next((at, rows) for at, each in enumerate(sheets) if (rows := each.first_rows()))
    return at, rows[0][0]


def read_in_process(path: Path) -> Rows:
    """Read a file as ``read.rows`` does, but without another process."""
    kind = formats.find(path)
    if kind is None or not kind.parser:
        frame = read_whole(str(path))
        numbers = frame.pop(columns.ROW)
        return rows_of(pd.concat([numbers, frame], axis=1))
    parsed = import_module(f"bulk_sync.rows.parse.{kind.parser}").parse(path, first_sheet)
    width = 1 + len(NAMES)  # the last column holds the cells beside the table
    return rows_of(pa.Table.from_batches(parsed.batches).select(range(width)).to_pandas())


def rows_of(frame: pd.DataFrame) -> Rows:
    return [(int(number), list(cells)) for number, *cells in frame.itertuples(index=False)]


CELL = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x1F9FF, exclude_categories=["C", "Z"]),
    max_size=6,
)
TABLE = st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6).filter(
    lambda table: any(map(any, table))
)
EACH = pytest.mark.parametrize("suffix", WRITE)
QUICK = examples(16, suppress_health_check=[HealthCheck.function_scoped_fixture])


@EACH
@QUICK
@given(table=TABLE)
def test_a_valid_file_loses_no_row_and_changes_none(
    tmp_path: Path, suffix: str, table: Table
) -> None:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(WRITE[suffix](table))
    rows = [(at, cells) for at, cells in enumerate(table, 2) if any(cells)]
    if suffix == ".parquet":  # a row of empty texts is a row there
        rows = list(enumerate(table, 2))
    assert read_in_process(path) == rows


SAFE: Final = [suffix for suffix in WRITE if suffix not in {".xls", ".xlsx", ".ods", ".parquet"}]
SAMPLE: Final = [["@a", "true", "é"], ["@b", "", "x"], ["", "false", "y"]]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw the given bytes with a few changed, inserted or removed, or any other bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        put = draw(st.binary(max_size=8))
        content = content[:at] + put + content[at + draw(st.sampled_from([0, 1, 8, 4000])) :]
    return content


@pytest.mark.parametrize("suffix", SAFE)
@QUICK
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(data.draw(damaged(WRITE[suffix](SAMPLE))))
    with suppress(InputProblem):
        assert len(read_whole(str(path)))


@pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".ods", ".parquet"])
@examples(5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_of_a_file_that_another_process_parses_are_read_or_refused(
    tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(data.draw(damaged(WRITE[suffix](SAMPLE))))
    with suppress(InputProblem):
        assert len(read_whole(str(path)))
