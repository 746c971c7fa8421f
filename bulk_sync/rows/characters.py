"""Names invisible and look-alike characters. Pure."""

import re
import unicodedata
from typing import Final

INVISIBLE: Final = (
    r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}"
    r"\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}\x{FFFD}\x{E0000}-\x{E0FFF}]"
)
"""RE2: controls, line breaks, joiners, direction marks, fillers, variation selectors, tags.

These are Unicode's default ignorable characters (DerivedCoreProperties.txt), the blank of Braille,
and U+FFFD, the mark of a lost character.
"""

_WORD: Final = re.compile(r"[^\W\d_]+")
_LOST: Final = "\ufffd"
_CONTROLS: Final = {"\0": "NULL", "\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN"}
_BREAKS: Final = "\n\v\f\r\x85\u2028\u2029"
_ALPHABETS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE"})
"""Alphabets with look-alike letters."""


def named(char: str) -> str:
    """Return a character as a message names it, such as ``U+200B ZERO WIDTH SPACE``."""
    name = _CONTROLS.get(char) or unicodedata.name(char, "")
    return f"U+{ord(char):04X} {name}".rstrip()


def kind(char: str) -> str:
    """Return the kind of an invisible character, in words."""
    if char == _LOST:
        return "the mark of a character that a program lost"
    if char in _BREAKS:
        return "a line break"
    is_control = unicodedata.category(char) == "Cc"
    return "an invisible control character" if is_control else "an invisible character"


def is_letter(char: str) -> bool:
    """Check whether a character is a letter, a digit or an accent, of any script."""
    category = unicodedata.category(char)
    return category == "Nd" or category[0] in "LM"


def first_look_alike(text: str) -> str | None:
    """Return the first look-alike of another character; None if there is none.

    It is a variant (a full-width letter, a ligature), or a letter of another alphabet than the rest
    of its word. A word of nothing but look-alikes cannot be recognized.
    """
    if text.isascii():
        return None
    composed = unicodedata.normalize("NFC", text)
    for char in composed:
        if unicodedata.normalize("NFKC", char) != char:
            return char
    words: list[str] = _WORD.findall(composed)
    for word in words:
        alphabets = [unicodedata.name(char, "").split(" ")[0] for char in word]
        if len(_ALPHABETS.intersection(alphabets)) > 1:
            other = "LATIN" if "LATIN" in alphabets else alphabets[0]
            for char, alphabet in zip(word, alphabets, strict=True):
                if alphabet in _ALPHABETS - {other}:
                    return char
    return None
