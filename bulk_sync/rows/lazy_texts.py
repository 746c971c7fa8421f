"""Some texts of a column, made into Python's strings only while they are looked at.

A key of a hundred characters takes 150 bytes as an object, beside the frame. Ten million of them
would double its memory.
"""

from collections.abc import Iterator, Sequence
from typing import Final, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_BATCH: Final = 1 << 14
_NONE: Final = -1 << 63

_Where = npt.NDArray[np.intp] | slice


class Texts(Sequence[str]):
    """The texts at some positions of a column, in the order of the positions.

    Reading one makes objects of those around it. Two such batches are kept, so reading in order,
    or a little ahead, makes each object once. Threads may share it.

    Args:
        column: str, without missing values.
        positions: n positions in it, in any order.

    Memory: two batches.
    """

    def __init__(self, column: pd.Series, positions: npt.NDArray[np.intp]) -> None:
        self._chunks = pa.chunked_array(column).chunks
        self._starts = np.cumsum([0, *map(len, self._chunks)])
        self._positions = positions
        self._kept: list[tuple[int, list[str]]] = [(_NONE, []), (_NONE, [])]

    @classmethod
    def wrap(cls, texts: Sequence[str]) -> "Texts":
        """Return all of some texts, however they are held."""
        if isinstance(texts, cls):
            return texts
        return cls(pd.Series(list(texts), dtype="str"), np.arange(len(texts)))

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return self._made(self._positions[at])
        number = at // _BATCH
        held, batch = self._kept[number & 1]
        if held != number:
            if at < 0:
                return self[self._from_the_end(at)]
            batch = self._made(self._positions[number * _BATCH : (number + 1) * _BATCH])
            self._kept[number & 1] = number, batch
        return batch[at % _BATCH]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BATCH):
            yield from self._made(self._positions[start : start + _BATCH])

    def equal(self, ats: npt.NDArray[np.intp], others: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return whether the texts at n places equal n others; makes no objects."""
        given = pa.array(others, pa.large_string())
        same = np.empty(len(ats), np.bool_)
        for where, texts in self._parts(self._positions[ats]):
            beside = given if isinstance(where, slice) else given.take(pa.array(where))
            same[where] = pc.equal(texts, beside).to_numpy(zero_copy_only=False)
        return same

    def _from_the_end(self, at: int) -> int:
        if at < -len(self):
            raise IndexError(at)
        return at + len(self)

    def _made(self, positions: npt.NDArray[np.intp]) -> list[str]:
        if len(self._chunks) == 1:
            found: list[str] = self._chunks[0].take(pa.array(positions)).to_pylist()
            return found
        made = np.empty(len(positions), object)
        for where, texts in self._parts(positions):
            made[where] = texts.to_pylist()
        return made.tolist()

    def _parts(self, positions: npt.NDArray[np.intp]) -> Iterator[tuple[_Where, pa.Array]]:
        """Yield the texts of each chunk, with their places among the positions."""
        if len(self._chunks) == 1:
            yield slice(None), self._chunks[0].take(pa.array(positions))
            return
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        edges = np.searchsorted(ascending, self._starts)
        for number in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
            here = slice(edges[number], edges[number + 1])
            inside = ascending[here] - self._starts[number]
            yield order[here], self._chunks[number].take(pa.array(inside))
