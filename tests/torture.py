"""Kills runs at random moments, resumes them, and counts what came of it: ``make torture``.

Each round carries a file into a simulated Campaign, in a process of its own that is ended with
``kill -9`` again and again, in both passes, until it comes through. Then everything is held against
everything: what Campaign holds, how often each profile was written, the report, and the ledger.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bulk_sync import ledger
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, Simulator, running

FAULTS = {
    Fault.TRANSIENT_500: 0.04,
    Fault.UNAVAILABLE_503: 0.02,
    Fault.RESET: 0.04,
    Fault.RESET_AFTER_WRITE: 0.04,
    Fault.CUT_JSON: 0.03,
    Fault.WRONG_JSON: 0.03,
}
"""A fifth of all answers."""

_LATENCY_S = 0.004
_GIVE_UP = 200


@dataclass
class Told:
    """What was seen: kills by what the process was doing, and the figures of all rounds."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    changes: int = 0
    patches: int = 0
    twice: int = 0

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {doing}" for doing, count in sorted(self.kills.items()))
        return (
            f"{self.rounds} runs of {self.rows // max(1, self.rounds)} rows, killed "
            f"{self.kills.total()} times ({kills}): {self.changes} changes took {self.patches} "
            f"PATCHes, {self.twice} profiles were written twice, nothing was lost"
        )


@dataclass
class Round:
    """One file on its way into Campaign."""

    sim: Simulator
    folder: Path
    dice: random.Random
    environment: Mapping[str, str]

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bulk_sync", *words, "-q"],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def kill_or_finish(self, process: "subprocess.Popen[bytes]", after_s: float) -> int | None:
        """Let a process work for a while, then kill it; its status if it was faster."""
        try:
            return process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def doing(self) -> str:
        methods = self.sim.counters.methods
        if methods["PATCH"]:
            return "while writing"
        return "while reading" if methods["GET"] else "before the first call"


def torture(
    rows: int, kills: int, seed: int, folder: Path, faults: Mapping[Fault, float] | None = None
) -> Told:
    """Kill runs until there were so many kills; every assertion that fails is a lost outcome."""
    told, dice = Told(), random.Random(seed)
    options = Options(latency_s=_LATENCY_S, faults=faults or {}, seed=seed, retry_after_s=0)
    with running(options) as sim:
        keys = populated(sim, rows, dice)
        environment = environment_of(sim, folder)
        while told.kills.total() < kills:
            told.rounds += 1
            place = folder / f"round-{told.rounds}"
            place.mkdir(parents=True)
            one_round(Round(sim, place, dice, environment), keys, told, kills)
    return told


def full_disk(rows: int, rounds: int, seed: int, folder: Path) -> Told:
    """Let the disk with the state folder fill up at random moments, and make room again."""
    told, dice = Told(), random.Random(seed)
    with running(Options(seed=seed)) as sim:
        keys = populated(sim, rows, dice)
        environment = environment_of(sim, folder)
        for _ in range(rounds):
            told.rounds += 1
            place = folder / f"round-{told.rounds}"
            place.mkdir(parents=True)
            this = Round(sim, place, dice, environment)
            before, desired, words = wishes(this, keys)
            with small_disk(folder / "state", dice.randint(60, 2500)) as make_room:
                status = this.start(*words).wait()
                assert status in {0, 2, 6}, this.log.read_text()
                assert "Traceback" not in this.log.read_text()
                make_room()
                if status:
                    told.kills["by a full disk, " + this.doing] += 1
                    began = has_begun(folder / "state", 1)
                    status = this.start(*(["resume"] if began else words)).wait()
                    assert status == 0, this.log.read_text()
                judge(this, before, desired, told)
    return told


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Callable[[], None]]:
    """Put a folder on a disk of its own, and give what makes more room; needs root."""

    def mount(size: str) -> None:
        words = ["-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
        subprocess.run([shutil.which("mount") or "", *words], check=True)

    folder.mkdir(exist_ok=True)
    mount(f"size={size_kb}k")
    try:
        yield partial(mount, "remount,size=100m")
    finally:
        subprocess.run([shutil.which("umount") or "", str(folder)], check=True)


def environment_of(sim: Simulator, folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if "BULK_SYNC" not in name},
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
    }


def populated(sim: Simulator, rows: int, dice: random.Random) -> list[str]:
    keys = [f"@{'k' * 74}{number:011d}" for number in range(rows)]
    for number, key in enumerate(keys):
        sim.add(pkey=key, email=f"p{number}@example.com", ccpaOptOut=dice.random() < 0.5)
    return keys


def wishes(
    this: Round, keys: Sequence[str]
) -> tuple[dict[str, object], dict[str, bool], list[str]]:
    """Write a file in which half of the states are to change.

    Returns:
        The states before, those desired, and the command.
    """
    before = {key: this.sim.profiles[key]["ccpaOptOut"] for key in keys}
    desired = {key: bool(state) is (this.dice.random() < 0.5) for key, state in before.items()}
    path = this.folder / f"{this.folder.name}.csv"
    lines = "".join(f"{key},{str(state).lower()}\n" for key, state in desired.items())
    path.write_text(f"PKey,ccpaOptOut\n{lines}")
    this.sim.clear()
    words = ["--fetch", "lookup", "--max-opt-ins", "100%", "--concurrency", "16"]
    return before, desired, ["run", path.name, *words]


def one_round(this: Round, keys: Sequence[str], told: Told, kills: int) -> None:
    before, desired, words = wishes(this, keys)
    dice = this.dice
    status, tries = None, 0
    while status is None and tries < _GIVE_UP:
        tries += 1
        last_one = told.kills.total() >= kills
        process = this.start(*words)
        status = this.kill_or_finish(process, 120 if last_one else dice.uniform(0.8, 3.5))
        if status is None:
            told.kills[this.doing] += 1
        elif status != 0:
            raise AssertionError(f"{words} ended with {status}: {this.log.read_text()}")
        if has_begun(this.folder.parent / "state", told.rounds):
            words = ["resume"]
    judge(this, before, desired, told)


def has_begun(state_dir: Path, rounds: int) -> bool:
    """Tell whether the run of this round has got into the ledger, so that it can be resumed."""
    with ledger.existing(State(state_dir)) as book:
        return book is not None and len(book.runs()) == rounds


def judge(
    this: Round, before: Mapping[str, object], desired: Mapping[str, bool], told: Told
) -> None:
    """Hold everything against everything."""
    sim = this.sim
    changed = {key for key, state in desired.items() if before[key] != state}
    assert {key: sim.profiles[key]["ccpaOptOut"] for key in desired} == desired
    written = Counter(key for key, _ in sim.patched)
    assert set(written) == changed
    assert max(written.values(), default=0) <= 2
    (report,) = this.folder.glob("*.results.csv")
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["PKey"] for row in rows] == list(desired)
    for row in rows:
        key = row["sync_key"]
        assert row["sync_outcome"] == ("updated" if key in changed else "unchanged"), row
        assert row["sync_before"] == str(before[key]).lower(), row
        assert row["sync_after"] == row["sync_desired"] == str(desired[key]).lower(), row
    with ledger.opened(State(this.folder.parent / "state")) as book:
        _, misfit = book.verify()
        assert misfit is None, misfit
        run = book.runs()[-1]
        last = {write.intent.key: write.settled for write in book.writes(run.run_id)}
        assert set(last) == changed
        assert all(each is not None and each.outcome is Outcome.UPDATED for each in last.values())
        assert run.is_done
        assert run.ended is not None
        assert run.ended.outcomes.get("updated", 0) == len(changed)
    told.rows += len(rows)
    told.changes += len(changed)
    told.patches += len(sim.patched)
    told.twice += sum(count == 2 for count in written.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"Seed {given.seed}")
    for name, faults in (("no faults", {}), ("20% faults", FAULTS)):
        with tempfile.TemporaryDirectory() as folder:
            told = torture(given.rows, given.kills, given.seed, Path(folder), faults)
        print(f"{name}: {told}", flush=True)
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as folder:
            told = full_disk(given.rows, 25, given.seed, Path(folder))
        print(f"full disk: {told}", flush=True)
    else:
        print("full disk: left out, for it takes root to make a small one; the tests have a quota")


if __name__ == "__main__":
    main()
