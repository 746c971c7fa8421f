"""Runs of the ledger: a table for a person, objects for a script; and which of them are wanted."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from textwrap import wrap
from typing import Any, Final

from bulk_sync.amounts import count
from bulk_sync.cli.output import laid_out, one_line
from bulk_sync.errors import Exit
from bulk_sync.ledger import Run, local, utc
from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report import wording
from bulk_sync.report.facts import Subject
from bulk_sync.runs.history.past_runs import SUBJECTS, exit_status
from bulk_sync.runs.terms import approvals
from bulk_sync.storage.lock import RunProcess

_COLUMNS: Final = ("run", "kind", "job", "rows", "opt-ins", "opt-outs", "took", "exit")
_JOB: Final = _COLUMNS.index("job")
_LEAST_JOB: Final = 8
_INPUT_CHARACTERS: Final = 60
_WIDTH: Final = 100
_FIRST, _LAST = datetime(1971, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 - local times
"""Times outside of these do not exist in every time zone."""

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z`-])")

_NOTHING: Final = "Nothing was sent, and there is nothing to resume."
_AGAIN: Final = "Start the command again"
_NEXT: Final[Mapping[Exit, str]] = {
    Exit.BUG: f"{_AGAIN} with -v, and report what it prints.",
    Exit.USAGE: f"Correct what the message names. {_AGAIN}.",
    Exit.REFUSED: f"Do what the message says. {_AGAIN}.",
    Exit.ACCESS_DENIED: f"`bulk-sync check` finds out what is wrong. {_AGAIN} when it is mended.",
    Exit.STOPPED_EARLY: f"{_AGAIN} when what the message names is mended.",
    Exit.ANOTHER_RUN: f"{_AGAIN} when the other run has ended; with --lock-wait 30m it waits.",
}
_UPLOAD: Final = (
    "Copy the report to its place by hand, or make it again: `bulk-sync report {} --report URL`."
)
_OF_A_START: Final = (
    *("rows", "outcomes", "opt_ins", "opt_outs", "calls", "calls_total"),
    *("started", "finished", "exit_in_words"),
)
"""What a run that could not start has not got."""


def wanted(
    runs: Sequence[Run], last: int | None, job: str | None, since: datetime | None, *, failed: bool
) -> list[Run]:
    """Return the last runs: of a job, begun since a time, or those without exit status 0 alone."""
    since_ms = 0.0 if since is None else min(max(since, _FIRST), _LAST).timestamp() * 1000
    found = [
        run
        for run in runs
        if (job is None or run.begun.job == job)
        and run.begun_ms >= since_ms
        and not (failed and run.ended is not None and run.ended.exit == Exit.DONE)
    ]
    return found if last is None else found[-last:]


def run_lines(runs: Sequence[Run], at_work: Collection[str]) -> list[str]:
    """Return runs as a table; below each one when, why, who wanted it, and which plan it is of."""
    rows = [_row(run, at_work) for run in runs]
    others = [max(map(len, cells)) + 2 for cells in zip(_COLUMNS, *rows, strict=True)]
    room = max(_LEAST_JOB, _WIDTH + 2 - sum(others) + others[_JOB] - 2)
    for row in rows:
        row[_JOB] = _shortened(row[_JOB], room)
    first, *lines = laid_out(_COLUMNS, rows)
    return [first, *chain(*([line, *_notes(run)] for line, run in zip(lines, runs, strict=True)))]


def _row(run: Run, at_work: Collection[str]) -> list[str]:
    begun, ended = run.begun, run.ended
    return [
        run.run_id,
        begun.kind,
        begun.job,
        str(begun.rows) if run.has_begun else "",
        "" if ended is None or not run.has_begun else str(ended.opt_ins),
        "" if ended is None or not run.has_begun else str(ended.opt_outs),
        "" if ended is None else short_duration(ended.seconds),
        in_short(run, at_work),
    ]


def in_short(run: Run, at_work: Collection[str]) -> str:
    """Return how a run ended, in a few words; or that it is at work."""
    if run.run_id in at_work:
        return "at work"
    if run.ended is None:
        return "unfinished: resume"
    if not run.has_begun:
        return "could not start"
    if _lacks_approval(run):
        return "refused: not approved"
    words = wording.in_short(Exit(run.ended.exit), run.ended.outcomes)
    return words if run.ended.final else f"{words}: resume"


def _lacks_approval(run: Run) -> bool:
    asked, needed = _request(run), run.begun.settings.get("approvals") or 0
    is_refused = run.ended is not None and run.ended.exit == Exit.REFUSED
    return is_refused and bool(run.begun.plan) and len(asked["approved_by"]) < needed


def short_duration(seconds: float) -> str:
    """Return a time as short as a table has room for."""
    if seconds < 0.05:
        return "<0.1 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes} min"


def _notes(run: Run) -> list[str]:
    """Return the end of a run, the request behind it, and its plan, as lines below it."""
    asked, begun = _request(run), run.begun
    left = run.count(*NEEDS_A_PERSON)
    facts = [
        local(run.begun_ms),
        _exit_beside(run) if run.has_begun else "",
        _shortened(begun.input_name, _INPUT_CHARACTERS),
        f"{count(left, 'row')} left" if left else "",
        f"prepared by {asked['prepared_by'] or begun.operator}",
        f"approved by {' and '.join(asked['approved_by'])}" if asked["approved_by"] else "",
        f"ticket {asked['ticket']}" if asked["ticket"] else "",
        begun.purpose,
    ]
    notes = wrap(one_line(_reason(run)), _WIDTH - 2)
    notes += wrap(one_line(", ".join(filter(None, facts))), _WIDTH - 2)
    if run.plan_sha256:
        notes.append(f"SHA-256 of the plan: {run.plan_sha256}")
    return [f"  {note}" for note in notes]


def _reason(run: Run) -> str:
    """Return why a run was refused or stopped, or could not start, in one sentence."""
    if run.ended is None:
        return ""
    first = _SENTENCE.split(run.ended.message, 1)[0]
    return first if run.has_begun else f"exit status {run.ended.exit}: {first}"


def _next(run: Run, at_work: Mapping[str, RunProcess], *, may_pass: bool) -> str:
    if run.run_id in at_work:
        return f"It is at work, as {at_work[run.run_id]}: wait for its end."
    resume = f"`bulk-sync resume {run.run_id}`"
    if run.ended is None or not run.ended.final:
        return f"{resume} goes on."
    status = Exit(run.ended.exit)
    if not run.has_begun:
        return f"{_NOTHING} {_NEXT.get(status, f'{_AGAIN}.')}"
    if may_pass:
        return (
            f"If it is meant, {resume} with the option that the message names; with --give-up it "
            "ends for good."
        )
    if run.is_given_up or (status is Exit.REFUSED and not may_pass):
        return ""
    is_upload = wording.lacks_upload_alone(status, run.ended.outcomes)
    return _NEXT.get(status, _UPLOAD.format(run.run_id) if is_upload else "")


def _exit(run: Run) -> str:
    """Return how a run ended, with the meaning; nothing if it did not."""
    if run.ended is None:
        return ""
    return exit_status(run.ended, SUBJECTS.get(run.begun.kind, Subject.RESULT))


def _exit_beside(run: Run) -> str:
    """Return how a run ended, without the words that the table has for it."""
    if run.ended is None:
        return ""
    short = wording.in_short(Exit(run.ended.exit), run.ended.outcomes)
    status, _, meaning = _exit(run).partition(": ")
    return status if meaning.endswith(short) else f"{status}: {meaning}"


def _request(run: Run) -> dict[str, Any]:
    """Return who wanted a run, and why; the preparer's own approval does not count."""
    settings = run.begun.settings
    preparer, names = settings.get("prepared_by") or "", settings.get("approved_by") or []
    return {
        "prepared_by": preparer,
        "approved_by": approvals.that_count(names, preparer),
        "ticket": settings.get("ticket") or "",
        "comment": settings.get("comment") or "",
    }


def _shortened(text: str, width: int) -> str:
    """Return a text in one line; a long one without its middle."""
    text = one_line(text)
    half = (width - 1) // 2
    return text if len(text) <= width else f"{text[: width - 1 - half]}…{text[-half:]}"


def run_facts(run: Run, at_work: Collection[str]) -> dict[str, Any]:
    """Return a run as one object."""
    ended = {} if run.ended is None else asdict(run.ended)
    return {
        "run_id": run.run_id,
        "begun_at": utc(run.begun_ms),
        **_request(run),
        **asdict(run.begun),
        "started": run.has_begun,
        "ended_at": None if run.ended_ms is None else utc(run.ended_ms),
        "finished": run.is_finished,
        "calls_total": sum(ended.get("calls", {}).values()),
        **{name: value for name, value in ended.items() if name != "final"},
        "exit_in_words": in_short(run, at_work),
        "plan_sha256": run.plan_sha256 or None,
    }


def facts_lines(run: Run, at_work: Mapping[str, RunProcess], *, may_pass: bool) -> list[str]:
    """Return a run as lines, a fact each, without empty ones; times are local.

    Args:
        run: the run.
        at_work: the runs at work, each with its process.
        may_pass: whether it was refused, or holds opt-ins back, and can go on.
    """
    facts = run_facts(run, at_work)
    facts["begun_at"] = local(run.begun_ms)
    facts["exit"] = _exit(run).removeprefix("exit status ")
    if run.ended is not None and not run.has_begun:
        facts |= dict.fromkeys(_OF_A_START)
        facts["exit"] = f"{run.ended.exit}: could not start"
    facts["next"] = _next(run, at_work, may_pass=may_pass)
    facts["ended_at"] = "" if run.ended_ms is None else local(run.ended_ms)
    settings = facts["settings"].items()
    facts["settings"] = {name: value for name, value in settings if name not in facts}
    lines = []
    for name, value in facts.items():
        title = name.replace("_", " ")
        if isinstance(value, Mapping) and value:
            lines.append(f"{title}:")
            lines += [
                f"  {key}: {one_line(each)}"
                for key, each in value.items()
                if each not in (None, "", [], False)
            ]
        elif value not in (None, "", [], {}):
            lines.append(f"{title}: {one_line(value)}")
    return lines
