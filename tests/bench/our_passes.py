"""The passes of a run that make calls, with all the work of a run around them.

    our_passes.py ENDPOINT ROWS CHANGES [CONCURRENCY]

The load adapts, unless the number of requests in flight is given. States read go to the
checkpoint, writes to the ledger, progress to a bar on the null device.
Prints the seconds of the two passes.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from side_door import desired_states
from side_door import states as states_of
from tqdm import tqdm

from bulk_sync import garbage, ledger
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.engines.write import Writes
from bulk_sync.ledger import Intent
from bulk_sync.rows import comparison
from bulk_sync.rows.results import UNREAD, Steps
from bulk_sync.runs.kept import write_records
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.settings import Connection, Credentials, Fetch, Keys, Pace, Reading, Secret, State


def judged_rows(endpoint: str, rows: int, changes: int) -> pd.DataFrame:
    """Build judged rows, the first ones of them changes."""
    current = states_of(f"{endpoint}/_states", rows)
    intents = [
        Intent(key, row, None, before=current[key], desired=desired)
        for row, (key, desired) in enumerate(desired_states(current, changes).items(), 2)
    ]
    return write_records.rows_for(intents, [each.desired for each in intents], "ccpaOptOut")


def main() -> None:
    garbage.spare_imports()
    endpoint, rows, changes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pace = Pace(concurrency=int(sys.argv[4]) if len(sys.argv) > 4 else None)
    judged = judged_rows(endpoint, rows, changes)
    connection = Connection(endpoint, "acme", Credentials("demo-key", Secret("demo-token")))
    with tempfile.TemporaryDirectory() as folder, Path("/dev/null").open("w") as nowhere:
        state = State(Path(folder))
        bar, drawn_at = tqdm(total=rows, file=nowhere), 0.0

        def show(_what: str, done: int, total: int, pacer: Pacer) -> None:  # as the screen does
            nonlocal drawn_at
            if (now := time.monotonic()) >= drawn_at:
                drawn_at = now + 0.1
                bar.total = total
                bar.set_postfix_str(str(pacer), refresh=False)
                bar.update(done - bar.n)

        with ledger.open_ledger(state) as book, Session(connection, pace, show) as session:
            kept = Checkpoint.create(state.folder, "bench", judged)
            states = kept.states(Steps.blank(rows))
            keys = judged["PKey"].tolist()
            began = time.perf_counter()
            session.read(keys, states, Reading(Fetch.LOOKUP), checkpoint=kept)
            seconds = time.perf_counter() - began
            planned = comparison.compare(judged, states)
            journal = write_records.Recording(book, "bench", planned, comparison.writes(planned))
            began = time.perf_counter()
            resolver = Resolver(Keys(), "ccpaOptOut")
            writes = Writes(journal.keys, journal.desired, journal.steps, resolver)
            session.write(writes, journal)
            seconds += time.perf_counter() - began
            assert session.cause is None
            assert (states.state != UNREAD).all()
            assert np.count_nonzero(journal.steps.attempts) == changes
            print(seconds)


if __name__ == "__main__":
    main()
