"""Sources that hand out a part of what another one does."""

from collections import deque
from collections.abc import Iterable

from bulk_sync.engines.journal import Source


class Few(Source):
    """Hands out so many rows of a source, and no more; see ``Source``."""

    def __init__(self, source: Source, count: int) -> None:
        self._source = source
        self._left = count

    def at_once(self) -> int | None:
        """Tell the next position; None after the last of the first ones, or if there is none."""
        at = self._source.at_once() if self._left > 0 else None
        self._left -= at is not None
        return at

    async def take(self) -> int | None:
        """Tell the next position; None after the last of the first ones."""
        self._left -= 1
        return await self._source.take() if self._left >= 0 else None


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
