"""A plan, a run or a file in short: lines for a person, one object for a script."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bulk_sync.amounts import count, duration
from bulk_sync.cli.row_lines import count_line, needing_a_person, outcome_lines, row_numbers
from bulk_sync.errors import Refused
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.report import wording
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.facts import Subject
from bulk_sync.rows import comparison, due_dates
from bulk_sync.rows.due_dates import Late
from bulk_sync.rows.totals import LeftRows, by_reason
from bulk_sync.runs import Cost, Finished, Forecast, Mapped, Plan

_WORTH_AN_HOUR_S: Final = 60.0
"""What takes longer is told with the time at which it ends."""


def plan_lines(reviewed: Plan) -> list[str]:
    """Return a plan as lines: the dangerous direction first, a sum, then the costs."""
    totals = reviewed.totals
    lines = [
        count_line("opt-ins", totals.opt_ins, "true -> false: lifts an opt-out"),
        count_line("opt-outs", totals.opt_outs, "false -> true"),
    ]
    if totals.opt_ins:
        lines[0] += f" ({row_numbers(reviewed.rows, comparison.opt_ins(reviewed.rows))})"
    changes, rows = totals.opt_ins + totals.opt_outs, totals.outcomes.get(Outcome.WOULD_UPDATE, 0)
    if changes != rows:  # else the numbers do not add up to the sum
        lines[1] += f"; in all {count(changes, 'profile')} of {count(rows, 'row')}"
    others = [outcome for outcome in totals.outcomes if outcome != Outcome.WOULD_UPDATE]
    lines += [*outcome_lines(by_reason(reviewed.rows), totals, others), ""]
    read = reviewed.forecast.read
    if read.costs is not None:
        way = "page by page from Campaign's list" if read.paged else "one profile after another"
        if read.paged and read.looked_up:
            way += f", and {count(read.looked_up, 'key')} not in the list one by one"
        pages = read.costs.scan
        of_list = "an unknown number of pages" if pages is None else count(pages, "page")
        lines.append(
            f"States were read {way}. One by one takes {count(read.costs.lookups, 'call')}, the "
            f"list {of_list}."
        )
    return [*lines, *_forecast_lines(reviewed.forecast, datetime.now().astimezone())]


def plan_facts(reviewed: Plan) -> dict[str, object]:
    """Return a plan in short, for machines."""
    totals, forecast = reviewed.totals, reviewed.forecast
    return {
        "rows": totals.rows,
        "outcomes": dict(totals.outcomes),
        "opt_ins": totals.opt_ins,
        "opt_outs": totals.opt_outs,
        "held": reviewed.held_opt_ins,
        "limit": reviewed.warning,
        "calls_total": forecast.calls,
        "calls_to_come": forecast.calls_to_come,
        "seconds_to_come": None if forecast.seconds is None else round(forecast.seconds, 3),
    }


def _forecast_lines(forecast: Forecast, now: datetime) -> list[str]:
    seconds = (forecast.seconds or 0.0) if forecast.calls_to_come else 0.0
    days, times = forecast.days, forecast.runs
    least = forecast.is_lower_bound
    how = "at the very least" if least else "about"
    about = f" That takes {how} {duration(seconds)}" if seconds >= 1 else ""
    if seconds >= _WORTH_AN_HOUR_S and not days and not times:
        end = now + timedelta(seconds=seconds)
        day = "" if end.date() == now.date() else f" on {end:%Y-%m-%d}"
        soonest = " at the soonest" if least else ""
        about += f": it is done at {end:%H:%M %Z}{day}{soonest}, if it begins now"
    before = forecast.calls_before
    anew = f" and {before:,} to read everything again" if before > 1 else ""
    calls = f"Calls: {forecast.calls:,} made, {forecast.calls_to_come:,} to come{anew}."
    lines = [f"{calls}{about}{'.' if about else ''}"]
    if days:
        last = now.astimezone(UTC).date() + timedelta(days=days)
        lines.append(
            f"Of today's {forecast.budgets.max_calls_per_day:,} calls (--max-calls-per-day; days "
            f"are UTC) {forecast.budgets.left_today:,} are left. With `bulk-sync resume` on each "
            f"day after, it takes {count(days, 'more day')} and is done on {last}."
        )
    if times:
        lines.append(
            f"With {count(forecast.budgets.max_calls or 0, 'call')} a run (--max-calls) it must be "
            f"resumed {count(times, 'time')}."
        )
    return lines


def summary_lines(finished: Finished, title: str) -> list[str]:
    """Return the end of a run, or of what the title calls it, as lines."""
    totals, files = finished.totals, finished.files
    changes = f"{count(totals.opt_ins, 'opt-in')}, {count(totals.opt_outs, 'opt-out')}"
    notes = dict.fromkeys(map(str, (Outcome.UPDATED, Outcome.WOULD_UPDATE)), changes)
    named = set(NEEDS_A_PERSON)
    if finished.cause or finished.held:  # which explains the pending rows
        named.remove(Outcome.PENDING)
    subject = Subject.PLAN if title == "Plan" else Subject.RESULT
    status = wording.exit_status(
        finished.exit, subject, outcomes=totals.outcomes, is_resumable=finished.is_resumable
    )
    reasons = by_reason(finished.rows) + finished.rest.reasons
    lines = [
        f"{title} {finished.run_id} ended with {status}.\n",
        *outcome_lines(reasons, totals, totals.outcomes, notes),
        "",
        *needing_a_person(LeftRows.find(finished.rows, named) + finished.rest.left),
        *_deadline_lines(finished),
        *_cost_lines(finished.cost),
        *(f"Report: {shown(path)}{_not_there(path)}" for path in files.reports),
    ]
    if files.todo is not None:
        lines.append(f"To do:  {shown(files.todo)}{_not_there(files.todo)}")
    if finished.head is not None:
        lines.append(f"Ledger: {finished.head}")
    return lines


def _deadline_lines(finished: Finished) -> list[str]:
    first, *rest = wording.deadlines(_late(finished)) or [""]
    return [first, *(f"  {line}" for line in rest), ""] if first else []


def _late(finished: Finished) -> Late | None:
    """Count late opt-outs today, by UTC: in California it is the same day or the one before."""
    today = datetime.now(UTC).date()
    return due_dates.total(due_dates.late(finished.rows, today), finished.rest.tally.late)


def figure(value: float) -> str:
    """Return a measured number with three digits, or without a fraction."""
    return f"{value:,.3g}" if value < 999.5 else f"{value:,.0f}"


def _cost_lines(cost: Cost) -> list[str]:
    calls = ", ".join(f"{method} {count:,}" for method, count in cost.calls.items())
    reached = "" if cost.rate is None else f", {figure(cost.rate)} calls a second"
    lines = [f"Calls: {calls or 'none'}; {duration(cost.seconds)}{reached}."]
    if cost.latency_s is not None:
        # The event loop's clock goes by the millisecond.
        half, most = (f"{figure(max(1.0, 1000 * each))} ms" for each in cost.latency_s)
        answers = {"200": 0, **cost.answers}
        named = ", ".join(f"{name} ({number:,})" for name, number in answers.items())
        lines.append(f"Answers: {named}; half within {half}, 95 % within {most}.")
    if cost.throttled_s:
        causes = ", ".join(f"{why} {duration(held_s)}" for why, held_s in cost.held_s.items())
        lines.append(f"Waited for Campaign: {causes}.")
    return lines


def summary_json(
    finished: Finished, source: str, resume: str | None, *, dry_run: bool
) -> dict[str, object]:
    """Return the end of a run as one object for scripts, without its job and its kind."""
    refusal = finished.cause if isinstance(finished.cause, Refused) else finished.held
    held = finished.totals.outcomes.get(Outcome.PENDING, 0) if finished.held else 0
    totals, cost, head = finished.totals, finished.cost, finished.head
    late = _late(finished)
    return {
        "run_id": finished.run_id,
        "input": source,
        "dry_run": dry_run,
        "exit": int(finished.exit),
        "message": str(finished.cause or finished.held or finished.files.note),
        "read_as": finished.settings.get("read_as"),
        "rows": totals.rows,
        "outcomes": dict(totals.outcomes),
        "sum": sum(totals.outcomes.values()),
        "opt_ins": totals.opt_ins,
        "opt_outs": totals.opt_outs,
        "held": held,
        "limit": str(refusal or ""),
        "late": None if late is None else late._asdict(),
        "calls": dict(cost.calls),
        "calls_total": sum(cost.calls.values()),
        "answers": dict(cost.answers),
        "seconds": round(cost.seconds, 3),
        "throttled_seconds": round(cost.throttled_s, 3),
        "throttled_by": {why: round(held_s, 3) for why, held_s in cost.held_s.items()},
        "calls_per_second": None if cost.rate is None else round(cost.rate, 2),
        "latency_seconds": None
        if cost.latency_s is None
        else {"p50": round(cost.latency_s[0], 4), "p95": round(cost.latency_s[1], 4)},
        "reports": [shown(path) for path in finished.files.reports],
        "todo": None if finished.files.todo is None else shown(finished.files.todo),
        "resume": resume,
        "ledger": None if head is None else {"position": head.position, "sha256": head.hash},
        "plan_sha256": finished.files.plan_sha256,
        "needed": None if cost.needed is None else cost.needed.facts(),
        "to_come": None if cost.to_come is None else cost.to_come.facts(),
    }


def mapped_lines(mapped: Mapped, source: str) -> list[str]:
    """Return the result of ``map`` as lines."""
    names = {str(Outcome.UNCHANGED): "placed"}
    notes = {str(Outcome.UNCHANGED): count(mapped.profiles, "profile")}
    lines = [
        f"{source}\n",
        *outcome_lines(by_reason(mapped.rows), mapped.totals, mapped.totals.outcomes, notes, names),
        "",
        *needing_a_person(LeftRows.find(mapped.rows, NEEDS_A_PERSON)),
        *_cost_lines(mapped.cost),
        f"New PKeys: {shown(mapped.out)}",
    ]
    if mapped.todo is not None:
        lines.append(f"To do:     {shown(mapped.todo)}")
    return lines


def mapped_json(mapped: Mapped, source: str) -> dict[str, object]:
    """Return the result of ``map`` as one object for scripts."""
    outcomes = dict(mapped.totals.outcomes)
    placed = outcomes.pop(Outcome.UNCHANGED, 0)
    return {
        "input": source,
        "exit": int(mapped.exit),
        "message": "" if mapped.cause is None else str(mapped.cause),
        "rows": mapped.totals.rows,
        "placed": placed,
        "profiles": mapped.profiles,
        "outcomes": outcomes,
        "sum": placed + sum(outcomes.values()),
        "calls": dict(mapped.cost.calls),
        "calls_total": sum(mapped.cost.calls.values()),
        "seconds": round(mapped.cost.seconds, 3),
        "out": shown(mapped.out),
        "todo": None if mapped.todo is None else shown(mapped.todo),
    }


def _not_there(file: Destination) -> str:
    return f" (not at {file.instead_of})" if isinstance(file, LocalFile) and file.instead_of else ""


def shown(place: object) -> str:
    """Return a path, or a URL, as short as a person would write it, seen from here."""
    try:
        here = Path.cwd()
    except OSError:  # the folder was removed meanwhile
        return str(place)
    return str(place).removeprefix(f"{str(here).rstrip('/')}/")
