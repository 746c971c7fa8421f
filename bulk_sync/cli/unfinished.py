"""Interrupted runs: finished, given up, or left to others; for ``resume`` and ``apply``."""

import logging
from pathlib import Path
from typing import Final

from bulk_sync import runs
from bulk_sync.cli import arguments
from bulk_sync.cli.arguments import Values
from bulk_sync.cli.command import Invocation
from bulk_sync.cli.output import say_json
from bulk_sync.cli.screen import Screen
from bulk_sync.errors import AnotherRun, Exit, StopRun, UsageProblem
from bulk_sync.ledger import Run

log = logging.getLogger(__name__)

_GO_ON_AFTER: Final = (Exit.DONE, Exit.ROWS_LEFT, Exit.REFUSED)
"""With ``--all``, the next run begins after one that ended with one of these."""

_NAMED: Final = 3
"""How many runs a message names."""


def finish(values: Values, run: Run) -> Exit:
    """Finish a run, or give it up."""
    job = arguments.follow_up(values, run, values["report"])
    begun, out = run.begun, run.begun.settings.get("out")
    screen = Screen(begun.input, values, preview=begun.is_plan, out=Path(out) if out else None)
    if not values.get("give_up"):
        return screen.finish(runs.resume(job, run.run_id, screen))
    left = runs.abandon(job, run.run_id, screen)
    screen.end_pass()
    raise runs.NothingLeft(f"Run {run.run_id} is given up. {left}")


def finish_all(values: Values) -> Exit:
    """Finish the runs of the configured instance, the oldest first.

    Returns:
        The exit status of the first that stopped early, else the highest. With a shared ledger a
        run without a checkpoint here is named, and left to its own machine; a plan at work is left
        to its process. A run whose checkpoint is unusable or lost, or without a place for its
        report, needs a person: 3. So do those that were refused before: 4.
    """
    unfinished = runs.interrupted(arguments.state(values))
    if values["run_id"] or values["give_up"]:
        raise UsageProblem("--all takes neither a RUN_ID nor --give-up: runs are given up by name.")
    if any("{run_id}" not in path for path in values["report"]):
        raise UsageProblem("With --all, --report needs {run_id} in its name: one report a run.")
    here = [run for run in reversed(unfinished) if arguments.is_for(values, run)]
    if not here:
        raise _nothing_left(values, unfinished)
    ended = Exit.DONE
    for run in here:
        status = _finish_or_pass_over(values, run)
        if status not in _GO_ON_AFTER:
            return status
        ended = max(ended, status)
    if refused := [run for run in _waiting(values) if not runs.is_held(run)]:
        log.warning("%s", _of_waiting(refused))
        ended = max(ended, Exit.REFUSED)
    return ended


def _finish_or_pass_over(values: Values, run: Run) -> Exit:
    state = arguments.state(values)
    is_shared = state.ledger is not None  # else no other machine can have the checkpoint
    is_plan = run.begun.is_plan  # other runs can be resumed while a process works on it
    try:
        if is_shared and not runs.has_checkpoint(state, run):
            _warn_of_elsewhere(values, run)
            return Exit.DONE
        return finish({**values, "lock_wait": 0.0} if is_plan else values, run)
    except AnotherRun:
        if not is_plan:
            raise
        log.info("Run %s is left to the process that works on it", run.run_id)
        return Exit.DONE
    except runs.NothingLeft as answer:  # another process has ended it meanwhile
        log.info("%s", answer)
        return Exit.DONE
    except (runs.CannotResume, runs.CheckpointProblem, runs.Unreadable) as problem:
        return _pass_over(values, problem)


def _pass_over(values: Values, problem: StopRun) -> Exit:
    """Pass on why a run does not go on, as if it had been resumed alone: it needs a person."""
    monitor, status = Invocation.current().monitor, problem.exit
    message = f"{problem} {monitor.record(status, problem)}".strip()
    log.warning("%s", message)
    summary = monitor.failure(status, message)
    monitor.event("run_ended", message, summary)
    monitor.failed(status, was_done=False)
    if values["summary"]:  # after the warnings about hooks: cron mails the last line
        say_json(summary)
    return Exit.ROWS_LEFT


def _warn_of_elsewhere(values: Values, run: Run) -> None:
    """Log what to do about a run that cannot go on here; nothing if it is at work elsewhere."""
    state = arguments.state(values)
    with runs.known(state) as book:
        worker = runs.at_work(state, book).get(run.run_id)
    if worker:
        log.info("Run %s is left to the process that works on it: %s", run.run_id, worker)
    else:
        log.warning("%s", runs.without_checkpoint(state, run))


def chosen(values: Values) -> Run:
    """Return the run that is named, or the newest of the configured instance.

    Warn of the others then.
    """
    state = arguments.state(values)
    if values["run_id"]:
        return runs.find_run(state, values["run_id"])
    unfinished = runs.interrupted(state)
    here = [run for run in unfinished if arguments.is_for(values, run)]
    at_hand = [run for run in here if runs.has_checkpoint(state, run)]
    newest = (at_hand or here)[:1]
    for run in unfinished:
        if run in here and run not in at_hand and run not in newest:
            _warn_of_elsewhere(values, run)
        elif run not in newest:
            log.warning(
                "Run %s, of %s at %s, is unfinished too: `bulk-sync resume %s`%s goes on, and with "
                "--give-up it ends for good",
                run.run_id,
                run.begun.organization,
                run.begun.endpoint,
                run.run_id,
                "" if run in here else " with its --organization, --endpoint and --attribute",
            )
    if not newest:
        raise _nothing_left(values, unfinished)
    return newest[0]


def _nothing_left(values: Values, unfinished: list[Run]) -> Exception:
    if waiting := _waiting(values):
        problem = runs.NothingLeft(f"There is nothing to resume, but {_of_waiting(waiting)}")
        if not all(map(runs.is_held, waiting)):
            problem.exit = Exit.REFUSED
        return problem
    where = " of this organization, endpoint and attribute" if unfinished else ""
    return runs.NothingLeft(f"There is nothing to resume: every run{where} is finished.")


def _waiting(values: Values) -> list[Run]:
    """Return the runs of the configured instance that wait for a person, the newest first."""
    undecided = runs.undecided(arguments.state(values))
    return [run for run in undecided if arguments.is_for(values, run)]


def _of_waiting(waiting: list[Run]) -> str:
    newest = waiting[0].run_id
    named = ", ".join(run.run_id for run in waiting[:_NAMED])
    more = ", ..." if len(waiting) > _NAMED else ""
    were = "were refused"
    if any(map(runs.is_held, waiting)):
        were += ", or hold opt-ins back"
    return (
        f"these runs {were}: {named}{more}. `bulk-sync runs {newest}` shows why, `bulk-sync resume "
        f"{newest}` goes on, and with --give-up it ends for good."
    )
