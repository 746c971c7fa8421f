"""Dates in a part of a column are read as in the whole column."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from date_cells import read_dates, requests_of
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.rows import certain_dates
from bulk_sync.rows.certain_dates import Dates
from bulk_sync.rows.request_order import UNDATED
from bulk_sync.settings import DateOrder

TODAY = date(2026, 11, 29)
DAYS = st.dates(date(1999, 12, 1), date(2027, 2, 1))
FORMS = ("%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%Y", "%d.%m.%Y",
         "%d %b %Y", "%Y/%m/%d")  # fmt: skip
CLOCKS = st.sampled_from(["", "", "", " 14:05", " 2:05 PM", "T02:03:04Z", " at noon"])
DATES = st.builds(lambda day, form: day.strftime(form), DAYS, st.sampled_from(FORMS))
CELLS = st.one_of(
    st.builds(str.__add__, DATES, CLOCKS),
    st.sampled_from(["", "soon", " 3/4/2026 ", "2026-03-04 or 2026-04-03", "13/13/2026"]),
)
NAMES = st.sampled_from(["Received", "Received (MM/DD/YYYY)", "Received (dd/mm/yy)"])


def certain_part_of(
    name: str, cells: list[str], chosen: list[int], stated: DateOrder | None = None
) -> pd.DataFrame:
    """Return some rows with certain dates, by the order of the whole column."""
    column = pd.Series(cells, dtype="str", name=name)
    dates = Dates(name, *read_dates(column, TODAY, stated)[1].order)
    return certain_dates.rewritten(column.to_frame().iloc[chosen], dates, TODAY)


@given(
    name=NAMES,
    cells=st.lists(CELLS, min_size=1, max_size=8),
    data=st.data(),
    stated=st.sampled_from([None, *DateOrder]),
)
@examples(40)
def test_a_part_is_read_as_in_the_whole(
    name: str, cells: list[str], data: st.DataObject, stated: DateOrder | None
) -> None:
    places = st.sampled_from(range(len(cells)))
    chosen = sorted(data.draw(st.lists(places, min_size=1, unique=True)))
    column = pd.Series(cells, dtype="str", name=name)
    whole = requests_of(column, TODAY, stated)
    part = certain_part_of(name, cells, chosen, stated)[name]
    again = requests_of(part.reset_index(drop=True), TODAY)
    # The name alone may settle a short year left open by the other cells.
    is_fixed = (name == "Received") | (whole.earliest[chosen] != UNDATED)
    for each in ("earliest", "latest", "day", "is_doubtful"):
        expected, found = getattr(whole, each)[chosen], getattr(again, each)
        np.testing.assert_array_equal(found[is_fixed], expected[is_fixed], str(part.tolist()))


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["3/4/2026", "3/14/2026"], "2026/03/04"),
        (["3/4/2026 2:05 PM", "14/3/2026"], "2026/04/03 2:05 PM"),
        (["2026-04-03", "3/14/2026"], "2026-03-04 or 2026-04-03"),
        (["3/4/2026", "5/5/2026"], "2026-03-04 or 2026-04-03"),
        (["2026-04-03", "2026-04-14"], "2026-04-03"),
        (["2026-11-12", "3/14/2026"], "2026-11-12"),  # not December 11, a day in the future
        (["3-Apr-26", "3/14/2026"], "3-Apr-26"),
        (["soon", "3/14/2026"], "soon"),
    ],
    ids=" beside ".join,
)
def test_only_dates_that_need_the_other_rows_are_rewritten(cells: list[str], written: str) -> None:
    assert certain_part_of("Received", cells, [0])["Received"].tolist() == [written]
