"""Tables of text for a person."""

from collections.abc import Sequence


def laid_out(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text below their names, in columns."""
    table = [names, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def one_line(value: object) -> str:
    """Return a value as one line, without what would change a terminal."""
    text = (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else ("" if value is None else str(value))
    )
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
