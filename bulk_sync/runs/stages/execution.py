"""What the stages of a run share, and how far a stage got."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pandas as pd

from bulk_sync.engines.current import Read, StateReader
from bulk_sync.engines.session import Session
from bulk_sync.engines.whole_list import WholeList
from bulk_sync.errors import Refused, StoppedEarly, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, expand, plan_limits
from bulk_sync.rows.plan_limits import Past
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.large_input import LargeInput
from bulk_sync.runs.kept.rest import Rest
from bulk_sync.runs.stages.review import Cost, Forecast, Plan, Screen
from bulk_sync.runs.terms.day_budget import DayBudget
from bulk_sync.runs.terms.job import Job
from bulk_sync.runs.terms.remaining_cost import Budgets, RemainingCost, calls_per_change


@dataclass(frozen=True, slots=True)
class Execution:
    """A run at work, and what its stages share.

    Attributes:
        budget: the calls of all runs in a day; None if unknown.
        past: finished runs of the same job, for comparison.
        large: its input, if larger than memory and not divided yet.
        listed: what has read Campaign's whole list for a large input; None if nothing has.
    """

    run: RunContext
    job: Job
    screen: Screen
    session: Session
    budget: DayBudget | None
    past: Sequence[Past]
    large: LargeInput | None
    listed: WholeList | None = None

    def read_with(self, reader: StateReader) -> Read:
        """Return the cost of reading so far: of the whole list, and of keys looked up."""
        read = reader.read()
        if self.listed is None:
            return read
        listed = self.listed.cost()
        seconds = listed.seconds + read.seconds
        return replace(listed, looked_up=read.looked_up, seconds=seconds)

    def review(self, planned: pd.DataFrame, read: Read) -> Plan:
        """Return the plan of the run for a person, with its limits and its forecast."""
        job, calls, rest = self.job, self.session.client.calls, self.run.rest.totals
        totals = Totals.count(planned) + rest
        refusal = plan_limits.refusal(planned, job.limits, self.past, rest)
        held = None if refusal else plan_limits.held_opt_ins(planned, job.limits, rest)
        writes = totals.writes - (0 if held is None else totals.opt_ins)
        forecast = Forecast(
            read=read,
            calls=calls.total,
            calls_to_come=writes * calls_per_change(job.writing),
            calls_before=0,
            budgets=self.budgets((job.pace.max_calls or 0) - calls.total),
            rate=job.pace.rate,
            quickest_s=self.session.client.pacer.latency.quantile(0),
            most_in_flight=job.pace.concurrency or job.pace.most_in_flight,
        )
        return Plan(expand.collapse(planned), totals, refusal, forecast, held)

    def cut_off(self) -> Refused | None:
        """Return why an input with too few rows is not read; a plan shows it all the same."""
        begun, limits = self.run.begun, self.job.limits
        return None if begun.is_plan else plan_limits.cut_off(begun.rows, limits, self.past)

    def budgets(self, left_now: int) -> Budgets:
        """Return the budgets; calls set aside for this run count as left today."""
        pace, left_today = self.job.pace, None if self.budget is None else self.budget.left()
        if left_today is not None:
            left_today += self.session.client.calls.set_aside
        return Budgets(pace.max_calls, pace.max_calls_per_day, left_now, left_today)


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How far a stage of a run got; the end of the run in the ledger is ``ledger.Ended``.

    Attributes:
        rows: every row of the input, or of its profiles, but those of the rest.
        cause: why the run ended early; None if it did not.
        reads: calls that reading still takes, if known.
        needed: forecast cost of reading, if a budget does not cover it.
        held: why the opt-ins wait, if they were held back.
        warning: of a plan, what a limit would do to it.
    """

    rows: pd.DataFrame
    cause: StopRun | None
    reads: int | None = None
    needed: RemainingCost | None = None
    held: Refused | None = None
    warning: str = ""


def early_end(
    rows: pd.DataFrame, cause: StopRun, rest: Rest, *, was_sent: bool = False
) -> StageEnd:
    """Return the end of a run whose untried rows stay pending; ``rows`` has the results so far."""
    has_begun = was_sent or knows_states(rows, rest)
    if isinstance(cause, UsageProblem) and has_begun:  # which would mean that nothing was sent
        cause = StoppedEarly(str(cause))
    return StageEnd(comparison.hold_back(rows, why_left(cause)), cause)


def why_left(cause: StopRun | None) -> Reason:
    """Return the reason of rows left by a run that ended early."""
    return Reason.LIMIT if isinstance(cause, Refused) else Reason.STOPPED


def knows_states(rows: pd.DataFrame, rest: Rest) -> bool:
    """Return whether the state of any row is known."""
    is_rest_read = Outcome.UNCHANGED in rest.totals.outcomes
    return is_rest_read or bool(rows[columns.BEFORE].notna().any())


def cost_of(session: Session, seconds: float) -> Cost:
    """Return the cost of one session after so many seconds of its job."""
    calls, pacer = session.client.calls, session.client.pacer
    half, most = pacer.latency.quantile(0.5), pacer.latency.quantile(0.95)
    return Cost(
        calls=MappingProxyType(dict(calls.by_method)),
        answered=MappingProxyType(dict(calls.answers)),
        seconds=seconds,
        working_s=session.working_s,
        held_s=MappingProxyType(dict(pacer.held_s)),
        latency_s=None if half is None or most is None else (half, most),
    )
