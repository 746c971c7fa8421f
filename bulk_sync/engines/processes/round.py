"""Work that is shared: what of it the workers have in hand, and what has become of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.local import Local
from bulk_sync.engines.processes import wire
from bulk_sync.engines.work import Work
from bulk_sync.errors import StopRun


@dataclass(slots=True)
class Round:
    """One piece of work, parts of which are with the workers.

    Attributes:
        near: what the parts have in common with what this process does itself.
        work: what is to be done.
        note: is told of each position.
        total: rows of the pass, for the progress.
        before: tells how many of those are done beside this round.
        pulse: how hard Campaign is asked.
        done: rows that are done.
        given_back: positions of rows that the workers had, and that may still be done.
    """

    near: Local
    work: Work
    note: Callable[[int], None]
    total: int
    before: Callable[[], int]
    pulse: Pulse
    done: int = 0
    given_back: list[int] = field(default_factory=list)

    def take_in(self, part: "InHand", news: wire.News) -> None:
        """Note what has become of some rows."""
        steps, breaker = self.work.steps, self.near.breaker
        ats = [part.positions[n] for n in news.ats]
        steps.state[ats] = news.state
        steps.attempts[ats] = news.attempts
        steps.at_ms[ats] = news.at_ms
        if steps.changed_ms is not None and news.changed_ms is not None:
            steps.changed_ms[ats] = news.changed_ms
        self.work.sent.difference_update(ats)
        self.work.sent.update(part.positions[n] for n in news.sent)
        self.work.cleared.update(part.positions[n] for n in news.cleared)
        for n, at, tries in zip(news.ats, ats, news.attempts.tolist(), strict=True):
            failed_before = at in steps.problems
            problem = news.problems.get(n)
            if problem is not None:
                steps.problems[at] = problem
                breaker.failed(problem, again=failed_before)
            elif tries:
                steps.problems.pop(at, None)
                breaker.succeeded(again=failed_before)
            self.done += bool(tries)
            self.note(at)
        part.left.difference_update(news.ats)
        if news.over:
            self._give_back(part)
        self.near.tell(self.work.name, self.before() + self.done, self.total, self.pulse)

    def lose(self, part: "InHand", cause: StopRun) -> None:
        """Note that nobody can tell any more what has become of the rest of a part."""
        self.work.sent.update(part.positions[n] for n in part.left)
        self._give_back(part)
        self.near.stop.ask(cause)

    def _give_back(self, part: "InHand") -> None:
        self.given_back += [part.positions[n] for n in sorted(part.left)]
        part.left.clear()
        part.over.set()


class InHand:
    """A part that a worker has; its rows are known there by their numbers in it."""

    def __init__(self, round_: Round, positions: list[int]) -> None:
        self.round = round_
        self.positions = positions
        self.left = set(range(len(positions)))
        self.over = asyncio.Event()
