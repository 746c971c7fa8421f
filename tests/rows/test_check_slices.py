"""Inputs checked slice by slice, beside the same inputs checked whole."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns
from bulk_sync.rows.check import BlankState, OnConflict, Rules, slices
from bulk_sync.rows.check.footer import LEAST_ROWS
from bulk_sync.rows.on_disk import Store
from bulk_sync.settings import DateOrder, EmailCase, Keys

MEMORY = 200_000_000
SIZES = [1, 7, 1000]

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
    """Draw the raw rows of an input, with one of the things that need all of them."""
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


def cut(raw: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Yield rows in slices, none of two files, and the end of each file in one."""
    files = [raw] if columns.FILE not in raw else [
        part for _, part in raw.groupby(columns.FILE, observed=True)
    ]  # fmt: skip
    for part in files:
        start = 0
        while len(part) - start > size + LEAST_ROWS:
            yield part.iloc[start : start + size].reset_index(drop=True)
            start += size
        yield part.iloc[start:].reset_index(drop=True)


def checked(raw: pd.DataFrame, rules: Rules, size: int | None) -> check.Checked | str:
    """Return checked rows with what is said of them, or the error."""
    try:
        if size is None:
            return check.check(raw, rules)
        with TemporaryDirectory() as folder:
            found = slices.check(cut(raw, size), rules, Store(Path(folder), MEMORY))
            rows, again = found.rows.joined(), found.rows.joined()
            pd.testing.assert_frame_equal(rows, again)
            return check.Checked(rows, *found[1:])
    except InputProblem as problem:
        return str(problem)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged since the last call."""
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


@pytest.mark.parametrize("size", SIZES)
@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(raw=raw_rows(), rules=RULES)
def test_slices_have_the_verdicts_of_the_whole(
    raw: pd.DataFrame, rules: Rules, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    warnings_of(caplog)
    whole = checked(raw.copy(), rules, None)
    said = warnings_of(caplog)
    sliced = checked(raw.copy(), rules, size)
    if isinstance(whole, str) or isinstance(sliced, str):
        assert whole == sliced
        return
    assert warnings_of(caplog) == said
    pd.testing.assert_frame_equal(whole.rows, sliced.rows)
    assert whole[1:] == sliced[1:]


def test_too_many_unknown_words_shorten_the_sentences_of_earlier_slices_too() -> None:
    words = ["yess", *(f"word {number}" for number in range(1001)), "nope"]
    raw = pd.DataFrame(
        {
            "PKey": pd.array([f"@{number}" for number in range(len(words))], dtype="str"),
            "ccpaOptOut": pd.array(words, dtype="str"),
            columns.ROW: range(2, len(words) + 2),
        }
    )
    whole, sliced = checked(raw, Rules(), None), checked(raw, Rules(), 100)
    assert not isinstance(whole, str)
    assert not isinstance(sliced, str)
    assert "write yes" not in whole.rows[columns.DETAIL][0]
    pd.testing.assert_frame_equal(whole.rows, sliced.rows)
