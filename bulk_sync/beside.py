"""Work that threads do beside the caller: most of it is Arrow's, which needs no lock of Python."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, Self, TypeVar

_T = TypeVar("_T")

_TASKS: Final = 2
"""So many at once: one may wait for the disk."""


@contextmanager
def ahead(items: Iterable[_T]) -> Iterator[Iterator[_T]]:
    """Let a thread make the next item while one is used; it ends with the block."""
    coming = iter(items)
    with ThreadPoolExecutor(1) as thread:

        def made() -> Iterator[_T]:
            making = thread.submit(next, coming, None)
            while (item := making.result()) is not None:
                making = thread.submit(next, coming, None)
                yield item

        yield made()


class Behind:
    """Tasks that threads do, two at once. A later method raises what one of them raised."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_TASKS)
        self._tasks: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def do(self, task: Callable[[], object]) -> None:
        """Begin a task, once less than two are at work."""
        self._wait_for(_TASKS - 1)
        self._tasks.append(self._threads.submit(task))

    def wait(self) -> None:
        """Wait for all tasks."""
        self._wait_for(0)

    def _wait_for(self, left: int) -> None:
        while len(self._tasks) > left:
            self._tasks.popleft().result()
