"""Parquet: columns of every type as text, and files that are damaged."""

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, read
from bulk_sync.rows.check import Rules
from bulk_sync.rows.parse import parquet

NIGHT = dt.datetime.fromisoformat("2026-11-24T03:00:00")
IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")


def parse_here(path: Path) -> list[pa.RecordBatch]:
    """Parse a file in this process: in another one it would take ten times as long."""
    return list(parquet.parse(path).batches)


def save(folder: Path, **named: Any) -> Path:
    path = folder / "states.parquet"
    pq.write_table(pa.table(named), path)
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(pa.array(["007", "NA", "", None, " é\n"]), ["007", "NA", "", "", " é\n"],
                     id="text"),
        pytest.param(pa.array(["a"], pa.large_string()), ["a"], id="large text"),
        pytest.param(pa.array(["a", "b", None, "a"]).dictionary_encode(), ["a", "b", "", "a"],
                     id="dictionary"),
        pytest.param(pa.array([1, None, -(2**63)]), ["1", "", "-9223372036854775808"], id="int"),
        pytest.param(pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"], id="uint64"),
        pytest.param(pa.array([True, False, None]), ["true", "false", ""], id="bool"),
        pytest.param(pa.array([7.0, 0.5, None, float("nan"), -0.0, 2.0**53 - 1]),
                     ["7", "0.5", "", "", "0", "9007199254740991"], id="float"),
        pytest.param(pa.array([1234567890123456789.0, -(2.0**53)]),
                     ["1.23457E+18", "-9.00720E+15"], id="a float that has lost digits"),
        pytest.param(pa.array([float("inf"), float("-inf")]), ["inf", "-inf"], id="infinite"),
        pytest.param(pa.array([0.1, 3.0], pa.float32()), ["0.1", "3"], id="float32"),
        pytest.param(pa.array([0.5, 3.0], pa.float16()), ["0.5", "3"], id="float16"),
        pytest.param(pa.array([decimal.Decimal("12.50"), decimal.Decimal("7.00"), None]),
                     ["12.50", "7", ""], id="decimal"),
        pytest.param(pa.array([decimal.Decimal(0), decimal.Decimal("1E-9"), None],
                              pa.decimal128(38, 10)), ["0", "0.0000000010", ""],
                     id="decimal with many places"),
        pytest.param(pa.array([dt.date(2026, 11, 24), None]), ["2026-11-24", ""], id="date"),
        pytest.param(pa.array([NIGHT, NIGHT.replace(microsecond=500_000)], pa.timestamp("us")),
                     ["2026-11-24 03:00:00", "2026-11-24 03:00:00.500000"], id="timestamp"),
        pytest.param(pa.array([NIGHT], pa.timestamp("ns", "UTC")), ["2026-11-24 03:00:00Z"],
                     id="timestamp with zone"),
        pytest.param(pa.array([dt.time(3, 4)]), ["03:04:00"], id="time"),
        pytest.param(pa.array([dt.timedelta(hours=3)]), ["3:00:00"], id="duration"),
        pytest.param(pa.array(["é".encode(), None]), ["é", ""], id="binary that is text"),
        pytest.param(pa.array([b"ab"], pa.binary(2)), ["ab"], id="binary of fixed size"),
        pytest.param(pa.nulls(2), ["", ""], id="nothing"),
        pytest.param(pa.array([[1, None], None]), ["[1,null]", ""], id="list"),
        pytest.param(pa.array([{"day": NIGHT.date()}]), ['{"day":"2026-11-24"}'], id="struct"),
        pytest.param(pa.array([IDENTITY.bytes], pa.uuid()), [str(IDENTITY)], id="uuid"),
    ],
)  # fmt: skip
def test_a_column_of_any_type_becomes_text(
    tmp_path: Path, values: pa.Array, expected: list[str]
) -> None:
    (batch,) = parse_here(save(tmp_path, PKey=values))
    assert batch.column(1).to_pylist() == expected
    assert batch.schema.types == [pa.int64(), pa.large_string()]
    assert batch.column(0).to_pylist() == list(range(2, len(expected) + 2))


@examples(25)
@given(st.lists(st.none() | st.floats(), min_size=1))
def test_no_float_gets_digits_beyond_its_precision(numbers: list[float | None]) -> None:
    texts = parquet._as_text(pa.chunked_array([pa.array(numbers, pa.float64())])).to_pylist()
    for number, text in zip(numbers, texts, strict=True):
        if number is None or number != number:
            assert text in (None, "")
        elif text.lstrip("-").isdigit():
            assert int(text) == number
            assert abs(number) < 2**53
        elif abs(number) < 2**53:
            assert float(text) == number


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param(None, ["PKey"], id="unnamed"),
        pytest.param("store", ["PKey", "store"], id="named"),
    ],
)
def test_only_a_named_pandas_index_is_a_column(
    tmp_path: Path, index: str | None, expected: list[str]
) -> None:
    frame = pd.DataFrame({"PKey": ["@a", "@b"]}, index=pd.Index([5, 9], name=index))
    frame.to_parquet(tmp_path / "states.parquet")
    assert list(read_whole(str(tmp_path / "states.parquet"))) == [*expected, columns.ROW]


def test_a_folder_called_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "day=2026-11-24"
    folder.mkdir()
    frame = read_whole(str(save(folder, PKey=["@a"])))
    assert list(frame) == ["PKey", columns.ROW]


def test_bytes_that_are_no_text_are_refused_by_column(tmp_path: Path) -> None:
    path = save(tmp_path, PKey=["@a"], photo=[b"\xff\xd8"])
    with pytest.raises(InputProblem, match=r"Column 'photo' of .* is of type binary"):
        read_whole(str(path))


def write_invalid_utf8(folder: Path, **named: Any) -> Path:
    """Write texts, and damage them: the bytes of ¿é? become invalid UTF-8."""
    path = folder / "states.parquet"
    pq.write_table(pa.table(named), path, compression="none", write_statistics=False)
    path.write_bytes(path.read_bytes().replace("¿é?".encode(), b"\xff" * 5))
    return path


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(["a", "¿é?"], id="text"),
        pytest.param(pa.array(["a", "¿é?"]).dictionary_encode(), id="dictionary"),
        pytest.param([["a"], ["b", "¿é?"]], id="list"),
        pytest.param([{"k": "a"}, {"k": "¿é?"}], id="struct"),
        pytest.param(pa.array([[("k", "a")], [("¿é?", "b")]], pa.map_(pa.string(), pa.string())),
                     id="map"),
        pytest.param(pa.array([b"a", "¿é?".encode()], pa.binary()), id="binary"),
    ],
)  # fmt: skip
def test_text_that_is_not_utf8_is_refused_whatever_column_it_is_in(
    tmp_path: Path, values: Any
) -> None:
    path = write_invalid_utf8(tmp_path, PKey=["@a", "@b"], note=values)
    with pytest.raises(InputProblem, match=r"Column 'note' of .* cannot be read as text, in row"):
        parse_here(path)


def test_the_row_of_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    keys = [f"@{at}" for at in range(20_000)]
    path = write_invalid_utf8(tmp_path, PKey=keys, note=["x"] * 19_999 + ["¿é?"])
    with pytest.raises(InputProblem, match=r"Column 'note' .* in row 20001 "):
        parse_here(path)


def test_a_column_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "states.parquet"
    pq.write_table(pa.table({"PKey": ["@a"], "x¿é?x": ["b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace("¿é?".encode(), b"\xff" * 5))
    with pytest.raises(InputProblem, match=r"column whose name is not UTF-8"):
        parse_here(path)


def test_a_nul_character_is_refused_by_its_row(tmp_path: Path) -> None:
    path = save(tmp_path, PKey=["@a", "@b"], note=["", "x\0y"])
    with pytest.raises(InputProblem, match=r"Column 'note' .* NUL character in row 3"):
        parse_here(path)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(pa.array([2**62], pa.duration("s")), id="a duration"),
        pytest.param(pa.array([[2**62]], pa.list_(pa.duration("s"))), id="a duration in a list"),
        pytest.param(pa.array([[2**60]], pa.list_(pa.timestamp("us"))), id="a time in a list"),
        pytest.param(pa.array([{"t": -(2**62)}], pa.struct([("t", pa.timestamp("us"))])),
                     id="a time in a struct"),
        pytest.param(pa.array([[2**31 - 1]], pa.list_(pa.date32())), id="a date in a list"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_its_column(tmp_path: Path, values: pa.Array) -> None:
    path = save(tmp_path, PKey=["@a"], odd=values)
    with pytest.raises(InputProblem, match=r"Column 'odd' of .* cannot be read as text"):
        parse_here(path)


def test_old_timestamps_out_of_the_range_of_nanoseconds_are_read(tmp_path: Path) -> None:
    days = [dt.datetime(1, 1, 1), dt.datetime(2026, 11, 1), dt.datetime(9999, 12, 31)]  # noqa: DTZ001
    path = tmp_path / "states.parquet"
    table = pa.table({"PKey": ["@a", "@b", "@c"], "day": pa.array(days, pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    found = read_whole(str(path))["day"].tolist()
    assert found == ["0001-01-01 00:00:00", "2026-11-01 00:00:00", "9999-12-31 00:00:00"]


def test_text_that_expands_enormously_is_refused(tmp_path: Path) -> None:
    keys = pa.array(["x" * 1_000_000]).dictionary_encode()
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 400_000, pa.int32()), keys.dictionary)
    path = save(tmp_path, PKey=many)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputProblem, match="takes more memory or time"):
        read_whole(str(path))


@pytest.mark.usefixtures("started_processes")
def test_a_cell_of_hundreds_of_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "states.parquet"
    table = pa.table({"PKey": ["x" * 200_000_000]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    with pytest.raises(InputProblem, match="takes more memory or time"):
        read_whole(str(path))


def test_two_columns_of_keys_with_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "states.parquet"
    pq.write_table(pa.table([["1"], ["2"]], names=["PKey", "PKey"]), path)
    with pytest.raises(InputProblem, match="More than one column could hold the keys"):
        read_whole(str(path), read.Wanted(rules=Rules(state=True)))


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputProblem, match="no data rows"):
        read_whole(str(save(tmp_path, PKey=pa.array([], pa.string()))))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"PKey,ccpaOptOut\n@a,true\n", "it is text", id="text"),
        pytest.param(b"PK\x03\x04rest", "ZIP archive", id="a workbook"),
        pytest.param(b"\x00\x01\x02", "unknown kind", id="bytes"),
        pytest.param(b"PAR1\x15\x04", "cut off or damaged", id="only the beginning"),
    ],
)
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "states.parquet"
    path.write_bytes(content)
    with pytest.raises(InputProblem, match=says):
        read_whole(str(path))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = save(tmp_path, PKey=[f"@{at}" for at in range(5000)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputProblem, match=r"states\.parquet is .* cut off or damaged"):
        read_whole(str(path))


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, PKey=[f"@{at}" for at in range(5000)])
    whole = bytearray(path.read_bytes())
    whole[4:2000] = b"\xff" * 1996
    path.write_bytes(whole)
    with pytest.raises(InputProblem, match="cut off or damaged"):
        read_whole(str(path))
