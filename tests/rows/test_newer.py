"""Which came last: the request, or the choice that Campaign holds?"""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from bulk_sync.rows import dates, newer


def changed_ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}Z").timestamp() * 1000)


def is_newer(requests: list[str], desired: int, changed: int) -> bool:
    """Judge a row that counts for several requests of one state."""
    read = dates.read(pd.Series(requests, dtype="str", name="Request date"))
    count = len(requests)
    asked = dates.of_keys(read, np.zeros(count, np.int64), np.full(count, desired, np.int8))
    choices = newer.choices(
        asked.latest[:1], np.array([desired], np.int8), np.array([changed], np.int64)
    )
    assert newer.is_newer(int(asked.latest[0]), bool(desired), changed) is bool(choices[0])
    return bool(choices[0])


@pytest.mark.parametrize(
    ("requested", "changed", "stops_opt_out", "stops_opt_in"),
    [
        ("2026-11-02 10:00Z", "2026-11-02 09:59:59.999", False, False),
        ("2026-11-02 10:00Z", "2026-11-02 10:00", False, True),
        ("2026-11-02 10:00Z", "2026-11-02 10:00:00.001", True, True),
        ("2026-11-02T00:00Z", "2026-11-02 00:00:00.001", True, True),
        ("2026-11-02", "2026-11-01 23:59", False, False),
        ("2026-11-02", "2026-11-02 00:00", False, True),
        ("2026-11-02", "2026-11-03 07:59", False, True),
        ("2026-11-02", "2026-11-03 08:00", True, True),
        ("2026-02-01 14:00", "2026-02-01 13:59", False, False),
        ("2026-02-01 14:00", "2026-02-01 15:00", False, True),
        ("2026-02-01 14:00", "2026-02-01 22:00:00.001", True, True),
    ],
    ids=[
        "just before",
        "a tie goes to the opt-out",
        "just after",
        "midnight is an instant if it says so",
        "the day before",
        "on the day",
        "late on the day in California",
        "on the next day",
        "before a time without a zone",
        "a time that may be California's",
        "after it in California too",
    ],
)
def test_a_newer_choice_stops_a_request(
    requested: str, changed: str, *, stops_opt_out: bool, stops_opt_in: bool
) -> None:
    assert is_newer([requested], 1, changed_ms(changed)) is stops_opt_out
    assert is_newer([requested], 0, changed_ms(changed)) is stops_opt_in


@pytest.mark.parametrize(
    ("requests", "stops_opt_out", "stops_opt_in"),
    [
        (["2026-01-05", "2026-03-05"], False, False),
        (["2026-03-05", "2026-01-05"], False, False),
        (["2026-01-05", "2026-01-06"], True, True),
        (["2026-01-05", ""], False, True),
        (["", "2026-01-05"], False, True),
        (["", ""], False, False),
    ],
    ids=["the last one counts", "wherever it stands", "both are older", "perhaps", "maybe", "none"],
)
def test_of_repeated_requests_the_last_one_counts(
    requests: list[str], *, stops_opt_out: bool, stops_opt_in: bool
) -> None:
    changed = changed_ms("2026-02-01 12:00")
    assert is_newer(requests, 1, changed) is stops_opt_out
    assert is_newer(requests, 0, changed) is stops_opt_in


def test_a_change_that_nobody_can_date_stops_opt_ins_alone() -> None:
    assert is_newer(["2026-11-02"], 0, newer.UNREADABLE)
    assert not is_newer(["2026-11-02"], 1, newer.UNREADABLE)
    assert not is_newer([""], 0, newer.UNREADABLE)
    assert not is_newer(["2026-11-02"], 0, 0)
    assert "cannot be read" in newer.sentence(newer.UNREADABLE)


def test_a_choice_of_the_year_10000_can_be_told() -> None:
    assert "9999-12-31 23:59 UTC" in newer.sentence(changed_ms("9999-12-31 23:59"))
    assert "10000-01-01 07:59 UTC" in newer.sentence(253402329599000)
