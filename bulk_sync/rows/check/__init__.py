"""Judges raw rows by the input rules: which may be looked up, and why the others may not.

    names --header--> the columns --keys, states--> what each row says --repeats--> which counts
                                          |                               |
                                          '----------> verdicts <---------'

Nothing is guessed here: a state that is not on the list, a key that a spreadsheet has damaged or
two states for one key make the row ``rejected`` with a sentence, never a best effort. Everything
works on whole columns; only bad rows cost Python code of their own.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import duplicates, header, keys, states
from bulk_sync.rows.check.keys import key
from bulk_sync.rows.check.rules import BlankState, OnConflict, Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.settings import EmailCase, KeyKind, Keys

__all__ = ["BlankState", "OnConflict", "Rules", "key", "keys_of", "rows"]


def keys_of(raw: pd.DataFrame, rules: Rules) -> Keys:
    """Tell what the keys of raw rows are, and in which column they stand.

    Raises:
        InputProblem: the column is missing or ambiguous.
    """
    return header.find_keys(raw.columns, rules)[1]


def rows(raw: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Judge every row.

    Args:
        raw: what ``read.rows`` returned: own columns as str, ROW, perhaps FILE.
        rules: how the file is to be understood.

    Returns:
        The input's own columns, then ROW, FILE if there is one, KEY, DESIRED, OUTCOME, REASON,
        DETAIL and COUNTS_AS, and DATED if there are request dates (dtypes in ``columns.py``).
        OUTCOME is missing where the row is to be looked up. Own columns named like one of ours are
        left out: they come from an earlier report or plan. Order and index (0..n-1) are kept.

    Raises:
        InputProblem: a column is missing or ambiguous.
    """
    found = header.find_columns(raw.columns, rules)
    dated = header.find_dates(raw.columns, rules, found)
    verdicts = Verdicts.of(len(raw))
    used = keys.cleaned(raw[found.key], found.keys.kind, verdicts)
    if found.state is None:
        desired = np.full(len(raw), int(bool(rules.state)), np.int8)
    else:
        desired = states.read(raw[found.state], rules, verdicts)
    places = duplicates.Places.of(raw)
    distinct = used
    if found.keys.kind is KeyKind.EMAIL:
        ignore_case = found.keys.email_case is EmailCase.IGNORE
        distinct = keys.identities(used, ignore_case=ignore_case)
        keys.refuse_doubtful_opt_ins(distinct, desired, places, verdicts)
    counts_as = duplicates.counts_as(distinct, desired, rules.on_conflict, places, verdicts)

    own = [name for name in raw.columns if name not in columns.OURS]
    checked = raw[own + [name for name in (columns.ROW, columns.FILE) if name in raw]]
    checked[columns.KEY] = pd.Series(pd.array(used, dtype="str"))
    checked[columns.DESIRED] = columns.states(desired)
    checked[columns.OUTCOME] = columns.outcomes(verdicts.outcome)
    checked[columns.REASON] = columns.reasons(verdicts.reason)
    checked[columns.DETAIL] = columns.details(len(raw), verdicts.details)
    checked[columns.COUNTS_AS] = counts_as
    if dated is not None:
        asked = request_dates.of_keys(
            request_dates.read(raw[dated], places.name, datetime.now(UTC).date()),
            counts_as,
            desired,
        )
        checked[columns.REQUESTED] = asked.first
        checked[columns.RECEIVED] = asked.day
        checked[columns.UNJUDGED if rules.ignore_dates else columns.LATEST] = asked.latest
        checked[columns.PRECISION] = asked.precision
    return checked
