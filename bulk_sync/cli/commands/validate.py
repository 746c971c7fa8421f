"""``bulk-sync validate``: judge a file without contacting Campaign."""

from typing import TYPE_CHECKING, Any, Final

import click

from bulk_sync.amounts import count
from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command, Invocation
from bulk_sync.cli.next_command import Typed
from bulk_sync.cli.options import deployment_options, input_options, run_options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.outcomes import Outcome

if TYPE_CHECKING:
    from bulk_sync.runs import Validated

_NAMED_ROWS: Final = 200


@Command.declare(
    "validate",
    run_options.INPUT_FILE,
    *input_options.INPUT,
    input_options.SAVE_MAPPING,
    input_options.MEMORY,
    run_options.JOB,
    run_options.PROTECT,
    deployment_options.ATTRIBUTE,
    run_options.REPORT,
    run_options.TODO,
    run_options.OUTLINE,
    run_options.SUMMARY,
    deployment_options.STATE_DIR,
    *run_options.LOGGING,
    examples="""
  bulk-sync validate optouts.csv
  bulk-sync validate requests.xlsx --report marked.xlsx
""",
)
def command(**values: Any) -> Exit:
    """Check every row in INPUT, without contacting Campaign.

    Exits with 0 if all can be used, and with 3 if some cannot; --report writes every row with its
    verdict. Of a workbook, --report marked.xlsx is a copy in which the bad cells are marked.
    """
    from bulk_sync import runs
    from bulk_sync.cli import mapping
    from bulk_sync.cli.screen import Screen
    from bulk_sync.cli.summary import shown
    from bulk_sync.runs.terms import outline
    from bulk_sync.runs.terms.protection import Protection

    mapping.check(values)
    given = arguments.given_input(values)
    screen = Screen(given.source, values)
    protection = Protection(values["protect"])
    if values["todo"] and not values["report"]:
        raise UsageProblem("--todo writes a file beside the report, so it needs --report too.")
    outline.check(values["outline"], given)
    job = values["job"] or arguments.job_name(given)
    table = values["job"] or arguments.table_name(given)
    layout, todo = None, bool(values["todo"])
    try:
        found = runs.judge(
            given, values["report"], screen.show_progress, protection, job=table, todo=todo
        )
        layout = found.layout
    finally:
        if values["outline"] is not None:
            outline.write(values["outline"], given, layout)
    screen.end_pass()
    is_done = found.verdict.is_usable and not found.files.are_unpublished
    status = Exit.DONE if is_done else Exit.ROWS_LEFT
    if values["summary"]:
        monitor = Invocation.current().monitor
        monitor.job = job
        facts = {**as_json(found, given.source, status), "message": found.files.note}
        say_json({**monitor.facts(), **facts})
    else:
        for line in lines(found, given.source):
            say(line)
        if found.files.todo is not None:
            say(f"To do: {shown(found.files.todo)}")
        say(_next_step(found, given.source, job))
    mapping.save(values, given, layout, status)
    return status


def lines(validated: "Validated", source: str) -> list[str]:
    """Return the verdict on a file as lines."""
    from bulk_sync.cli.row_lines import needing_a_person, outcome_lines

    verdict = validated.verdict
    totals, tally = verdict.totals, verdict.tally
    forbids = count(tally.forbid, "forbids", "forbid")
    allows = count(tally.allow, "allows", "allow")
    directions = f"of these {forbids} the sale (opt-outs), {allows} it"
    return [
        f"{source}\n{validated.layout}.\n",
        *outcome_lines(verdict.reasons, totals, totals.outcomes, {Outcome.USABLE: directions}),
        "",
        *needing_a_person(verdict.rejected, _NAMED_ROWS),
        *verdict.hints,
    ]


def as_json(validated: "Validated", source: str, status: Exit) -> dict[str, object]:
    """Return the verdict as one object for scripts."""
    verdict, todo = validated.verdict, validated.files.todo
    outcomes = verdict.totals.outcomes
    return {
        "input": source,
        "exit": int(status),
        "message": "",
        "read_as": str(validated.layout),
        "rows": verdict.totals.rows,
        "usable": outcomes.get(Outcome.USABLE, 0),
        "forbid": verdict.tally.forbid,
        "allow": verdict.tally.allow,
        "outcomes": dict(outcomes),
        "sum": sum(outcomes.values()),
        "hints": list(verdict.hints),
        "marked": list(map(str, validated.marked)),
        "todo": None if todo is None else str(todo),
    }


def _next_step(found: "Validated", source: str, job: str) -> str:
    from bulk_sync.cli.summary import shown

    typed = Typed(click.get_current_context())
    plan = typed.after_validate("plan", source, job).after("To see what would change")
    if found.verdict.is_usable:
        return f"No row is rejected. {plan}"
    if found.verdict.may_stay:
        return f"The rejected rows are no requests, so they may stay. {plan}"
    if found.marked:
        book = shown(found.marked[0])
        again = typed.after_validate("validate", book, job)
        return again.after(f"Correct the red cells in {book}, save it, and check it again")
    options_too = ", or add such an option," if found.verdict.hints else ","
    return f"Correct these rows in {source}{options_too} and validate it again."
