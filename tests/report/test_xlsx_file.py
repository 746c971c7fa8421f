"""Workbooks, read back with calamine."""

import re
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from python_calamine import CalamineWorkbook
from report_frames import AT, FACTS, expected, nasty_results, report_columns, results, write

from bulk_sync.report import xlsx_file
from bulk_sync.report.facts import Source
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.results import UNREAD


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.xlsx"


def sheets(path: Path) -> list[list[list[Any]]]:
    with CalamineWorkbook.from_path(path) as book:
        return [
            [list(row) for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
            for name in book.sheet_names
        ]


def xml(path: Path, part: str = "xl/worksheets/sheet1.xml") -> str:
    with zipfile.ZipFile(path) as book:
        return book.read(part).decode()


def test_states_are_booleans_numbers_are_numbers_and_times_are_text(path: Path) -> None:
    frame = results(1, {"PKey": ["@a"]}, {columns.AFTER: [UNREAD]})
    write(frame, path)
    assert sheets(path)[0] == [
        report_columns(frame),
        ["@a", 2.0, "@key0", True, False, "", "updated", "", "", 1.0, AT],
    ]


@given(frame=nasty_results())
@settings(max_examples=60)
def test_every_value_is_read_back(path: Path, frame: pd.DataFrame) -> None:
    write(frame, path)
    [[header, *rows], _] = sheets(path)
    assert header == list(map(as_read, report_columns(frame)))
    assert rows == [[as_read(value) for value in row.values()] for row in expected(frame)]


def as_read(value: Any) -> Any:
    """Show what calamine makes of it, which does not undo the escapes of two non-characters."""
    if isinstance(value, str):
        return value.replace("\ufffe", "_xFFFE_").replace("\uffff", "_xFFFF_")
    return "" if value is None else value


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "007", "1e5", "http://example.com/", "TRUE"])
def test_text_that_looks_like_something_else_stays_text(path: Path, text: str) -> None:
    write(results(1, {"own": [text]}, {columns.KEY: [text]}), path)
    assert xml(path).count(f"<is><t>{text}</t></is>") == 2
    assert "<f>" not in xml(path)


def test_the_header_is_bold_and_frozen_with_a_filter_on_it(path: Path) -> None:
    write(results(2), path)
    sheet = xml(path)
    assert 'ySplit="1"' in sheet
    assert 'state="frozen"' in sheet
    assert '<autoFilter ref="A1:J3"/>' in sheet
    assert '<c r="A1" s="1"' in sheet
    assert "<b/>" in xml(path, "xl/styles.xml")


def test_columns_are_as_wide_as_their_content_within_bounds(path: Path) -> None:
    own = {"a": ["x"], "b": ["x" * 30], "c": ["x" * 500], "a name of some length": [""]}
    write(results(1, own), path)
    widths = [float(width) for width in re.findall(r'<col [^>]*?width="([\d.]+)"', xml(path))]
    assert widths[:4] == pytest.approx([8, 32, 60, 23], abs=1)


def test_rows_that_do_not_fit_a_sheet_go_on_in_the_next(path: Path) -> None:
    frame = results(7)
    with path.open("wb") as file:
        xlsx_file.write(Results.of(frame), file, FACTS, sheet_rows=3)
    *parts, _ = sheets(path)
    assert [part[0] for part in parts] == [report_columns(frame)] * 3
    assert [[row[0] for row in part[1:]] for part in parts] == [[2, 3, 4], [5, 6, 7], [8]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 32_767, "x" * 32_767, id="full"),
        pytest.param("x" * 32_768, "x" * 32_766 + "…", id="one-too-many"),
        pytest.param("😀" * 16_384, "😀" * 16_383 + "…", id="two-units-a-character"),
        pytest.param("x" + "😀" * 16_383, "x" + "😀" * 16_383, id="full-of-two-units"),
    ],
)
def test_text_beyond_what_a_cell_holds_ends_in_an_ellipsis(
    path: Path, text: str, shown: str
) -> None:
    write(results(1, {"own": [text]}), path)
    [[_, row], _] = sheets(path)
    assert row[0] == shown


def test_more_columns_than_a_sheet_holds_are_refused_and_not_dropped() -> None:
    wide = pa.schema([(f"c{number}", pa.string()) for number in range(16_385)])
    with pytest.raises(OSError, match="holds 16384 columns, and there are 16385"):
        xlsx_file.write(Results(wide, 0, list), BytesIO(), FACTS)


def test_text_that_looks_like_markup_of_the_writer_is_shown_as_it_is(path: Path) -> None:
    text = "<r><t>other</t></r>"
    write(results(1, {text: [text]}), path)
    [[header, row], _] = sheets(path)
    assert (header[0], row[0]) == (text, text)


def test_the_last_sheet_holds_the_facts_of_the_run(path: Path) -> None:
    write(results(2), path, replace(FACTS, source=Source(input="=1+1")))
    _, about = sheets(path)
    assert [row[:2] for row in about] == [
        ["bulk-sync", "Result of opt-out changes"],
        ["Date", "2026-11-24 03:17 UTC"],
        ["Run", "20261124T031750Z-7f3a9c"],
        ["Input", "=1+1"],
    ]
    assert "<f>" not in xml(path, "xl/worksheets/sheet2.xml")
