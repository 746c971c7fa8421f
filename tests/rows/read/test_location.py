"""Which sheet of a workbook is read, and what is said if none can be."""

import pytest

from bulk_sync.errors import InputProblem
from bulk_sync.rows.check import Rules
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.rows.read.location import choose_sheet

ROWS = {1: ("PKey", "Opt out"), 2: ("@a", "yes")}
CHOICES, HIDDEN = FirstRows(ROWS, "R"), FirstRows(ROWS, "H", is_hidden=True)
EMPTY, HIDDEN_EMPTY = FirstRows({}, "E"), FirstRows({}, "X", is_hidden=True)


@pytest.mark.parametrize(
    ("sheets", "wanted", "place"),
    [
        ([EMPTY, HIDDEN, CHOICES], None, (2, 1)),
        ([HIDDEN, CHOICES], "H", (0, 1)),
        ([CHOICES, FirstRows({3: ROWS[1]}, "R")], "R", (0, 1)),
    ],
    ids=["the first visible one with rows", "a hidden one that is named", "one of two names"],
)
def test_the_sheet_that_is_read(
    sheets: list[FirstRows], wanted: str | None, place: tuple[int, int]
) -> None:
    assert choose_sheet(sheets, Wanted(wanted, rules=Rules()), "in.xlsx") == place


@pytest.mark.parametrize(
    ("sheets", "wanted", "says"),
    [
        ([CHOICES, EMPTY], "r", "in.xlsx has no sheet 'r'. Name one of these with --sheet: 'R',"),
        ([CHOICES, EMPTY], "E", "The sheet 'E' of in.xlsx is empty. Name another one with --sheet"),
        (
            [EMPTY, HIDDEN, HIDDEN_EMPTY], None,
            "The visible sheets of in.xlsx are empty; there is data on hidden ones: 'H'. Name the",
        ),
        ([EMPTY, HIDDEN_EMPTY], None, "The sheet 'E' of in.xlsx is empty, and so are all others."),
    ],
    ids=["no such sheet", "the one named is empty", "only hidden ones", "all are empty"],
)  # fmt: skip
def test_a_workbook_without_a_sheet_to_read_is_explained(
    sheets: list[FirstRows], wanted: str | None, says: str
) -> None:
    with pytest.raises(InputProblem) as refused:
        choose_sheet(sheets, Wanted(wanted, rules=Rules()), "in.xlsx")
    assert str(refused.value).startswith(says)
