"""The least budget with which a run gets anything done."""

import pytest

from bulk_sync.errors import BudgetTooSmall
from bulk_sync.runs.terms.remaining_cost import check_budget
from bulk_sync.settings import Connection, Credentials, Pace, Secret, Writing

CREDENTIALS = Credentials("demo-key", access_token=Secret("demo-token"))
BUILT_IN = Connection("https://mc.adobe.io", "acme", CREDENTIALS)
CUSTOM = Connection("https://mc.adobe.io", "acme", CREDENTIALS, attribute="cusOptOut")


@pytest.mark.parametrize(
    ("connection", "writing", "least"),
    [
        (BUILT_IN, Writing(), 2),
        (CUSTOM, Writing(), 3),
        (BUILT_IN, Writing(guarded=True), 3),
        (BUILT_IN, Writing(guarded=True, verify=True), 4),
        (CUSTOM, Writing(verify=True), 4),
    ],
    ids=["a call and a change", "a custom attribute", "read first", "and read back", "both"],
)
@pytest.mark.parametrize("option", ["max_calls", "max_calls_per_day"])
def test_a_budget_is_enough_for_the_first_change(
    option: str, connection: Connection, writing: Writing, least: int
) -> None:
    def pace(budget: int) -> Pace:
        return Pace(max_calls=budget) if option == "max_calls" else Pace(max_calls_per_day=budget)

    check_budget(pace(least), connection, writing)
    check_budget(Pace(), connection, writing)
    with pytest.raises(BudgetTooSmall, match=f"Give at least --{option.replace('_', '-')} {least}"):
        check_budget(pace(least - 1), connection, writing)
