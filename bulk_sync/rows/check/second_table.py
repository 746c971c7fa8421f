"""Refuses a file with a second table below the first: its columns may mean something else."""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from bulk_sync.errors import InputProblem
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places, beginning
from bulk_sync.rows.check.header import Found, allows, forbids, may_hold_keys
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind

_DAMAGED = [columns.REASON_CODES[each] for each in (Reason.BAD_KEY, Reason.BAD_STATE)]
_OF_KEYS = r"[@\d]"
"""PKeys and addresses have one of these; names of columns hardly ever."""

_QUESTION: Final = re.compile(
    r"\b(?:sales?|sell(?:ing)?|sold|shar\w+|consent\w*|allow\w*|permit\w*|agree\w*)\b.*\?",
    re.IGNORECASE | re.DOTALL,
)
"""A question that a yes or no below answers, such as ``Wants sale?``."""


def problems(
    raw: pd.DataFrame, found: Found, rules: Rules, verdicts: Verdicts
) -> Iterator[tuple[int, bool, InputProblem]]:
    """Find the rows that look like a header whose states have another name than above.

    Yields:
        The position of each, whether it is a header even if no usable row follows, because its key
        is the name of a column too, and why the input is refused then.
    """
    if found.state is None:
        return
    rejected = np.flatnonzero(np.isin(verdicts.reason, _DAMAGED))
    if not len(rejected):
        return
    keys, states = (
        pd.Series(Texts(raw[name], rejected)[:], dtype="str").str.strip()
        for name in (found.key, found.state)
    )
    own = plain(found.key)
    is_sure = keys.isin(
        [name for name in keys.unique().tolist() if may_hold_keys(name) or plain(name) == own]
    ).to_numpy()
    is_header = is_sure
    if found.keys.kind is not KeyKind.CUSTOM:  # which may be any text
        can_be = ~keys.str.contains(_OF_KEYS)
        names = [name for name in states[can_be].unique() if rules.words.state(name) is None]
        known = [name for name in names if _is_name(name, rules)]
        is_header = is_sure | (can_be & states.isin(known)).to_numpy()
    for at in np.flatnonzero(is_header).tolist():
        state = states[at]
        is_same = plain(state) == plain(found.state)  # in what a yes means
        if state and not is_same and not (forbids(state, rules) and forbids(found.state, rules)):
            row = int(rejected[at])
            place = beginning(Places(raw).name(row))
            problem = InputProblem(
                f"{place} looks like the header of a second table: below it, column "
                f"{found.state!r} is called {state!r}, and a yes there may mean something else. "
                "Put each table into a file or sheet of its own."
            )
            yield row, bool(is_sure[at]), problem


def _is_name(text: str, rules: Rules) -> bool:
    """Check whether a text may be the name of a column of states."""
    return allows(text) or forbids(text, rules) or _QUESTION.search(text) is not None
