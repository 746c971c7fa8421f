"""The verdict of ``validate`` on a file: lines for a person, one object for a script."""

from typing import Final

import pandas as pd

from bulk_sync.cli.row_lines import needing_a_person, outcome_lines
from bulk_sync.errors import Exit
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import Judged

_NAMED_ROWS: Final = 200


def lines(judged: Judged, source: str) -> list[str]:
    """Return the verdict as lines; its rows come from ``comparison.without_states``."""
    rows = judged.rows
    totals = Totals.count(rows)
    forbid, allow = _forbid_and_allow(rows)
    directions = (
        f"of these {forbid:,} {'forbids' if forbid == 1 else 'forbid'} the sale (opt-outs), "
        f"{allow:,} {'allows' if allow == 1 else 'allow'} it"
    )
    return [
        f"{source}\n{judged.layout}.\n",
        *outcome_lines(rows, totals, totals.outcomes, {Outcome.USABLE: directions}),
        "",
        *needing_a_person(rows, [Outcome.REJECTED], _NAMED_ROWS),
        *judged.hints,
    ]


def as_json(judged: Judged, source: str, status: Exit) -> dict[str, object]:
    """Return the verdict as one object for scripts."""
    totals = Totals.count(judged.rows)
    outcomes = dict(totals.outcomes)
    usable = outcomes.pop(Outcome.USABLE, 0)
    forbid, allow = _forbid_and_allow(judged.rows)
    return {
        "input": source,
        "exit": int(status),
        "message": "",
        "read_as": str(judged.layout),
        "rows": totals.rows,
        "usable": usable,
        "forbid": forbid,
        "allow": allow,
        "outcomes": outcomes,
        "sum": usable + sum(outcomes.values()),
        "hints": judged.hints,
        "marked": list(map(str, judged.marked)),
        "todo": None if judged.todo is None else str(judged.todo),
    }


def may_stay(rows: pd.DataFrame) -> bool:
    """Return whether the rejected rows are no requests, such as a total, below usable rows."""
    reasons = columns.reason_codes(rows[columns.REASON])
    is_rejected = columns.have_outcome(rows, [Outcome.REJECTED])
    is_usable = columns.have_outcome(rows, [Outcome.USABLE])
    no_requests = reasons[is_rejected] == columns.REASON_CODES[Reason.NOT_DATA]
    return bool(no_requests.all() and is_usable.any())


def _forbid_and_allow(rows: pd.DataFrame) -> tuple[int, int]:
    """Return how many usable rows forbid the sale, and how many allow it."""
    is_usable = columns.have_outcome(rows, [Outcome.USABLE])
    states = columns.state_codes(rows[columns.DESIRED])[is_usable]
    return int((states == 1).sum()), int((states == 0).sum())
