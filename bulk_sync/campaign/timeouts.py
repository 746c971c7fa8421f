"""Ends slow requests. One timer serves all: a timer each costs a tenth."""

import asyncio
from typing import Any


class Timeouts:
    """The timeouts of requests in flight, in order. Belongs to one event loop."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._due: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[Any]:
        """Start the timeout of the running task's request; ``end`` must follow."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("No task is running.")
        self._due[task] = due = self._loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._sweep)
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Forget a finished request, and its timeout if that came too late."""
        if self._due.pop(task, None) is None and task in self._late:
            self._late.remove(task)
            task.uncancel()

    def has_passed(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a cancelled task was cancelled by its timeout alone."""
        if task not in self._late:
            return False
        self._late.remove(task)
        return not task.uncancel()

    def shorten(self, timeout_s: float) -> None:
        """Give every request no more than so many seconds: those in flight, from now on."""
        self._timeout_s = min(self._timeout_s, timeout_s)
        soonest = self._loop.time() + self._timeout_s
        self._due = {task: min(due, soonest) for task, due in self._due.items()}
        if self._timer is not None:
            self._timer.cancel()
            self._sweep()

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer = None
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._sweep)
                return
            del self._due[task]
            self._late.add(task)
            task.cancel()
