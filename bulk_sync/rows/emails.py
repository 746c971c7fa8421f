"""When two e-mail addresses are the same, and what is none. Pure.

Capitals never count after the ``@``. Before it they may, by the standard (RFC 5321, section 2.4),
although hardly anybody lets them.
"""

import unicodedata
from typing import Final

_FORBIDDEN: Final = frozenset("<>,;")
"""What a list of addresses, or one with a name, holds."""


def is_one(text: str) -> bool:
    """Tell whether a text is one address: ``local@domain``, blanks inside left to Campaign.

    A character that nobody can see, as spreadsheets and web pages slip in, makes it none.
    """
    local, _, domain = text.rpartition("@")
    return (
        bool(local and domain)
        and "@" not in local
        and ":" not in local
        and not _FORBIDDEN.intersection(text)
        and not any(char.isspace() for char in domain)
        and not domain.startswith(".")
        and not domain.endswith(".")
        and not any(unicodedata.category(char) == "Cf" for char in text)
    )


def identity(text: str, *, ignore_case: bool) -> str:
    """Tell what all spellings of one address have in common."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # a letter and its accent may be two characters
    local, at, domain = text.rpartition("@")
    return (local.lower() if ignore_case else local) + at + domain.lower()


def same(found: object, wanted: str, *, ignore_case: bool) -> bool:
    """Tell whether what a profile shows is the address that is wanted."""
    if not isinstance(found, str):
        return False
    return identity(found, ignore_case=ignore_case) == identity(wanted, ignore_case=ignore_case)


def beginnings(text: str) -> list[str]:
    """Tell what the address begins with, up to the ``@``: so do all spellings of its domain."""
    local = text.rpartition("@")[0]
    return [f"{each}@" for each in dict.fromkeys((local, local.lower()))]


def spellings(text: str, *, ignore_case: bool) -> list[str]:
    """Tell how an address may stand in Campaign, which may compare to the letter."""
    ways = [text, unicodedata.normalize("NFC", text), identity(text, ignore_case=False)]
    if ignore_case:
        ways.append(text.lower())
    return list(dict.fromkeys(ways))
