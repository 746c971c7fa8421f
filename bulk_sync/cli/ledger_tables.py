"""The content of the ledger: tables for a person, objects for a script."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bulk_sync.ledger import Run, Write, utc
from bulk_sync.outcomes import NEEDS_A_PERSON


def laid_out(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text below their names, in columns."""
    table = [names, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def run_row(run: Run) -> list[str]:
    """Return a run as one row."""
    begun, ended = run.begun, run.ended
    outcomes = {} if ended is None else ended.outcomes
    left = sum(outcomes.get(outcome, 0) for outcome in NEEDS_A_PERSON)
    status = "unfinished" if ended is None else str(ended.exit)
    if ended is not None and not ended.final:
        status += ", unfinished"
    return [
        run.run_id,
        begun.kind,
        begun.input,
        str(begun.rows),
        "" if ended is None else str(ended.opt_ins),
        "" if ended is None else str(ended.opt_outs),
        "" if ended is None else str(left),
        status,
        begun.operator,
    ]


def run_facts(run: Run) -> dict[str, Any]:
    """Return a run as one object."""
    ended = {} if run.ended is None else asdict(run.ended)
    return {
        "run_id": run.run_id,
        "begun_at": utc(run.begun_ms),
        **asdict(run.begun),
        "ended_at": None if run.ended_ms is None else utc(run.ended_ms),
        "finished": run.is_finished,
        "calls_total": sum(ended.get("calls", {}).values()),
        **{name: value for name, value in ended.items() if name != "final"},
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


def facts_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return an object as lines, a fact each, without empty ones."""
    lines = []
    for name, value in facts.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            lines.append(f"{name}:")
            lines += [
                f"  {key}: {_text(each)}"
                for key, each in value.items()
                if each not in (None, "", [], False)
            ]
        else:
            lines.append(f"{name}: {_text(value)}")
    return lines


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
