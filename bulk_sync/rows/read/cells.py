"""The table of an input, whatever its format: columns of text, and row numbers."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from bulk_sync.rows.parse.sheets import column_letters
from bulk_sync.rows.read.first_rows import FirstRows

log = logging.getLogger(__name__)

_OURS: Final = (columns.ROW, columns.FILE)
_FIRST: Final = 8
_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Cells:
    """One table, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        texts: by column, string or large_string without nulls.
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

    def positions(self, place: str) -> dict[str, int]:
        """Return the names of the input's own columns, and where they are, from 0.

        Columns without a name, and those with an earlier one's, are called by their letters. Left
        out are nameless ones without content, and columns called ROW or FILE: they come from an
        earlier report.

        Args:
            place: the input's name in messages.

        Raises:
            InputProblem: no column has a name.
        """
        own: dict[str, int] = {}
        for at, name in enumerate(self.names):
            if name not in _OURS:
                new_name = self._new_name(at, own, place)
                own |= {} if new_name is None else {new_name: at}
        if not any(name.strip() for name in self.names if name not in _OURS):
            raise InputProblem(
                f"{place} has no column with a name of its own. Write a header above the data, "
                "such as PKey,ccpaOptOut."
            )
        return own

    def frame(self, positions: Mapping[str, int]) -> pd.DataFrame:
        """Return some columns as str, by their positions, then ROW."""
        own = {name: pd.array(self.texts[at], dtype="str") for name, at in positions.items()}
        frame = pd.DataFrame(own)
        frame[columns.ROW] = self.numbers
        return frame

    def _new_name(self, at: int, taken: Collection[str], place: str) -> str | None:
        """Return the name of a column in reports; None if it is left out."""
        name, letters = self.names[at], column_letters(at)
        if name.strip() and name not in taken:
            return name
        content = pc.not_equal(self.texts[at], "").to_numpy()
        if not name.strip() and not content.any():
            return None
        new_name = f"{name} ({letters})" if name.strip() else f"column {letters}"
        while new_name in self.names:
            new_name += "_"
        log.warning(
            "%s: column %s has %s. It is not used; reports call it %r",
            place,
            letters,
            f"the name {name!r}, as an earlier one has"
            if name.strip()
            else f"no name but holds data, first in row {self.numbers[content.argmax()]}",
            new_name,
        )
        return new_name


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
