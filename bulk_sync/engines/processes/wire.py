"""What a run and its worker processes tell each other, over a pair of pipes of their own.

    run    --> worker   Setup, then Part, Hold, Lent, Retire, End, Close
    worker --> run      Ready, then News, Spent, Borrow, Return, Hold, End, Said

Pickled, for both ends are one program; nobody else can reach the pipes.
"""

import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bulk_sync.campaign.calls import Grant
from bulk_sync.engines.work import Work
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.settings import Connection, Pace


@dataclass(frozen=True, slots=True)
class Setup:
    """The first word to a worker: whom to ask, how hard, and from what level on to log."""

    connection: Connection
    pace: Pace
    log_level: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The first word of a worker: it can be given work."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The other end is gone; what is heard last."""


@dataclass(frozen=True, slots=True)
class Part:
    """Work to be carried out, every row of it, under a number that ``News`` of it bear."""

    number: int
    work: Work


@dataclass(frozen=True, slots=True)
class News:
    """What has become of some rows of a part.

    Attributes:
        number: the part's.
        ats: k positions in the part.
        state: int8, k values as in ``Steps``; so are the others.
        attempts: int32.
        at_ms: int64.
        changed_ms: int64, or None.
        problems: by position in the part.
        sent: positions for which a request that writes was begun.
        cleared: positions in doubt that had not arrived.
        over: nothing more comes of this part; rows not told of are given back: they were not begun,
            or may still be tried, and ``sent`` tells of them too.
    """

    number: int
    ats: Sequence[int]
    state: npt.NDArray[np.int8]
    attempts: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    changed_ms: npt.NDArray[np.int64] | None
    problems: Mapping[int, RowFailed]
    sent: frozenset[int]
    cleared: frozenset[int]
    over: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls since the last time, how long their answers took, and how hard Campaign is asked."""

    by_method: Mapping[str, int]
    by_status: Mapping[str, int]
    latency: Mapping[int, int]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Borrow:
    """A worker would like to make so many calls."""

    count: int


@dataclass(frozen=True, slots=True)
class Lent:
    """The answer to ``Borrow``: calls, or why there are none."""

    grant: Grant | StopRun


@dataclass(frozen=True, slots=True)
class Return:
    """Calls of a day that were lent and not made."""

    day: str
    count: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Campaign asks to wait, whoever it was that it asked."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Others go on: what is in flight is finished, and all other rows are given back."""


@dataclass(frozen=True, slots=True)
class End:
    """The run is to end; what is in flight is finished."""

    cause: StopRun


@dataclass(frozen=True, slots=True)
class Close:
    """The last word to a worker."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a worker's log."""

    logger: str
    level: int
    message: str


class Mouth:
    """Sends messages into a pipe, from any thread; whether anybody listens is noticed elsewhere."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def __call__(self, message: object) -> None:
        """Send one message."""
        with self._lock:
            try:
                pickle.dump(message, self._pipe, pickle.HIGHEST_PROTOCOL)
                self._pipe.flush()
            except (OSError, ValueError):
                pass  # the other end is gone, which its silence tells, or this one is closed


def messages(pipe: BinaryIO) -> Iterator[Any]:
    """Receive messages until the other end is gone, be it in the middle of one."""
    while True:
        try:
            yield pickle.load(pipe)  # noqa: S301 - our own process at the other end
        except (EOFError, OSError, pickle.UnpicklingError):
            return
