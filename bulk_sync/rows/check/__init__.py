"""Checks raw rows by the rules: a row may be looked up, or it has a verdict.

    names --header--> columns --footer, keys, states--> a key and a state --duplicates--> COUNTS_AS
                                          |                                   |
                                          '------------> verdicts <-----------'

Nothing is guessed here: an unknown spelling of a state, a damaged key or two states for one key
reject the row with a sentence. All work is done on whole columns; only rows with a problem cost
Python code of their own.
"""

import logging
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import duplicates, footer, keys, second_table, states
from bulk_sync.rows.check.header import Found, find_columns
from bulk_sync.rows.check.keys import key
from bulk_sync.rows.check.rules import BlankState, OnConflict, Rules
from bulk_sync.rows.check.state_words import StateMeans, StateWords
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.date_texts import Order
from bulk_sync.settings import EmailCase, KeyKind

log = logging.getLogger(__name__)

__all__ = [
    "BlankState", "Checked", "Found", "OnConflict", "Rules", "StateMeans", "StateWords", "check",
    "find_columns", "key", "rows",
]  # fmt: skip


class Checked(NamedTuple):
    """Checked rows, and what is to be said of them all.

    Attributes:
        rows: as ``rows`` returns them.
        found: the names of their columns.
        dates_read_as: how the request dates were read, in words; "" if there is nothing to say.
        date_order: of the numbers in them.
    """

    rows: pd.DataFrame
    found: Found
    dates_read_as: str = ""
    date_order: Order = Order()


def rows(raw: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Check every row.

    Args:
        raw: from ``read.rows``: own columns as str, ROW, perhaps FILE.
        rules: the rules for the input.

    Returns:
        The input's own columns, then ROW, FILE if there is one, KEY, DESIRED, OUTCOME, REASON,
        DETAIL and COUNTS_AS, and DATED if there are request dates (dtypes in ``columns.py``).
        OUTCOME is missing where the row may be looked up. Own columns with one of our names are
        left out: they come from an earlier report or plan. Order and index (0..n-1) are kept.

    Raises:
        InputProblem: a column is missing or ambiguous, or a second table begins below.
    """
    return check(raw, rules).rows


def check(raw: pd.DataFrame, rules: Rules) -> Checked:
    """Check every row, as ``rows``."""
    found = find_columns(raw.columns, rules)
    if len(found.dates) > 1:
        log.warning(
            "More than one column could hold the dates of the requests: %s. Rows are worked on in "
            "the order of the input; to have the oldest requests first, name one with "
            "--date-column.",
            ", ".join(map(repr, found.dates)),
        )
    verdicts = Verdicts.blank(len(raw))
    footer.reject(raw, found, rules.words, verdicts)
    used = keys.cleaned(raw[found.key], found.keys.kind, verdicts)
    if found.state is None:
        desired = np.full(len(raw), int(bool(rules.state)), np.int8)
        desired[list(verdicts.aside)] = -1
    else:
        desired = states.read(raw[found.state], rules, verdicts)
    places = duplicates.Places.from_rows(raw)
    second_table.refuse(raw, found, rules, places, verdicts)
    distinct = used
    if found.keys.kind is KeyKind.EMAIL:
        ignore_case = found.keys.email_case is EmailCase.IGNORE
        distinct = keys.identities(used, ignore_case=ignore_case)
        keys.refuse_doubtful_opt_ins(distinct, desired, places, verdicts)
    counts_as = duplicates.counts_as(distinct, desired, rules.on_conflict, places, verdicts)

    ours = set(columns.OURS) - {columns.ROW, columns.FILE}
    checked = raw[[name for name in raw.columns if name not in ours]]
    checked[columns.KEY] = pd.Series(pd.array(used, dtype="str"))
    checked[columns.DESIRED] = columns.states(desired)
    checked[columns.OUTCOME] = columns.outcomes(verdicts.outcome)
    checked[columns.REASON] = columns.reasons(verdicts.reason)
    checked[columns.DETAIL] = columns.details(len(raw), verdicts.details)
    checked[columns.COUNTS_AS] = counts_as
    if found.date is None:
        return Checked(checked, found)
    dates = raw[found.date]
    if verdicts.aside:
        dates = dates.mask(np.isin(np.arange(len(raw)), list(verdicts.aside)), "")
    requests = request_dates.read(dates, places.name, datetime.now(UTC).date(), rules.date_order)
    times = request_dates.combine_repeats(requests, counts_as, desired)
    checked[columns.REQUESTED] = times.first
    checked[columns.RECEIVED] = times.day
    checked[columns.UNJUDGED if rules.ignore_dates else columns.LATEST] = times.latest
    checked[columns.PRECISION] = times.precision
    return Checked(checked, found, requests.read_as, requests.order)
