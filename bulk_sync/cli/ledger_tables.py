"""The content of the ledger: tables for a person, objects for a script."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from bulk_sync.errors import Exit
from bulk_sync.ledger import Kind, Run, Write, local, utc
from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report import wording
from bulk_sync.report.facts import Subject

_OF_A_RUN: Final = ("run", "kind", "input", "rows", "opt-ins", "opt-outs", "left", "exit")

_INPUT: Final = 2
_LEAST_INPUT: Final = 12
_WIDTH: Final = 100


def laid_out(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text below their names, in columns."""
    table = [names, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def run_lines(runs: Sequence[Run]) -> list[str]:
    """Return runs as a table; below each one who wanted it, when, and which plan it is of."""
    rows = [_run_row(run) for run in runs]
    others = [max(map(len, cells)) + 2 for cells in zip(_OF_A_RUN, *rows, strict=True)]
    room = max(_LEAST_INPUT, _WIDTH - sum(others) + others[_INPUT])
    for row in rows:
        row[_INPUT] = _shortened(row[_INPUT], room)
    first, *lines = laid_out(_OF_A_RUN, rows)
    return [first, *chain(*([line, *_notes(run)] for line, run in zip(lines, runs, strict=True)))]


def _run_row(run: Run) -> list[str]:
    begun, ended = run.begun, run.ended
    outcomes = {} if ended is None else ended.outcomes
    left = sum(outcomes.get(outcome, 0) for outcome in NEEDS_A_PERSON)
    status = "unfinished" if ended is None else str(ended.exit)
    if ended is not None and not ended.final:
        status += ", unfinished"
    return [
        run.run_id,
        begun.kind,
        Path(begun.input).name or begun.input,
        str(begun.rows),
        "" if ended is None else str(ended.opt_ins),
        "" if ended is None else str(ended.opt_outs),
        "" if ended is None else str(left),
        status,
    ]


def _notes(run: Run) -> list[str]:
    """Return the request behind a run, and its plan, as lines below it."""
    asked, begun = _request(run), run.begun
    facts = [
        local(run.begun_ms),
        _exit(run),
        f"prepared by {asked['prepared_by'] or begun.operator}",
        f"approved by {' and '.join(asked['approved_by'])}" if asked["approved_by"] else "",
        f"ticket {asked['ticket']}" if asked["ticket"] else "",
        begun.purpose,
    ]
    notes = wrap(_text(", ".join(filter(None, facts))), _WIDTH - 2)
    if run.plan_sha256:
        notes.append(f"SHA-256 of the plan: {run.plan_sha256}")
    return [f"  {note}" for note in notes]


def _exit(run: Run) -> str:
    """Return how a run ended, with the meaning; nothing if it did not."""
    if run.ended is None:
        return ""
    subject = Subject.PLAN if run.begun.kind is Kind.PLAN else Subject.RESULT
    return wording.exit_status(Exit(run.ended.exit), subject)


def _request(run: Run) -> dict[str, Any]:
    """Return who wanted a run, and why."""
    settings = run.begun.settings
    return {
        "prepared_by": settings.get("prepared_by") or "",
        "approved_by": settings.get("approved_by") or [],
        "ticket": settings.get("ticket") or "",
        "comment": settings.get("comment") or "",
    }


def _shortened(text: str, width: int) -> str:
    """Return a text in one line; a long one without its middle."""
    text = _text(text)
    half = (width - 1) // 2
    return text if len(text) <= width else f"{text[: width - 1 - half]}…{text[-half:]}"


def run_facts(run: Run) -> dict[str, Any]:
    """Return a run as one object."""
    ended = {} if run.ended is None else asdict(run.ended)
    return {
        "run_id": run.run_id,
        "begun_at": utc(run.begun_ms),
        **_request(run),
        **asdict(run.begun),
        "ended_at": None if run.ended_ms is None else utc(run.ended_ms),
        "finished": run.is_finished,
        "calls_total": sum(ended.get("calls", {}).values()),
        **{name: value for name, value in ended.items() if name != "final"},
        "plan_sha256": run.plan_sha256 or None,
    }


def write_facts(write: Write, run: Run) -> dict[str, Any]:
    """Return an attempted write, and its origin, as one object."""
    intent, settled = write.intent, write.settled
    return {
        "run": write.run_id,
        "kind": run.begun.kind,
        "input": intent.file or run.begun.input,
        "input_sha256": run.begun.input_sha256,
        "plan_sha256": run.begun.plan_sha256,
        "row": intent.row,
        "key": intent.key,
        "used": intent.used or "",
        "profile": "" if settled is None else settled.profile or "",
        "before": "" if intent.before is None else str(intent.before).lower(),
        "desired": str(intent.desired).lower(),
        "intended_at": utc(write.at_ms),
        "outcome": "unknown" if settled is None else str(settled.outcome),
        "reason": "" if settled is None else settled.reason or "",
        "detail": "" if settled is None else settled.detail,
        "attempts": 0 if settled is None else settled.attempts,
        "at": utc(write.at_ms if settled is None else settled.at_ms),
        "operator": run.begun.operator,
    }


def facts_lines(run: Run) -> list[str]:
    """Return a run as lines, a fact each, without empty ones; times are local."""
    facts = run_facts(run)
    facts["begun_at"] = local(run.begun_ms)
    facts["exit"] = _exit(run).removeprefix("exit status ")
    facts["ended_at"] = "" if run.ended_ms is None else local(run.ended_ms)
    facts["settings"] = {
        name: value for name, value in facts["settings"].items() if name not in facts
    }
    lines = []
    for name, value in facts.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            lines.append(f"{name.replace('_', ' ')}:")
            lines += [
                f"  {key}: {_text(each)}"
                for key, each in value.items()
                if each not in (None, "", [], False)
            ]
        else:
            lines.append(f"{name.replace('_', ' ')}: {_text(value)}")
    return lines


def _text(value: object) -> str:
    """Return a value as one line, without what would change a terminal."""
    text = (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else ("" if value is None else str(value))
    )
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
