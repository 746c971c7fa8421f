"""Tables of text for a person, and the writes of the ledger as objects for a script."""

from collections.abc import Sequence
from typing import Any

from bulk_sync.ledger import Run, Write, utc


def laid_out(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text below their names, in columns."""
    table = [names, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


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


def one_line(value: object) -> str:
    """Return a value as one line, without what would change a terminal."""
    text = (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else ("" if value is None else str(value))
    )
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
