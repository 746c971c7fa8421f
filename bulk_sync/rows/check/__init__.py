"""Checks raw rows by the rules: a row may be looked up, or it has a verdict.

    names --header--> columns --footer, keys, states--> a key and a state --duplicates--> COUNTS_AS
                                          |                                   |
                                          '------------> verdicts <-----------'

Nothing is guessed here: an unknown spelling of a state, a damaged key or two states for one key
reject the row with a sentence. All work is done on whole columns; only rows with a problem cost
Python code of their own.

``row_by_row.py`` judges rows by themselves. What needs all of them is done here if they are in
memory, and by ``slices.py`` if they are not.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import duplicates, keys, row_by_row, second_table
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.check.header import Found, find_columns
from bulk_sync.rows.check.keys import key
from bulk_sync.rows.check.rules import BlankState, OnConflict, Rules
from bulk_sync.rows.check.state_words import StateMeans, StateWords
from bulk_sync.rows.date_texts import Order
from bulk_sync.rows.request_dates import DateColumn
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import KeyKind

__all__ = [
    "BlankState", "Checked", "Found", "OnConflict", "Rules", "StateMeans", "StateWords", "check",
    "find_columns", "key", "rows",
]  # fmt: skip


class Checked(NamedTuple):
    """Checked rows, and what is to be said of them all.

    Attributes:
        rows: each slice as ``rows`` returns it.
        found: the names of their columns.
        dates_read_as: how the request dates were read, in words; "" if there is nothing to say.
        date_order: of the numbers in them.
    """

    rows: Slices
    found: Found
    dates_read_as: str = ""
    date_order: Order = Order()


def rows(raw: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Check every row.

    Args:
        raw: from ``read.slices``: own columns as str, ROW, perhaps FILE.
        rules: the rules for the input.

    Returns:
        The input's own columns, then ROW, FILE if there is one, KEY, DESIRED, OUTCOME, REASON,
        DETAIL and COUNTS_AS, and DATED if there are request dates (dtypes in ``columns.py``).
        OUTCOME is missing where the row may be looked up. Own columns with one of our names are
        left out: they come from an earlier report or plan. Order and index (0..n-1) are kept.

    Raises:
        InputProblem: a column is missing or ambiguous, or a second table begins below.
    """
    return check(raw, rules).rows.joined()


def check(raw: pd.DataFrame, rules: Rules) -> Checked:
    """Check every row as ``rows`` does, and find out how dates were read."""
    found = row_by_row.find(raw.columns, rules)
    judged = row_by_row.judge(raw, found, rules)
    verdicts, places = judged.verdicts, Places(raw)
    last_usable = verdicts.open.max(initial=-1)
    for at, is_sure, problem in second_table.problems(raw, found, rules, verdicts):
        if is_sure or at < last_usable:
            raise problem
    if found.keys.kind is KeyKind.EMAIL:
        doubtful = keys.doubtful_opt_ins(
            judged.identities, judged.desired, verdicts.open, rules.on_conflict
        )
        for at, other in doubtful:
            keys.refuse_doubtful_opt_in(at, places.name(other), verdicts)
    repeats = duplicates.find(judged.identities, judged.desired, verdicts.open)
    counts_as = np.arange(len(raw))
    counts_as[repeats.rows] = duplicates.settle(repeats, rules.on_conflict, places.name, verdicts)
    checked = row_by_row.frame(raw, judged)
    checked[columns.COUNTS_AS] = counts_as
    if found.date is None:
        return Checked(Slices.of(checked), found)
    dates = DateColumn(found.date, datetime.now(UTC).date(), rules.date_order)
    texts = row_by_row.dates(raw[found.date], verdicts)
    dates.learn(texts)
    times = request_dates.times_of(dates.read(texts, places.name), judged.desired)
    times = request_dates.merge(times, counts_as, judged.desired)
    dates.warn()
    dated = Slices.of(row_by_row.dated(checked, times, rules))
    return Checked(dated, found, dates.read_as, dates.order)
