"""Raw rows made of pairs of cells, and the verdicts on them."""

from typing import Any

import pandas as pd

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import Rules

OPEN = ("", "")
"""Outcome and reason of a usable row."""


def raw(rows: list[tuple[str, str]], names: tuple[str, str] = ("PKey", "ccpaOptOut")) -> Any:
    frame = pd.DataFrame(rows, columns=list(names), dtype="str")
    return frame.assign(**{columns.ROW: range(2, len(frame) + 2)})


def verdicts(rows: list[tuple[str, str]], **rules: Any) -> list[tuple[str, str]]:
    checked = check.rows(raw(rows), Rules(**rules))
    outcomes = checked[columns.OUTCOME].astype(object).fillna("")
    reasons = checked[columns.REASON].astype(object).fillna("")
    return list(zip(outcomes, reasons, strict=True))
