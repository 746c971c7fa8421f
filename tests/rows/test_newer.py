"""Which came last: the request, or the choice that Campaign holds?"""

from datetime import UTC, datetime

import numpy as np
import pytest

from bulk_sync.rows import newer
from bulk_sync.rows.dates import UNDATED


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def is_newer(requested: str, desired: int, changed: str) -> bool:
    choices = newer.choices(
        np.array([ms(requested)]), np.array([desired], np.int8), np.array([ms(changed)])
    )
    return bool(choices[0])


@pytest.mark.parametrize(
    ("requested", "changed", "stops_opt_out", "stops_opt_in"),
    [
        ("2026-11-02 10:00", "2026-11-02 09:59:59.999", False, False),
        ("2026-11-02 10:00", "2026-11-02 10:00", False, True),
        ("2026-11-02 10:00", "2026-11-02 10:00:00.001", True, True),
        ("2026-11-02", "2026-11-01 23:59", False, False),
        ("2026-11-02", "2026-11-02 00:00", False, True),
        ("2026-11-02", "2026-11-03 07:59", False, True),
        ("2026-11-02", "2026-11-03 08:00", True, True),
    ],
    ids=[
        "just before",
        "a tie goes to the opt-out",
        "just after",
        "the day before",
        "on the day",
        "late on the day in California",
        "on the next day",
    ],
)
def test_a_newer_choice_stops_a_request(
    requested: str, changed: str, *, stops_opt_out: bool, stops_opt_in: bool
) -> None:
    assert is_newer(requested, 1, changed) is stops_opt_out
    assert is_newer(requested, 0, changed) is stops_opt_in


def test_where_a_time_is_unknown_nothing_is_newer() -> None:
    requested = np.array([UNDATED, UNDATED, ms("2026-11-02")])
    changed = np.array([ms("2026-11-25"), 0, 0])
    assert not newer.choices(requested, np.array([0, 1, 0], np.int8), changed).any()
