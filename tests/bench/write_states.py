"""Writes states as a run does, with a ledger or with none: one side of a line of ``recording.py``.

    write_states.py ENDPOINT ROWS RATE ledger|nothing

Every row wants the other state of its profile, so each costs one PATCH. Prints the seconds from
the first to the last of them, with the ledger durable.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from side_door import desired_states, states

from bulk_sync import ledger
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.engines.write import Journal, Writes
from bulk_sync.ledger import Intent
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.results import UNREAD, Steps
from bulk_sync.runs.kept import write_records
from bulk_sync.settings import Connection, Credentials, Keys, Pace, Secret, State


class Nothing:
    """A journal without a store."""

    def intend(self, positions: Sequence[int]) -> None:
        """Store nothing."""

    def settle(self, positions: Sequence[int]) -> None:
        """Store nothing."""


def planned(endpoint: str, rows: int) -> pd.DataFrame:
    held = states(f"{endpoint}/_states", rows)
    intents = [
        Intent(key, row, None, before=held[key], desired=desired)
        for row, (key, desired) in enumerate(desired_states(held, rows).items(), 2)
    ]
    judged = write_records.rows_for(intents, [each.desired for each in intents], "ccpaOptOut")
    current = Steps.blank(rows)
    current.state[:] = list(map(held.__getitem__, judged[columns.KEY]))
    return comparison.compare(judged, current)


def main() -> None:
    endpoint, rows, rate, kind = sys.argv[1:]
    frame = planned(endpoint, int(rows))
    connection = Connection(endpoint, "acme", Credentials("demo-key", Secret("demo-token")))
    with (
        tempfile.TemporaryDirectory() as folder,
        ledger.open_ledger(State(Path(folder))) as book,
        Session(connection, Pace(rate=float(rate)), lambda *_: None) as session,
    ):
        kept = write_records.Recording(book, "bench", frame, np.arange(int(rows)))
        journal: Journal = kept if kind == "ledger" else Nothing()
        began = time.monotonic()
        resolver = Resolver(Keys(), "ccpaOptOut")
        session.write(Writes(kept.keys, kept.desired, kept.steps, resolver), journal)
        print(time.monotonic() - began)
        assert session.cause is None
        assert (kept.steps.state != UNREAD).all()
        assert kind != "ledger" or sum(1 for _ in book.writes("bench")) == int(rows)


if __name__ == "__main__":
    main()
