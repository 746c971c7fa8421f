"""Sources that hand out a part of what another one does."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from bulk_sync.engines.journal import Source


class First(Source):
    """Hands out the first rows of a source, until others go on with the rest; see ``Source``.

    Args:
        source: hands out all of them.
        note: is told of each row that is done.

    Attributes:
        is_over: others go on.
        handed: rows that were handed out.
        noted: rows that are done.
    """

    def __init__(self, source: Source, note: Callable[[int], None]) -> None:
        self._source = source
        self._note = note
        self.is_over = False
        self._awaited: tuple[int, asyncio.Event] = (0, asyncio.Event())
        self.handed = 0
        self.noted = 0

    def end(self) -> None:
        """Hand out no more."""
        self.is_over = True

    def note(self, at: int) -> None:
        """Tell that a row is done."""
        self.noted += 1
        if self.noted == self._awaited[0]:
            self._awaited[1].set()
        self._note(at)

    async def has_noted(self, count: int) -> None:
        """Wait until so many rows are done, if ever."""
        if self.noted < count:
            self._awaited = count, asyncio.Event()
            await self._awaited[1].wait()

    def at_once(self) -> int | None:
        """Tell the next position; None if that takes a while, or others go on."""
        return self._count(None if self.is_over else self._source.at_once())

    async def take(self) -> int | None:
        """Tell the next position; None if there is none any more, or others go on."""
        return self._count(None if self.is_over else await self._source.take())

    def _count(self, at: int | None) -> int | None:
        self.handed += at is not None
        return at


class Left(Source):
    """Hands out what was given back, and then the rest; see ``Source``.

    Attributes:
        positions: what was given back and is not handed out again yet.
    """

    def __init__(self, given_back: Iterable[int], rest: Source) -> None:
        self.positions = deque(sorted(given_back))
        self._rest = rest

    def at_once(self) -> int | None:
        """Tell the next position, if that needs no wait."""
        return self.positions.popleft() if self.positions else self._rest.at_once()

    async def take(self) -> int | None:
        """Tell the next position; None if there is none any more."""
        return self.positions.popleft() if self.positions else await self._rest.take()
