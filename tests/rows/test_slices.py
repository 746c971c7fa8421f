"""Slices of the rows of an input."""

import pandas as pd

from bulk_sync.rows import columns
from bulk_sync.rows.slices import Slices

_ROWS = pd.DataFrame(
    {
        "PKey": pd.Series(["@a", "@b", "@c"], dtype="str"),
        columns.DESIRED: pd.array([True, None, False], dtype="boolean"),
        columns.REASON: pd.Categorical([None, "bad_state", None], ["bad_key", "bad_state"]),
        columns.COUNTS_AS: [0, 1, 2],
    }
)
_PARTS = [_ROWS.iloc[:2], _ROWS.iloc[2:].reset_index(drop=True)]
_SLICES = Slices(3, lambda: iter(_PARTS))


def test_a_frame_is_one_slice_and_is_not_copied() -> None:
    """The only slice, and the rows joined, are the frame itself."""
    slices = Slices.of(_ROWS)
    assert slices.count == len(_ROWS)
    assert [id(frame) for frame in slices.read()] == [id(_ROWS)]
    assert slices.joined() is _ROWS


def test_joined_slices_are_the_original_rows() -> None:
    """Order, index, dtypes and categories are those of the whole."""
    pd.testing.assert_frame_equal(_SLICES.joined(), _ROWS)


def test_a_change_is_made_whenever_a_slice_is_read() -> None:
    """Every pass begins anew, and changes each slice."""
    doubled = _SLICES.map(lambda rows: rows.assign(twice=2 * rows[columns.COUNTS_AS]))
    assert doubled.count == len(_ROWS)
    for _ in range(2):
        assert [list(rows["twice"]) for rows in doubled.read()] == [[0, 2], [4]]
