"""Raw rows of made-up inputs, with properties of the whole input."""

import pandas as pd
from hypothesis import strategies as st

from bulk_sync.rows import columns
from bulk_sync.rows.check import BlankState, OnConflict, Rules
from bulk_sync.settings import DateOrder, EmailCase, Keys

MEMORY = 200_000_000
SIZES = [1, 7]

KEYS = st.sampled_from(
    [
        "@a",
        "@b",
        "@c",
        "@A",
        " @a",
        "'@a",
        '="@b"',
        "",
        "1,5E+12",
        "#REF!",
        "@d\u200b",
        "Total",
        "7",
    ]
)
ADDRESSES = st.sampled_from(
    ["a@example.com", "A@example.com", "a@EXAMPLE.com", "b@example.com", "<a@example.com>", "a", ""]
)
STATES = st.sampled_from(["yes", "no", "true", "FALSE", "", "yess", "maybe", "12", "ccpaOptOut"])
DATES = st.sampled_from(
    [
        "2026-11-02",
        "3/4/2026",
        "3/14/2026",
        "14/3/2026",
        "2026-11-02T10:00Z",
        "soon",
        "",
        "1/1/1899",
    ]
)
PLACES = st.sampled_from(["", "2", "3", "7", "seven"])


@st.composite
def raw_rows(draw: st.DrawFn) -> pd.DataFrame:
    """Draw the raw rows of an input, with one property of the whole input."""
    is_email = draw(st.booleans())
    own = {
        "email" if is_email else "PKey": ADDRESSES if is_email else KEYS,
        "ccpaOptOut": STATES,
        **draw(st.sampled_from([{}, {"Request date": DATES}])),
        **draw(st.sampled_from([{}, {"original_row": PLACES}])),
        **draw(st.sampled_from([{}, {"original_file": st.sampled_from(["x.csv", "y.csv"])}])),
    }
    count = draw(st.integers(1, 80))
    frame = pd.DataFrame(
        {name: pd.array(draw(cells(each, count)), dtype="str") for name, each in own.items()}
    )
    frame[columns.ROW] = range(2, count + 2)
    if draw(st.booleans()):
        cut = draw(st.integers(0, count))
        codes = [0] * cut + [1] * (count - cut)
        frame[columns.FILE] = pd.Categorical.from_codes(codes, pd.Index(["a.csv", "b.csv"]))
    return frame


def cells(each: st.SearchStrategy[str], count: int) -> st.SearchStrategy[list[str]]:
    return st.lists(each, min_size=count, max_size=count)


RULES = st.builds(
    Rules,
    blank_state=st.sampled_from(BlankState),
    on_conflict=st.sampled_from(OnConflict),
    ignore_dates=st.booleans(),
    date_order=st.sampled_from([None, *DateOrder]),
    keys=st.builds(Keys, email_case=st.sampled_from(EmailCase)),
)
