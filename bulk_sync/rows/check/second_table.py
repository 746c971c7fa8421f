"""Refuses a file with a second table below the first: its columns may mean something else."""

import numpy as np
import pandas as pd

from bulk_sync.errors import InputProblem
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.check.header import Found, forbids, may_hold_keys
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.same_name import plain

_DAMAGED = [columns.REASON_CODES[each] for each in (Reason.BAD_KEY, Reason.BAD_STATE)]


def refuse(
    raw: pd.DataFrame, found: Found, rules: Rules, places: Places, verdicts: Verdicts
) -> None:
    """Raise InputProblem if a row is a header whose states have another name than above.

    Args:
        raw: the rows, as ``read.rows`` returns them.
        found: their columns.
        rules: the rules for the input.
        places: of the rows.
        verdicts: on keys and states: a header is no usable row.
    """
    if found.state is None:
        return
    rejected = np.flatnonzero(np.isin(verdicts.reason, _DAMAGED))
    keys = raw[found.key].iloc[rejected]
    own = plain(found.key)
    headers = [name for name in keys.unique().tolist() if may_hold_keys(name) or plain(name) == own]
    for at in rejected[keys.isin(headers).to_numpy()].tolist():
        state = str(raw[found.state].iat[at]).strip()
        if state and not _is_same(state, found.state, rules):
            raise InputProblem(
                f"{places.beginning(at)} looks like the header of a second table: below it, column "
                f"{found.state!r} is called {state!r}, and a yes there may mean something else. "
                "Put each table into a file or sheet of its own."
            )


def _is_same(one: str, other: str, rules: Rules) -> bool:
    """Return whether a yes means the same in columns of two names."""
    return plain(one) == plain(other) or (forbids(one, rules) and forbids(other, rules))
