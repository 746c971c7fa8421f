"""The whole job beside other programs for it: how long each takes, and how many calls it spends.

Every program works on a simulator of its own, with the same profiles and 10 ms for an answer, and
reads the same file: 5,000 rows, 500 of them changes.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from calling import PYTHON, program, run_of
from measuring import Line, Used, line, measure, served
from side_door import desired_states, get_json, states, write_desired

ROWS, CHANGES, LATENCY_MS = 5_000, 500, 10
PEERS = {
    "requests": "one request after the other (requests)",
    "threads": "32 threads (requests)",
    "httpx": "64 at once (httpx)",
    "aiohttp": "64 at once (aiohttp)",
}


def lines() -> Iterator[Line]:
    """Yield a line for each pair of our reading and another program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.csv"
        ours = {
            fetch: on_a_simulator(path, partial(run_of, path=path, fetch=fetch))
            for fetch in ("auto", "lookup")
        }
        for name, what in PEERS.items():
            theirs, calls = on_a_simulator(path, partial(peer, path=path, name=name))
            for way, (used, spent) in ours.items():
                text = f"--fetch {way}, {spent:,} calls / {what}, {calls:,} calls"
                ratio = used.seconds / theirs.seconds
                yield line(text, [(used, theirs)], ratio, (2.0 if name == "aiohttp" else 1.0, 400))


def on_a_simulator(path: Path, command: Callable[[str], list[str]]) -> tuple[Used, int]:
    """Return the usage of a command, and the number of calls on the server."""
    options = ["--port", "0", "--profiles", str(ROWS), "--latency", str(LATENCY_MS)]
    with served([PYTHON, "-m", "bulk_sync", "simulate", *options]) as url:
        write_desired(path, desired_states(states(f"{url}/_simulator/state"), CHANGES))
        used = measure(command(url))
        assert len(get_json(f"{url}/_simulator/patched")) == CHANGES
        return used, sum(get_json(f"{url}/_simulator/counters")["methods"].values())


def peer(url: str, path: Path, name: str) -> list[str]:
    """Return the command line of another program."""
    return [*program("peers.py"), name, url, str(path)]
