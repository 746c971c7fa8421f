"""What is said of an input's layout: its headers, its columns, and its request dates."""

import pytest

from bulk_sync.rows.certain_dates import Dates
from bulk_sync.rows.check import Found, Rules
from bulk_sync.rows.date_texts import Order
from bulk_sync.rows.layout import Layout, TablePlace
from bulk_sync.settings import KeyKind, Keys

FOUND = Found(Keys(), "PKey", "Opt out")
DATED = Found(Keys(), "PKey", "Opt out", ("Received",))
HERE, THERE = TablePlace("a.csv", header_row=1), TablePlace("b.csv", header_row=4)
SHEET, PARQUET = TablePlace("c.xlsx", "R", 2), TablePlace("d.parquet")
SEVERAL = "Headers in row 1 of a.csv, row 4 of b.csv, row 2 of sheet 'R' of c.xlsx, ..."
COLUMNS = "keys: 'PKey'; states: 'Opt out', yes forbids the sale"


@pytest.mark.parametrize(
    ("places", "found", "rules", "says"),
    [
        ([HERE], FOUND, Rules(), f"Header in row 1; {COLUMNS}"),
        ([SHEET], FOUND, Rules(), f"Header in row 2 of sheet 'R'; {COLUMNS}"),
        ([HERE] * 2, FOUND, Rules(), f"Header in row 1, in each of 2 files; {COLUMNS}"),
        (
            [HERE, THERE, SHEET, HERE], FOUND, Rules(),
            f"{SEVERAL}; {COLUMNS}",
        ),
        ([PARQUET], FOUND, Rules(), f"K{COLUMNS[1:]}"),
        ([PARQUET, HERE], FOUND, Rules(), f"Header in row 1; {COLUMNS}"),
        (
            [], Found(Keys(KeyKind.CUSTOM), "Id"), Rules(state=True),
            "Keys: 'Id' (custom keys); every row forbids the sale",
        ),
        ([], Found(Keys(), "Id"), Rules(state=False), "Keys: 'Id'; every row allows the sale"),
        ([], Found(Keys(), "Id"), Rules(needs_state=False), "Keys: 'Id'"),
        (
            [], Found(Keys(KeyKind.FILTER), "Id", unused=("Date", "Datum")), Rules(),
            "Keys: 'Id' (values for a filter); no request dates: 'Date', 'Datum' not used",
        ),
        ([], DATED, Rules(), f"K{COLUMNS[1:]}; request dates: 'Received', read as day/month"),
    ],
    ids=[
        "a text", "a workbook", "alike", "several places", "no header", "one with a header",
        "custom keys", "allowed", "no states", "unused dates", "dates",
    ],
)  # fmt: skip
def test_the_layout_is_one_sentence(
    places: list[TablePlace], found: Found, rules: Rules, says: str
) -> None:
    assert str(Layout(places, found, rules, "read as day/month")) == says


def test_the_place_of_the_only_file_and_its_dates_are_facts() -> None:
    one = Layout([SHEET], DATED, Rules(), "", Order("day/month/year", doubts_stored=True))
    assert (one.sheet, one.header_row) == ("R", 2)
    assert one.dates == Dates("Received", "day/month/year", doubts_stored=True)
    assert one.facts == {"read_as": str(one), "dates": ["Received", "day/month/year", True]}
    several = Layout([SHEET, SHEET], FOUND, Rules())
    assert (several.sheet, several.header_row, several.dates) == (None, None, None)
    assert several.facts == {"read_as": str(several), "dates": None}
