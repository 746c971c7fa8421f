"""Writes numbers as a spreadsheet shows them in full, by their number formats.

Numbers are plain digits up to the 15 that a spreadsheet keeps. A longer one is shown damaged, as
the spreadsheet does: its last digits are lost.
"""

import math
import operator
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

UNCALCULATED: Final = "#UNCALCULATED"
"""The text of a formula's cell without a value. Checking rejects it as a key or a state."""

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<digit>[0#?]|(?P<general>General))'
    r"|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_PLAIN: Final = frozenset(" $-+():!^&'~{}<>=123456789,")
"""Characters displayed without quotes; a comma groups digits."""

_OF_NUMBERS: Final = 3
"""The most sections for numbers; a fourth one is for texts."""

_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?(?:E[+-]?\d+)?)")
_COMPARE: Final = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq,
    ">": operator.gt, ">=": operator.ge, "<>": operator.ne,
}  # fmt: skip
_POSITIVE: Final = operator.gt, 0.0
"""The condition that LibreOffice takes for none if another section follows."""

_EMPTY: Final = {"#": "", "?": " "}
"""What placeholders without a digit display, other than 0."""

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
    """Return a number format, but "" if it shows no more than numbers and texts."""
    shown = (displayed(code, value) for value in (7, 1, 0, -1))
    is_relevant = (
        _kind(code) or any(text is not None for text in shown) or displayed_text(code, "x") != "x"
    )
    return code if is_relevant else ""


def displayed(code: str, value: float) -> str | None:
    """Return the displayed text of an integer, if it is more than its digits, such as ``0000007``.

    Returns:
        The text, "" if the format hides the number; None if it is the number itself, or a date, a
        fraction, an amount or the like: then the number counts.
    """
    if not abs(value) < _KEPT or value != int(value):
        return None
    number, sections = str(int(value)), _sections(code)[0]
    has_condition = any(each.condition for each in sections)
    section = _section_of(value, sections) if has_condition else _section_by_sign(value, sections)
    if section is None:
        return None if all(map(_shows_numbers, sections)) else f"{number} shown as {code}"
    parts: list[tuple[str, str]] = []  # a placeholder and "", or "" and a literal
    for match in section.tokens:
        other = match["other"]
        if (other is not None and other not in _PLAIN) or (value < 0 and match["general"]):
            return None
        literal = match["quoted"] or match["escaped"] or (other or "").strip(",")
        parts.append((match["digit"] or "", "" if match["digit"] else literal))
    sign = "-" if value < 0 and section is sections[0] else ""
    text = sign + _filled(parts, str(abs(int(value))) if value else "").strip()
    is_amount = any(each["other"] == "," for each in section.tokens)
    has_digits = any(placeholder for placeholder, _ in parts)
    is_amount |= has_condition and has_digits and not any(map(str.isalpha, text))
    return None if text == number or (text and is_amount) else text


def displayed_text(code: str, text: str) -> str:
    """Return what a number format displays for a text, such as nothing for ``;;;``."""
    section = _sections(code)[1]
    if section is None:
        return text
    shown = (
        text if match["other"] == "@" else match["quoted"] or match["escaped"] or match["other"]
        for match in section.tokens
    )
    return "".join(filter(None, shown))


_Condition = tuple[Callable[[float, float], bool], float]
"""What compares a number with a limit, and the limit."""


class _Section(NamedTuple):
    """A section of a number format, perhaps for numbers with a condition alone."""

    tokens: Sequence[re.Match[str]]
    condition: _Condition | None


@lru_cache
def _sections(code: str) -> tuple[Sequence[_Section], _Section | None]:
    """Return the sections for numbers, and the one for texts, if there is one."""
    tokens: list[list[re.Match[str]]] = [[]]
    for match in _TOKEN.finditer(code):
        if match["other"] == ";":
            tokens.append([])
        else:
            tokens[-1].append(match)
    sections = [_Section(each, _condition(each)) for each in tokens]
    if len(sections) <= _OF_NUMBERS and all(each["other"] != "@" for each in tokens[-1]):
        return sections, None
    *numbers, text = sections[: _OF_NUMBERS + 1]
    return numbers, text


def _condition(tokens: Sequence[re.Match[str]]) -> _Condition | None:
    for each in tokens:
        if found := _CONDITION.fullmatch(each["bracket"] or ""):
            return _COMPARE[found[1]], float(found[2])
    return None


def _section_by_sign(value: float, sections: Sequence[_Section]) -> _Section | None:
    """Return the section for positive numbers, for negative ones, or for zero."""
    use = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    return sections[use] if sections else None


def _section_of(value: float, sections: Sequence[_Section]) -> _Section | None:
    """Return the section by the conditions; None where programs differ."""
    if value < 0 or (value == 0 and len(sections) == 2 and sections[0].condition == _POSITIVE):
        return None
    for section in sections:
        if section.condition is None:
            return section if section is sections[-1] else None
        holds, limit = section.condition
        if holds(value, limit):
            return section
    return None


def _shows_numbers(section: _Section) -> bool:
    """Check whether it shows every number; other placeholders than 0 show no zero."""
    return any(each["general"] or each["digit"] == "0" for each in section.tokens)


@lru_cache
def _kind(code: str) -> str:
    """Return "date" or "duration" if a format shows one, else ""."""
    numbers, _ = _sections(code)
    for match in numbers[0].tokens if numbers else ():
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
        text.append(taken or _EMPTY.get(placeholder, "0"))
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
