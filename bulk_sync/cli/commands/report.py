"""``bulk-sync report``: make the report of a past run again, in any format."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem


@Command.declare(
    "report",
    run_options.MAYBE_RUN_ID,
    run_options.REPORT,
    run_options.TODO,
    run_options.SUMMARY,
    *deployment_options.STATE,
    *run_options.LOGGING,
    examples="""
  bulk-sync report 20261123T020000Z-7f3a9c --report result.xlsx
  bulk-sync report --report result.html         the newest run
""",
)
def command(**values: Any) -> Exit:
    """Make the report of a run again, in any format: of the newest run, if no RUN_ID is given.

    The rows are those that the run kept (--keep-rows); of a plan, those in its file. Campaign is
    not asked. The report of an unfinished run shows how far it got.
    """
    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen
    from bulk_sync.cli.summary import shown
    from bulk_sync.ledger import local

    state, paths = arguments.state(values), values["report"]
    if not paths:
        raise UsageProblem(
            "--report is missing: name the file to write, such as --report result.xlsx. The suffix "
            "decides the format."
        )
    screen = Screen("", values)
    run, files = runs.report_again(
        state, values["run_id"], paths, screen.show_progress, todo=values["todo"]
    )
    screen.end_pass()
    names, todo = [shown(report) for report in files.reports], files.todo
    status = Exit.ROWS_LEFT if files.are_unpublished else Exit.DONE
    if values["summary"]:
        facts = {"run_id": run.run_id, "exit": int(status), "message": files.note, "reports": names}
        say_json({**facts, "todo": None if todo is None else shown(todo)})
        return status
    say(f"Run {run.run_id} of {run.begun.input}, begun {local(run.begun_ms)}")
    same = set() if run.ended is None else set(run.ended.reports.values())
    for name, destination in zip(names, files.reports, strict=True):
        is_same = destination.sha256() in same
        say(f"Report: {name}{' (byte for byte as the run wrote it)' if is_same else ''}")
    if todo is not None:
        say(f"To do:  {shown(todo)}")
    return status
