"""Amounts in words: ``1 row``, ``1,520 rows``."""


def count(number: int, what: str, several: str = "") -> str:
    """Return a number of things: ``1 opt-in``, ``1,520 rows``.

    Args:
        number: how many.
        what: what one of them is called.
        several: what others are called, if that is more than an ``s`` at the end.
    """
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"
