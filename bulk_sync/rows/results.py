"""The table of current states, and the results of one step of n rows, as arrays.

A table of current states has one row per profile: key, PKey, state, time of the last change,
problem. For a key equal to the PKey, this row is nothing but a place in the arrays. Only profiles
with another PKey, and rows with a problem, are objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bulk_sync.errors import RowFailed

UNREAD: Final = -1
"""An unknown state in arrays of states; true is 1, false is 0."""


class Match(NamedTuple):
    """A profile with a key.

    Attributes:
        pkey: its PKey.
        state: 1, 0, or ``UNREAD`` if Campaign gave none.
        changed_ms: as in ``Steps``.
    """

    pkey: str
    state: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Steps:
    """One step, reading or writing, of n rows.

    Attributes:
        state: int8, the state in Campaign after the step; ``UNREAD`` if unknown.
        attempts: int32, HTTP tries; 0 where nothing was sent.
        at_ms: int64, UTC end of the step in ms since the epoch; 0 where there was none.
        problems: problems by position.
        changed_ms: int64, time of the last change of the state by Campaign's clock, in ms since
            the epoch; 0 if unknown. None if it is not needed.
        found: by position, the profiles with the row's key, at least one; no entry for a key equal
            to the PKey.
        suspects: positions with a passing failure, or in flight, when an earlier process ended.
            They come last, and count for no verdict about Campaign.
    """

    state: npt.NDArray[np.int8]
    attempts: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    problems: dict[int, RowFailed]
    changed_ms: npt.NDArray[np.int64] | None = None
    found: dict[int, tuple[Match, ...]] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)

    @classmethod
    def blank(cls, count: int, *, stamped: bool = False) -> "Steps":
        """Return n rows, none of them done; ``stamped`` with ``changed_ms``."""
        state = np.full(count, UNREAD, np.int8)
        changed_ms = np.zeros(count, np.int64) if stamped else None
        return cls(state, np.zeros(count, np.int32), np.zeros(count, np.int64), {}, changed_ms)

    def done(self, at: int, attempts: int, at_ms: int, *, state: int) -> None:
        """Record the success of one row."""
        self.state[at] = state
        self.attempts[at] = attempts
        self.at_ms[at] = at_ms
        if self.problems:
            self.problems.pop(at, None)

    def found_at(
        self, at: int, attempts: int, at_ms: int, found: tuple[Match, ...], *, key: str = ""
    ) -> None:
        """Record the profiles with the row's key; one whose PKey is ``key`` needs no entry."""
        first = found[0]
        if len(found) > 1 or first.pkey != key:
            self.done(at, attempts, at_ms, state=max(each.state for each in found))
            self.found[at] = found
            return
        self.done(at, attempts, at_ms, state=first.state)
        if self.changed_ms is not None:
            self.changed_ms[at] = first.changed_ms

    def matches(self, keys: Sequence[str]) -> Iterator[tuple[int, tuple[Match, ...]]]:
        """Yield the positions of rows with profiles, and these."""
        for at in np.flatnonzero((self.attempts > 0) & (self.at_ms > 0)).tolist():
            if at in self.found:
                yield at, self.found[at]
            elif at not in self.problems:
                changed_ms = 0 if self.changed_ms is None else int(self.changed_ms[at])
                yield at, (Match(keys[at], int(self.state[at]), changed_ms),)

    def put_back(self, keys: Sequence[str], before: Mapping[str, bool]) -> None:
        """Replace the states of some profiles, by PKey, and forget when these were changed."""
        for at, group in self.found.items():
            self.found[at] = tuple(
                Match(each.pkey, int(before[each.pkey]), 0) if each.pkey in before else each
                for each in group
            )
        for at, key in enumerate(keys):
            if key in before:
                self.done(at, 1, int(self.at_ms[at]), state=before[key])
                if self.changed_ms is not None:
                    self.changed_ms[at] = 0

    def undo(self, at: int) -> None:
        """Forget the result of one row."""
        self.state[at], self.attempts[at], self.at_ms[at] = UNREAD, 0, 0
        self.found.pop(at, None)

    def failed(self, at: int, at_ms: int, problem: RowFailed) -> None:
        """Record the failure of one row, and the state of its profile, if known."""
        self.state[at] = UNREAD if problem.holds is None else problem.holds
        self.attempts[at] = problem.attempts
        self.at_ms[at] = at_ms
        self.problems[at] = problem

    def open(self) -> list[int]:
        """Return the rows still to be done."""
        return np.flatnonzero(self.attempts == 0).tolist()

    def passing(self) -> list[int]:
        """Return the rows with failures for a passing reason."""
        return sorted(at for at, problem in self.problems.items() if problem.passing)
