"""The table of an input, whatever its format: columns of text, and row numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.read.first_rows import FirstRows

_OURS: Final = (columns.ROW, columns.FILE)
_FIRST: Final = 8
_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Cells:
    """One table, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        texts: by column, large_string without nulls.
        numbers: by row, its number in a spreadsheet.
        sheet: the sheet of a workbook.
        header_row: the number of the header's row; None in Parquet, which has none.
    """

    names: Sequence[str]
    texts: Sequence[pa.ChunkedArray]
    numbers: npt.NDArray[np.int64]
    sheet: str | None = None
    header_row: int | None = None

    def first_rows(self) -> FirstRows:
        """Return the header, as row 1 where it has no number, and the first rows below it."""
        rows = [
            [text[at].as_py() for text in self.texts] for at in range(len(self.numbers[:_FIRST]))
        ]
        numbered = zip(self.numbers.tolist(), rows, strict=False)
        return FirstRows({self.header_row or 1: self.names, **dict(numbered)}, self.sheet)

    def frame(self, place: str) -> pd.DataFrame:
        """Return the table as a frame.

        Args:
            place: the input's name in messages.

        Returns:
            The input's own columns as str, then ROW. Nameless columns without content are left
            out, as are columns called ROW or FILE: they come from an earlier report.

        Raises:
            InputProblem: a column with content has no name, or two have the same.
        """
        own: dict[str, pa.ChunkedArray] = {}
        for at, (name, text) in enumerate(zip(self.names, self.texts, strict=True)):
            if not name.strip():
                self._refuse_content(place, at)
            elif name in own:
                raise InputProblem(
                    f"Columns {self.names.index(name) + 1} and {at + 1} of {place} both have the "
                    f"name {name!r}. Rename one, or take it out."
                )
            else:
                own[name] = text
        kept = {name: text for name, text in own.items() if name not in _OURS}
        if not kept:
            raise InputProblem(
                f"{place} has no column with a name of its own. Write a header above the data, "
                "such as PKey,ccpaOptOut."
            )
        frame = pd.DataFrame({name: pd.array(text, dtype="str") for name, text in kept.items()})
        frame[columns.ROW] = self.numbers
        return frame

    def _refuse_content(self, place: str, at: int) -> None:
        content = pc.not_equal(self.texts[at], "").to_numpy()
        if content.any():
            raise InputProblem(
                f"Column {at + 1} of {place} has no name but holds data, first in row "
                f"{self.numbers[content.argmax()]}. Name it in the header, or take it out."
            )


def from_records(names: Sequence[str], records: Iterable[tuple[int, Sequence[str]]]) -> Cells:
    """Return numbered records, each as long as the header, as columns.

    Memory: one batch of records, beside the columns so far.
    """
    batches: list[list[pa.Array]] = []
    numbers: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH_ROWS)):
        numbers.append(np.array([number for number, _ in batch], np.int64))
        cells = zip(*(record for _, record in batch), strict=True)
        batches.append([pa.array(column, pa.large_string()) for column in cells])
    texts = [
        pa.chunked_array([batch[at] for batch in batches], pa.large_string())
        for at in range(len(names))
    ]
    return Cells(names, texts, np.concatenate(numbers))
