"""Requests that found their state in Campaign, and opt-outs still to be carried out.

Those of a finished run are in its kept rows, those of an unfinished one in its checkpoint.
"""

from collections.abc import Iterator, Mapping, Sequence

from bulk_sync.engines.journal import now_ms
from bulk_sync.ledger import Begun, Kind
from bulk_sync.rows import comparison, expand, request_order
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.kept import kept_rows, large_input
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.kept_rows import Found
from bulk_sync.runs.terms.job import Matching
from bulk_sync.settings import State


def found(
    state: State, keys: Sequence[str], runs: Mapping[str, Begun], since_ms: int
) -> Iterator[tuple[str, Found]]:
    """Yield those of some runs for some PKeys, with the run, as far as its rows are here.

    An opt-out that an unfinished run has yet to look at, or to write, counts as found just now.

    Kept rows without a request as late as ``since_ms`` are passed over. Memory: a part of the kept
    rows of a run, and all rows of an unfinished one that fit.
    """
    kept, wanted = kept_rows.all_of(state.folder), frozenset(keys)
    for run_id, begun in runs.items():
        with kept_rows.warning_of(run_id):
            if run_id in kept:
                yield from ((run_id, each) for each in kept[run_id].found(wanted, since_ms))
            elif begun.kind is not Kind.PLAN and (rows := _so_far(state, run_id, begun)):
                for part in map(kept_rows.table, rows.read()):
                    yield from (
                        (run_id, each) for each in kept_rows.found_in(part, wanted, now_ms())
                    )


def _so_far(state: State, run_id: str, begun: Begun) -> Slices | None:
    """Return the rows of an unfinished run, compared with the states that it has read.

    None if they are not here, or not compared yet.
    """
    checkpoint = Checkpoint.find(state.folder, run_id)
    if checkpoint is None or large_input.find(checkpoint) is not None:
        return None
    rows = checkpoint.rows()
    planned = checkpoint.plan(rows)
    if planned is None:
        matching = Matching.of(begun.settings, begun.attribute)
        states = checkpoint.states(Steps.blank(len(comparison.open_rows(rows))))
        rows, states = expand.expand(rows, states, matching.keys, matching.on_conflict)
        planned = comparison.compare(rows, states, request_order.no_writes)
    return large_input.rest_of(checkpoint).with_results(planned)
