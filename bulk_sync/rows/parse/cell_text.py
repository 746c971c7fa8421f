"""Writes numbers as a spreadsheet shows them in full, by their number formats.

Numbers are plain digits up to the 15 that a spreadsheet keeps. A longer one is shown damaged, as
the spreadsheet does: its last digits are lost.
"""

import math
import re
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

UNCALCULATED: Final = "#UNCALCULATED"
"""The text of a formula's cell without a value. Checking rejects it as a key or a state."""

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<digit>[0#?])|(?P<other>.)',
    re.DOTALL,
)
_PLAIN: Final = frozenset(" $-+():!^&'~{}<>=")
"""Characters displayed without quotes."""

_CONDITIONS: Final = ("<", ">", "=")
_DURATION: Final = re.compile(r"h+|m+|s+", re.IGNORECASE)
_KEPT: Final = 10**15
"""From here on a spreadsheet no longer keeps every digit of a number."""

_DAY_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - workbooks have no time zones
_DAY_ZERO_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
_LEAP_BUG: Final = 60
"""Spreadsheets count a 29 February 1900. Days before it are one too early."""


class UnusableNumber(Exception):
    """A cell of a row holds NaN or infinity, or a duration that does not exist."""

    def __init__(self, value: float, row: int, what: str = "number") -> None:
        super().__init__(f"Row {row} holds {value}, which is no {what}")
        self.value, self.row, self.what = value, row, what


def number_text(value: float, code: str, row: int, *, is_1904: bool = False) -> str:
    """Return the text of a number.

    ``code`` is its number format; "" if the format shows the number alone. A date that does not
    exist is the number, too. The workbook counts days from 1904 if ``is_1904``.

    Raises:
        UnusableNumber: it is NaN or infinite, or its format is that of durations, and it is none.
    """
    if not math.isfinite(value):
        raise UnusableNumber(value, row)
    if code:
        match _kind(code):
            case "date":
                with suppress(OverflowError):  # such as a telephone number: shown as ####
                    return _date(value, is_1904=is_1904)
            case "duration":
                try:
                    return str(_rounded(value))
                except OverflowError as error:
                    raise UnusableNumber(value, row, "duration") from error
        text = displayed(code, value)
        if text is not None:
            return text
    if abs(value) >= _KEPT:
        return f"{value:.5E}"
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"


def relevant(code: str) -> str:
    """Return a number format, but "" if it shows no more than numbers."""
    is_relevant = _kind(code) or displayed(code, 7) or displayed(code, 0)
    return code if is_relevant else ""


def displayed(code: str, value: float) -> str | None:
    """Return the displayed text of an integer, if it is more than its digits, such as ``0000007``.

    Returns:
        The text; None if it is the number itself, or a date, a fraction, an amount or the like:
        then the number counts.
    """
    if not abs(value) < _KEPT or value != int(value):
        return None
    sections = _sections(code)
    use = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    parts: list[tuple[str, str]] = []  # a placeholder and "", or "" and a literal
    for match in sections[use]:
        other, bracket = match["other"], match["bracket"]
        if (other is not None and other not in _PLAIN) or (bracket or "")[:1] in _CONDITIONS:
            return None
        literal = match["quoted"] or match["escaped"] or other or ""
        parts.append((match["digit"] or "", "" if match["digit"] else literal))
    sign = "-" if value < 0 and use == 0 else ""
    text = sign + _filled(parts, str(abs(int(value))) if value else "").strip()
    return text if text not in {"", str(int(value))} else None


@lru_cache
def _sections(code: str) -> list[list[re.Match[str]]]:
    """Return the tokens of each section: for positive numbers, negative ones, and zero."""
    sections: list[list[re.Match[str]]] = [[]]
    for match in _TOKEN.finditer(code):
        if match["other"] == ";":
            sections.append([])
        else:
            sections[-1].append(match)
    return sections


@lru_cache
def _kind(code: str) -> str:
    """Return "date" or "duration" if a format shows one, else ""."""
    for match in _sections(code)[0]:
        if _DURATION.fullmatch(match["bracket"] or ""):
            return "duration"
        if (match["other"] or "-").lower() in "dmyhs":
            return "date"
    return ""


def _filled(parts: list[tuple[str, str]], digits: str) -> str:
    """Replace placeholders by digits, from the right; the first takes all the rest."""
    left = sum(1 for placeholder, _ in parts if placeholder)
    text: list[str] = []
    for placeholder, literal in reversed(parts):
        if not placeholder:
            text.append(literal)
            continue
        left -= 1
        taken, digits = (digits, "") if left == 0 else (digits[-1:], digits[:-1])
        text.append(taken or placeholder.replace("#", "").replace("?", " "))
    return "".join(reversed(text))


def _rounded(days: float) -> timedelta:
    return timedelta(milliseconds=round(days * 86_400_000))


@lru_cache(1 << 12)
def _date(days: float, *, is_1904: bool) -> str:
    if is_1904:
        moment = _DAY_ZERO_1904 + _rounded(days)
    else:
        moment = _DAY_ZERO + _rounded(days + (days < _LEAP_BUG))
    if days < 1:
        return moment.time().isoformat()
    return moment.date().isoformat() if days == int(days) else moment.isoformat(" ")
