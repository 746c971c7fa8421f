"""What a person is told of a plan and of a finished run, from its counts."""

from pathlib import Path

import pandas as pd
import pytest

from bulk_sync.engines.current import Read
from bulk_sync.errors import AccessDenied, Exit, Refused
from bulk_sync.outcomes import Outcome
from bulk_sync.report.destination import LocalFile
from bulk_sync.rows.totals import NO_ROWS, Totals
from bulk_sync.runs import Cost, Finished, Plan
from bulk_sync.runs.stages.review import Files, Forecast
from bulk_sync.runs.terms.remaining_cost import Budgets

FORECAST = Forecast(
    Read(None, paged=False, looked_up=0, seconds=0.0),
    0, 0, 0, Budgets(None, None, 0, None), None, None, 1,
)  # fmt: skip
COUNTS = Totals(rows=9, outcomes={Outcome.WOULD_UPDATE: 9}, opt_ins=4, opt_outs=3, creates=2)
LIMIT = Refused("Nothing was written: 4 opt-ins, and --max-opt-ins is 1.")
WAITING = Refused("4 opt-ins, and --max-opt-ins is 1.")
NO_COST = Cost({}, {}, 1.5, 0.0, {}, None)
HERE, THERE = LocalFile(Path("r.csv")), LocalFile(Path("r.csv"), "s3://reports/r.csv")


@pytest.mark.parametrize(
    ("refusal", "held", "held_opt_ins", "writes", "warning"),
    [
        (None, None, 0, 9, ""),
        (LIMIT, None, 0, 9, "A limit would stop the run: 4 opt-ins, and --max-opt-ins is 1."),
        (None, WAITING, 4, 5, f"4 opt-ins would be held back, and the rest written: {WAITING}"),
    ],
    ids=["no limit", "a limit", "opt-ins held back"],
)
def test_a_plan_shows_what_a_limit_would_do(
    refusal: Refused | None, held: Refused | None, held_opt_ins: int, writes: int, warning: str
) -> None:
    plan = Plan(pd.DataFrame(), COUNTS, refusal, FORECAST, held)
    assert (plan.held_opt_ins, plan.writes, plan.warning) == (held_opt_ins, writes, warning)


def test_a_cost_adds_up_what_came_back_and_how_long_all_requests_waited() -> None:
    answered = {("GET", "200"): 5, ("PATCH", "200"): 2, ("GET", "429"): 1}
    cost = Cost({"GET": 6, "PATCH": 2}, answered, 9.0, 4.0, {"429": 1.5, "503": 2.0}, None)
    assert cost.answers == {"200": 7, "429": 1}
    assert (cost.throttled_s, cost.rate) == (3.5, 2.0)
    assert (NO_COST.throttled_s, NO_COST.rate) == (0, None)
    assert Cost({"GET": 0}, {}, 9.0, 4.0, {}, None).rate is None


@pytest.mark.parametrize(
    ("files", "unpublished"),
    [
        (Files(), 0),
        (Files((HERE,), HERE), 0),
        (Files((HERE, THERE), HERE), 1),
        (Files((HERE,), THERE), 1),
        (Files((THERE,), THERE), 2),
    ],
    ids=["no file", "all in place", "a report", "the todo file", "both"],
)
def test_a_run_with_a_file_that_was_not_uploaded_needs_a_person(
    files: Files, unpublished: int
) -> None:
    done = Finished("run", pd.DataFrame(), NO_ROWS, NO_COST, None, files)
    assert files.are_unpublished is bool(unpublished)
    assert files.note.count("could not be uploaded. It is here: r.csv.") == unpublished
    assert done.exit is (Exit.ROWS_LEFT if unpublished else Exit.DONE)


@pytest.mark.parametrize("files", [Files(), Files((THERE,))], ids=["in place", "not uploaded"])
@pytest.mark.parametrize(
    ("outcome", "cause", "status"),
    [
        (Outcome.FAILED, None, Exit.ROWS_LEFT),
        (Outcome.PENDING, AccessDenied("No."), Exit.ACCESS_DENIED),
    ],
    ids=["failed rows", "access denied"],
)
def test_a_worse_end_of_a_run_is_its_exit_status(
    outcome: Outcome, cause: AccessDenied | None, status: Exit, files: Files
) -> None:
    totals = Totals(rows=1, outcomes={outcome: 1})
    assert Finished("run", pd.DataFrame(), totals, NO_COST, cause, files).exit is status
