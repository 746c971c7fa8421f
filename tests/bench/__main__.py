"""Speed and memory as ratios against a reference in the same run: ``make bench``.

Prints a table, and writes it to ``.cache/bench.md`` and as JSON to ``.cache/bench.json``. Names of
rooms on the command line (``beside``, ``browsing``, ``calling``, ``confined``, ``huge``,
``limits``, ``opening``, ``reading``, ``recording``, ``reporting``, ``vast``) measure just those.
Only if they are named: ``browsing`` and ``huge``, which take minutes and 3 GB of disk, and
``vast``, which takes half an hour and 40 GB (``make bench-vast``). Each room is a process of its
own, because a process inherits the peak of memory of its parent.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from measuring import Line
from rooms import ONLY_IF_NAMED, ROOMS, measure_room

_CACHE = Path(__file__).parent.parent.parent / ".cache"
_HEADER = """\
| measured | s | reference s | ratio | at most | peak MB | at most |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
    print(
        f"{'':78}{'s':>7}{'ref. s':>8}{'ratio':>7}{'most':>6}{'peak MB':>9}{'most':>6}", flush=True
    )
    lines = []
    for room in sys.argv[1:] or [name for name in ROOMS if name not in ONLY_IF_NAMED]:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            lines += process.submit(measure_room, room).result()
    _CACHE.mkdir(exist_ok=True)
    (_CACHE / "bench.json").write_text(json.dumps([asdict(line) for line in lines], indent=2))
    (_CACHE / "bench.md").write_text("\n".join([_HEADER, *map(_row, lines), ""]))
    sys.exit(not all(line.kept for line in lines))


def _row(line: Line) -> str:
    most = "" if line.most is None else f"{line.most:g}"
    return (
        f"| {line.what} | {line.seconds:.2f} | {line.reference_seconds:.2f} | {line.ratio:.2f} "
        f"| {most} | {line.peak_mb:.0f} | {line.most_mb:.0f} |"
    )


if __name__ == "__main__":
    main()
