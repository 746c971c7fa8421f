"""Amounts in words: ``1 row``, ``1,520 rows``, ``12 min 3 s``."""


def count(number: int, what: str, several: str = "") -> str:
    """Return a number of things: ``1 opt-in``, ``1,520 rows``.

    Args:
        number: how many.
        what: what one of them is called.
        several: what others are called, if that is more than an ``s`` at the end.
    """
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def duration(seconds: float) -> str:
    """Return a time: ``0.3 s``, ``12 min 3 s``, ``1 h 10 min``, ``24 h``; never ``0.0 s``."""
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
    return text.removesuffix(" 0 min").removesuffix(" 0 s")
