"""``bulk-sync run``: read, compare, PATCH what differs, report."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.errors import Exit


@Command.declare(
    "run",
    run_options.INPUT_FILE,
    run_options.DRY_RUN,
    *run_options.COMPARING,
    *run_options.ASKING,
    *run_options.WRITING,
    examples="""
  bulk-sync run optouts.csv
  bulk-sync run optouts.xlsx --sheet Requests --dry-run
  bulk-sync run suppressed.txt --state true --report result.xlsx
  bulk-sync run 'lists/*.csv.gz' --rate 20 --max-opt-ins 0 -q --summary json
""",
)
def command(**values: Any) -> Exit:
    """Carry the desired states in INPUT into Campaign.

    INPUT is a .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst), .parquet, .xlsx, .xls or .ods file, a
    folder or a quoted glob of them, or - for CSV on standard input. Only profiles with another
    state are written, and every row of INPUT stands once in the report. A killed run can be
    resumed.
    """
    from bulk_sync import runs
    from bulk_sync.cli import mapping
    from bulk_sync.cli.screen import Screen

    mapping.check(values)
    given = arguments.given_input(values)
    job = arguments.job(values, arguments.reports(values, given.stem), arguments.job_name(given))
    screen = Screen(given.source, values, preview=values["dry_run"])
    carry_out = runs.preview if values["dry_run"] else runs.sync
    status = screen.finish(carry_out(job, given, screen, fresh=values["fresh"]))
    mapping.save(values, given, screen.layout, status)
    return status
