"""One pass of look-ups, by one process or shared among several.

    shared_passes.py ENDPOINT ROWS PROCESSES busiest|wall

A first pass, which is not measured, brings the processes up. Prints the seconds of the second: by
the clock, or the processor time of the process that used most, which is what the pass would take
if each had a core of its own.
"""

import os
import sys
import time
from pathlib import Path

from side_door import states as states_of

from bulk_sync.engines.session import Session
from bulk_sync.rows.steps import UNREAD, Steps
from bulk_sync.settings import Connection, Fetch, Pace, Reading, Secret

TICKS = os.sysconf("SC_CLK_TCK")


def processor_s() -> dict[int, float]:
    """Tell what this process and its children have used of their processors, by their ids."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    used = {}
    for pid in (own, *map(int, children)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


def main() -> None:
    endpoint, rows, processes, kind = sys.argv[1:]
    keys = list(states_of(f"{endpoint}/_states", int(rows)))
    connection = Connection(endpoint, "acme", "demo-key", Secret("demo-token"))
    pace = Pace(processes=int(processes))
    how = Reading(Fetch.LOOKUP)
    with Session(connection, pace, lambda *_: None) as session:
        session.read(keys, Steps.of(len(keys)), how, lambda _: None)
        steps = Steps.of(len(keys))
        before, began = processor_s(), time.perf_counter()
        session.read(keys, steps, how, lambda _: None)
        took_s, after = time.perf_counter() - began, processor_s()
        assert session.cause is None
        assert (steps.state != UNREAD).all()
    assert len(after) == (1 if processes == "1" else 1 + int(processes))
    print(took_s if kind == "wall" else max(after[pid] - before[pid] for pid in after))


if __name__ == "__main__":
    main()
