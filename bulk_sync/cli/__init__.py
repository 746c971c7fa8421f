"""The command line: parse, call, print, exit code. Decides nothing about a profile.

    commands/  one module for each command, imported when it is called
    options/   what can be given on the command line, in the config file and in the environment

No command imports pandas before it runs, so that help is instant.
"""

import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn

import click

from bulk_sync import __version__, garbage
from bulk_sync.cli import logs
from bulk_sync.cli.command import Invocation
from bulk_sync.cli.options.option import without_password
from bulk_sync.cli.output import LOST, lost, open_streams, say, say_error, say_json
from bulk_sync.errors import (
    DiskFull,
    Exit,
    InputProblem,
    Interrupted,
    StopRun,
    UsageProblem,
    interruption,
    is_disk_full,
)
from bulk_sync.signals import DEADLINE, Interrupts

_COMMANDS: Final = {
    "run": "Carry the desired states in INPUT into Campaign.",
    "plan": "Show what `run INPUT` would write, without writing it.",
    "apply": "Carry out a reviewed plan, once.",
    "resume": "Finish an interrupted run.",
    "retry": "Try again only the rows that failed.",
    "undo": "Put back what a run changed.",
    "audit": "Read again what a run applied, and report what no longer holds.",
    "runs": "List past runs; one run in full.",
    "report": "Make the report of a run again, in any format.",
    "history": "Show the whole story of one person: every write, and every row about them.",
    "ledger": "Prove that the ledger was not altered; copy it to another database.",
    "tidy": "Remove from the state folder what no run needs any more; never the ledger.",
    "validate": "Check every row in INPUT, without contacting Campaign.",
    "map": "Find the PKeys that this instance knows now, by another column.",
    "holidays": "List the days that are no business days, for deadlines.",
    "serve": "Serve a page to upload, compare, approve and file.",
    "users": "Manage the accounts of that page.",
    "check": "Test credentials, endpoint, attribute and access.",
    "recipe": "Print a ready crontab, systemd timer, Kubernetes CronJob, ... for this machine.",
    "help": "Show a page of the manual.",
    "simulate": "Serve a local stand-in for the Campaign Standard API.",
}

_MODULES: Final = {"map": "map_keys", "help": "help_pages"}
"""Modules that are not called like their command: they would hide what Python has of that name."""

_ANSWERS: Final = frozenset(
    {"check", "help", "history", "holidays", "list", "recipe", "runs", "validate", "verify"}
)
"""Commands that do nothing but answer: without their output they are not done. A run goes on, and
has its report."""

_EPILOG: Final = """\b
Examples:
  bulk-sync validate optouts.csv        is the file usable?
  bulk-sync check                       do the credentials work?
  bulk-sync plan optouts.csv            what would change?
  bulk-sync run optouts.csv             change it
  bulk-sync resume                      go on after a crash
  bulk-sync help                        the manual
\b
Exit status:
  0 every row holds in Campaign     4 a safety limit, or you, said no
  1 a bug                           5 credentials or organization refused
  2 wrong usage or input            6 stopped early: `resume` goes on
  3 some rows need a person        11 another run is at work
  130 / 143 stopped by Ctrl-C / SIGTERM: `resume` goes on
"""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = _MODULES.get(cmd_name, cmd_name)
        command: click.Command = importlib.import_module(f"bulk_sync.cli.commands.{name}").command
        ctx.ensure_object(Invocation).command = command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; click does not know the names, since it has imported none of them."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, None, _COMMANDS, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bulk-sync")
def group() -> None:
    """Carry CCPA opt-out states from a file into Adobe Campaign, and report on every row."""


def every_command() -> dict[str, click.Command]:
    """Import every command and return it by its full name, such as ``ledger verify``."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in _COMMANDS:
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": each for below, each in command.commands.items()}
        elif command is not None:
            found[name] = command
    return found


def program() -> NoReturn:
    """Run ``main`` as a process of its own, and end the process with its exit status.

    The process ends without taking the interpreter down. Meanwhile Arrow's threads may still free
    memory, and abort the process with -6 in place of the exit status.
    """
    _use_utf_8()
    try:
        main()
    except SystemExit as ended:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # ``say`` has warned of the loss
                stream.flush()
        os._exit(ended.code if isinstance(ended.code, int) else Exit.BUG)
    except KeyboardInterrupt:  # while the message about the end is written
        os._exit(Exit.INTERRUPTED)


def _use_utf_8() -> None:
    """Start this process again in Python's UTF-8 mode, if its locale has another encoding.

    Else a file could have a name after which no report can be called, and every locale would have
    its own name for one file, and so for its job. Python 3.15 has that mode anyway (PEP 686).
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the status of the contract."""
    # Arrow's own pools keep what they free: a million rows peak at 760 MB with this, else 1,030 MB.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    garbage.put_off()
    open_streams()
    LOST.clear()
    invocation = Invocation.of(sys.argv[1:] if arguments is None else arguments)
    try:
        with Interrupts(""):  # also while libraries are imported, which takes a moment
            status = group.main(
                list(invocation.words), prog_name="bulk-sync", standalone_mode=False, obj=invocation
            )
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        shown = without_password(usage.getvalue().rstrip())
        shown += invocation.origins(error.format_message())
        status = _failed(invocation, Exit.USAGE, error, shown)
    except InputProblem as problem:
        status = _failed(invocation, problem.exit, problem, _explained(problem, invocation))
    except StopRun as stop:
        status = _failed(invocation, stop.exit, stop)
    except (click.Abort, KeyboardInterrupt):
        status = _failed(invocation, Exit.INTERRUPTED, Interrupted("Interrupted."))
    except SystemExit:  # click's own, if the reader of the help has gone
        status = Exit.DONE if invocation.shows_help else Exit.BUG
    except Exception as error:  # noqa: BLE001  # the outermost edge, which logs it
        status = _unexpected(invocation, error)
    finally:
        DEADLINE.cancel()
    if LOST.is_set() and not status and invocation.monitor.kind in _ANSWERS:
        status = Exit.STOPPED_EARLY
    sys.exit(int(status or Exit.DONE))


def _unexpected(invocation: Invocation, error: Exception) -> Exit:
    """Report an error that no command knows: a bug, unless a signal or the machine is behind it."""
    if (signal := interruption(error)) is not None:  # during an import, as of a class
        return _failed(invocation, signal.exit, signal)
    if isinstance(error, OSError) and invocation.shows_help:  # which could not be printed
        lost(sys.stdout, error)
        return Exit.DONE
    if is_disk_full(error):
        return _failed(invocation, DiskFull.exit, DiskFull(f"{error}. Make room."))
    logging.getLogger(__name__).debug("Unexpected error", exc_info=error)
    shown = f"bulk-sync: {_message(error)} (add -v for the traceback)"
    return _failed(invocation, Exit.BUG, error, shown)


def _explained(problem: InputProblem, invocation: Invocation) -> str:
    """Return what a person reads of a problem: with the beginning of the input, unless ``-q``."""
    from bulk_sync.cli.next_command import again

    lines = [f"bulk-sync: {problem}{invocation.origins(str(problem))}"]
    if problem.overview and not invocation.form["quiet"]:
        lines += ["", *problem.overview]
    for remedy in problem.remedies:
        typed = again(invocation.words, remedy.words)
        lines += ["", typed.after(remedy.when or "To go on, type")]
    return "\n".join(lines)


def _message(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return without_password(error.format_message())
    if isinstance(error, StopRun):
        return str(error)
    return f"Unexpected error, a bug: {type(error).__name__}: {error}"


def _failed(invocation: Invocation, status: Exit, error: Exception, shown: str = "") -> Exit:
    """Print why a command failed: in the form of the log, and as a script's JSON object.

    A run that could not start is recorded in the ledger. With ``DONE`` the error is an answer. A
    person at a terminal reads ``shown`` in place of its message.
    """
    form, monitor, message = invocation.form, invocation.monitor, _message(error)
    if isinstance(error, click.ClickException | UsageProblem):
        message += invocation.origins(message)
    if missing := monitor.record(status, error):
        message, shown = f"{message} {missing}", f"{shown}\nbulk-sync: {missing}" if shown else ""
    summary = monitor.failure(status, message) if form["summary"] or monitor.is_run else {}
    if status is Exit.DONE:
        if not (form["summary"] or form["quiet"]):
            say(message)
    elif form["log_format"] == "json":
        logs.open_for("json")
        is_end = monitor.is_run and not monitor.has_ended
        say_error(message, {**monitor.named("run_ended"), **summary} if is_end else {})
    elif shown:
        say(shown, err=True)
    else:
        say_error(message)
    if monitor.is_run and not monitor.has_ended:
        monitor.failed(status, was_done=isinstance(error, StopRun) and error.is_answer)
    if form["summary"]:  # after the warnings about hooks: cron mails the last line
        say_json(summary)
    return status
