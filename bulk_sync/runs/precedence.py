"""Whose request stands at a profile: what this tool wrote there last, and what later runs wrote.

    writes of one profile, in order --undo puts back what stood before--> what stands

A run that goes on, a retry and an undo meet profiles on which later runs (``lineage.py``) have
worked since:

==================  =====================================  =======================================
its row             a later run meant to write the profile  a later run worked, but not on it
==================  =====================================  =======================================
opt-out             sent if its request is not older,       sent
                    else left alone
opt-in              left alone                              left alone: what the later file said
                                                            about it is not known
of an undo          left alone, unless the later run did    sent
                    not change the profile
==================  =====================================  =======================================

A later run that was undone does not count, except where the undo failed.

Writes are known from the ledger, by every machine that shares it. That a request found the state as
it asked for it is known from the rows kept here.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bulk_sync.ledger import Begun, Kind, Ledger, Run, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import request_order
from bulk_sync.rows.request_order import Confirmed, LastWrites, Own, Request, Writes
from bulk_sync.runs import kept_rows, lineage
from bulk_sync.runs.lineage import same_place
from bulk_sync.runs.run_context import RunContext
from bulk_sync.runs.write_records import Recording
from bulk_sync.settings import Connection, State

log = logging.getLogger(__name__)

_DONE: Final = (Outcome.UPDATED, Outcome.CREATED)

_IN_FLIGHT_MS: Final = 1_800_000
"""A write whose end is not recorded arrived, if it did, within the usual patience."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Rows of a run on which later runs have worked.

    Attributes:
        forbidden: rows that must not be written any more, each with the sentence for the report.
        rewritten: rows whose profiles a later run meant to write.
        overruled: those of them whose own request is not older, so that they are written.
    """

    forbidden: Mapping[int, str] = field(default_factory=dict)
    rewritten: frozenset[int] = frozenset()
    overruled: frozenset[int] = frozenset()


def superseded(
    run: RunContext,
    recording: Recording,
    requests: Mapping[int, Request],
    last_writes: LastWrites,
) -> Superseded:
    """Return which rows of a run later runs have worked on, by the table above.

    Args:
        run: the run.
        recording: its writes.
        requests: the request dates of its rows; undated ones are missing.
        last_writes: looks up what this tool wrote last.
    """
    later = run.lineage.later(run.ledger.runs(), run.begun)
    if not later:
        return Superseded()
    is_undo = run.lineage.undone is not None
    meant = _written_by(later, run.ledger, is_undo=is_undo)
    rewritten = {at: meant[key] for at, key in enumerate(recording.keys) if key in meant}
    opt_outs = {} if is_undo else {
        at: requests[at] for at in rewritten if at in requests and recording.desired[at]
    }  # fmt: skip
    overruled = _overruled(recording, opt_outs, last_writes)
    forbidden = {} if is_undo else _opt_ins_forbidden(recording, later)
    for at, run_id in rewritten.items():
        if at not in overruled:
            forbidden[at] = f"Run {run_id} has worked on this profile since, so it was left alone."
    return Superseded(forbidden, frozenset(rewritten), overruled)


def own_writes(
    last_writes: LastWrites, recording: Recording, requests: Mapping[int, Request]
) -> Writes:
    """Look up what this tool wrote last to the profiles of some rows."""
    if not requests:
        return {}
    since_ms = min(request.first_ms for request in requests.values())
    return last_writes([recording.keys[at] for at in requests], since_ms)


def uncertain(run: RunContext, recording: Recording) -> frozenset[int]:
    """Return the rows of an undo whose writes, by the run that it undoes, may not have arrived."""
    if run.lineage.undone is None:
        return frozenset()
    unknown = {
        write.intent.key
        for write in run.ledger.writes(run.lineage.undone)
        if write.settled is None or write.settled.outcome is Outcome.FAILED
    }
    return frozenset(at for at, key in enumerate(recording.keys) if key in unknown)


def last_writes(
    book: Ledger | None, state: State, connection: Connection, besides: str | None = None
) -> LastWrites:
    """Return a function that looks up what this tool wrote last to profiles of one instance.

    Args:
        book: the ledger; without one nothing was written.
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
            if same_place(run.begun, connection)
            and run.begun.attribute == connection.attribute
            and run.run_id != besides
        }
        written = standing(book.writes_to(keys), runs) if runs else {}
        put_back = lineage.undone(every)
        counting = [run_id for run_id in runs if run_id not in put_back]
        return _with_confirmed(written, _confirmed(state, keys, since_ms, counting))

    return look_up


def standing(writes: Iterable[Write], runs: Mapping[str, Begun]) -> Writes:
    """Find what was written last, by PKey and state.

    Args:
        writes: in the order in which they were recorded.
        runs: how the runs began whose writes count.
    """
    stands: dict[tuple[str, bool], Own] = {}
    before: dict[tuple[str, str], Own] = {}
    for write in writes:
        begun, intent = runs.get(write.run_id), write.intent
        is_done = write.settled is not None and write.settled.outcome in _DONE
        if begun is None or not (is_done or _is_doubtful(write)):
            continue
        created = None if write.settled is None else write.settled.profile
        pkey, state = created or intent.key, intent.desired
        displaced = None if intent.before is None else stands.get((pkey, intent.before))
        before.setdefault((pkey, write.run_id), displaced or _undated(write, not state))
        own = _own(write, is_doubtful=not is_done)
        if begun.kind is Kind.UNDO and begun.parent is not None:
            restored = before.get((pkey, begun.parent)) or _undated(write, state)
            own = replace(
                own,
                request=restored.request,
                no_later_ms=restored.no_later_ms,
                run_id=restored.run_id,
            )
        stands[pkey, state] = own
        if is_done:
            stands.pop((pkey, not state), None)
    return stands


def _written_by(later: Sequence[Run], book: Ledger, *, is_undo: bool) -> dict[str, str]:
    """Return the keys that later runs meant to write, each with the last such run."""
    put_back = lineage.undone(later)
    cancelled = {*put_back, *put_back.values()}
    besides = (Outcome.DRIFTED, Outcome.UNCHANGED) if is_undo else ()
    meant = dict[str, str]()
    for wrong, undo in put_back.items():
        restored = book.keys_of([undo], set(Outcome) - {Outcome.UPDATED})
        left = book.keys_of([wrong], besides)
        meant |= {key: wrong for key in left if key not in restored}
    return meant | book.keys_of([x.run_id for x in later if x.run_id not in cancelled], besides)


def _opt_ins_forbidden(recording: Recording, later: Sequence[Run]) -> dict[int, str]:
    """Forbid every opt-in if a file was carried out later: what it said of them is not known."""
    put_back = lineage.undone(later)
    cancelled = {*put_back, *put_back.values()}
    files = [
        run.run_id
        for run in later
        if run.begun.kind in {Kind.RUN, Kind.APPLY} and run.run_id not in cancelled
    ]
    if not files:
        return {}
    detail = (
        f"Run {files[-1]} has worked on this organization since, so its file is the newer one: no "
        "opt-out is lifted any more for this one. If it is to be lifted, run the file again."
    )
    return dict.fromkeys(recording.opt_ins, detail)


def _overruled(
    recording: Recording, opt_outs: Mapping[int, Request], last_writes: LastWrites
) -> frozenset[int]:
    """Return the opt-outs whose request is not older than the one that a later run carried out."""
    found = own_writes(last_writes, recording, opt_outs)
    overruled = set()
    for at, request in opt_outs.items():
        own = found.get((recording.keys[at], False))
        if own is not None and not own.is_seen:
            theirs = request_order.choice(0, own, request, desired=True)
            if not request_order.is_newer(theirs, request, desired=True):
                overruled.add(at)
    return frozenset(overruled)


def _confirmed(
    state: State, keys: Sequence[str], since_ms: int, runs: Iterable[str]
) -> Iterator[tuple[str, bool, Confirmed]]:
    """Yield the requests that found a state as they asked for it, as far as rows are kept here."""
    kept, wanted = kept_rows.all_of(state.folder), frozenset(keys)
    for run_id in runs:
        if run_id in kept:
            with kept_rows.warning_of(run_id):
                yield from kept[run_id].confirmed(wanted, since_ms)


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


def _undated(write: Write, state: bool) -> Own:  # noqa: FBT001 - a state
    """Return the state before a write that this tool did not write: its date is not known."""
    return Own(state, write.at_ms, write.at_ms, None, write.at_ms, write.run_id)
