"""What becomes of a cell that should hold a key."""

import pytest
from judging import raw

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import Rules


@pytest.mark.parametrize(
    "key", ["007", "NA", "null", "nan", "1e5", "TRUE", "None", "May", "a b", "ä/ö?#%+", "..", "-1"]
)
def test_a_key_is_text_to_the_letter(key: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.KEY].tolist() == [key]
    assert checked[columns.OUTCOME].isna().all()


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("  @a ", "@a"),
        ("\u00a0@a\u00a0", "@a"),
        ("\u2003@a\t", "@a"),
        ("'@a", "@a"),
        ("''a", "'a"),
        ('="@a"', "@a"),
        (' ="@a" ', "@a"),
        ('="a""b"', 'a"b'),
        ('="007"', "007"),
        ('="', '="'),
        ('"@a"', '"@a"'),
    ],
)
def test_what_spreadsheets_force_on_a_key_is_taken_off(cell: str, key: str) -> None:
    assert check.rows(raw([(cell, "true")]), Rules())[columns.KEY].tolist() == [key]


@pytest.mark.parametrize(
    ("key", "reason", "says"),
    [
        ("", "empty_key", "empty"),
        (" \u00a0", "empty_key", "empty"),
        ("'", "empty_key", "empty"),
        ('=""', "empty_key", "empty"),
        ("1.23457E+15", "bad_key", "long number"),
        ("1,23457E+15", "bad_key", "long number"),
        ("#NAME?", "bad_key", "error value"),
        ("#N/A", "bad_key", "error value"),
        ("#WERT!", "bad_key", "error value"),
        ("#¿NOMBRE?", "bad_key", "error value"),
        ("########", "bad_key", "too narrow"),
        ("12/05/2026", "bad_key", "date"),
        ("2026-05-12 00:00:00", "bad_key", "date"),
        ("12.05.2026", "bad_key", "date"),
        ("5-Dec", "bad_key", "date"),
        ("Dec-26", "bad_key", "date"),
        ("@a\nb", "bad_key", "line break"),
        ("@a\x07", "bad_key", "control"),
        ("@a\x9f", "bad_key", "control"),
    ],
)
def test_a_damaged_key_is_rejected_with_what_happened(key: str, reason: str, says: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.REASON].tolist() == [reason]
    assert says in str(checked[columns.DETAIL].iat[0])
