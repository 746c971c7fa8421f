"""The whole job beside other means of doing it: how long each takes, and how many calls it spends.

Every means meets a simulator of its own, with the same profiles and 10 ms for an answer, and is
given the same file: 5,000 rows, of which 500 are changes.
"""

import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from calling import PYTHON, program, run_of
from measuring import Line, Used, line, measure, served

ROWS, CHANGES, LATENCY_MS = 5_000, 500, 10
PEERS = {
    "requests": "one request after the other (requests)",
    "threads": "32 threads (requests)",
    "httpx": "64 at once (httpx)",
    "aiohttp": "64 at once (aiohttp)",
}


def lines() -> Iterator[Line]:
    """Measure all of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wishes.csv"
        ours = {
            fetch: on_a_simulator(path, lambda url: run_of(url, path, fetch))  # noqa: B023 - at once
            for fetch in ("auto", "lookup")
        }
        for name, what in PEERS.items():
            theirs, calls = on_a_simulator(
                path,
                lambda url: [*program("peers.py"), name, url, str(path)],  # noqa: B023 - at once
            )
            for way, (used, spent) in ours.items():
                told = f"--fetch {way}, {spent:,} calls / {what}, {calls:,} calls"
                ratio = used.seconds / theirs.seconds
                yield line(told, [(used, theirs)], ratio, (2.0 if name == "aiohttp" else 1.0, 400))


def on_a_simulator(path: Path, command: Callable[[str], list[str]]) -> tuple[Used, int]:
    """Tell what a command uses, and how many calls the server counts."""
    options = ["--port", "0", "--profiles", str(ROWS), "--latency", str(LATENCY_MS)]
    with served([PYTHON, "-m", "bulk_sync", "simulate", *options]) as url:
        states: dict[str, bool] = asked(url, "state")
        rows = enumerate(states.items())
        wishes = [
            f"{key},{str(bool(state) != (at < CHANGES)).lower()}" for at, (key, state) in rows
        ]
        path.write_text("\n".join(["PKey,ccpaOptOut", *wishes, ""]))
        used = measure(command(url))
        assert sum(asked(url, "counters")["methods"].values()) >= CHANGES
        assert len(asked(url, "patched")) == CHANGES
        return used, sum(asked(url, "counters")["methods"].values())


def asked(url: str, what: str) -> Any:
    """Ask the simulator's side door."""
    with urllib.request.urlopen(f"{url}/_simulator/{what}") as answer:  # noqa: S310 - loopback
        return json.load(answer)
