"""What other runs have said since: which writes must not be sent, or may never have happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bulk_sync.errors import Exit
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import request_order
from bulk_sync.rows.request_order import LastWrites, Request
from bulk_sync.runs import precedence
from bulk_sync.runs.past_runs import is_at
from bulk_sync.runs.run_context import Opened
from bulk_sync.runs.write_records import Recording


@dataclass(frozen=True, slots=True)
class Later:
    """What later runs have said of the rows that are still to be written.

    Attributes:
        forbidden: rows that must not be written any more, and why.
        rewritten: rows that a later run has written since.
        overruled: those of them whose request is older than this run's, so that this one counts.
    """

    forbidden: Mapping[int, str] = field(default_factory=dict)
    rewritten: frozenset[int] = frozenset()
    overruled: frozenset[int] = frozenset()


def of(
    run: Opened, recording: Recording, requests: Mapping[int, Request], last_writes: LastWrites
) -> Later:
    """Return what must not be written any more, because a later run has worked on it.

    That is every key that a later run meant to write. Of the others nobody knows what the later
    file said of them, for what already held was not written: so no opt-out is lifted any more on
    the word of the earlier file, while setting one does no harm. What an undo puts back still
    stands where a later run has left the profile alone. An opt-out whose request is not older than
    the one that a later run has carried out counts nevertheless. A later run that was undone has no
    word any more, but where the undo has failed.

    Args:
        run: the run.
        recording: its writes.
        requests: when they were asked for, by place; undated ones are missing.
        last_writes: looks up what this tool wrote last.
    """
    if run.since is None:
        return Later()
    later = [
        each
        for each in run.ledger.runs()
        if each.position > run.since
        and each.run_id not in {run.run_id, *run.ancestors}
        and (each.ended is None or each.ended.exit not in {Exit.REFUSED, Exit.USAGE})
        and is_at(each.begun, run.begun.endpoint, run.begun.organization)
        and each.begun.attribute == run.begun.attribute
    ]
    put_back = precedence.undone(later)
    cancelled = {*put_back, *put_back.values()}
    forbidden: dict[int, str] = {}
    files = [
        each.run_id
        for each in later
        if each.begun.kind in {Kind.RUN, Kind.APPLY} and each.run_id not in cancelled
    ]
    if files and run.undone is None:
        detail = (
            f"Run {files[-1]} has worked on this organization since, so its file has the later "
            "word: no opt-out is lifted any more for this one. Run the file again if that is right."
        )
        forbidden = dict.fromkeys(recording.opt_ins, detail)
    besides = () if run.undone is None else (Outcome.DRIFTED, Outcome.UNCHANGED)
    meant = dict[str, str]()
    for wrong, undo in put_back.items():
        done = run.ledger.keys_of([undo], set(Outcome) - {Outcome.UPDATED})
        left = run.ledger.keys_of([wrong], besides)
        meant |= {key: wrong for key in left if key not in done}
    meant |= run.ledger.keys_of([x.run_id for x in later if x.run_id not in cancelled], besides)
    rewritten = {at: meant[key] for at, key in enumerate(recording.keys) if key in meant}
    dated = {} if run.undone else {at: requests[at] for at in rewritten if at in requests}
    overruled = _overruled(recording, dated, last_writes)
    for at, run_id in rewritten.items():
        if at not in overruled:
            forbidden[at] = f"Run {run_id} has worked on this profile since, so it was left alone."
    return Later(forbidden, frozenset(rewritten), overruled)


def written(
    last_writes: LastWrites, recording: Recording, requests: Mapping[int, Request]
) -> request_order.Writes:
    """Look up what this tool wrote last to the profiles of some requests, by place."""
    if not requests:
        return {}
    since_ms = min(request.first_ms for request in requests.values())
    return last_writes([recording.keys[at] for at in requests], since_ms)


def _overruled(
    recording: Recording, dated: Mapping[int, Request], last_writes: LastWrites
) -> frozenset[int]:
    """Return the opt-outs whose request is not older than what a later run has carried out."""
    opt_outs = {at: request for at, request in dated.items() if recording.desired[at]}
    found = written(last_writes, recording, opt_outs)
    overruled = set()
    for at, request in opt_outs.items():
        own = found.get((recording.keys[at], False))
        if own is not None and not own.is_seen:
            theirs = request_order.choice(0, own, request, desired=True)
            overruled |= set() if request_order.is_newer(theirs, request, desired=True) else {at}
    return frozenset(overruled)


def uncertain(run: Opened, recording: Recording) -> frozenset[int]:
    """Tell for an undo which writes may never have happened.

    Its parent died while they flew, or never got to know that they arrived.
    """
    if run.undone is None:
        return frozenset()
    writes = run.ledger.writes(run.undone)
    unknown = {
        write.intent.key
        for write in writes
        if write.settled is None or write.settled.outcome is Outcome.FAILED
    }
    return frozenset(at for at, key in enumerate(recording.keys) if key in unknown)
