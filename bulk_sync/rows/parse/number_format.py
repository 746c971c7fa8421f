"""Number formats that display more than the number, such as ``0000000`` or ``"@"0``."""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<digit>[0#?])|(?P<other>.)',
    re.DOTALL,
)
_PLAIN: Final = frozenset(" $-+():!^&'~{}<>=")
"""Characters that a format displays although they are not quoted."""

_CONDITIONS: Final = ("<", ">", "=")
_KEPT: Final = 10**15


def displayed(code: str, value: float) -> str | None:
    """Return what a spreadsheet displays for an integer, if that is more than its digits.

    Args:
        code: a number format, as ``styles.xml`` has it.
        value: the number.

    Returns:
        The text; None if it is the number itself, or a date, a fraction, an amount or the like,
        whose number is what counts.
    """
    if not abs(value) < _KEPT or value != int(value):
        return None
    sections: list[list[re.Match[str]]] = [[]]
    for match in _TOKEN.finditer(code):
        if match["other"] == ";":
            sections.append([])
        else:
            sections[-1].append(match)
    use = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    parts: list[tuple[str, str]] = []  # a placeholder and "", or "" and what is displayed as it is
    for match in sections[use]:
        other, bracket = match["other"], match["bracket"]
        if (other is not None and other not in _PLAIN) or (bracket or "")[:1] in _CONDITIONS:
            return None
        literal = match["quoted"] or match["escaped"] or other or ""
        parts.append((match["digit"] or "", "" if match["digit"] else literal))
    sign = "-" if value < 0 and use == 0 else ""
    text = sign + _filled(parts, str(abs(int(value)))).strip()
    return text if text not in {"", str(int(value))} else None


def _filled(parts: list[tuple[str, str]], digits: str) -> str:
    """Replace placeholders by digits, from the right; the first takes all the rest."""
    left = sum(1 for placeholder, _ in parts if placeholder)
    text: list[str] = []
    for placeholder, literal in reversed(parts):
        if not placeholder:
            text.append(literal)
            continue
        left -= 1
        if left == 0:
            text.append(digits or placeholder.replace("#", "").replace("?", " "))
        else:
            text.append(digits[-1:] or placeholder.replace("#", "").replace("?", " "))
            digits = digits[:-1]
    return "".join(reversed(text))
