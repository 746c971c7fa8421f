"""Kills the page, its runs, or both at random moments, and checks the result: ``make torture``.

The story: Ana uploads a file, compares it with Campaign and asks for approval; Ben looks at every
opt-in and approves; the run is undone in the same way. Both press buttons of the screens, as plain
HTTP clients. After each kill the page is restarted, and every screen is compared with the ledger.
At the end every write in Campaign must belong to an approved plan, each plan was applied once, and
Campaign has the states in the file, and after the undo the former ones.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from page_people import Person, Site, Target
from page_story import ANA, BEN, Story
from serving import add_people
from torture import Popen, key_of

from bulk_sync.simulator import Options, ReceivedRequest, running
from bulk_sync.web.database import open_database

ROWS, OPT_INS, OPT_OUTS = 24, 4, 8
"""The undo of more opt-outs would exceed the limit of opt-ins."""
_LATEST_S = 1.5
"""The longest wait between a request and a kill: its process begins to work meanwhile."""


class Moment(NamedTuple):
    """The moment of a kill: a number of beats after the last kill, and some time later.

    A beat is a request to the page, or one to Campaign.
    """

    beats: int
    later_s: float
    target: Target


@dataclass
class Killer:
    """Kills at some moments, one after the other."""

    moments: list[Moment]
    strike: Callable[[Target], str]
    kills: Counter[str] = field(default_factory=Counter)
    has_struck: threading.Event = field(default_factory=threading.Event)
    beats: int = 0
    _since: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None
    _is_over: bool = False

    def beat(self, *, may_wait: bool) -> None:
        """Count a request, and kill if it is time."""
        with self._turn:
            self.beats += 1
            self._since += 1
            if self._is_over or self._timer is not None or not self.moments:
                return
            if self._since < self.moments[0].beats:
                return
            moment = self.moments.pop(0)
            if may_wait:
                self._timer = threading.Timer(moment.later_s, self._kill, [moment.target])
                self._timer.start()
                return
        self._kill(moment.target)

    def end(self) -> None:
        """Kill no more."""
        with self._turn:
            timer, self._is_over = self._timer, True
        if timer is not None:
            timer.join()

    def _kill(self, target: Target) -> None:
        struck = self.strike(target)
        with self._turn:
            self._since, self._timer = 0, None
            if not struck:  # nothing was at work: the next process is killed
                self.moments.insert(0, Moment(1, 0, target))
                return
        self.kills[struck] += 1
        self.has_struck.set()


def play(
    folder: Path,
    moments: Sequence[Moment],
    seed: int,
    ledger: str | None = None,
    popen: Popen = subprocess.Popen,
) -> Killer:
    """Play the story once, and kill at some moments; an assertion that fails is a defect."""
    dice = random.Random(seed)
    with running(Options(latency_s=0.002)) as sim:
        site = Site(sim, folder, ledger, popen)
        killer = Killer(list(moments), site.kill)

        class Watched(list[ReceivedRequest]):
            def append(self, request: ReceivedRequest) -> None:
                super().append(request)
                killer.beat(may_wait=False)

        sim.requests = Watched()
        states = [number >= OPT_OUTS for number in range(ROWS)]
        dice.shuffle(states)
        opted_out = [number for number in range(ROWS) if states[number]]
        lifted = dice.sample(opted_out, OPT_INS)
        lines = ["PKey,ccpaOptOut"]
        for number, state in enumerate(states):
            sim.add(pkey=key_of(number), email=f"p{number}@example.com", ccpaOptOut=state)
            lines.append(f"{key_of(number)},{'no' if number in lifted else 'yes'}")
        path = folder / "requests.csv"
        path.write_text("\n".join([*lines, ""]))
        with closing(open_database(site.state)) as database:
            add_people(database)
        ana, ben = (Person(name, site, lambda: killer.beat(may_wait=True)) for name in (ANA, BEN))
        desired: dict[str, object] = {
            key_of(number): number not in lifted for number in range(ROWS)
        }
        story = Story(ana, ben, dict(sim.states), desired, killer.has_struck)
        try:
            site.revive()
            runs = story.play(path)
            killer.end()
            site.revive()
            story.check_screens()
            story.judge(runs, killer.kills.total())
        finally:
            killer.end()
            site.end()
            ana.leave()
            ben.leave()
    return killer


def moments_of(dice: random.Random, targets: Sequence[Target], beats: int) -> list[Moment]:
    """Return random moments, spread over a story of a number of beats."""
    share = max(1, beats // len(targets))
    return [
        Moment(dice.randint(1, share), dice.choice([0, 0.1, _LATEST_S]) * dice.random(), target)
        for target in targets
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"Seed {given.seed}")
    dice = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        beats = play(Path(folder), [], given.seed).beats
    print(f"page: a story of {beats} requests", flush=True)
    kills: Counter[str] = Counter()
    stories = 0
    while kills.total() < given.kills:
        stories += 1
        targets = dice.choices(list(Target), k=min(3, given.kills - kills.total()))
        with tempfile.TemporaryDirectory() as folder:
            moments = moments_of(dice, targets, beats)
            try:
                kills += play(Path(folder), moments, dice.randrange(2**32)).kills
                print(f"page: {kills.total()} of {given.kills} kills", flush=True)
            except AssertionError:
                print(f"Story {stories}, {moments}", file=sys.stderr)
                print((Path(folder) / "serve.log").read_text(), file=sys.stderr)
                raise
    counts = ", ".join(f"{count} {what}" for what, count in sorted(kills.items()))
    print(
        f"page: {stories} stories, {kills.total()} kills ({counts}): nothing was lost, and nothing "
        "applied twice or without approval"
    )


if __name__ == "__main__":
    main()
