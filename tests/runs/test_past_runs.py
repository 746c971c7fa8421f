"""What is said, and with which exit status, if there is nothing left to do."""

from dataclasses import replace

import pytest

from bulk_sync.errors import Exit
from bulk_sync.ledger import Begun, Ended, Kind, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.runs.history.past_runs import NothingLeft

RUN_ID, AT_MS = "20261124T031750Z-7f3a9c", 1_795_490_270_123
PLACE = ("https://mc.adobe.io", "acme", "ccpaOptOut")
BEGUN = Begun(Kind.RUN, "in", *PLACE, "in.csv", "ab12", 3, None, {}, "1", "cron on host")
AGAIN = r"tries again what failed\."
KILLED = Run(RUN_ID, 1, AT_MS, BEGUN, None, None)


def ended(status: Exit, outcome: Outcome, *reports: str) -> Run:
    """Return a run of three rows with one outcome."""
    outcomes = {str(outcome): 3}
    end = Ended(int(status), "", final=True, outcomes=outcomes, reports=dict.fromkeys(reports, ""))
    return replace(KILLED, ended_ms=AT_MS, ended=end)


@pytest.mark.parametrize(
    ("done_by", "status", "says"),
    [
        (None, Exit.DONE, ""),
        (KILLED, Exit.DONE, ""),
        (
            ended(Exit.DONE, Outcome.UPDATED, "r.csv", "r.xlsx"), Exit.DONE,
            rf" Run {RUN_ID} ended with exit status 0: .*\. Report: r\.csv\. Report: r\.xlsx\.",
        ),
        (
            ended(Exit.ROWS_LEFT, Outcome.FAILED), Exit.ROWS_LEFT,
            rf" Run {RUN_ID} ended with exit status 3: .*\. `bulk-sync retry {RUN_ID}` {AGAIN}",
        ),
        (
            ended(Exit.ROWS_LEFT, Outcome.REJECTED), Exit.ROWS_LEFT,
            rf" Run {RUN_ID} ended with exit status 3: [^`]*",
        ),
    ],
    ids=["no run", "a run that was killed", "done", "with failed rows", "with rejected rows"],
)  # fmt: skip
def test_the_run_that_left_nothing_to_do_is_named_with_its_end(
    done_by: Run | None, status: Exit, says: str
) -> None:
    found = NothingLeft("There is nothing to resume.", done_by)
    assert found.exit is status
    with pytest.raises(NothingLeft, match=rf"^There is nothing to resume\.{says}$"):
        raise found
