"""Whose request stands at a profile: that of the last write, or a later run's.

    writes of one profile, in order --an undo restores the one before--> the last write

A resumed run, a retry and an undo meet the work of later runs (``lineage.py``):

==================  =====================================  =======================================
its row             a later run meant to write the profile  a later run worked, but not on it
==================  =====================================  =======================================
opt-out             sent if its request is not older,       sent
                    else left alone
opt-in              left alone                              left alone: the later file may have
                                                            named it too
of an undo          left alone, unless the later run did    sent, but see ``overtaken.py``
                    not change the profile
==================  =====================================  =======================================

An undone later run does not count, except where the undo failed. If the original run of a retry was
undone since, all of its rows are left alone.

Writes are in the ledger, for every machine with access to it. Requests that found their state in
Campaign are in the rows kept here, and in the checkpoints of unfinished runs.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from bulk_sync.ledger import Begun, Kind, Ledger, Run, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import request_order
from bulk_sync.rows.request_order import (
    Confirmed,
    LastWrites,
    Own,
    Precision,
    RequestDate,
    Writes,
)
from bulk_sync.runs.history import found_states, lineage
from bulk_sync.runs.history.lineage import same_place
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.kept_rows import Found
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.settings import Connection, State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Superseded:
    """Rows of a run with profiles of later runs.

    Attributes:
        forbidden: rows not to be written any more, each with the sentence for the report.
        rewritten: rows with a profile of a later run's writes.
        overruled: those of them with a request at least as new as the later run's.
    """

    forbidden: Mapping[int, str] = field(default_factory=dict)
    rewritten: frozenset[int] = frozenset()
    overruled: frozenset[int] = frozenset()


def superseded(
    run: RunContext,
    recording: Recording,
    requests: Mapping[int, RequestDate],
    last_writes: LastWrites,
) -> Superseded:
    """Return the rows of a run with profiles of later runs, by the table above.

    ``requests`` has the request dates of its rows; undated ones are missing.
    """
    later = run.lineage.later(run.ledger.runs(), run.begun)
    if not later:
        return Superseded()
    is_undo = run.lineage.undone is not None
    put_back = lineage.undone(later)
    cancelled = {*put_back, *put_back.values()}
    standing_runs = [each for each in later if each.run_id not in cancelled]
    meant = _written_by(standing_runs, put_back, run.ledger, is_undo=is_undo)
    rewritten = {at: meant[key] for at, key in enumerate(recording.keys) if key in meant}
    opt_outs = {} if is_undo else {
        at: requests[at] for at in rewritten if at in requests and recording.desired[at]
    }  # fmt: skip
    overruled = _overruled(recording.keys, opt_outs, last_writes)
    forbidden = {} if is_undo else _opt_ins_forbidden(recording.opt_ins, standing_runs)
    for at, run_id in rewritten.items():
        if at not in overruled:
            forbidden[at] = f"Run {run_id} has worked on this profile since, so it was left alone."
    if (undo := _undone_since(run, standing_runs)) is not None:
        detail = (
            f"Run {undo.run_id} has put back run {undo.begun.parent} since, so this row was left "
            "alone. If it is right all the same, run it again from a file."
        )
        forbidden = dict.fromkeys(range(len(recording.keys)), detail)
    return Superseded(forbidden, frozenset(rewritten), overruled)


def own_writes(
    last_writes: LastWrites, keys: Sequence[str], requests: Mapping[int, RequestDate]
) -> Writes:
    """Look up the last writes to the profiles of some rows."""
    if not requests:
        return {}
    since_ms = min(request.first_ms for request in requests.values())
    return last_writes([keys[at] for at in requests], since_ms)


def put_back(run: RunContext, recording: Recording) -> tuple[set[int], dict[int, int]]:
    """Return what is known of the writes that an undo puts back, by its own rows.

    Returns:
        Those that may not have arrived; and when the opt-outs among them were confirmed, or given
        up, in ms.
    """
    uncertain, ended_ms = set[int](), dict[int, int]()
    if run.lineage.undone is None:
        return uncertain, ended_ms
    rows, opt_ins = {key: at for at, key in enumerate(recording.keys)}, set(recording.opt_ins)
    for write in run.ledger.writes(run.lineage.undone):
        at, settled = rows.get(write.intent.key), write.settled
        if at is None:
            continue
        if settled is None or settled.outcome is Outcome.FAILED:
            uncertain.add(at)
        if at in opt_ins:
            ended_ms[at] = write.acted_ms
    return uncertain, ended_ms


def last_writes(
    book: Ledger | None, state: State, place: Connection | Begun, own_id: str
) -> LastWrites:
    """Return a function to look up the last writes of other runs to profiles of one instance.

    Those of the run ``own_id`` are left out, and its rows: it writes a profile once. Memory: the
    writes to the profiles looked up.
    """

    def look_up(keys: Sequence[str], since_ms: int) -> Writes:
        if book is None:
            return {}
        every = book.runs()
        runs = {
            run.run_id: run.begun
            for run in every
            if same_place(run.begun, place)
            and run.begun.attribute == place.attribute
            and run.run_id != own_id
        }
        others = list[Write]()
        written = standing(_without_created(book.writes_to(keys), others), runs) if runs else {}
        put_back = lineage.undone(every)
        counting = {
            run_id: begun
            for run_id, begun in runs.items()
            if run_id not in put_back and begun.kind is not Kind.UNDO
        }
        positions = {run.run_id: run.position for run in every}
        refused = {run.run_id for run in every if not run.is_done}  # or given up
        # A refused list may be a wrong one, and no undo can cancel it: in doubt the opt-out counts.
        confirmed = (
            (each.pkey, each.state, _confirmed(run_id, each))
            for run_id, each in chain(
                found_states.found(state, keys, counting, since_ms),
                ((each.run_id, _existing(each)) for each in others if each.run_id in counting),
            )
            if each.state or (each.request is not None and run_id not in refused)
        )
        return _with_confirmed(written, confirmed, positions)

    return look_up


def without_own(last_writes: LastWrites, own: Iterable[Write]) -> LastWrites:
    """Leave out the profiles that a run's own writes have changed, or may have changed."""
    decided = {write.pkey for write in own if write.may_have_changed}

    def look_up(keys: Sequence[str], since_ms: int) -> Writes:
        return last_writes([key for key in keys if key not in decided], since_ms)

    return look_up


def standing(writes: Iterable[Write], runs: Mapping[str, Begun]) -> Writes:
    """Return the last writes, by PKey and state.

    ``writes`` are in the order of the ledger; ``runs`` has the beginnings of those to be counted.
    """
    stands: dict[tuple[str, bool], Own] = {}
    before: dict[tuple[str, str], Own] = {}
    for write in writes:
        begun, intent, is_done = runs.get(write.run_id), write.intent, write.is_confirmed
        if begun is None or not write.may_have_changed:
            continue
        pkey, state = write.pkey, intent.desired
        displaced = None if intent.before is None else stands.get((pkey, intent.before))
        own = _own(write)
        undated = replace(own, request=None, confirmed=None)  # the state before, if others set it
        before.setdefault((pkey, write.run_id), displaced or undated)
        if begun.kind is Kind.UNDO and begun.parent is not None:
            restored = before.get((pkey, begun.parent), undated)
            own = replace(
                own,
                request=restored.request,
                confirmed=restored.confirmed,
                no_later_ms=restored.no_later_ms,
                run_id=restored.run_id,
            )
        stands[pkey, state] = own
        if is_done:
            stands.pop((pkey, not state), None)
    return stands


def _written_by(
    later: Iterable[Run], put_back: Mapping[str, str], book: Ledger, *, is_undo: bool
) -> dict[str, str]:
    """Return the keys of later runs' writes, each with the last such run.

    ``later`` are those that stand, ``put_back`` has the undo of each undone one.
    """
    besides = (Outcome.DRIFTED, Outcome.UNCHANGED) if is_undo else ()
    meant = dict[str, str]()
    for wrong, undo in put_back.items():
        restored = book.keys_of([undo], set(Outcome) - {Outcome.UPDATED})
        left = book.keys_of([wrong], besides)
        meant |= {key: wrong for key in left if key not in restored}
    return meant | book.keys_of([run.run_id for run in later], besides)


def _undone_since(run: RunContext, later: Iterable[Run]) -> Run | None:
    """Return the undo of an ancestor of a run, if one began since this run did."""
    began, family = run.ledger.run(run.run_id).position, run.lineage.family
    return next(
        (
            each
            for each in later
            if each.begun.kind is Kind.UNDO
            and each.begun.parent in family
            and each.position > began
        ),
        None,
    )


def _opt_ins_forbidden(opt_ins: Iterable[int], later: Iterable[Run]) -> dict[int, str]:
    """Forbid every opt-in if a file was carried out later: it may have named them too."""
    files = [run.run_id for run in later if run.begun.kind in {Kind.RUN, Kind.APPLY}]
    if not files:
        return {}
    detail = (
        f"This opt-out was not lifted: run {files[-1]} has worked on this organization since, and "
        "its file is newer. To lift it all the same, run this row again from a file."
    )
    return dict.fromkeys(opt_ins, detail)


def _overruled(
    keys: Sequence[str], opt_outs: Mapping[int, RequestDate], last_writes: LastWrites
) -> frozenset[int]:
    """Return the opt-outs with a request at least as new as the one carried out later."""
    found = own_writes(last_writes, keys, opt_outs)
    overruled = set()
    for at, request in opt_outs.items():
        own = found.get((keys[at], False))
        if own is not None and not own.is_seen:
            theirs = request_order.choice(0, own, request, desired=True)
            if not request_order.is_newer(theirs, request, desired=True):
                overruled.add(at)
    return frozenset(overruled)


def _with_confirmed(
    written: Writes,
    confirmed: Iterable[tuple[str, bool, Confirmed]],
    positions: Mapping[str, int],
) -> Writes:
    """Add to each last write the latest requests since then that found its state.

    ``positions`` are those of the runs' first lines: the clock may have been set back meanwhile.
    """
    found = dict(written)
    for pkey, state, each in confirmed:
        own, other = found.get((pkey, state)), written.get((pkey, True))
        if not state and other is not None and each.at_ms < other.began_ms:
            continue  # an opt-out has followed
        if own is None:
            own = Own(state, each.at_ms, each.at_ms, None, each.at_ms, each.run_id, is_seen=True)
        began_since = positions.get(each.run_id, 0) > own.position
        if own.is_seen or began_since or each.at_ms >= own.began_ms:
            found[pkey, state] = own.confirmed_by(each)
    return found


def _without_created(writes: Iterable[Write], others: list[Write]) -> Iterator[Write]:
    """Yield all but those of profiles that others had created; add these to a list."""
    for write in writes:
        settled = write.settled
        if settled is not None and settled.outcome is Outcome.UNCHANGED and settled.profile:
            others.append(write)
        else:
            yield write


def _existing(write: Write) -> Found:
    own = _own(write)
    return Found(write.pkey, own.state, own.request, own.ended_ms)


def _confirmed(run_id: str, each: Found) -> Confirmed:
    if each.request is not None:
        return Confirmed(each.request, run_id, each.at_ms)
    latest = RequestDate(each.at_ms, Precision.INSTANT)
    return Confirmed(latest, run_id, each.at_ms, is_dated=False)


def _own(write: Write) -> Own:
    own = Own(
        state=write.intent.desired,
        began_ms=write.at_ms,
        ended_ms=write.acted_ms,
        request=None,
        no_later_ms=write.at_ms,
        run_id=write.run_id,
        is_doubtful=write.is_doubtful,
        position=write.position,
    )
    if (text := write.intent.requested) is None:
        return own
    date = RequestDate.parse(text.removesuffix(request_order.OR_LATER))
    if text.endswith(request_order.OR_LATER):
        return own.confirmed_by(Confirmed(date, write.run_id, write.at_ms))
    return replace(own, request=date)
