"""The forecast of writing by the speed of reading, and in how many runs and days."""

import re
from dataclasses import replace

import pytest

from bulk_sync.engines.current import Read
from bulk_sync.runs.stages.review import Forecast
from bulk_sync.runs.terms.remaining_cost import Budgets, RemainingCost

NO_BUDGET = Budgets(None, None, 0, None)
LOOKED_UP = Forecast(
    read=Read(None, paged=False, looked_up=40, seconds=20.0),
    calls=40,
    calls_to_come=100,
    calls_before=0,
    budgets=NO_BUDGET,
    rate=None,
    quickest_s=0.5,
    most_in_flight=10,
)
PAGED = replace(LOOKED_UP, read=Read(None, paged=True, looked_up=0, seconds=20.0))


@pytest.mark.parametrize(
    ("forecast", "seconds", "is_lower_bound"),
    [
        (LOOKED_UP, 50.0, False),
        (replace(LOOKED_UP, calls_before=2), 70.0, False),
        (replace(LOOKED_UP, calls_before=1), 50.0, False),
        (replace(LOOKED_UP, rate=4.0), 25.0, False),
        (replace(LOOKED_UP, calls=0), 5.0, True),
        (PAGED, 5.0, True),
        (replace(PAGED, calls_before=2), 25.0, True),
        (replace(PAGED, calls_to_come=3), 0.5, True),
        (replace(PAGED, calls_to_come=0), 0.0, True),
        (replace(PAGED, rate=4.0), 25.0, False),
        (replace(PAGED, quickest_s=None), None, True),
    ],
    ids=[
        "by the look-ups", "with reading anew", "one call is no reading", "by a given rate",
        "by the quickest of no calls", "by the quickest of few pages", "pages read anew",
        "fewer calls than go at once", "nothing to write", "pages at a given rate", "no response",
    ],
)  # fmt: skip
def test_the_forecast_of_writing_uses_the_speed_of_reading(
    forecast: Forecast, seconds: float | None, is_lower_bound: bool
) -> None:
    assert (forecast.seconds, forecast.is_lower_bound) == (seconds, is_lower_bound)


@pytest.mark.parametrize(
    ("calls_before", "calls_to_come", "budgets", "days_and_runs"),
    [
        (30, 91, Budgets(50, 30, 12, 10), (4, 3)),
        (0, 100, Budgets(50, 30, 12, 10), (4, 2)),
        (0, 10, Budgets(50, 30, 12, 10), (0, 0)),
        (2, 0, Budgets(50, 30, 0, 0), (0, 0)),
        (2, 100, Budgets(50, 30, 12, None), (0, 2)),
        (2, 100, NO_BUDGET, (0, 0)),
    ],
    ids=[
        "both budgets", "without reading anew", "enough is left", "nothing to write",
        "what is left of the day is unknown", "no budget",
    ],
)  # fmt: skip
def test_writing_is_forecast_in_further_days_and_runs(
    calls_before: int, calls_to_come: int, budgets: Budgets, days_and_runs: tuple[int, int]
) -> None:
    forecast = replace(
        LOOKED_UP, calls_before=calls_before, calls_to_come=calls_to_come, budgets=budgets
    )
    assert (forecast.days, forecast.runs) == days_and_runs


def test_a_preview_is_carried_out_with_a_whole_budget() -> None:
    forecast = replace(LOOKED_UP, budgets=Budgets(51, None, 3, None)).of_preview(calls_before=50)
    assert (forecast.calls_before, forecast.runs) == (50, 2)
    assert LOOKED_UP.of_preview(0).runs == 0


@pytest.mark.parametrize(
    ("calls", "budgets", "ways"),
    [
        ((9, 9), Budgets(10, None, 0, None), ["1 more run", "1 more day"]),
        ((10, 10), Budgets(10, None, 0, None), ["2 more runs", "2 more days"]),
        ((30, 51), Budgets(10, None, 5, None), ["3 to 6 more runs", "3 to 6 more days"]),
        ((1, 59), Budgets(None, 30, 0, 1), ["0 to 2 more days"]),
        ((100, 100), Budgets(50, 30, 0, 10), ["4 more days", "3 more runs"]),
        ((20, 20), Budgets(11, 30, 0, 25), ["2 more runs", "2 more days"]),
        ((20, 60), Budgets(11, 30, 0, 25), ["0 to 2 more days", "2 to 6 more runs"]),
        ((30, 30), Budgets(None, 30, 0, None), ["2 more days"]),
    ],
    ids=[
        "just a run", "just more", "least and most", "days", "days and runs", "enough for today",
        "perhaps enough for today", "what is left of the day is unknown",
    ],
)  # fmt: skip
def test_the_rest_is_forecast_in_runs_and_days(
    calls: tuple[int, int], budgets: Budgets, ways: list[str]
) -> None:
    found = str(RemainingCost(*calls, budgets))
    assert re.findall(r"\d+ (?:to \d+ )?more \w+", found) == ways


def test_the_whole_cost_counts_this_run_and_this_day() -> None:
    budgets = Budgets(10, 20, 1, 1)
    whole = RemainingCost(30, 51, budgets, is_in_all=True)
    assert str(whole) == (
        "30 to 51 calls; that takes 3 to 4 days at 20 calls a day (--max-calls-per-day) and 5 to 7 "
        "runs of 10 calls (--max-calls)"
    )
    assert str(RemainingCost(30, 51, Budgets(10, 20, 0, 0), is_in_all=True)) == (
        "30 to 51 calls; that takes 2 to 3 days at 20 calls a day (--max-calls-per-day) and 4 to 6 "
        "runs of 10 calls (--max-calls)"
    )
    assert whole.facts() == {
        "calls": 30, "most_calls": 51, "days": 3, "most_days": 4, "runs": 5, "most_runs": 7,
    }  # fmt: skip
    assert RemainingCost(30, 51, budgets).facts()["runs"] == 4


def test_a_budget_of_the_day_alone_counts_this_day_too() -> None:
    left = RemainingCost(30, 51, Budgets(None, 20, 0, 5))
    whole = replace(left, is_in_all=True)
    assert "3 to 4 days at 20 calls a day" in str(whole)
    assert (whole.facts()["days"], whole.facts()["most_days"]) == (3, 4)
    assert (left.facts()["days"], left.facts()["most_days"]) == (2, 3)
