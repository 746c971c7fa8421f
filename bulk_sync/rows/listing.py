"""Lists of things in messages. Pure."""

from collections.abc import Iterable, Sequence


def first_few(things: Sequence[object], most: int) -> str:
    """Return the first of some things, and ``...`` if there are more."""
    return ", ".join([*map(str, things[:most]), *["..."] * (len(things) > most)])


def one_value(words: Iterable[str]) -> str:
    """Return words as one option takes them; quotes let one hold a comma."""
    return ",".join(f'"{word}"' if "," in word else word for word in words)


def row_of_sheet(row: int | None, sheet: str | None) -> str:
    """Return a place, such as ``row 4 of sheet 'Requests'``."""
    return f"row {row}{'' if sheet is None else f' of sheet {sheet!r}'}"
