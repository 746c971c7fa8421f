"""What this tool wrote last to a profile, and whose request stands there since.

    writes of one profile, in order --undo puts back what stood before--> what stands

It is known from the ledger, so machines that share one know it of each other. That a request found
the state as it asked for it is known from the rows that are kept here.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from bulk_sync.ledger import Begun, Kind, Ledger, Run, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows.request_order import Confirmed, LastWrites, Own, Request, Writes
from bulk_sync.runs import archive
from bulk_sync.runs.past_runs import is_at
from bulk_sync.settings import Connection, State

log = logging.getLogger(__name__)

_DONE: Final = (Outcome.UPDATED, Outcome.CREATED)

_IN_FLIGHT_MS: Final = 1_800_000
"""A write whose end is not recorded has arrived, if it did, within the usual patience."""


def of(
    book: Ledger | None, state: State, connection: Connection, besides: str | None = None
) -> LastWrites:
    """Return what looks up the writes to profiles of one instance; without a ledger there are none.

    Args:
        book: the ledger.
        state: where rows of finished runs are kept.
        connection: the instance.
        besides: a run whose writes do not count.

    Memory: the writes to the profiles asked for.
    """

    def look_up(keys: Sequence[str], since_ms: int) -> Writes:
        if book is None:
            return {}
        every = book.runs()
        runs = {
            run.run_id: run.begun
            for run in every
            if is_at(run.begun, connection.endpoint, connection.organization)
            and run.begun.attribute == connection.attribute
            and run.run_id != besides
        }
        written = last(book.writes_to(keys), runs) if runs else {}
        put_back = undone(every)
        counting = [run_id for run_id in runs if run_id not in put_back]
        confirmed = _confirmed(state, keys, since_ms, counting)
        return _with_confirmed(written, confirmed)

    return look_up


def _confirmed(
    state: State, keys: Sequence[str], since_ms: int, runs: Sequence[str]
) -> Iterator[tuple[str, bool, Confirmed]]:
    """Yield the requests that found a state as they asked for it, as far as rows are kept here."""
    kept = archive.all_of(state.folder)
    wanted = frozenset(keys)
    for run_id in runs:
        try:
            if run_id in kept:
                yield from kept[run_id].confirmed(wanted, since_ms)
        except (OSError, ValueError, pa.ArrowException) as problem:
            log.warning("The rows of run %s cannot be read: %s", run_id, problem)


def _with_confirmed(written: Writes, confirmed: Iterable[tuple[str, bool, Confirmed]]) -> Writes:
    """Add to what was written last the latest request that has found the state so since."""
    found = dict(written)
    for pkey, state, each in confirmed:
        own = found.get((pkey, state))
        if own is None:
            own = Own(state, each.at_ms, each.at_ms, None, each.at_ms, each.run_id, is_seen=True)
        is_since = own.is_seen or each.at_ms >= own.began_ms
        if is_since and (own.confirmed is None or own.confirmed.request < each.request):
            found[pkey, state] = replace(own, confirmed=each)
    return found


def undone(runs: Sequence[Run]) -> Mapping[str, str]:
    """Return the runs that were put back, and by which undo that was not put back itself."""
    undo_of = {
        run.begun.parent: run.run_id
        for run in runs
        if run.begun.kind is Kind.UNDO and run.begun.parent and run.is_done
    }

    def is_undone(run_id: str) -> bool:
        return run_id in undo_of and not is_undone(undo_of[run_id])

    return {run.run_id: undo_of[run.run_id] for run in runs if is_undone(run.run_id)}


def last(writes: Iterable[Write], runs: Mapping[str, Begun]) -> Writes:
    """Find what was written last, by PKey and state.

    Args:
        writes: in the order in which they were recorded.
        runs: what the runs were asked to do that are looked at.
    """
    stands: dict[tuple[str, bool], Own] = {}
    before: dict[tuple[str, str], Own] = {}
    for write in writes:
        begun, intent = runs.get(write.run_id), write.intent
        is_done = write.settled is not None and write.settled.outcome in _DONE
        if begun is None or not (is_done or _is_doubtful(write)):
            continue
        pkey, state = _pkey(write), intent.desired
        displaced = None if intent.before is None else stands.get((pkey, intent.before))
        before.setdefault((pkey, write.run_id), displaced or _unknown(write, not state))
        own = _own(write, is_doubtful=not is_done)
        if begun.kind is Kind.UNDO and begun.parent is not None:
            restored = before.get((pkey, begun.parent)) or _unknown(write, state)
            own = _as_before(own, restored)
        stands[pkey, state] = own
        if is_done:
            stands.pop((pkey, not state), None)
    return stands


def _pkey(write: Write) -> str:
    """Return the PKey of a write: that of a created profile is known from its outcome."""
    created = None if write.settled is None else write.settled.profile
    return created or write.intent.key


def _is_doubtful(write: Write) -> bool:
    """Return whether a write may have changed the profile although that was not confirmed."""
    settled = write.settled
    if settled is None:
        return True
    return settled.outcome is Outcome.FAILED and settled.after is None


def _own(write: Write, *, is_doubtful: bool) -> Own:
    settled, requested = write.settled, write.intent.requested
    return Own(
        state=write.intent.desired,
        began_ms=write.at_ms,
        ended_ms=write.at_ms + _IN_FLIGHT_MS if settled is None else settled.at_ms,
        request=None if requested is None else Request.parse(requested),
        no_later_ms=write.at_ms,
        run_id=write.run_id,
        is_doubtful=is_doubtful,
    )


def _unknown(write: Write, state: bool) -> Own:  # noqa: FBT001 - a state
    """Return what stood before a write, if this tool did not write it: nobody knows since when."""
    return Own(state, write.at_ms, write.at_ms, None, write.at_ms, write.run_id)


def _as_before(own: Own, restored: Own) -> Own:
    """Return the write of an undo, with the request that stands again."""
    return replace(
        own,
        request=restored.request,
        no_later_ms=restored.no_later_ms,
        run_id=restored.run_id,
    )
