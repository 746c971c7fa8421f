"""Amounts in words."""

import pytest

from bulk_sync.amounts import count


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
def test_one_thing_is_no_things(words: tuple[int, str], text: str) -> None:
    assert count(*words) == text
