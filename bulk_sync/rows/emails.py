"""Compares e-mail addresses, and explains faults of other texts. Pure.

Capitals never count after the ``@``. Before it they may, by the standard (RFC 5321, section 2.4),
but hardly ever do.
"""

import unicodedata
from typing import Final

from bulk_sync.rows.characters import first_look_alike, is_letter, named

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
PLAIN: Final = rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*$"
"""RE2: nearly all addresses; ``problem`` finds no fault in one of at most ``PLAIN_BYTES``."""
PLAIN_BYTES: Final = 63

_IN_LOCAL: Final = frozenset("!#$%&'*+-/=?^_`{|}~.")
_IN_QUOTES: Final = _IN_LOCAL | {" "}
_IN_DOMAIN: Final = frozenset("-.\u00b7\u30fb\u05f3\u05f4")
"""The last four stand in Catalan, Japanese and Hebrew domains (RFC 5892, appendix A)."""
_BEFORE: Final = "the part before the @"
_AFTER: Final = "the domain"
_MOST_LOCAL: Final = 64
_MOST_LABEL: Final = 63
_MOST: Final = 254
"""Bytes (RFC 5321, section 4.5.3.1, and erratum 1690 of RFC 3696)."""


def problem(text: str) -> str | None:
    """Return the fault of a text as an e-mail address; None if it is one.

    An address is ``local@domain`` (RFC 5321; RFC 6531 for letters beyond ASCII). IP addresses in
    brackets and most characters in quotes are refused, although the standard allows them: Campaign
    holds none.
    """
    if text.lower().startswith("mailto:"):
        return "it begins with mailto:, so keep only what follows that"
    if "<" in text or ">" in text:
        return "it is more than an address, so keep only what stands between < and >"
    if text.count("@") > 1:
        return "it holds more than one @, and each address needs a row of its own"
    local, at, domain = text.partition("@")
    if not at:
        other = next((char for char in text if unicodedata.normalize("NFKC", char) == "@"), None)
        return "it holds no @" if other is None else f"it holds {named(other)} in place of @"
    return _local_problem(local) or _domain_problem(domain) or _whole_problem(text)


def _local_problem(local: str) -> str | None:
    if not local:
        return "nothing stands before the @"
    if len(local.encode()) > _MOST_LOCAL:
        return f"more than {_MOST_LOCAL} bytes stand before the @"
    if len(local) > 2 and local[0] == local[-1] == '"':
        return _foreign(local[1:-1], _IN_QUOTES, _BEFORE)
    return _foreign(local, _IN_LOCAL, _BEFORE) or _misplaced_dot(local, _BEFORE)


def _domain_problem(domain: str) -> str | None:
    if not domain:
        return "nothing stands after the @"
    wrong = _foreign(domain, _IN_DOMAIN, _AFTER) or _misplaced_dot(domain, _AFTER)
    if wrong:
        return wrong
    for label in domain.split("."):
        if label[0] == "-" or label[-1] == "-":
            return f"{label} in its domain begins or ends with a hyphen"
        encoded = label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        if len(encoded) > _MOST_LABEL:
            return f"a part of its domain is longer than {_MOST_LABEL} characters"
    return None


def _whole_problem(text: str) -> str | None:
    if len(text.encode()) > _MOST:
        return f"it is longer than {_MOST} bytes"
    other = first_look_alike(text)
    return None if other is None else f"it holds {named(other)}, which looks like another letter"


def _foreign(part: str, allowed: frozenset[str], where: str) -> str | None:
    for char in part:
        if not is_letter(char) and char not in allowed:
            if char == " ":
                return f"{where} holds a blank"
            return f"{where} holds {char!r}" if char.isascii() else f"{where} holds {named(char)}"
    return None


def _misplaced_dot(part: str, where: str) -> str | None:
    if part.startswith("."):
        return f"{where} begins with a dot"
    if part.endswith("."):
        return f"{where} ends with a dot"
    return f"{where} holds two dots in a row" if ".." in part else None


def identity(text: str, *, ignore_case: bool) -> str:
    """Return the same text for all spellings of one address."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # a letter and its accent may be two characters
    local, at, domain = text.rpartition("@")
    return (local.lower() if ignore_case else local) + at + domain.lower()


def same(found: object, wanted: str, *, ignore_case: bool) -> bool:
    """Check whether a profile's address is the requested one."""
    if not isinstance(found, str):
        return False
    return identity(found, ignore_case=ignore_case) == identity(wanted, ignore_case=ignore_case)


def beginnings(text: str) -> list[str]:
    """Return the possible beginnings of an address, up to the ``@``."""
    local = text.rpartition("@")[0]
    return [f"{each}@" for each in dict.fromkeys((local, local.lower()))]


def spellings(text: str, *, ignore_case: bool) -> list[str]:
    """Return the possible spellings of an address in Campaign; it may compare to the letter."""
    ways = [text, unicodedata.normalize("NFC", text), identity(text, ignore_case=False)]
    if ignore_case:
        ways.append(text.lower())
    ways.append(unicodedata.normalize("NFD", text))  # as files from a Mac may have it
    return list(dict.fromkeys(ways))
