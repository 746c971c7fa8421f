"""The text of a number in a workbook, by its format."""

import math

import pytest

from bulk_sync.rows.parse.cell_text import UnusableNumber, number_text

DATE, TIME = "yyyy-mm-dd", "h:mm:ss"


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (7, "", "7"),
        (-7.0, "", "-7"),
        (0.1, "", "0.1"),
        (1e-07, "", "0.0000001"),
        (999_999_999_999_999, "", "999999999999999"),
        (1e15, "", "1.00000E+15"),
        (-1.23456789e20, "", "-1.23457E+20"),
        (7, "000", "007"),
        (7.5, "000", "7.5"),
        (45_000, DATE, "2023-03-15"),
        (45_000.25, DATE, "2023-03-15 06:00:00"),
        (45_000.0000001, DATE, "2023-03-15 00:00:00.009000"),
        (1, DATE, "1900-01-01"),
        (59, DATE, "1900-02-28"),
        (60, DATE, "1900-02-28"),
        (61, DATE, "1900-03-01"),
        (0.5, TIME, "12:00:00"),
        (0, TIME, "00:00:00"),
        (1.5, "[h]:mm", "1 day, 12:00:00"),
        (0.25, "[mm]:ss", "6:00:00"),
        (5_551_234_567, DATE, "5551234567"),
    ],
)
def test_a_number_is_the_text_that_a_spreadsheet_shows_in_full(
    value: float, code: str, text: str
) -> None:
    assert number_text(value, code, 2) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "12:00:00"), (1, "1904-01-02"), (60, "1904-03-01")]
)
def test_a_workbook_may_count_its_days_from_1904(value: float, text: str) -> None:
    assert number_text(value, DATE, 2, is_1904=True) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_with_its_row(value: float) -> None:
    with pytest.raises(UnusableNumber, match=f"Row 7 holds {value}, which is no number") as refused:
        number_text(value, DATE, 7)
    assert refused.value.row == 7
