"""What other runs have said since: which writes must not be sent, or may never have happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bulk_sync.errors import Exit
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Outcome
from bulk_sync.runs.finding import is_at
from bulk_sync.runs.opened import Opened
from bulk_sync.runs.recording import Recording


@dataclass(frozen=True, slots=True)
class Later:
    """What later runs have said of the rows that are still to be written.

    Attributes:
        forbidden: rows that must not be written any more, and why.
        rewritten: those of them that a later run has written since.
    """

    forbidden: Mapping[int, str] = field(default_factory=dict)
    rewritten: frozenset[int] = frozenset()


def of(run: Opened, recording: Recording) -> Later:
    """Tell what must not be written any more, because a later run has had the later word.

    That is every key that a later run meant to write. Of the others nobody knows what the later
    file said of them, for what already held was not written: so no opt-out is lifted any more on
    the word of the earlier file, while setting one does no harm. What an undo puts back still
    stands where a later run has left the profile alone.
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
    forbidden: dict[int, str] = {}
    files = [each.run_id for each in later if each.begun.kind in {Kind.RUN, Kind.APPLY}]
    if files and run.undone is None:
        detail = (
            f"Run {files[-1]} has worked on this organization since, so its file has the later "
            "word: no opt-out is lifted any more for this one. Run the file again if that is right."
        )
        forbidden = dict.fromkeys(recording.opt_ins, detail)
    besides = () if run.undone is None else (Outcome.DRIFTED, Outcome.UNCHANGED)
    written = run.ledger.keys_of([each.run_id for each in later], besides)
    rewritten = {at: written[key] for at, key in enumerate(recording.keys) if key in written}
    for at, run_id in rewritten.items():
        forbidden[at] = f"Run {run_id} has had the later word on this profile."
    return Later(forbidden, frozenset(rewritten))


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
