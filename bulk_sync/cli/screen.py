"""What a person at a terminal sees of a run, and what a script or a log gets of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from bulk_sync.amounts import count
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.cli import summary
from bulk_sync.cli.arguments import Values
from bulk_sync.cli.command import Invocation
from bulk_sync.cli.next_command import NextCommand, Typed
from bulk_sync.cli.options.config import job_of
from bulk_sync.cli.output import say, say_error, say_json
from bulk_sync.cli.progress_bar import ProgressBar
from bulk_sync.errors import BudgetTooSmall, Exit, Refused
from bulk_sync.ledger import Begun
from bulk_sync.outcomes import Kind, Outcome
from bulk_sync.rows.layout import Layout
from bulk_sync.runs import Finished, Judged, Mapped, Plan

_NOT_CARRIED_OUT: Final = frozenset({Exit.USAGE, Exit.ACCESS_DENIED, Exit.STOPPED_EARLY})


class Screen:
    """Shows one run.

    Args:
        source: the input, as it was given.
        values: the parsed options.
        preview: nothing is to be written to Campaign.
        out: the plan file to be written; None for the one among the options.
        title: what is shown: a run, or the audit of a run.

    Attributes:
        layout: what was read as what, once that is known.
    """

    def __init__(
        self,
        source: str,
        values: Values,
        *,
        preview: bool = False,
        out: Path | None = None,
        title: str = "Run",
    ) -> None:
        self._source, self._preview, self._title = source, preview, "Plan" if preview else title
        self._out: Path | None = out or values.get("out")
        self._json = values["summary"] is not None
        # A JSON log has neither a line for people nor a bar on its stream.
        self._quiet = values["quiet"] or values["log_format"] == "json"
        self._typed = Typed(click.get_current_context())
        self._monitor = Invocation.current().monitor
        self._ask = not values.get("yes") and (sys.stderr.isatty() or sys.stdout.isatty())
        self.layout: Layout | None = None
        self._progress = ProgressBar(
            has_bar=not self._quiet and sys.stderr.isatty(),
            every_s=values.get("progress_every", 0.0),
            monitor=self._monitor,
        )
        self._option = ""
        self._limit: Refused | None = None
        self._of_plan: dict[str, object] = {}

    def begin(self, run_id: str, begun: Begun) -> None:
        """Log for machines the run at its beginning, or when it goes on."""
        self._monitor.begin(run_id, begun, self._source)

    def announce(self, judged: Judged) -> None:
        """Print what of the input was read as what, and the options for cells of many rows."""
        self.layout = judged.layout
        self.end_pass()
        self._print("\n".join([f"{judged.layout}.", *judged.hints, ""]))

    def show_progress(self, what: str, done: int, total: int, pacer: Pacer | None = None) -> None:
        """Move the bar on a terminal; elsewhere log a line now and then."""
        self._progress.show(what, done, total, pacer)

    def end_pass(self) -> None:
        """Take the bar off the terminal."""
        self._progress.end()

    def show(self, reviewed: Plan) -> None:
        """Print the plan, and the limit against it."""
        self.end_pass()
        self._print(f"Plan for {self._source}\n")
        self._print(*summary.plan_lines(reviewed))
        if self._preview:
            self._of_plan = {"held": reviewed.held_opt_ins, "limit": reviewed.warning}
        if reviewed.refusal is not None:
            self._option = reviewed.refusal.option
        self._monitor.event("plan", f"Plan for {self._source}", summary.plan_facts(reviewed))
        if (limit := reviewed.refusal or reviewed.held) is not None:
            self._tell_limit(limit)
        if self._preview and reviewed.warning:
            self._print(f"\n{reviewed.warning}")
        elif reviewed.held is not None:
            what = count(reviewed.totals.opt_ins, "opt-in")
            self._print(f"\n{what} will be held back, and the rest written: {reviewed.held}")
        self._print("")

    def approve(self, reviewed: Plan) -> None:
        """Ask at a terminal; elsewhere the command is the approval. Raise Refused after a no."""
        if not self._ask or not (sys.stdin.isatty() or self._source == "-"):
            return
        if not sys.stdin.isatty():
            raise Refused(
                "Nothing was written: standard input is the file, so there is no place to ask. If "
                "the plan is right, add --yes."
            )
        question = f"Apply {count(reviewed.writes, 'change')}? [y/N]: "
        # Not by click.confirm: input() asks on standard error, even if that is a file.
        click.echo(question, nl=False, err=sys.stderr.isatty())
        answer = sys.stdin.readline()  # "" after Ctrl-D; Ctrl-C is a signal
        if answer.strip().lower() not in {"y", "yes"}:
            raise Refused("Nothing was written: the plan was not agreed to.")

    def finish(self, finished: Finished) -> Exit:
        """Print the result of the run, and the next command to type; return the exit status."""
        self.end_pass()
        self._print(*summary.summary_lines(finished, self._title))
        self._print(*self._next_steps(finished))
        if isinstance(finished.cause, Refused) and finished.cause.option:
            self._tell_limit(finished.cause)
        if finished.cause is not None:
            say_error(str(finished.cause))
            # A run or plan has lines of its own in the ledger, unlike an audit.
            if finished.exit in _NOT_CARRIED_OUT and self._monitor.kind == Kind.AUDIT:
                missing = self._monitor.record(finished.exit, finished.cause)
                if missing:
                    say_error(missing)
        if self._json or self._monitor.is_heard:
            self._report_end(finished)
        return finished.exit

    def _report_end(self, finished: Finished) -> None:
        resume = self._resume(finished)
        line = None if resume is None else resume.line
        facts = {
            **self._monitor.facts(),
            **summary.summary_json(finished, self._source, line, dry_run=self._preview),
            "recorded": finished.head is not None or self._monitor.is_recorded,
            **self._of_plan,
        }
        self._monitor.ended(facts, finished)
        if self._json:  # after the warnings about hooks: cron mails the last line
            say_json(facts)

    def finish_mapping(self, mapped: Mapped) -> Exit:
        """Print the result of ``map``, and the next command to type; return the exit status."""
        self.end_pass()
        self._print(*summary.mapped_lines(mapped, self._source))
        if mapped.profiles:
            plan = self._typed.plan_of(
                summary.shown(mapped.out), str(job_of({"input": self._source}))
            )
            self._print(plan.after("\nTo go on with the rows that were placed"))
        if mapped.cause is not None:
            say_error(str(mapped.cause))
        if self._json:
            say_json({**self._monitor.facts(), **summary.mapped_json(mapped, self._source)})
        return mapped.exit

    def _tell_limit(self, limit: Refused) -> None:
        if limit is not self._limit:
            self._monitor.event("limit", str(limit), {"option": limit.option})
        self._limit = limit

    def _next_steps(self, finished: Finished) -> Iterator[str]:
        resume = self._resume(finished)
        if self._preview and finished.cause is None:
            wanted = "If that is right" if self._option else "To write it"
            if finished.settings.get("approvals"):
                wanted += ", another person types this, with their own name"
                if self._out is None:
                    wanted = "It needs an approval. Save it as a plan for that"
            yield self._carry_out(finished).after(f"\nNothing was written. {wanted}")
        elif resume is not None and finished.is_resumable:
            yield resume.after("\nTo go on")
        elif resume is not None and isinstance(finished.cause, Refused):
            yield resume.after("\nTo let it pass, without reading anything again")
        elif resume is not None:
            yield resume.after(f"\nHeld back: {finished.held}\nTo write them too")
        elif finished.head is not None and finished.totals.outcomes.get(Outcome.FAILED):
            retry = self._typed.retry(finished.run_id)
            yield retry.after("\nTo try the rows that failed again")
        if finished.files.todo is not None and finished.cause is None and not self._preview:
            todo, job = summary.shown(finished.files.todo), str(self._monitor.job)
            run = self._typed.run_of_rest(todo, job, finished.settings)
            yield run.after("To correct rows, edit the todo file and give it back")

    def _resume(self, finished: Finished) -> NextCommand | None:
        cause = finished.cause or finished.held
        may_pass = isinstance(cause, Refused) and finished.head is not None
        if not finished.is_resumable and not may_pass:
            return None
        option = cause.option if isinstance(cause, Refused | BudgetTooSmall) else ""
        return self._typed.resume(finished.run_id, option.split())

    def _carry_out(self, finished: Finished) -> NextCommand:
        option = self._option.split()
        if self._out is not None and finished.files.plan_sha256 is not None:
            sha256, settings = finished.files.plan_sha256, finished.settings
            return self._typed.apply(str(self._out), sha256, settings, option)
        return self._typed.run_after_preview(self._source, finished.settings, option)

    def _print(self, *lines: str) -> None:
        """Print lines: on standard error if a script reads standard output, or not at all."""
        for line in () if self._json and self._quiet else lines:
            say(line, err=self._json)
