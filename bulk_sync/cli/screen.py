"""What a person at a terminal sees of a run, and what a log without one says of it."""

import logging
import re
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from bulk_sync.cli.output import say
from bulk_sync.errors import Exit, Refused
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.rows import columns, plan
from bulk_sync.rows.plan import Totals
from bulk_sync.runs import Finished, Plan

log = logging.getLogger(__name__)

_STATUS_EVERY_S: Final = 30.0
_NAMED_ROWS: Final = 10
_JUDGED_ROWS: Final = 200
_LISTED: Final = (columns.ROW, columns.OUTCOME, columns.DETAIL)
_PASSES: Final = {
    "scan": ("Scanning profiles", "profile"),
    "read": ("Reading states", "row"),
    "write": ("Writing", "row"),
}


class Screen:
    """Shows one run.

    Args:
        source: the input, as it was given.
        command: the words of the command line, for the next one to type.
        answers: print plan and summary on standard output; else on standard error.
        ask: ask at a terminal before anything is written.
        bars: show progress bars, where there is a terminal.
        preview: this run is to write nothing.
    """

    def __init__(
        self,
        source: str,
        command: Sequence[str],
        *,
        answers: bool,
        ask: bool,
        bars: bool,
        preview: bool,
    ) -> None:
        self._source = source
        self._command = command
        self._to_stderr = not answers
        self._ask = ask and (sys.stderr.isatty() or sys.stdout.isatty())
        self._bars = bars and sys.stderr.isatty()
        self._preview = preview
        self._option = ""
        self._what = ""
        self._bar: tqdm[Any] | None = None
        self._status_at = 0.0

    def tell(self, what: str, done: int, total: int) -> None:
        """Move the bar on a terminal; elsewhere log a line now and then."""
        if what != self._what:
            self.end_pass()
            self._what, self._status_at = what, time.monotonic() + _STATUS_EVERY_S
            if self._bars:
                title, unit = _PASSES[what]
                self._bar = tqdm(desc=title, unit=unit, total=total, leave=False)
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif (now := time.monotonic()) >= self._status_at:
            self._status_at = now + _STATUS_EVERY_S
            log.info("%s: %d of %d", _PASSES[what][0], done, total)

    def end_pass(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ""

    def show(self, reviewed: Plan) -> None:
        """Print the plan: the dangerous direction first, a sum that adds up, then what it costs."""
        self.end_pass()
        self._print(f"Plan for {self._source}\n")
        for line in plan_lines(reviewed):
            self._print(line)
        if self._preview and reviewed.refusal is not None:
            self._option = reviewed.refusal.option
            self._print(f"\nA limit would stop the run. {reviewed.refusal}")
        self._print("")

    def approve(self, reviewed: Plan) -> None:
        """Ask at a terminal; elsewhere the command itself is the approval.

        Raises:
            Refused: the person said no.
            Interrupted: the person left, by Ctrl-C.
        """
        if not self._ask or not (sys.stdin.isatty() or self._source == "-"):
            return
        if not sys.stdin.isatty():
            raise Refused(
                "Nothing was written: standard input is the file, so nobody can be asked. If the "
                "plan is right, add --yes."
            )
        changes = reviewed.totals.changes
        noun = "change" if changes == 1 else "changes"
        try:
            agreed = click.confirm(
                f"Apply {changes:,} {noun}?", default=False, err=sys.stderr.isatty()
            )
        except click.Abort:
            agreed = False  # Ctrl-D; Ctrl-C is a signal
        if not agreed:
            raise Refused("Nothing was written: the plan was not agreed to.")

    def finish(self, finished: Finished) -> None:
        """Print what became of the run."""
        self.end_pass()
        for line in summary_lines(finished):
            self._print(line)
        if self._preview and finished.cause is None:
            wanted = "If that is right" if self._option else "To write it"
            self._print(f"\nNothing was written. {wanted}:\n  {self._next()}")
        elif finished.todo is not None:
            self._print(f"Correct its rows, then give it back as input:\n  {self._again(finished)}")
        if finished.cause is not None:
            say(f"bulk-sync: {finished.cause}", err=True)

    def _next(self) -> str:
        """Turn the words of a preview into those that carry it out."""
        words = [_without_n(word) for word in self._command if word not in {"-n", "--dry-run"}]
        if "plan" in words:
            words[words.index("plan")] = "run"
        return shlex.join(["bulk-sync", *words, *self._option.split()])

    def _again(self, finished: Finished) -> str:
        """Repeat the command for the rows that are left, with a report of their own."""
        words: list[str] = []
        for word in self._command:
            if words and words[-1] == "--report":
                words.pop()
            elif not word.startswith("--report="):
                words.append(str(finished.todo) if word == self._source else word)
        return shlex.join(["bulk-sync", *words])

    def _print(self, line: str) -> None:
        say(line, err=self._to_stderr)


def plan_lines(reviewed: Plan) -> list[str]:
    """Lay a plan out."""
    totals = reviewed.totals
    lines = [
        _count_line("opt-ins", totals.opt_ins, "true -> false: lifts an opt-out"),
        _count_line("opt-outs", totals.opt_outs, "false -> true"),
    ]
    if totals.opt_ins:
        lines[0] += f" ({_row_numbers(reviewed.rows, plan.opt_ins(reviewed.rows))})"
    for outcome, count in totals.outcomes.items():
        if outcome != Outcome.WOULD_UPDATE:
            lines.append(_count_line(outcome, count, _reasons(reviewed.rows, outcome)))
    lines.append(_sum_line(totals))
    lines.append("")
    if reviewed.costs is not None:
        scan = reviewed.costs.scan
        way = "paging through the list" if reviewed.scanned else "looking up each key"
        pages = "an unknown number of" if scan is None else f"{scan:,}"
        lines.append(
            f"States were read by {way}: look-ups cost {reviewed.costs.lookups:,} calls, "
            f"a scan {pages} pages."
        )
    lines.append(
        f"Calls: {reviewed.calls:,} spent, {reviewed.calls_to_come:,} to come, "
        f"about {_duration(reviewed.seconds_to_come)}."
    )
    return lines


def summary_lines(finished: Finished) -> list[str]:
    """Lay the end of a run out."""
    totals = finished.totals
    lines = [f"Run {finished.run_id} ended with exit status {int(finished.exit)}.\n"]
    for outcome, count in totals.outcomes.items():
        note = _reasons(finished.rows, outcome)
        if outcome in (Outcome.UPDATED, Outcome.WOULD_UPDATE):
            note = f"{totals.opt_ins:,} opt-ins, {totals.opt_outs:,} opt-outs"
        lines.append(_count_line(outcome, count, note))
    lines.append(_sum_line(totals))
    lines.append("")
    lines += needing_a_person(finished.rows)
    calls = ", ".join(f"{method} {count:,}" for method, count in finished.calls.items())
    waits = f", {_duration(finished.throttled_s)} throttled" if finished.throttled_s else ""
    lines.append(f"Calls: {calls or 'none'}; {_duration(finished.seconds)}{waits}.")
    lines += [f"Report: {path}" for path in finished.reports]
    if finished.todo is not None:
        lines.append(f"To do:  {finished.todo}")
    return lines


def needing_a_person(rows: pd.DataFrame, most: int = _NAMED_ROWS) -> list[str]:
    """Name the first rows that a person must look at, with their reasons."""
    left = rows[rows[columns.OUTCOME].isin([str(each) for each in NEEDS_A_PERSON])]
    if left.empty:
        return []
    shown = left.head(most)
    numbers, outcomes, details = (shown[name] for name in _LISTED)
    reasons = shown[columns.REASON].astype(object).fillna("")
    files = shown[columns.FILE] if columns.FILE in shown else [""] * len(shown)
    width = max(len(str(number)) for number in numbers)
    lines = [
        f"  {file}{' ' if file else ''}row {number:>{width}}  {outcome} {reason}: {detail}"
        for file, number, outcome, reason, detail in zip(
            files, numbers, outcomes, reasons, details, strict=True
        )
    ]
    more = len(left) - len(shown)
    if more:
        lines.append(f"  ... and {more:,} more; the report (--report) has them all.")
    return ["Rows that need a person:", *lines, ""]


def summary_json(finished: Finished, source: str, *, dry_run: bool) -> dict[str, object]:
    """Put the end of a run into one object for scripts."""
    totals = finished.totals
    return {
        "run_id": finished.run_id,
        "input": source,
        "dry_run": dry_run,
        "exit": int(finished.exit),
        "message": "" if finished.cause is None else str(finished.cause),
        "rows": totals.rows,
        "outcomes": dict(totals.outcomes),
        "sum": sum(totals.outcomes.values()),
        "opt_ins": totals.opt_ins,
        "opt_outs": totals.opt_outs,
        "calls": dict(finished.calls),
        "calls_total": sum(finished.calls.values()),
        "answers": dict(finished.answers),
        "seconds": round(finished.seconds, 3),
        "throttled_seconds": round(finished.throttled_s, 3),
        "reports": [str(path) for path in finished.reports],
        "todo": None if finished.todo is None else str(finished.todo),
    }


def verdict_lines(judged: pd.DataFrame, source: str) -> list[str]:
    """Lay out how a file was judged: ``judged`` is a run's results that tried no row."""
    totals = plan.totals(judged)
    names = {str(Outcome.PENDING): "usable"}
    lines = [f"{source}\n"]
    for outcome, count in totals.outcomes.items():
        lines.append(_count_line(names.get(outcome, outcome), count, _reasons(judged, outcome)))
    bad = judged[judged[columns.OUTCOME] == Outcome.REJECTED]
    return [*lines, _sum_line(totals), "", *needing_a_person(bad, _JUDGED_ROWS)]


def verdict_json(judged: pd.DataFrame, source: str, status: Exit) -> dict[str, object]:
    """Put how a file was judged into one object for scripts."""
    totals = plan.totals(judged)
    outcomes = dict(totals.outcomes)
    usable = outcomes.pop(Outcome.PENDING, 0)
    return {
        "input": source,
        "exit": int(status),
        "message": "",
        "rows": totals.rows,
        "usable": usable,
        "outcomes": outcomes,
        "sum": usable + sum(outcomes.values()),
    }


def _without_n(word: str) -> str:
    """Take -n out of short options that are written together."""
    return word.replace("n", "", 1) if re.fullmatch(r"-[nqv]{2,}", word) else word


def _count_line(name: str, count: int, note: str) -> str:
    return f"  {name:<13}{count:>11,}  {note}".rstrip()


def _sum_line(totals: Totals) -> str:
    counted = sum(totals.outcomes.values())
    verdict = "all" if counted == totals.rows else "NOT the"
    return _count_line("sum", counted, f"= {verdict} {totals.rows:,} rows of the input")


def _reasons(rows: pd.DataFrame, outcome: str) -> str:
    found = rows.loc[rows[columns.OUTCOME] == outcome, columns.REASON].value_counts()
    return ", ".join(f"{reason} {count:,}" for reason, count in found.items() if count)


def _row_numbers(rows: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    numbers = rows[columns.ROW].to_numpy()[positions[:_NAMED_ROWS]].tolist()
    more = ", ..." if len(positions) > len(numbers) else ""
    return f"{'row' if len(positions) == 1 else 'rows'} {', '.join(map(str, numbers))}{more}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
