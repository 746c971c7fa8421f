"""Plans a file larger than memory against the list of a run: a side of ``vast.py``.

    plan_vast.py INPUT STATE_DIR RUN_ID MEMORY

Does the work of a run on its input: reads, checks, keeps and compares it, and counts the changes.
"""

import sys
from pathlib import Path

from bulk_sync.cli.options.value_types import size
from bulk_sync.rows import comparison
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.kept import large_input
from bulk_sync.runs.stages import validation
from bulk_sync.runs.terms.job import Input


def show_nothing(what: str, done: int, total: int) -> None:
    """Show no progress."""


def main() -> None:
    source, state_dir, run_id = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    memory = size()(sys.argv[4])
    given = Input(source, state_dir=state_dir, memory=memory)
    with validation.judged(given, show_nothing) as judged:
        assert judged.rows.only is None
        checkpoint = large_input.create(state_dir, run_id, judged.rows)
    work = large_input.LargeInput.of_run(checkpoint).divide(
        state_dir, memory, ProtectedKeys(), show_nothing
    )
    planned = Totals.count(comparison.compare(work.rows, work.states))
    totals = large_input.rest_of(checkpoint).totals + planned
    assert totals.writes > 0
    assert totals.rows > len(work.rows) > totals.writes


if __name__ == "__main__":
    main()
