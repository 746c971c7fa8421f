"""``bulk-sync resume``: finish an interrupted run, or all of them."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bulk_sync.cli import arguments, options
from bulk_sync.cli.command import Command, Invocation
from bulk_sync.cli.output import say_json
from bulk_sync.errors import AnotherRun, Exit, StopRun, UsageProblem
from bulk_sync.outcomes import Kind

if TYPE_CHECKING:
    from bulk_sync.ledger import Run

log = logging.getLogger(__name__)

_GO_ON_AFTER: Final = (Exit.DONE, Exit.ROWS_LEFT, Exit.REFUSED)
"""With ``--all``, the next run begins after one that ended with one of these."""

_NAMED: Final = 3
"""How many runs a message names."""


@Command.declare(
    "resume",
    options.MAYBE_RUN_ID,
    options.ALL,
    options.GIVE_UP,
    options.ALLOW,
    *options.WRITING,
    examples="""
  bulk-sync resume                              the newest interrupted run
  bulk-sync resume 20261123T020000Z-7f3a9c
  bulk-sync resume --max-calls 50000            with tonight's budget
  bulk-sync resume --all                        every interrupted run, the oldest first
""",
)
def command(**values: Any) -> Exit:
    """Finish an interrupted run: the newest, if no RUN_ID is given, or all of them with --all.

    Neither the input file nor the options are needed: it goes on where the run stood, and what is
    not given is as it was for the run, except the budget of calls. Credentials come from the
    environment as always. Profiles with a write in flight are read again before anything is
    written. A run that a limit refused, or whose opt-ins it held back, goes on too if it is named.
    """
    from bulk_sync import runs

    state, run_id = arguments.state(values), values["run_id"]
    if values["all"]:
        return _all(values, runs.interrupted(state))
    run = runs.recorded(state, run_id) if run_id else _newest(values, runs.interrupted(state))
    return _finish(values, run)


def _finish(values: arguments.Values, run: "Run") -> Exit:
    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    job = arguments.follow_up(values, run, values["report"])
    out = run.begun.settings.get("out")
    is_plan = run.begun.kind is Kind.PLAN
    screen = Screen(run.begun.input, values, preview=is_plan, out=Path(out) if out else None)
    if not values["give_up"]:
        return screen.finish(runs.resume(job, run.run_id, screen))
    left = runs.abandon(job, run.run_id, screen)
    screen.end_pass()
    raise runs.NothingLeft(f"Run {run.run_id} is given up. {left}")


def _all(values: arguments.Values, unfinished: "list[Run]") -> Exit:
    """Finish the runs of the configured instance, the oldest first.

    Returns:
        The exit status of the first that stopped early, else the highest. With a shared ledger a
        run without a checkpoint here is named, and left to its own machine; a plan at work is left
        to its process. A run whose checkpoint is unusable or lost, or without a place for its
        report, needs a person: 3. So do those that were refused before: 4.
    """
    from bulk_sync import runs

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


def _finish_or_pass_over(values: arguments.Values, run: "Run") -> Exit:
    from bulk_sync import runs

    state = arguments.state(values)
    is_shared = state.ledger is not None  # else no other machine can have the checkpoint
    is_plan = run.begun.kind is Kind.PLAN  # other runs can be resumed while a process works on it
    try:
        if is_shared and not runs.has_checkpoint(state, run):
            _warn_of_elsewhere(values, run)
            return Exit.DONE
        return _finish({**values, "lock_wait": 0.0} if is_plan else values, run)
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


def _pass_over(values: arguments.Values, problem: StopRun) -> Exit:
    """Pass on why a run does not go on, as if it had been resumed alone: it needs a person."""
    monitor, status = Invocation.current().monitor, problem.exit
    message = f"{problem} {monitor.record(status, problem)}".strip()
    log.warning("%s", message)
    summary = monitor.failure(status, message)
    monitor.event("run_ended", message, summary)
    if values["summary"]:
        say_json(summary)
    monitor.failed(status, was_done=False)
    return Exit.ROWS_LEFT


def _warn_of_elsewhere(values: arguments.Values, run: "Run") -> None:
    """Log what to do about a run that cannot go on here; nothing if it is at work elsewhere."""
    from bulk_sync import runs

    state = arguments.state(values)
    with runs.known(state) as book:
        worker = runs.at_work(state, book).get(run.run_id)
    if worker:
        log.info("Run %s is left to the process that works on it: %s", run.run_id, worker)
    else:
        log.warning("%s", runs.without_checkpoint(state, run))


def _newest(values: arguments.Values, unfinished: "list[Run]") -> "Run":
    """Return the newest run of the configured instance, and warn of the others."""
    from bulk_sync import runs

    state = arguments.state(values)
    here = [run for run in unfinished if arguments.is_for(values, run)]
    at_hand = [run for run in here if runs.has_checkpoint(state, run)]
    chosen = (at_hand or here)[:1]
    for run in unfinished:
        if run in here and run not in at_hand and run not in chosen:
            _warn_of_elsewhere(values, run)
        elif run not in chosen:
            log.warning(
                "Run %s, of %s at %s, is unfinished too: `bulk-sync resume %s`%s goes on, and with "
                "--give-up it ends for good",
                run.run_id,
                run.begun.organization,
                run.begun.endpoint,
                run.run_id,
                "" if run in here else " with its --organization, --endpoint and --attribute",
            )
    if not chosen:
        raise _nothing_left(values, unfinished)
    return chosen[0]


def _nothing_left(values: arguments.Values, unfinished: "list[Run]") -> Exception:
    from bulk_sync import runs

    if waiting := _waiting(values):
        problem = runs.NothingLeft(f"There is nothing to resume, but {_of_waiting(waiting)}")
        if not all(map(runs.is_held, waiting)):
            problem.exit = Exit.REFUSED
        return problem
    where = " of this organization, endpoint and attribute" if unfinished else ""
    return runs.NothingLeft(f"There is nothing to resume: every run{where} is finished.")


def _waiting(values: arguments.Values) -> "list[Run]":
    """Return the runs of the configured instance that wait for a person, the newest first."""
    from bulk_sync import runs

    undecided = runs.undecided(arguments.state(values))
    return [run for run in undecided if arguments.is_for(values, run)]


def _of_waiting(waiting: "list[Run]") -> str:
    from bulk_sync import runs

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
