"""When two names, of a column or of a profile's field, are the same. Pure."""


def plain(name: str) -> str:
    """Take case, blanks and punctuation away from a name."""
    return "".join(char for char in name.casefold() if char.isalnum())
