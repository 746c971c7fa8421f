"""The rows of an input as slices: frames one after the other, of which one is held at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import pandas as pd

RowProgress = Callable[[str, int, int], object]
"""Takes what is being done, and how much of it is done out of how much."""


@dataclass(frozen=True, slots=True)
class Slices:
    """The rows of an input in their order, never held whole if there are many slices.

    There is at least one slice, and at least one row in each. All slices have the same columns and
    dtypes, and the same categories. Positions of rows, as in COUNTS_AS, are those in the whole
    input.

    Attributes:
        count: how many rows there are.
        read: starts a pass over all rows. Each frame has the columns and dtypes of one stage in
            ``columns.py``, and the index 0..n-1.
        only: the only slice, if it is in memory; None otherwise.
    """

    count: int
    read: Callable[[], Iterable[pd.DataFrame]]
    only: pd.DataFrame | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Return a frame as the only slice; it is not copied."""
        return cls(len(frame), lambda: (frame,), frame)

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Self:
        """Return the same rows changed: the only slice now, others whenever they are read."""
        if self.only is not None:
            return self.of(change(self.only))
        return type(self)(self.count, lambda: map(change, self.read()))

    def watched(self, what: str, progress: RowProgress) -> Self:
        """Return the same rows; ``progress`` is called while a pass over several slices is made."""
        if self.only is not None:
            return self

        def read() -> Iterator[pd.DataFrame]:
            done = 0
            for frame in self.read():
                yield frame
                done += len(frame)
                progress(what, done, self.count)

        return type(self)(self.count, read)

    def joined(self) -> pd.DataFrame:
        """Return all rows as one frame; the only slice is returned as it is."""
        if self.only is not None:
            return self.only
        frames = list(self.read())
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    @property
    def first(self) -> pd.DataFrame:
        """Return the first slice, whose columns and dtypes are those of all."""
        return next(iter(self.read()))
