"""The verdict of ``validate`` on a file: lines for a person, one object for a script."""

from typing import Final

import pandas as pd

from bulk_sync.cli.summary import needing_a_person, outcome_lines
from bulk_sync.errors import Exit
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.totals import Totals

_NAMED_ROWS: Final = 200


def lines(judged: pd.DataFrame, source: str) -> list[str]:
    """Return the verdict as lines; ``judged`` has the results of ``comparison.without_states``."""
    totals = Totals.of(judged)
    forbid, allow = _forbid_and_allow(judged)
    directions = (
        f"of these {forbid:,} {'forbids' if forbid == 1 else 'forbid'} the sale (opt-outs), "
        f"{allow:,} {'allows' if allow == 1 else 'allow'} it"
    )
    return [
        f"{source}\n",
        *outcome_lines(judged, totals, totals.outcomes, {Outcome.USABLE: directions}),
        "",
        *needing_a_person(judged, [Outcome.REJECTED], _NAMED_ROWS),
    ]


def as_json(judged: pd.DataFrame, source: str, status: Exit) -> dict[str, object]:
    """Return the verdict as one object for scripts."""
    totals = Totals.of(judged)
    outcomes = dict(totals.outcomes)
    usable = outcomes.pop(Outcome.USABLE, 0)
    forbid, allow = _forbid_and_allow(judged)
    return {
        "input": source,
        "exit": int(status),
        "message": "",
        "rows": totals.rows,
        "usable": usable,
        "forbid": forbid,
        "allow": allow,
        "outcomes": outcomes,
        "sum": usable + sum(outcomes.values()),
    }


def _forbid_and_allow(judged: pd.DataFrame) -> tuple[int, int]:
    """Return how many usable rows forbid the sale, and how many allow it."""
    is_usable = columns.have_outcome(judged, [Outcome.USABLE])
    states = columns.state_codes(judged[columns.DESIRED])[is_usable]
    return int((states == 1).sum()), int((states == 0).sum())
