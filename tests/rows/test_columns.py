"""Taking rows of a frame, compared with pandas' own way."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from bulk_sync.rows import columns
from bulk_sync.rows.results import UNREAD


@pytest.fixture
def frame() -> pd.DataFrame:
    """Return three rows: each dtype once, texts in chunks, and an index other than 0..n-1."""
    texts = pa.chunked_array([["@a", "ä"], [], [""]], pa.large_string())
    return pd.DataFrame(
        {
            "PKey": pd.array(texts, dtype="str"),
            columns.ROW: np.array([2, 3, 4]),
            columns.FILE: pd.Categorical(["b.csv", "a.csv", "b.csv"]),
            columns.DESIRED: columns.states(np.array([1, UNREAD, 0], np.int8)),
            columns.OUTCOME: columns.outcomes(np.array([columns.NONE, 0, 1], np.int8)),
            columns.AT: columns.times(np.array([0, 1, 2])),
        }
    ).set_axis([7, 5, 9], axis="index")


@pytest.mark.parametrize(
    "chosen", [[True, False, True], [False, True, False], [True] * 3, [False] * 3]
)
def test_rows_are_taken_as_pandas_takes_them(frame: pd.DataFrame, chosen: list[bool]) -> None:
    mask = np.array(chosen)
    assert_frame_equal(columns.rows_of(frame, mask), frame[mask])


def test_no_rows_can_be_taken(frame: pd.DataFrame) -> None:
    none = frame.head(0)
    assert_frame_equal(columns.rows_of(none, np.zeros(0, np.bool_)), none)


def test_columns_of_the_same_name_stay_apart(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame[["PKey"]], frame[["PKey"]].map(str.upper)], axis="columns")
    mask = np.array([True, True, False])
    assert_frame_equal(columns.rows_of(twice, mask), twice[mask])
