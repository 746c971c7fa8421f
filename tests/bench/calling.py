"""What the program adds to its calls, and how near it comes to a server's rate limit."""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring import Line, Used, compare, line, measure, served, within
from side_door import desired_states, get_json, states, write_desired

HERE = Path(__file__).parent
PYTHON = sys.executable
FAR_END = (PYTHON, str(HERE / "far_end.py"))
PASSES_ROWS, PASSES_CHANGES = "20000", "4000"
WHOLE_ROWS, WHOLE_CHANGES = 30_000, 6_000
LIBRARIES = "pandas, pyarrow.csv, pyarrow.parquet, sqlalchemy, aiohttp, uvloop, orjson, click, tqdm"
CALLS = 20_000
LIMITS = (50, 200, 1000)
FOUND_CALLS, FOUND_RATE, FOUND_SHARE = 4_000, 200, 0.89
SLOWING_CALLS, SLOWING_MS, KNEE = 4_000, 8, 12
CONCURRENCIES = (4, 8, 16, 32, 64)


def program(script: str) -> list[str]:
    return [PYTHON, str(HERE / script)]


def lines() -> Iterator[Line]:
    """Yield the lines about the cost of calls."""
    yield within("bulk-sync --help / 0.25 s", [PYTHON, "-m", "bulk_sync", "--help"], 0.25)
    with served([*FAR_END, "--profiles", PASSES_ROWS]) as url:
        words = [url, PASSES_ROWS, PASSES_CHANGES]
        yield compare(
            "20,000 GET, 4,000 PATCH: our passes / a bare aiohttp loop",
            [*program("our_passes.py"), *words],
            [*program("bare_loop.py"), *words],
            (1 / 0.85, 400),
            rounds=15,
        )
    yield whole()
    yield small()
    yield imports()
    with served([PYTHON, "-m", "bulk_sync", "simulate", "--port", "0"]) as url:
        yield compare(
            "200 pages of 1,000 profiles taken in / orjson.loads of them",
            [*program("scan_pages.py"), url, "ours"],
            [*program("scan_pages.py"), url, "parse"],
            (1.3, 900),
        )


def whole() -> Line:
    """Compare whole runs, from the file to the report, with the calls alone."""
    pairs: list[tuple[Used, Used]] = []
    with (
        served([*FAR_END, "--profiles", str(WHOLE_ROWS)]) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        for number in range(11):
            theirs = measure(
                [*program("bare_loop.py"), url, str(WHOLE_ROWS), str(WHOLE_CHANGES), "whole"]
            )
            # Every run changes the first profiles again.
            desired = desired_states(states(f"{url}/_states", WHOLE_ROWS), WHOLE_CHANGES)
            path = write_desired(Path(folder) / f"in-{number}.csv", desired)
            pairs.append((measure(run_of(url, path)), theirs))
    middle = statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)
    what = "30,000 rows, 6,000 changes, whole runs / a bare aiohttp loop"
    return line(what, pairs, middle, (None, 500))


def small() -> Line:
    """Check the seconds of a run of one row."""
    with served([*FAR_END, "--profiles", "100"]) as url, tempfile.TemporaryDirectory() as folder:
        path = write_desired(Path(folder) / "one.csv", states(f"{url}/_states", 1))
        return within("a run of one row / 1.2 s", run_of(url, path), 1.2)


def imports() -> Line:
    """Compare a run of one row with the import of its libraries."""
    with served([*FAR_END, "--profiles", "100"]) as url, tempfile.TemporaryDirectory() as folder:
        path = write_desired(Path(folder) / "one.csv", states(f"{url}/_states", 1))
        return compare(
            "a run of one row / importing pandas, pyarrow, SQLAlchemy, aiohttp, uvloop",
            run_of(url, path),
            [PYTHON, "-c", f"import {LIBRARIES}"],
            (1.25, 200),
        )


def run_of(url: str, path: Path, fetch: str = "lookup") -> list[str]:
    """Return the command line for running a file; it prints nothing."""
    folder = path.parent
    connection = ["--endpoint", url, "--organization", "acme", "--api-key", "demo-key"]
    kept = ["--state-dir", str(folder / "state"), "--report", str(path.with_suffix(".results.csv"))]
    (folder / "token.toml").write_text('access-token = "demo-token"\n')
    words = ["--config", str(folder / "token.toml"), "-q", "--max-opt-ins", "100%"]
    words += ["--allow", "same-file"]
    return [
        PYTHON,
        "-m",
        "bulk_sync",
        "run",
        str(path),
        "--fetch",
        fetch,
        *words,
        *connection,
        *kept,
    ]


def limits() -> Iterator[Line]:
    """Yield how near the program comes to each hidden rate limit.

    The 20,000 calls against each limit mostly wait, so the measurements run at once.
    """
    yield slowing()
    yield whole_under_limit()
    with ThreadPoolExecutor(len(LIMITS)) as threads:
        yield from threads.map(_limited, LIMITS)


def whole_under_limit() -> Line:
    """Check the rate of a whole run under a hidden limit, with the time to start and to find it."""
    rows = FOUND_CALLS
    far_end = [*FAR_END, "--profiles", str(rows), "--wait-ms", "50", "--rate", str(FOUND_RATE)]
    with served(far_end) as url, tempfile.TemporaryDirectory() as folder:
        path = write_desired(Path(folder) / "in.csv", states(f"{url}/_states", rows))
        ours = measure(run_of(url, path))
    ideal = Used(rows / FOUND_RATE, 0.0)
    what = f"a run of {rows:,} look-ups, hidden limit {FOUND_RATE}/s / the limit"
    return line(what, [(ours, ideal)], ours.seconds / ideal.seconds, (1 / FOUND_SHARE, 400))


def slowing() -> Line:
    """Compare the adaptive load with the best of several fixed ones, in turns."""
    far_end = [*FAR_END, "--profiles", str(SLOWING_CALLS), "--wait-ms", str(SLOWING_MS)]
    with served([*far_end, "--knee", str(KNEE)]) as url:
        passes = [*program("our_passes.py"), url, str(SLOWING_CALLS), "0"]
        turns = {each: (measure(passes), measure([*passes, str(each)])) for each in CONCURRENCIES}
    at = min(turns, key=lambda each: turns[each][1].seconds)
    best = turns[at][1]
    ratio = statistics.median(ours.seconds for ours, _ in turns.values()) / best.seconds
    what = f"{SLOWING_CALLS:,} calls, slower under load: adaptive / the best fixed, {at} in flight"
    return line(what, [(ours, best) for ours, _ in turns.values()], ratio, (1 / 0.9, 400))


def _limited(rate: int) -> Line:
    far_end = [*FAR_END, "--profiles", str(CALLS), "--wait-ms", "50", "--rate", str(rate)]
    with served(far_end) as url:
        ours = measure([*program("our_passes.py"), url, str(CALLS), "0"])
        counts: dict[str, int] = get_json(f"{url}/_counts")
    refused = counts.get("429", 0) / sum(counts.values())
    what = f"{CALLS:,} calls, hidden limit {rate:,}/s / the limit; {refused:.2%} refused"
    ideal_s = CALLS / rate
    return line(what, [(ours, Used(ideal_s, 0.0))], ours.seconds / ideal_s, (1 / 0.9, 400))
