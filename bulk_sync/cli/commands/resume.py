"""``bulk-sync resume``: finish an interrupted run, or all of them."""

from typing import Any

from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.errors import Exit


@Command.declare(
    "resume",
    run_options.MAYBE_RUN_ID,
    run_options.ALL,
    run_options.GIVE_UP,
    run_options.ALLOW,
    *run_options.WRITING,
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
    from bulk_sync.cli import unfinished

    if values["all"]:
        return unfinished.finish_all(values)
    return unfinished.finish(values, unfinished.chosen(values))
