"""The verdict of ``validate`` on a file: lines for a person, one object for a script."""

from typing import Final

from bulk_sync.cli.row_lines import needing_a_person, outcome_lines
from bulk_sync.errors import Exit
from bulk_sync.outcomes import Outcome
from bulk_sync.runs import Validated

_NAMED_ROWS: Final = 200


def lines(validated: Validated, source: str) -> list[str]:
    """Return the verdict as lines."""
    verdict = validated.verdict
    totals, forbid, allow = verdict.totals, verdict.tally.forbid, verdict.tally.allow
    directions = (
        f"of these {forbid:,} {'forbids' if forbid == 1 else 'forbid'} the sale (opt-outs), "
        f"{allow:,} {'allows' if allow == 1 else 'allow'} it"
    )
    return [
        f"{source}\n{validated.layout}.\n",
        *outcome_lines(verdict.reasons, totals, totals.outcomes, {Outcome.USABLE: directions}),
        "",
        *needing_a_person(verdict.rejected, _NAMED_ROWS),
        *verdict.hints,
    ]


def as_json(validated: Validated, source: str, status: Exit) -> dict[str, object]:
    """Return the verdict as one object for scripts."""
    verdict, todo = validated.verdict, validated.todo
    outcomes = dict(verdict.totals.outcomes)
    usable = outcomes.pop(Outcome.USABLE, 0)
    return {
        "input": source,
        "exit": int(status),
        "message": "",
        "read_as": str(validated.layout),
        "rows": verdict.totals.rows,
        "usable": usable,
        "forbid": verdict.tally.forbid,
        "allow": verdict.tally.allow,
        "outcomes": outcomes,
        "sum": usable + sum(outcomes.values()),
        "hints": list(verdict.hints),
        "marked": list(map(str, validated.marked)),
        "todo": None if todo is None else str(todo),
    }
