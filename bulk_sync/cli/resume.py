"""``bulk-sync resume``: finish an interrupted run, or all of them."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from bulk_sync.ledger import Run

log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  bulk-sync resume                              the newest interrupted run
  bulk-sync resume 20261123T020000Z-7f3a9c
  bulk-sync resume --max-calls 50000            with tonight's budget
  bulk-sync resume --all                        every interrupted run, the oldest first
"""

_OWN_AFFAIR: Final = (Exit.DONE, Exit.ROWS_LEFT, Exit.REFUSED)
"""With what a run ends that is no reason not to begin the next one."""


@click.command(name="resume", epilog=_EPILOG)
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@options.option(
    "--all",
    "every",
    is_flag=True,
    help="Finish every interrupted run, the oldest first; one that stops early ends that.",
)
@options.option(
    "--give-up",
    is_flag=True,
    help="Write nothing more, and call the run finished; what it wrote stays.",
)
@options.yes_option
@options.report_option
@options.limit_options
@options.allow_option
@options.keep_rows_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Finish an interrupted run: the newest, if no RUN_ID is given, or all of them with --all.

    Neither the input file nor the options are needed: it goes on where the run stood, and what is
    not given is as it was for the run, but for the budget of calls. Credentials are taken from the
    environment as always. A profile whose write was in flight is read again before anything is
    written. A run that a limit refused goes on too, if it is named.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs

    state, run_id = arguments.state(values), values["run_id"]
    if values["every"]:
        return _every(values, runs.interrupted(state))
    found = runs.recorded(state, run_id) if run_id else _newest(values, runs.interrupted(state))
    return _give_up(values, found) if values["give_up"] else _finish(values, found)


def _finish(values: dict[str, Any], found: "Run") -> Exit:
    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    job = arguments.job(arguments.again(values, found.begun), values["report"], found.begun.job)
    out, is_plan = found.begun.settings.get("out"), found.begun.kind == "plan"
    look = arguments.look({**values, "out": out and Path(out)}, preview=is_plan)
    screen = Screen(found.begun.input, look)
    return screen.finish(runs.resume(job, found.run_id, screen))


def _give_up(values: dict[str, Any], found: "Run") -> Exit:
    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    job = arguments.job(arguments.again(values, found.begun), values["report"], found.begun.job)
    screen = Screen(found.begun.input, arguments.look(values))
    left = runs.abandon(job, found.run_id, screen)
    screen.end_pass()
    raise runs.NothingLeft(f"Run {found.run_id} is given up. {left}")


def _every(values: dict[str, Any], unfinished: "list[Run]") -> Exit:
    """Finish the runs of the instance that is configured, as they came.

    Returns:
        The exit status of the first that stopped early; else that one was refused, or that rows
        are left, if that is so. A run whose checkpoint lies elsewhere or cannot be used is named,
        and passed over.
    """
    from bulk_sync import runs

    if values["run_id"] or values["give_up"]:
        raise UsageProblem("--all takes neither a RUN_ID nor --give-up: runs are given up by name.")
    if any("{run_id}" not in str(path) for path in values["report"] or ()):
        raise UsageProblem("With --all, --report needs {run_id} in its name: one report a run.")
    here = [run for run in reversed(unfinished) if arguments.is_for(values, run.begun)]
    if not here:
        _newest(values, unfinished)  # which says so
    ended = Exit.DONE
    state = arguments.state(values)
    for run in here:
        if not runs.has_checkpoint(state, run):
            log.warning("%s", runs.without_checkpoint(state, run))
            continue
        try:
            exit_ = _finish(values, run)
        except runs.CheckpointProblem as problem:
            log.warning("%s", problem)
            continue
        if exit_ not in _OWN_AFFAIR:
            return exit_
        ended = max(ended, exit_)
    return ended


def _newest(values: dict[str, Any], unfinished: "list[Run]") -> "Run":
    """Choose the newest run of the instance that is configured, and name the others."""
    from bulk_sync import runs

    state = arguments.state(values)
    here = [run for run in unfinished if arguments.is_for(values, run.begun)]
    at_hand = [run for run in here if runs.has_checkpoint(state, run)]
    chosen = (at_hand or here)[:1]
    for run in unfinished:
        if run in here and run not in at_hand and run not in chosen:
            log.warning("%s", runs.without_checkpoint(state, run))
        elif run not in chosen:
            place = f"{run.begun.organization} at {run.begun.endpoint}"
            log.warning(
                "Run %s, of %s, is unfinished too: finish it there, or give it up with `bulk-sync "
                "resume %s --give-up`",
                run.run_id,
                place,
                run.run_id,
            )
    if not here:
        where = " of this organization, endpoint and attribute" if unfinished else ""
        raise runs.NothingLeft(f"There is nothing to resume: every run{where} is finished.")
    return chosen[0]
