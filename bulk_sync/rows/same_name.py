"""Compares names of columns and of fields of profiles. Pure."""

from functools import lru_cache


@lru_cache(1 << 15)  # all columns of a sheet; each is compared with many names
def plain(name: str) -> str:
    """Return a name without case, blanks and punctuation."""
    return "".join(char for char in name.casefold() if char.isalnum())
