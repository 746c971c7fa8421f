"""The sample files: the output of ``make.py``, and their documented contents."""

import csv
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample_data")
    subprocess.run([sys.executable, SAMPLE_DATA / "make.py", folder], check=True, timeout=60)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def cells(path: Path) -> list[list[object]]:
    with CalamineWorkbook.from_path(path) as book:
        return [list(row) for row in book.get_sheet_by_index(0).to_python()]


def as_text(row: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in row)


def checked_rows() -> pd.DataFrame:
    raw = pd.DataFrame(table(SAMPLE_DATA / "messy.csv"), dtype="str")
    raw[columns.ROW] = range(2, len(raw) + 2)
    return check.rows(raw, check.Rules())


def states() -> dict[str, str]:
    return {row["PKey"]: row["ccpaOptOut"] for row in table(SAMPLE_DATA / "profiles.csv")}


def test_every_sample_file_is_made_by_the_script(made: Path) -> None:
    data = {".csv", ".parquet", ".xlsx"}
    kept = {path.name for path in SAMPLE_DATA.iterdir() if path.suffix in data}
    assert kept == {path.name for path in made.iterdir()}


@pytest.mark.parametrize("name", ["profiles.csv", "clean.csv", "messy.csv"])
def test_text_files_are_made_the_same_byte_for_byte(made: Path, name: str) -> None:
    assert (made / name).read_bytes() == (SAMPLE_DATA / name).read_bytes()


@pytest.mark.parametrize("name", ["clean.parquet", "messy.parquet"])
def test_parquet_files_are_made_with_the_same_content(made: Path, name: str) -> None:
    assert pq.read_table(made / name).equals(pq.read_table(SAMPLE_DATA / name))


@pytest.mark.parametrize("name", ["clean.xlsx", "messy.xlsx"])
def test_workbooks_are_made_with_the_same_content(made: Path, name: str) -> None:
    assert cells(made / name) == cells(SAMPLE_DATA / name)


def test_profiles_look_like_those_of_campaign_and_are_made_up() -> None:
    profiles = table(SAMPLE_DATA / "profiles.csv")
    assert len({profile["PKey"] for profile in profiles}) == 1_000
    for profile in profiles:
        assert len(profile["PKey"]) == 92
        assert profile["PKey"].startswith("@")
        assert profile["email"].endswith(("@example.com", "@example.org", "@example.net"))
    count = Counter(profile["ccpaOptOut"] for profile in profiles)
    assert 250 < count["true"] < 350
    assert 2 <= count[""] <= 20


def test_the_clean_file_has_30_changes_and_two_of_them_are_opt_ins() -> None:
    current = states()
    changes: Counter[tuple[str, str]] = Counter()
    rows = table(SAMPLE_DATA / "clean.csv")
    for row in rows:
        if row["ccpaOptOut"] != current[row["PKey"]]:
            changes[current[row["PKey"]], row["ccpaOptOut"]] += 1
    assert len({row["PKey"] for row in rows}) == 200
    assert changes == {("false", "true"): 28, ("true", "false"): 2}


def test_the_clean_file_is_the_same_in_every_format() -> None:
    rows = [tuple(row.values()) for row in table(SAMPLE_DATA / "clean.csv")]
    parquet = pq.read_table(SAMPLE_DATA / "clean.parquet").to_pylist()
    workbook = cells(SAMPLE_DATA / "clean.xlsx")[1:]
    assert [as_text(row.values()) for row in parquet] == rows
    assert [as_text(row) for row in workbook] == rows


def test_the_messy_file_has_every_kind_of_bad_row() -> None:
    checked = checked_rows()
    assert set(checked[columns.REASON].dropna()) == {
        Reason.BAD_STATE,
        Reason.BLANK_STATE,
        Reason.EMPTY_KEY,
        Reason.BAD_KEY,
        Reason.CONFLICT,
    }
    outcomes = checked[columns.OUTCOME].value_counts()
    assert outcomes[Outcome.DUPLICATE] == 2
    assert outcomes[Outcome.REJECTED] == 12


def test_the_messy_file_has_changes_and_unknown_profiles() -> None:
    checked = checked_rows()
    rows = checked[checked[columns.OUTCOME].isna()]
    current = states()
    found = Counter(
        (current.get(key, "no such profile"), bool(desired))
        for key, desired in zip(rows[columns.KEY], rows[columns.DESIRED], strict=True)
    )
    assert found["true", False] == 1
    assert found["false", True] >= 15
    assert found["false", False] >= 5
    assert found["true", True] >= 3
    assert found["", True] == found["", False] == 1
    assert found["no such profile", True] + found["no such profile", False] == 5


def test_the_messy_csv_has_a_byte_order_mark_crlf_and_a_line_break_in_a_cell() -> None:
    content = (SAMPLE_DATA / "messy.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.endswith(b"\r\n")
    assert content.count(b"\n") == content.count(b"\r\n") + 1


def test_the_messy_parquet_file_has_text_and_nulls_for_empty_cells() -> None:
    rows = pq.read_table(SAMPLE_DATA / "messy.parquet")
    assert set(rows.schema.types) == {pa.string()}
    assert rows["PKey"].null_count == rows["ccpaOptOut"].null_count == 1
    as_csv = [
        {name: cell or None for name, cell in row.items()}
        for row in table(SAMPLE_DATA / "messy.csv")
    ]
    assert rows.to_pylist() == as_csv


def test_the_messy_workbook_has_booleans_numbers_a_date_an_error_and_text() -> None:
    kinds = {type(cell) for row in cells(SAMPLE_DATA / "messy.xlsx") for cell in row}
    assert kinds == {str, bool, float, date}
    with zipfile.ZipFile(SAMPLE_DATA / "messy.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    assert sheet.count(b't="e"') == 1
