"""What became of one step, reading or writing, for many rows: arrays that fill as answers come.

No object per row: a row that fails costs one, a row that does not costs none.
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bulk_sync.errors import RowFailed

UNREAD: Final = -1
"""How arrays of states say that there is none; true is 1, false is 0."""


class Match(NamedTuple):
    """A profile that a key stands for.

    Attributes:
        pkey: its PKey.
        state: 1, 0, or ``UNREAD`` where Campaign gave none.
        changed_ms: as in ``Steps``.
    """

    pkey: str
    state: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Steps:
    """One step of n rows.

    Attributes:
        state: int8, what Campaign holds after the step; ``UNREAD`` where that is not known.
        attempts: int32, HTTP tries; 0 where nothing was sent.
        at_ms: int64, UTC end of the step in ms since the epoch; 0 where there was none.
        problems: by position, what went wrong.
        changed_ms: int64, when Campaign says that the state was last changed, in ms since the
            epoch; 0 where it does not. None if nobody wants to know.
        found: by position, the profiles that the row's key stands for, at least one. None if keys
            are PKeys, and a key stands for itself; else ``state`` says no more than that there are
            some.
        suspects: positions that had failed for what may pass, or were in flight, when an earlier
            process ended; they come last, and say nothing of Campaign.
    """

    state: npt.NDArray[np.int8]
    attempts: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    problems: dict[int, RowFailed]
    changed_ms: npt.NDArray[np.int64] | None = None
    found: dict[int, tuple[Match, ...]] | None = None
    suspects: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, count: int, *, stamped: bool = False) -> "Steps":
        """Make room for so many rows, none of them done; ``stamped`` for ``changed_ms`` too."""
        state = np.full(count, UNREAD, np.int8)
        changed_ms = np.zeros(count, np.int64) if stamped else None
        return cls(state, np.zeros(count, np.int32), np.zeros(count, np.int64), {}, changed_ms)

    @classmethod
    def of_finding(cls, count: int) -> "Steps":
        """Make room for the profiles that so many keys stand for."""
        return replace(cls.of(count), found={})

    def done(self, at: int, attempts: int, at_ms: int, *, state: bool) -> None:
        """Note that the step succeeded for one row."""
        self.state[at] = state
        self.attempts[at] = attempts
        self.at_ms[at] = at_ms
        if self.problems:
            self.problems.pop(at, None)

    def found_at(
        self,
        at: int,
        attempts: int,
        at_ms: int,
        found: tuple[Match, ...],
        *,
        state: bool = True,
    ) -> None:
        """Note the profiles that one key stands for."""
        if self.found is None:
            raise ValueError("Not the steps of a finding.")
        if found:
            self.found[at] = found
        self.done(at, attempts, at_ms, state=state)

    def undo(self, at: int) -> None:
        """Forget what was noted for one row."""
        self.state[at], self.attempts[at], self.at_ms[at] = UNREAD, 0, 0
        if self.found is not None:
            self.found.pop(at, None)

    def failed(self, at: int, at_ms: int, problem: RowFailed) -> None:
        """Record that the step failed for one row, and what its profile is known to hold."""
        self.state[at] = UNREAD if problem.holds is None else problem.holds
        self.attempts[at] = problem.attempts
        self.at_ms[at] = at_ms
        self.problems[at] = problem

    def open(self) -> list[int]:
        """Tell which rows are still to be done."""
        return np.flatnonzero(self.attempts == 0).tolist()

    def passing(self) -> list[int]:
        """Tell which rows failed for reasons that may have passed by now."""
        return sorted(at for at, problem in self.problems.items() if problem.passing)
