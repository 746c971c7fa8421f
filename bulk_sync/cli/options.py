"""The options of the contract, each declared once.

An option is given on the command line, as a variable ``BULK_SYNC_...``, or in the configuration
file, in this order; ``config.py`` reads the file and the secrets, and ``asked.py`` builds the
settings.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import platformdirs

from bulk_sync.cli.config import CONFIG, Invocation, load, variable
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import AUTO, SCOPE, Dialect, EmailCase, Fetch, Oddity, OnAmbiguous

F = TypeVar("F", bound=Callable[..., Any])

_PERCENT: Final = "N|P%"
_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _note_quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's
    if value and isinstance(ctx.obj, Invocation):
        ctx.obj.is_quiet = True
    return value


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r}: write a number of seconds, or 90s, 30m, 2h, 1d.")
    return float(match[1]) * _UNITS_S[match[2]]


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option that has its variable too."""
    long = next(name for name in names if name.startswith("--")).removeprefix("--")
    return click.option(*names, envvar=variable(long), **attributes)


def _state_folder() -> Path:
    try:
        return platformdirs.user_state_path("bulk-sync")
    except RuntimeError as error:  # neither HOME nor an entry for the user in /etc/passwd
        raise UsageProblem(
            "This user has no home folder for runs and the ledger. Name a folder with --state-dir."
        ) from error


def _together(*declared: Callable[[F], F]) -> Callable[[F], F]:
    def declare(function: F) -> F:
        for each in reversed(declared):
            function = each(function)
        return function

    return declare


config = option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=load,
    help=f"TOML file with the same names as these options.  [default: {CONFIG}, if it is there]",
)

logging_options = _together(
    option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Format of the log, on standard error.",
    ),
    option("-v", "--verbose", is_flag=True, help="Log more."),
    option(
        "-q",
        "--quiet",
        is_flag=True,
        callback=_note_quiet,
        help="Log warnings only, and show no progress.",
    ),
)

connection_options = _together(
    option(
        "--endpoint",
        default="https://mc.adobe.io",
        show_default=True,
        metavar="URL",
        help="Where Campaign's API is.",
    ),
    option("--organization", metavar="ID", help="The instance's id in the URL.  [required]"),
    option("--api-key", metavar="KEY", help="The OAuth client id.  [required]"),
    option(
        "--ims-endpoint",
        default="https://ims-na1.adobelogin.com",
        show_default=True,
        metavar="URL",
        help="Where tokens are taken from.",
    ),
    option("--scope", default=SCOPE, metavar="LIST", help="OAuth scopes, separated by commas."),
    option(
        "--api",
        default=AUTO,
        show_default=True,
        metavar="NAME",
        help="The API's name in the URL: profileAndServicesExt for custom fields.",
    ),
    option(
        "--attribute",
        default="ccpaOptOut",
        show_default=True,
        metavar="NAME",
        help="The profile attribute that holds the opt-out.",
    ),
    option(
        "--ca-file",
        type=click.Path(path_type=Path),
        help="Certificates of a private CA, PEM.",
    ),
)

key_options = _together(
    option(
        "--key",
        metavar="KIND",
        help="What the keys are: pkey, email, custom (a custom key of the profile resource), or "
        "filter:NAME:PARAM (what a filter is asked with).  [default: pkey; email if there is a "
        "column email and none of PKeys]",
    ),
    option("--key-column", metavar="NAME", help="The column of keys.  [default: PKey, or email]"),
    option(
        "--key-field",
        metavar="FIELD",
        help="The profile's field that shows a custom key, or what a filter is asked with.  "
        "[default: the one called like the column, or the filter]",
    ),
    option(
        "--email-case",
        type=click.Choice([str(each) for each in EmailCase]),
        default=str(EmailCase.EXACT),
        show_default=True,
        help="Whether capitals count before the @ of an address; after it they never do.",
    ),
    option(
        "--dialect",
        type=click.Choice([str(each) for each in Dialect]),
        default=str(Dialect.STANDARD),
        show_default=True,
        help="Whose filters: Campaign v8 knows custom ones without 'by'.",
    ),
)

ambiguous_option = option(
    "--on-ambiguous",
    type=click.Choice([str(each) for each in OnAmbiguous]),
    help="What becomes of a key that several profiles have.  [default: all of them for an "
    "opt-out, which is the person's; reject for an opt-in]",
)

create_options = _together(
    option(
        "--create",
        is_flag=True,
        help="Create a profile for an address that none has, from the columns firstName, lastName "
        "and email.",
    ),
    option(
        "--create-column",
        multiple=True,
        metavar="FIELD[=COLUMN]",
        help="Another field that profiles are created with. Can be repeated.",
    ),
)

sheet_option = option(
    "--sheet",
    metavar="NAME",
    help="The sheet of a workbook.  [default: the first visible one with data]",
)

input_options = _together(
    key_options,
    option(
        "--state-column",
        metavar="NAME",
        help="The column of desired states.  [default: found by name, such as ccpaOptOut or Opt "
        "out]",
    ),
    option(
        "--date-column",
        metavar="NAME",
        help="The column of request dates: the oldest requests are worked on first.  [default: "
        "found by name, such as Request date or Received]",
    ),
    option(
        "--state",
        type=click.Choice(["true", "false"], case_sensitive=False),
        help="The one desired state of a file that holds only keys.",
    ),
    sheet_option,
    option(
        "--blank-state",
        type=click.Choice(["reject", "skip"]),
        default="reject",
        show_default=True,
        help="What an empty state cell means.",
    ),
    option(
        "--on-conflict",
        type=click.Choice(["reject", "opt-out", "last"]),
        default="reject",
        show_default=True,
        help="What becomes of one key with two states; opt-out: true wins; last: the last row "
        "of the file.",
    ),
)

reading_options = _together(
    option(
        "--fetch",
        type=click.Choice([str(fetch) for fetch in Fetch]),
        default=str(Fetch.AUTO),
        show_default=True,
        help="Read states one by one, or by paging through the list; auto: by fewer calls.",
    ),
    option(
        "--page-size",
        type=click.IntRange(1, 100_000),
        help="Profiles on a page of a scan.  [default: found by trying]",
    ),
)

ignore_dates_option = option(
    "--ignore-dates",
    is_flag=True,
    help="Change a profile even if Campaign says that its choice is newer than the request.",
)

pace_options = _together(
    option(
        "--concurrency",
        type=click.IntRange(1, 256),
        help="Requests in flight.  [default: adaptive, at most 64; more only if --rate needs it]",
    ),
    option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        metavar="R",
        help="Most requests a second.  [default: found by adapting]",
    ),
    option(
        "--max-calls", type=click.IntRange(1), help="Stop cleanly when so many calls are spent."
    ),
    option(
        "--max-calls-per-day",
        type=click.IntRange(1),
        help="Stop cleanly when all runs together have spent so many calls on this day (UTC).",
    ),
    option(
        "--retries",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Further tries of a request; a wait that Campaign asks for costs none.",
    ),
    option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=60,
        show_default=True,
        metavar="S",
        help="Seconds for one request.",
    ),
    option(
        "--patience",
        type=click.FloatRange(0, min_open=True),
        default=1800,
        show_default=True,
        metavar="S",
        help="Seconds that one request may take with all its tries and waits. A server that "
        "cannot be reached is tried again for this long.",
    ),
)

limit_options = _together(
    option("--max-changes", metavar=_PERCENT, help="More changes than this: nothing is written."),
    option(
        "--max-opt-ins",
        metavar=_PERCENT,
        help="More opt-ins (true to false) than this: nothing is written.  "
        "[default: 10 or 1%, the larger]",
    ),
    option(
        "--max-failures",
        metavar=_PERCENT,
        help="Give up when more rows than this failed.  [default: 10%, from 100 rows on]",
    ),
    option(
        "--max-creates",
        metavar=_PERCENT,
        help="More profiles to be created than this: nothing is written.",
    ),
)

allow_option = option(
    "--allow",
    type=click.Choice([str(oddity) for oddity in Oddity]),
    multiple=True,
    help="Let an input pass that looks like a mistake: far fewer rows than the last ones, no key "
    "that Campaign knows, nearly every state the inverse of the current one. Can be repeated.",
)

job_option = option(
    "--job",
    metavar="NAME",
    help="Runs of one job are compared with each other.  [default: the input's file name without "
    "its digits]",
)

state_options = _together(
    option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=_state_folder,
        show_default="the platform's user state folder",
        help="Where runs, locks and the ledger are kept.",
    ),
    click.option(
        "--ledger",
        envvar=variable("ledger"),
        metavar="URL",
        help="SQLAlchemy URL of a ledger to be shared; put one with a password into "
        "BULK_SYNC_LEDGER, or a file that BULK_SYNC_LEDGER_FILE names.  "
        "[default: SQLite in the state folder]",
    ),
)

lock_option = option(
    "--lock-wait",
    metavar="DURATION",
    default="0",
    callback=_seconds,
    help="Wait so long, such as 90s, 30m or 2h, for another run on this organization to end.",
)

fresh_option = option(
    "--fresh",
    is_flag=True,
    help="Start anew although an interrupted run of this input could be resumed.",
)

report_option = option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Where to write the report; .csv .parquet .json .xlsx or .html decides the format, "
    "and .gz after a text one packs it. Can be repeated.",
)

keep_rows_option = option(
    "--keep-rows",
    type=click.IntRange(0),
    metavar="DAYS",
    help="How long the rows of the run are kept for `history` once it is finished; 0: not at all.  "
    "[default: 800, but 30 above 100,000 rows]",
)

summary_option = option(
    "--summary",
    type=click.Choice(["json"]),
    help="Print the summary as one JSON object on standard output.",
)

json_option = option("--json", is_flag=True, help="Print JSON.")

verify_option = option("--verify", is_flag=True, help="Read every changed profile back.")

yes_option = option("--yes", is_flag=True, help="Do not ask at a terminal.")

work_options = _together(
    pace_options, connection_options, state_options, summary_option, logging_options, config
)
"""What every command has that works on Campaign."""
