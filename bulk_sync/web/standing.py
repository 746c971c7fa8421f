"""How a run stands, in a sign, a colour and a word, for lists and for its own screen."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from bulk_sync.errors import Exit
from bulk_sync.ledger import Kind, Run
from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report.wording import Tone, lacks_upload_alone


class Standing(NamedTuple):
    """How a run stands."""

    tone: Tone
    sign: str
    word: str


_ENDED: Final[Mapping[int, Standing]] = {
    Exit.DONE: Standing(Tone.DONE, "✓", "done"),
    Exit.ROWS_LEFT: Standing(Tone.PERSON, "?", "rows left"),
    Exit.REFUSED: Standing(Tone.PERSON, "✗", "refused"),
}
_NOT_UPLOADED: Final = Standing(Tone.PERSON, "?", "report not uploaded")
_FAILED: Final = Standing(Tone.FAILED, "!", "failed")


def standing_of(run: Run, at_work: Collection[str]) -> Standing:
    """Return how a run stands.

    Args:
        run: as the ledger has it.
        at_work: the ids of the runs that are at work now.
    """
    if not run.has_begun:
        return Standing(Tone.FAILED, "!", "could not start")
    if run.run_id in at_work:
        return Standing(Tone.PLANNED, "→", "at work")
    if run.ended is None:
        return Standing(Tone.FAILED, "!", "broke off")
    if not run.ended.final:
        return Standing(Tone.PERSON, "…", "stopped")
    if run.ended.exit == Exit.DONE and run.begun.kind is Kind.PLAN:
        return Standing(Tone.DONE, "✓", "planned")
    is_upload = lacks_upload_alone(run.ended.exit, run.ended.outcomes)
    return _NOT_UPLOADED if is_upload else _ENDED.get(run.ended.exit, _FAILED)


def left_for_a_person(run: Run) -> int:
    """Return how many rows of a run need a person."""
    outcomes = {} if run.ended is None else run.ended.outcomes
    return sum(outcomes.get(outcome, 0) for outcome in NEEDS_A_PERSON)


def what(run: Run) -> str:
    """Return the kind of a run in words, with the run that it undoes or retries."""
    return run.begun.purpose or str(run.begun.kind)
