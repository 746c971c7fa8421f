"""Amounts in words."""

import pytest

from bulk_sync.amounts import count, duration
from bulk_sync.cli.runs_table import short_duration


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((0, "row"), "0 rows"),
        ((1, "row"), "1 row"),
        ((1_520, "call"), "1,520 calls"),
        ((1, "line fits", "lines fit"), "1 line fits"),
        ((2, "line fits", "lines fit"), "2 lines fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_amount_of_one_is_singular(words: tuple[int, str], text: str) -> None:
    assert count(*words) == text


@pytest.mark.parametrize(
    ("seconds", "text", "short"),
    [
        (0, "under 0.1 s", "<0.1 s"),
        (0.049, "under 0.1 s", "<0.1 s"),
        (0.05, "0.1 s", "0.1 s"),
        (59.94, "59.9 s", "59.9 s"),
        (59.96, "1 min", "1 min"),
        (723, "12 min 3 s", "12 min"),
        (3_599.6, "1 h", "1h 00m"),
        (4_205, "1 h 10 min", "1h 10m"),
        (360_000, "100 h", "100h 00m"),
    ],
)
def test_a_short_time_is_never_zero(seconds: float, text: str, short: str) -> None:
    assert (duration(seconds), short_duration(seconds)) == (text, short)
