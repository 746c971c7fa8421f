"""Makes the facts of a report from a run as the ledger has it, and its rows.

Nothing else goes in, so a report that is made again says the same.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import takewhile
from typing import Final

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.errors import Exit, StopRun
from bulk_sync.ledger import Begun, Ended, Run
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.report import wording
from bulk_sync.report.destination import Destination
from bulk_sync.report.facts import (
    PAST_RUNS,
    Facts,
    InputCounts,
    PastRun,
    Result,
    RunRequest,
    Source,
    Subject,
)
from bulk_sync.rows import columns, comparison, read
from bulk_sync.rows.certain_dates import Dates
from bulk_sync.rows.check.rules import OnConflict
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.past_runs import SUBJECTS, exit_status
from bulk_sync.runs.kept.tally import Tally
from bulk_sync.runs.stages.review import exit_of

_GOES_ON: Final = (
    Exit.ACCESS_DENIED, Exit.STOPPED_EARLY, Exit.INTERRUPTED, Exit.TERMINATED,
)  # fmt: skip
"""How a run ends that stopped before it had tried all."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def ended_with(totals: Totals, cause: StopRun | None, warning: str = "") -> Ended:
    """Return the end of a run, as far as it is known before its reports are written.

    ``warning`` is what people must know of a run that did not end early.
    """
    return Ended(
        exit=int(exit_of(totals, cause)),
        message=str(cause or warning),
        final=False,
        outcomes=totals.outcomes,
        opt_ins=totals.opt_ins,
        opt_outs=totals.opt_outs,
    )


def tally_of(run: Run, rows: pd.DataFrame) -> Tally:
    """Return the counts of results of a run that has ended."""
    rows = rows.assign(**{columns.AFTER: comparison.foreseen(rows)})
    return Tally.count(rows, ended_on(run))


def ended_on(run: Run) -> date:
    """Return the day, UTC, on which a run ended, or began if it has not."""
    return _ended_at(run).date()


def facts_from(
    run: Run,
    tally: Tally,
    past: Sequence[Run] = (),
    *,
    reports: Sequence[Destination] = (),
    subject: Subject | None = None,
) -> Facts:
    """Return the facts of a run from the counts of its results; see ``tally_of``.

    Of ``past``, the runs of the ledger, those before it count. One of ``reports`` may hold every
    row for the others. Without a subject the command decides what the report is about.
    """
    begun, ended = run.begun, run.ended or Ended(exit=int(Exit.BUG), message="", final=False)
    subject = subject or SUBJECTS.get(begun.kind, Subject.RESULT)
    before = takewhile(lambda each: each.run_id != run.run_id, past)
    return Facts(
        subject=subject,
        run_id=run.run_id,
        at=_ended_at(run).astimezone(),
        request=_request(begun),
        source=Source(
            input="standard input" if begun.input == read.STDIN else _text(begun.input),
            job=_text(begun.job),
            name=_text(begun.settings.get("input_name")),
            sha256=begun.input_sha256,
            read_as=_how_it_was_read(begun),
            organization=begun.organization,
            endpoint=begun.endpoint,
            attribute=begun.attribute,
            dates=Dates(*dates) if (dates := begun.settings.get("dates")) else None,
        ),
        result=Result(
            sentences=(_sentence(subject, ended, tally), f"E{_how_it_ended(ended, subject)[1:]}."),
            refusal=_text(ended.message),
            deadlines=tuple(wording.deadlines(tally.late)),
            all_rows=_all_rows(run, reports, subject),
        ),
        counts=InputCounts(
            rows=tally.rows,
            outcomes={Outcome(name): number for name, number in ended.outcomes.items()},
            reasons=tally.most_frequent(),
            matrix=tally.matrix(),
            days_left=dict(tally.days_left),
        ),
        past=tuple(past_runs(lineage.of_job([*before, run], begun.job, begun)))[-PAST_RUNS:],
    )


def _ended_at(run: Run) -> datetime:
    return datetime.fromtimestamp((run.ended_ms or run.begun_ms) / 1000, UTC)


def _request(begun: Begun) -> RunRequest:
    settings = begun.settings
    return RunRequest(
        prepared_by=_text(settings.get("prepared_by") or begun.operator),
        approved_by=tuple(map(_text, settings.get("approved_by") or ())),
        ticket=_text(settings.get("ticket")),
        comment=_text(settings.get("comment")),
        purpose=begun.purpose,
        plan_sha256=begun.plan_sha256 or "",
    )


def _how_it_was_read(begun: Begun) -> str:
    read_as = _text(begun.settings.get("read_as"))
    if begun.settings.get("on_conflict") == OnConflict.LAST:  # it may lift opt-outs
        read_as += "; of one key with two states the last row counts"
    return read_as


def _text(value: object) -> str:
    """Return what people may read: the name of a file may be no text in any encoding."""
    text = "" if value is None else str(value).encode("utf-8", "replace").decode()
    return _CONTROLS.sub("\ufffd", text)


def _how_it_ended(ended: Ended, subject: Subject) -> str:
    """Return the exit status, with its meaning unless that of the rows is all there is to say."""
    if ended.exit == Exit.ROWS_LEFT and not wording.lacks_upload_alone(ended.exit, ended.outcomes):
        return f"exit status {ended.exit}"
    return exit_status(ended, subject)


def for_a_person(ended: Ended) -> int:
    """Return how many rows need a person, not counting those that ``resume`` goes on with."""
    return sum(ended.outcomes.get(each, 0) for each in NEEDS_A_PERSON) - _still_to_do(ended)


def _still_to_do(ended: Ended) -> int:
    goes_on = ended.exit in _GOES_ON and not ended.final
    return ended.outcomes.get(Outcome.PENDING, 0) if goes_on else 0


def _sentence(subject: Subject, ended: Ended, tally: Tally) -> str:
    counted, total = ended.outcomes, count(tally.rows, "row")
    to_do, of_person = _still_to_do(ended), for_a_person(ended)
    needy = f"{count(of_person, 'row')} {_agreeing(of_person, 'needs', 'need')} a person"
    if to_do:
        needy += f", {to_do:,} {_agreeing(to_do, 'is', 'are')} still to do"
    if subject is Subject.VERDICT:
        forbid, allow = tally.forbid, tally.allow
        return (
            f"{forbid + allow:,} of {total} can be used: {forbid:,} "
            f"{_agreeing(forbid, 'forbids', 'forbid')} the sale, {allow:,} "
            f"{_agreeing(allow, 'allows', 'allow')} it; {needy}."
        )
    if subject is Subject.AUDIT:
        hold = counted.get(Outcome.UNCHANGED, 0)
        return f"{hold:,} of {count(tally.rows, 'write')} still {_agreeing(hold, 'holds', 'hold')}."
    changed = sum(counted.get(each, 0) for each in comparison.CHANGED)
    made = counted.get(Outcome.CREATED, 0) + counted.get(Outcome.WOULD_CREATE, 0)
    was = "would be" if subject is Subject.PLAN else _agreeing(changed, "was", "were")
    done = f"{'put back' if subject is Subject.UNDO else 'changed'} in Campaign"
    what = f"{was} {done}"
    if not changed and tally.rows == 1:
        was_not = "would not be" if subject is Subject.PLAN else "was not"
        return f"The only row {was_not} {done}; {needy}."
    if not changed:
        return f"None of {total} {what}; {needy}."
    directions = [count(ended.opt_ins, "opt-in"), count(ended.opt_outs, "opt-out")]
    if made:
        directions.append(count(made, "new profile"))
    return f"{changed:,} of {total} {what} ({', '.join(directions)}); {needy}."


def _agreeing(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _all_rows(run: Run, reports: Sequence[Destination], subject: Subject) -> str:
    """Return the name of a report that has every row, or the command that writes one."""
    for destination in reports:
        if ".html" not in destination.name.lower():
            return _text(destination.name)
    if run.position and subject is not Subject.AUDIT:
        return f"bulk-sync report {run.run_id} --report all.csv"
    return "the same command with --report all.csv"


def past_runs(runs: Iterable[Run]) -> Iterator[PastRun]:
    """Yield what pictures show of those runs that have ended."""
    for run in runs:
        if run.ended is not None and run.ended_ms is not None:
            yield PastRun(
                run_id=run.run_id,
                at=datetime.fromtimestamp(run.ended_ms / 1000, UTC).astimezone(),
                rows=run.begun.rows,
                changes=run.count(*comparison.CHANGED),
                failures=run.count(Outcome.FAILED),
            )
