"""``bulk-sync runs``: past runs, or one of them in full."""

import sys
from contextlib import suppress
from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import UsageProblem


@Command.declare(
    "runs",
    run_options.MAYBE_RUN_ID,
    *run_options.WANTED,
    run_options.JSON,
    *deployment_options.STATE,
    *run_options.LOGGING,
    examples="""
  bulk-sync runs
  bulk-sync runs --last 14 --job requests --failed
  bulk-sync runs --since 2026-11-01 --json
  bulk-sync runs 20261123T020000Z-7f3a9c
""",
)
def command(**values: Any) -> None:
    """List requested runs, the newest last; with RUN_ID show all of one.

    A run that could not start is there too, with the reason. At a terminal a small chart of the
    last ones follows.
    """
    from bulk_sync import runs
    from bulk_sync.cli.runs_table import facts_lines, run_facts, run_lines, wanted

    run_id = values["run_id"]
    # ``job`` of the configuration names the job to be run, and hides no other one here.
    job = values["job"] if "job" in arguments.typed(values) else None
    last, since, failed = values["last"], values["since"], bool(values["failed"])
    if run_id and any((last, job, since, failed)):
        raise UsageProblem(
            "RUN_ID names one run; --last, --job, --since and --failed are for the list. Leave out "
            "one of the two."
        )
    with runs.known(arguments.state(values)) as book:
        at_work = runs.at_work(arguments.state(values), book)
        if run_id:
            found = [book.requested(run_id)]
        else:
            found = wanted(book.all_requested(), last, job, since, failed=failed)
    if values["json"]:
        facts = [run_facts(run, at_work) for run in found]
        say_json(facts[0] if run_id else facts)
        return
    if run_id:
        may_pass = runs.may_pass(arguments.state(values), found[0])
        lines = facts_lines(found[0], at_work, may_pass=may_pass)
    else:
        lines = run_lines(found, at_work)
    for line in lines:
        say(line)
    if not run_id and sys.stdout.isatty():
        from bulk_sync.cli import runs_chart

        with suppress(OSError):  # the terminal may have gone
            runs_chart.show(found, at_work)
