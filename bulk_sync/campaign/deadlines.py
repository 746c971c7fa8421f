"""Ends requests that take too long: one timer for all of them, for a timer each costs a tenth."""

import asyncio
from typing import Any, Final

_GRACE_S: Final = 2.0
"""Seconds that requests which change nothing are waited for once the run is to end."""


class Deadlines:
    """Every request has the same time, so the first that began is the first that is due.

    Belongs to one event loop, and is made in it.

    Args:
        timeout_s: seconds for one request.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._due: dict[asyncio.Task[Any], float] = {}
        self._writing: set[asyncio.Task[Any]] = set()
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, *, writes: bool) -> asyncio.Task[Any]:
        """Let the time of the running task's request begin; ``end`` must follow.

        Args:
            writes: it may change something, so that its answer is worth any wait.
        """
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("No task is running.")
        self._due[task] = due = self._loop.time() + self._timeout_s
        if writes:
            self._writing.add(task)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._sweep)
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Note that the request is over; a deadline that came too late to count is forgotten."""
        if self._due.pop(task, None) is None and task in self._late:
            self._late.remove(task)
            task.uncancel()
        self._writing.discard(task)

    def hurry(self) -> None:
        """Wait no more than a moment for requests under way that change nothing: the run ends."""
        due = {task: due for task, due in self._due.items() if task not in self._writing}
        self._loop.call_later(_GRACE_S, self._cut, due)

    def has_passed(self, task: asyncio.Task[Any]) -> bool:
        """Tell a cancelled task whether that was its deadline, and nobody else's wish."""
        if task not in self._late:
            return False
        self._late.remove(task)
        return not task.uncancel()

    def _cut(self, those: dict[asyncio.Task[Any], float]) -> None:
        for task, due in those.items():
            if self._due.get(task) == due:  # and no later request of that task
                self._end_late(task)

    def _end_late(self, task: asyncio.Task[Any]) -> None:
        del self._due[task]
        self._late.add(task)
        task.cancel()

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer = None
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._sweep)
                return
            self._end_late(task)
