"""Kills runs at random moments, resumes them, and counts the results: ``make torture``.

Each round carries a file into a simulated Campaign. ``kill -9`` ends the process again and again,
during the reads and the writes, until one process finishes. Then everything is compared: the states
in Campaign, the number of writes per profile, the report, and the ledger.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

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
_LOOK_EVERY_S = 0.002
_MOST_STARTS = 200
_LARGE_BYTES = 12_000_000


Popen = Callable[..., "subprocess.Popen[Any]"]
"""Starts a process."""


class Kind(StrEnum):
    """The kind of keys in the file."""

    PKEYS = "pkeys"
    EMAILS = "emails"
    CREATE = "create"
    """E-mail keys; every second one has no profile yet."""
    LARGE = "large"
    """PKeys in a file larger than the memory for it."""

    @property
    def by_pkey(self) -> bool:
        return self in {Kind.PKEYS, Kind.LARGE}


@dataclass
class Tally:
    """Kills by the pass of the process, and the figures of all rounds."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    changes: int = 0
    created: int = 0
    patches: int = 0
    posts: int = 0
    twice: int = 0

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {doing}" for doing, count in sorted(self.kills.items()))
        created = f", {self.created} profiles were created by {self.posts} POSTs"
        return (
            f"{self.rounds} runs of {self.rows // max(1, self.rounds)} rows, killed "
            f"{self.kills.total()} times ({kills}): {self.changes} changes took {self.patches} "
            f"PATCHes{created if self.created else ''}, {self.twice} profiles were written twice, "
            "nothing was lost"
        )


@dataclass
class Round:
    """One file on its way into Campaign; ``before`` has None for missing profiles."""

    sim: Simulator
    folder: Path
    dice: random.Random
    kind: Kind
    popen: Popen
    before: dict[str, object] = field(default_factory=dict)
    desired: dict[str, bool] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def state_dir(self) -> Path:
        return self.folder.parent / "state"

    @property
    def words(self) -> list[str]:
        words = ["run", f"{self.folder.name}.csv", "--concurrency", "16"]
        if self.kind is Kind.LARGE:
            words += ["--memory", "100MB", "--fetch", "scan", "--page-size", "20"]
        else:
            words += ["--fetch", "lookup"]
        if self.kind is Kind.CREATE:
            words += ["--create", "--max-creates", "100%"]
        return [*words, "--max-opt-ins", "100%"]

    def prepare(self, rows: int) -> None:
        """Write a file with changes of half of the states."""
        names = {
            Kind.PKEYS: "PKey",
            Kind.EMAILS: "email",
            Kind.CREATE: "firstName,lastName,email",
            Kind.LARGE: "PKey,note",
        }
        note = "x" * (_LARGE_BYTES // rows)
        lines = [f"{names[self.kind]},ccpaOptOut"]
        there = self.states()
        for number in range(rows):
            email = f"p{number}@example.com"
            if self.kind is Kind.CREATE and number % 2:
                email = f"{self.folder.name}-{number}@example.com"
            name = key_of(number) if self.kind.by_pkey else email
            self.before[name] = there.get(name)
            desired = bool(self.before[name]) is (self.dice.random() < 0.5)
            self.desired[name] = desired
            cells = {Kind.CREATE: f"Ada,Doe,{email}", Kind.LARGE: f"{name},{note}"}.get(
                self.kind, name
            )
            lines.append(f"{cells},{str(desired).lower()}")
        (self.folder / self.words[1]).write_text("\n".join(lines) + "\n")
        self.sim.clear()

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return self.popen(
                [sys.executable, "-m", "bulk_sync", *words, "-q"],
                cwd=self.folder,
                env=environment_of(self.sim, self.state_dir),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def kill_or_finish(self, process: "subprocess.Popen[bytes]", calls: int) -> int | None:
        """Kill a process after a number of calls; return its status if it ended before."""
        methods = self.sim.counters.methods
        end = methods.total() + calls
        while methods.total() < end:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_EVERY_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return None

    def has_begun(self, rounds: int) -> bool:
        """Return whether the run of this round is in the ledger and can be resumed."""
        with ledger.open_existing(State(self.state_dir)) as book:
            return book is not None and len(book.runs()) == rounds

    @property
    def doing(self) -> str:
        methods = self.sim.counters.methods
        if methods["PATCH"] + methods["POST"]:
            return "while writing"
        return "while reading" if methods["GET"] else "before the first call"

    def states(self) -> dict[str, object]:
        """Return the states in Campaign by the file's keys; fail if profiles share an address."""
        profiles = self.sim.profiles
        if self.kind.by_pkey:
            return {key: profile["ccpaOptOut"] for key, profile in profiles.items()}
        found = {str(each["email"]): each["ccpaOptOut"] for each in profiles.values()}
        assert len(found) == len(profiles), "two profiles have the same address"
        return found

    def judge(self, tally: Tally) -> None:
        """Compare Campaign, the report and the ledger with the file."""
        new = {name for name, state in self.before.items() if state is None}
        changed = {
            name for name, state in self.before.items() if state not in (None, self.desired[name])
        }
        states = self.states()
        assert {name: states[name] for name in self.desired} == self.desired
        email_of = {pkey: str(each["email"]) for pkey, each in self.sim.profiles.items()}
        written = Counter(
            pkey if self.kind.by_pkey else email_of[pkey] for pkey, _ in self.sim.patched
        )
        assert set(written) == changed
        assert max(written.values(), default=0) <= 2
        self._judge_report(changed, new)
        self._judge_ledger(changed, new)
        tally.rows += len(self.desired)
        tally.changes += len(changed)
        tally.created += len(new)
        tally.patches += len(self.sim.patched)
        tally.posts += self.sim.counters.methods["POST"]
        tally.twice += sum(count == 2 for count in written.values())

    def _judge_report(self, changed: set[str], new: set[str]) -> None:
        (report,) = self.folder.glob("*.results.csv")
        with report.open(newline="") as file:
            rows = list(csv.DictReader(file))
        column = "PKey" if self.kind.by_pkey else "email"
        assert [row[column] for row in rows] == list(self.desired)
        for row in rows:
            name = row[column]
            outcome = Outcome.CREATED if name in new else Outcome.UNCHANGED
            assert row["sync_outcome"] == (Outcome.UPDATED if name in changed else outcome), row
            before = "" if name in new else str(self.before[name]).lower()
            assert row["sync_before"] == before, row
            assert row["sync_after"] == row["sync_desired"] == str(self.desired[name]).lower(), row

    def _judge_ledger(self, changed: set[str], new: set[str]) -> None:
        pkeys = {str(each["email"]): pkey for pkey, each in self.sim.profiles.items()}
        keys = {name if self.kind.by_pkey else pkeys[name] for name in changed}
        with ledger.open_ledger(State(self.state_dir)) as book:
            _, misfit = book.verify()
            assert misfit is None, misfit
            run = book.runs()[-1]
            last = {write.intent.key: write.settled for write in book.writes(run.run_id)}
        assert set(last) == keys | new
        for name, settled in last.items():
            outcome = Outcome.CREATED if name in new else Outcome.UPDATED
            assert settled is not None, name
            assert settled.outcome is outcome, settled
        assert run.is_done
        assert run.ended is not None
        assert run.ended.outcomes.get("updated", 0) == len(changed)
        assert run.ended.outcomes.get("created", 0) == len(new)


def torture(
    kind: Kind,
    rows: int,
    kills: int,
    seed: int,
    faults: Mapping[Fault, float] | None = None,
    popen: Popen = subprocess.Popen,
) -> Tally:
    """Kill runs a number of times; every assertion that fails is a lost outcome."""
    tally = Tally()
    options = Options(latency_s=_LATENCY_S, faults=faults or {}, seed=seed, retry_after_s=0)
    with rounds_of(kind, rows, seed, options, popen) as rounds:
        for this in rounds:
            tally.rounds += 1
            one_round(this, tally, kills)
            if tally.kills.total() >= kills:
                return tally
    raise AssertionError("no end")


def one_round(this: Round, tally: Tally, kills: int) -> None:
    words, status, starts = this.words, None, 0
    while status is None and starts < _MOST_STARTS:
        starts += 1
        both_passes = (
            len(this.desired) // 6 if this.kind is Kind.LARGE else 3 * len(this.desired) // 2
        )
        calls = this.dice.randrange(both_passes) if tally.kills.total() < kills else sys.maxsize
        status = this.kill_or_finish(this.start(*words), calls)
        if status is None:
            tally.kills[this.doing] += 1
        elif status != 0:
            raise AssertionError(f"{words} ended with {status}: {this.log.read_text()}")
        if this.has_begun(tally.rounds):
            words = ["resume"]
    this.judge(tally)


def full_disk(rows: int, count: int, seed: int) -> Tally:
    """Fill the disk of the state folder at random moments, and make room again."""
    tally = Tally()
    with rounds_of(Kind.PKEYS, rows, seed, Options(seed=seed)) as rounds:
        for tally.rounds, this in zip(range(1, count + 1), rounds, strict=False):
            with small_disk(this.state_dir, this.dice.randint(60, 800)) as make_room:
                status = this.start(*this.words).wait()
                assert status in {0, 2, 6}, this.log.read_text()
                assert "Traceback" not in this.log.read_text()
                make_room()
                if status:
                    tally.kills["by a full disk, " + this.doing] += 1
                    words = ["resume"] if this.has_begun(1) else this.words
                    status = this.start(*words).wait()
                    assert status == 0, this.log.read_text()
                this.judge(tally)
    return tally


@contextmanager
def rounds_of(
    kind: Kind, rows: int, seed: int, options: Options, popen: Popen = subprocess.Popen
) -> Iterator[Iterator[Round]]:
    """Serve a Campaign with profiles, and yield one file after another for it."""
    dice = random.Random(seed)

    def rounds() -> Iterator[Round]:
        for number in range(1, 1_000):
            this = Round(sim, Path(folder) / f"round-{number}", dice, kind, popen)
            this.folder.mkdir()
            this.prepare(rows)
            yield this

    with tempfile.TemporaryDirectory() as folder, running(options) as sim:
        for number in range(rows):
            state = dice.random() < 0.5
            sim.add(pkey=key_of(number), email=f"p{number}@example.com", ccpaOptOut=state)
        yield rounds()


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Callable[[], None]]:
    """Put a folder on a disk of its own, and yield a function that makes room; needs root."""

    def mount(size: str) -> None:
        words = ["-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
        subprocess.run([shutil.which("mount") or "", *words], check=True)

    folder.mkdir(exist_ok=True)
    mount(f"size={size_kb}k")
    try:
        yield partial(mount, "remount,size=100m")
    finally:
        subprocess.run([shutil.which("umount") or "", str(folder)], check=True)


def environment_of(sim: Simulator, state_dir: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if "BULK_SYNC" not in name},
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(state_dir),
    }


def key_of(number: int) -> str:
    return f"@{'k' * 74}{number:011d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument(
        "--kills", type=int, default=15, help="of each kind, with and without faults"
    )
    parser.add_argument("--disks", type=int, default=10, help="times that the disk is full")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", type=Kind, choices=list(Kind))
    given = parser.parse_args()
    print(f"Seed {given.seed}")
    for kind in Kind if given.only is None else [given.only]:
        for name, faults in (("no faults", {}), ("20% faults", FAULTS)):
            tally = torture(kind, given.rows, given.kills, given.seed, faults)
            print(f"{kind}, {name}: {tally}", flush=True)
    if given.only is not None or not given.disks:
        return
    if os.geteuid() == 0:
        print(f"full disk: {full_disk(given.rows, given.disks, given.seed)}", flush=True)
    else:
        print("full disk: left out; only root can make a small disk, and the tests have a quota")


if __name__ == "__main__":
    main()
