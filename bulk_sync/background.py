"""Work of threads in the background: most of it is Arrow's, which needs no lock of Python."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self, TypeVar

_T = TypeVar("_T")

_TASKS: Final = 2
"""So many at once: one may wait for the disk."""


def prefetch(items: Iterable[_T]) -> Generator[_T, None, None]:
    """Yield items, none of them None; a thread makes the next one while one is used.

    An error of the thread is raised in its turn. The thread ends with the generator.
    """
    coming = iter(items)
    with ThreadPoolExecutor(1) as thread:
        making = thread.submit(next, coming, None)
        while (item := making.result()) is not None:
            making = thread.submit(next, coming, None)
            yield item


class BackgroundTasks:
    """Tasks that threads do, two at once. A later method raises what one of them raised."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_TASKS)
        self._tasks: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def do(self, task: Callable[[], object]) -> None:
        """Begin a task, once less than two are at work."""
        self._wait_for(_TASKS - 1)
        self._tasks.append(self._threads.submit(task))

    def wait(self) -> None:
        """Wait for all tasks."""
        self._wait_for(0)

    def end(self) -> None:
        """Wait for all tasks, whatever they raise, and end the threads."""
        self._threads.shutdown()

    def _wait_for(self, left: int) -> None:
        while len(self._tasks) > left:
            self._tasks.popleft().result()
