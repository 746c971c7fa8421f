"""Refuses a file with a second table below the first: its columns may mean something else."""

import numpy as np
import pandas as pd

from bulk_sync.errors import InputProblem
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.check.header import Found, allows, forbids, may_hold_keys
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind

_DAMAGED = [columns.REASON_CODES[each] for each in (Reason.BAD_KEY, Reason.BAD_STATE)]
_OF_KEYS = r"[@\d]"
"""PKeys and addresses have one of these; names of columns hardly ever."""


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
    keys, states = (
        pd.Series(Texts(raw[name], rejected)[:], dtype="str").str.strip()
        for name in (found.key, found.state)
    )
    own, usable = plain(found.key), np.flatnonzero(verdicts.outcome == columns.NONE)
    is_header = keys.isin(
        [name for name in keys.unique().tolist() if may_hold_keys(name) or plain(name) == own]
    )
    if found.keys.kind is not KeyKind.CUSTOM:  # which may be any text
        can_be = ~keys.str.contains(_OF_KEYS) & (rejected < usable.max(initial=-1))
        names = states[can_be].unique().tolist()
        known = [name for name in names if allows(name) or forbids(name, rules)]
        is_header |= can_be & states.isin(known)
    for at, state in zip(rejected[is_header].tolist(), states[is_header], strict=True):
        if state and not _is_same(state, found.state, rules):
            raise InputProblem(
                f"{places.beginning(at)} looks like the header of a second table: below it, column "
                f"{found.state!r} is called {state!r}, and a yes there may mean something else. "
                "Put each table into a file or sheet of its own."
            )


def _is_same(one: str, other: str, rules: Rules) -> bool:
    """Return whether a yes means the same in columns of two names."""
    return plain(one) == plain(other) or (forbids(one, rules) and forbids(other, rules))
