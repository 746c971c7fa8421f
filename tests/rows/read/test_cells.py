"""The table of an input in parts."""

import numpy as np
import pyarrow as pa
import pytest

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.read.cells import Cells, own_columns


@pytest.mark.parametrize(
    ("most_bytes", "sizes"), [(1, [1] * 5), (40, [2, 2, 1]), (99, [4, 1]), (100, [5])]
)
def test_parts_are_as_large_as_allowed_but_a_row_at_least(
    most_bytes: int, sizes: list[int]
) -> None:
    texts = [pa.chunked_array([pa.array(["x" * 16] * 5)])]
    cells = Cells(["PKey"], texts, np.arange(2, 7), header_row=1)
    parts = list(cells.split(most_bytes * cells.bytes // 100))
    assert [len(part.numbers) for part in parts] == sizes
    assert np.concatenate([part.numbers for part in parts]).tolist() == [2, 3, 4, 5, 6]
    assert [len(part.texts[0]) for part in parts] == sizes


CALLED = "It is not used; reports call it"


@pytest.mark.parametrize(
    ("names", "first_filled", "own", "warnings"),
    [
        (["PKey", "Name"], {}, {"PKey": 0, "Name": 1}, []),
        (["PKey", "", " "], {}, {"PKey": 0}, []),
        (
            ["PKey", "", ""], {2: 7}, {"PKey": 0, "column C": 2},
            [f"in.csv: column C has no name but holds data, first in row 7. {CALLED} 'column C'"],
        ),
        (
            ["", "PKey", "column A", "column A_"], {0: 2},
            {"column A__": 0, "PKey": 1, "column A": 2, "column A_": 3},
            [f"in.csv: column A has no name but holds data, first in row 2. {CALLED} 'column A__'"],
        ),
        (
            ["Date", "PKey", "Date"], {}, {"Date": 0, "PKey": 1, "Date (C)": 2},
            [f"in.csv: column C has the name 'Date', as an earlier one has. {CALLED} 'Date (C)'"],
        ),
        ([columns.ROW, "PKey", columns.FILE], {}, {"PKey": 1}, []),
    ],
    ids=["named", "empty ones", "a nameless one", "its name is taken", "two of a name", "ours"],
)  # fmt: skip
def test_columns_without_a_name_of_their_own_are_called_by_their_letters(
    names: list[str],
    first_filled: dict[int, int],
    own: dict[str, int],
    warnings: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert own_columns(names, "in.csv", first_filled) == own
    assert caplog.messages == warnings


@pytest.mark.parametrize("names", [[], ["", " "], [columns.ROW, ""]])
def test_a_table_without_any_name_is_refused(names: list[str]) -> None:
    with pytest.raises(InputProblem, match=r"in\.csv has no column with a name of its own"):
        own_columns(names, "in.csv", {1: 2})
