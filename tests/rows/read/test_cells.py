"""The table of an input in parts."""

import numpy as np
import pyarrow as pa
import pytest

from bulk_sync.rows.read.cells import Cells


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
