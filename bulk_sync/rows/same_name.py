"""Compares names of columns and of fields of profiles. Pure."""


def plain(name: str) -> str:
    """Return a name without case, blanks and punctuation."""
    return "".join(char for char in name.casefold() if char.isalnum())
