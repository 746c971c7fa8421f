"""Every option of the commands, declared once; to add one, declare it here and use it.

Each command lists what it takes (``run.py`` and its neighbours). The groups below save the commands
that are alike from repeating themselves. ``simulate`` has its own options, in its own module.
"""

from pathlib import Path
from typing import Any, Final

import click
import platformdirs

from bulk_sync.cli import config
from bulk_sync.cli.option import Duration, Group, Option, Recorded
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import AUTO, SCOPE, Dialect, EmailCase, Fetch, Oddity, OnAmbiguous

_REPEATED: Final = Recorded.REPEATED
_PERCENT: Final[dict[str, Any]] = {"metavar": "N|P%", "recorded": Recorded.SEALED}
_FLAG: Final[dict[str, Any]] = {"is_flag": True}
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_SECONDS: Final[dict[str, Any]] = {"type": click.FloatRange(0, min_open=True), "metavar": "S"}


def _choice(*values: str) -> click.Choice[str]:
    return click.Choice([str(each) for each in values])


def _state_folder() -> Path:
    try:
        return platformdirs.user_state_path("bulk-sync")
    except RuntimeError as error:  # neither HOME nor an entry for the user in /etc/passwd
        raise UsageProblem(
            "This user has no home folder for runs and the ledger. Name a folder with --state-dir."
        ) from error


SHEET: Final = Option(
    "--sheet",
    Group.INPUT,
    "The sheet of a workbook.",
    recorded=_REPEATED,
    metavar="NAME",
    show_default="the first visible one with data",
)

KEYS: Final = (
    Option(
        "--key",
        Group.KEYS,
        "What the keys are: pkey, email, custom (a custom key of the profile resource), or "
        "filter:NAME:PARAM (a value that a filter of Campaign takes).",
        recorded=_REPEATED,
        metavar="KIND",
        show_default="pkey; email if there is a column of addresses and none of PKeys",
    ),
    Option(
        "--key-column",
        Group.KEYS,
        "The column of keys.",
        recorded=_REPEATED,
        metavar="NAME",
        show_default="PKey, or email",
    ),
    Option(
        "--key-field",
        Group.KEYS,
        "The profile's field that holds a custom key, or the value that a filter takes.",
        recorded=_REPEATED,
        metavar="FIELD",
        show_default="the one called like the column, or the filter",
    ),
    Option(
        "--email-case",
        Group.KEYS,
        "Whether capitals count before the @ of an address. After it they never count.",
        recorded=_REPEATED,
        type=_choice(*EmailCase),
        default=str(EmailCase.EXACT),
    ),
    Option(
        "--dialect",
        Group.KEYS,
        "How filters are named: Campaign v8 names custom ones without 'by'.",
        recorded=_REPEATED,
        type=_choice(*Dialect),
        default=str(Dialect.STANDARD),
    ),
)

ON_AMBIGUOUS: Final = Option(
    "--on-ambiguous",
    Group.KEYS,
    "What to do if several profiles have one key: change all of them, or reject the row.",
    recorded=_REPEATED,
    type=_choice(*OnAmbiguous),
    show_default="all for an opt-out, reject for an opt-in",
)

CREATE: Final = (
    Option(
        "--create",
        Group.KEYS,
        "Create a profile for an address that no profile has, from the columns firstName, lastName "
        "and email.",
        recorded=_REPEATED,
        **_FLAG,
    ),
    Option(
        "--create-column",
        Group.KEYS,
        "Another field that new profiles get. Can be repeated.",
        recorded=_REPEATED,
        multiple=True,
        metavar="FIELD[=COLUMN]",
    ),
)

INPUT: Final = (
    *KEYS,
    Option(
        "--state-column",
        Group.INPUT,
        "The column of desired states.",
        recorded=_REPEATED,
        metavar="NAME",
        show_default="found by name, such as ccpaOptOut or Opt out",
    ),
    Option(
        "--date-column",
        Group.INPUT,
        "The column of request dates. The oldest requests are carried out first.",
        recorded=_REPEATED,
        metavar="NAME",
        show_default="found by name, such as Request date or Received",
    ),
    Option(
        "--state",
        Group.INPUT,
        "The one desired state of a file that holds only keys.",
        recorded=_REPEATED,
        type=click.Choice(["true", "false"], case_sensitive=False),
    ),
    SHEET,
    Option(
        "--blank-state",
        Group.INPUT,
        "What to do with a row whose state is empty.",
        recorded=_REPEATED,
        type=_choice("reject", "skip"),
        default="reject",
    ),
    Option(
        "--on-conflict",
        Group.INPUT,
        "What to do if one key has two states: reject its rows; opt-out: true wins; last: the last "
        "row of the file wins.",
        recorded=_REPEATED,
        type=_choice("reject", "opt-out", "last"),
        default="reject",
    ),
)

IGNORE_DATES: Final = Option(
    "--ignore-dates",
    Group.INPUT,
    "Change a profile even if its choice in Campaign is newer than the request.",
    recorded=_REPEATED,
    **_FLAG,
)

DRY_RUN: Final = Option(
    "-n --dry-run",
    Group.SAFETY,
    "Send no method but GET; outcomes say what would happen.",
    **_FLAG,
)
YES: Final = Option("--yes", Group.SAFETY, "Do not ask at a terminal.", **_FLAG)
EXPECT_SHA256: Final = Option(
    "--expect-sha256",
    Group.SAFETY,
    "Refuse any other file than the one that was reviewed; `plan --out` prints its SHA-256.",
    metavar="SHA256",
)
LIMITS: Final = (
    Option(
        "--max-changes", Group.SAFETY, "More changes than this: nothing is written.", **_PERCENT
    ),
    Option(
        "--max-opt-ins",
        Group.SAFETY,
        "More opt-ins (true to false) than this: nothing is written.",
        show_default="10 or 1%, the larger",
        **_PERCENT,
    ),
    Option(
        "--max-failures",
        Group.SAFETY,
        "Stop when more rows than this failed.",
        show_default="10%, from 100 rows on",
        **_PERCENT,
    ),
    Option(
        "--max-creates",
        Group.SAFETY,
        "More new profiles than this: nothing is written.",
        **_PERCENT,
    ),
)
ALLOW: Final = Option(
    "--allow",
    Group.SAFETY,
    "Let an input pass that looks like a mistake: far fewer rows than the last ones, no key that "
    "Campaign knows, nearly every state the inverse of the current one. Can be repeated.",
    recorded=_REPEATED,
    type=_choice(*Oddity),
    multiple=True,
)
JOB: Final = Option(
    "--job",
    Group.SAFETY,
    "The name of the job. Runs of one job are compared with each other.",
    recorded=_REPEATED,
    metavar="NAME",
    show_default="the input's file name without its digits",
)
VERIFY: Final = Option(
    "--verify", Group.SAFETY, "Read every changed profile back.", recorded=_REPEATED, **_FLAG
)
FRESH: Final = Option(
    "--fresh",
    Group.SAFETY,
    "Start anew although an interrupted run of this input could be resumed.",
    **_FLAG,
)
ALL: Final = Option(
    "--all",
    Group.SAFETY,
    "Finish every interrupted run, the oldest first, until one stops early.",
    **_FLAG,
)
GIVE_UP: Final = Option(
    "--give-up",
    Group.SAFETY,
    "Write nothing more and end the run for good. What it wrote stays.",
    **_FLAG,
)
SAMPLE: Final = Option(
    "--sample", Group.INPUT, "Read so many of its writes.", metavar="N|P%", show_default="all"
)

READING: Final = (
    Option(
        "--fetch",
        Group.PACE,
        "Read states one by one (lookup), or from Campaign's list, page by page (scan); auto: what "
        "takes fewer calls.",
        recorded=_REPEATED,
        type=_choice(*Fetch),
        default=str(Fetch.AUTO),
    ),
    Option(
        "--page-size",
        Group.PACE,
        "Profiles on a page of Campaign's list.",
        recorded=_REPEATED,
        type=click.IntRange(1, 100_000),
        metavar="N",
        show_default="found by trying",
    ),
)

PACE: Final = (
    Option(
        "--concurrency",
        Group.PACE,
        "Requests in flight.",
        recorded=_REPEATED,
        type=click.IntRange(1, 256),
        metavar="N",
        show_default="adaptive, at most 64; more only if --rate needs it",
    ),
    Option(
        "--rate",
        Group.PACE,
        "Most requests a second.",
        recorded=_REPEATED,
        type=click.FloatRange(0, min_open=True),
        metavar="R",
        show_default="adaptive",
    ),
    Option(
        "--max-calls",
        Group.PACE,
        "Stop cleanly after so many calls.",
        recorded=Recorded.SPENT,
        type=click.IntRange(1),
        metavar="N",
    ),
    Option(
        "--max-calls-per-day",
        Group.PACE,
        "Stop cleanly when all runs together have made so many calls on this day (UTC).",
        recorded=Recorded.SPENT,
        type=click.IntRange(1),
        metavar="N",
    ),
    Option(
        "--retries",
        Group.PACE,
        "Further tries of a request. A wait that Campaign asks for costs none.",
        recorded=_REPEATED,
        type=click.IntRange(0),
        metavar="N",
        default=5,
    ),
    Option(
        "--timeout",
        Group.PACE,
        "Seconds for one request.",
        recorded=_REPEATED,
        default=60,
        **_SECONDS,
    ),
    Option(
        "--patience",
        Group.PACE,
        "Seconds that one request may take with all its tries and waits. A server that cannot be "
        "reached is tried again for this long, by `check` for 30 s at most.",
        recorded=_REPEATED,
        default=1800,
        **_SECONDS,
    ),
)
LOCK_WAIT: Final = Option(
    "--lock-wait",
    Group.PACE,
    "Wait so long, such as 90s, 30m or 2h, for another run on this organization to end.",
    type=Duration(),
    default=0,
)

ATTRIBUTE: Final = Option(
    "--attribute",
    Group.CONNECTION,
    "The profile attribute that holds the opt-out.",
    recorded=Recorded.FIXED,
    default="ccpaOptOut",
    metavar="NAME",
)
CONNECTION: Final = (
    Option(
        "--endpoint",
        Group.CONNECTION,
        "Where Campaign's API is.",
        recorded=Recorded.FIXED,
        default="https://mc.adobe.io",
        metavar="URL",
    ),
    Option(
        "--organization",
        Group.CONNECTION,
        "The instance's id in the URL. Required.",
        recorded=Recorded.FIXED,
        metavar="ID",
    ),
    Option(
        "--api-key",
        Group.CONNECTION,
        "The OAuth client id. Required.",
        recorded=_REPEATED,
        metavar="KEY",
    ),
    Option(
        "--ims-endpoint",
        Group.CONNECTION,
        "Where tokens come from.",
        recorded=_REPEATED,
        default="https://ims-na1.adobelogin.com",
        metavar="URL",
    ),
    Option(
        "--scope",
        Group.CONNECTION,
        "OAuth scopes, separated by commas.",
        recorded=_REPEATED,
        default=SCOPE,
        show_default="what Campaign clients send",
        metavar="LIST",
    ),
    Option(
        "--api",
        Group.CONNECTION,
        "The API's name in the URL: profileAndServicesExt for custom fields.",
        recorded=_REPEATED,
        default=AUTO,
        metavar="NAME",
    ),
    ATTRIBUTE,
    Option(
        "--ca-file",
        Group.CONNECTION,
        "Certificates of a private CA, PEM.",
        recorded=_REPEATED,
        type=click.Path(path_type=Path),
    ),
)
LOOKUP: Final = Option(
    "--lookup",
    Group.CONNECTION,
    "Find the PKeys of an e-mail address in Campaign (GET only), and search the files that held "
    "PKeys alone for them too.",
    **_FLAG,
)

REPORT: Final = Option(
    "--report",
    Group.OUTPUT,
    "Where to write the report. The suffix decides the format: .csv .parquet .json .xlsx .html; "
    ".gz after a text one packs it. Can be repeated.",
    type=_FILE,
    multiple=True,
)
PLAN_OUT: Final = Option(
    "--out",
    Group.OUTPUT,
    "Save the plan, as Parquet, for `bulk-sync apply PLAN`.",
    type=_FILE,
    metavar="PLAN",
)
MAPPED_OUT: Final = Option(
    "--out",
    Group.OUTPUT,
    "Where the rows with new PKeys go. The suffix decides the format: .csv .parquet .xlsx.",
    type=_FILE,
    metavar="FILE",
    show_default="INPUT's name and .mapped.csv",
)
KEEP_ROWS: Final = Option(
    "--keep-rows",
    Group.OUTPUT,
    "How long the rows of a finished run are kept for `history`; 0: not at all.",
    recorded=_REPEATED,
    type=click.IntRange(0),
    metavar="DAYS",
    show_default="800, but 30 above 100,000 rows",
)
SUMMARY: Final = Option(
    "--summary",
    Group.OUTPUT,
    "Print the summary as one JSON object on standard output.",
    type=_choice("json"),
)
JSON: Final = Option("--json", Group.OUTPUT, "Print JSON.", **_FLAG)
HEAD: Final = Option(
    "--head",
    Group.INPUT,
    "Where the ledger once ended, as the summary of a run printed it. Can be repeated.",
    multiple=True,
    metavar="LINE:SHA256",
)
STATE: Final = (
    Option(
        "--state-dir",
        Group.OUTPUT,
        "Where runs, locks and the ledger are kept.",
        type=click.Path(path_type=Path, file_okay=False),
        default=_state_folder,
        show_default="the platform's user state folder",
    ),
    Option(
        "--ledger",
        Group.OUTPUT,
        "SQLAlchemy URL of a ledger that machines share. Put one with a password into "
        "BULK_SYNC_LEDGER, or into a file that BULK_SYNC_LEDGER_FILE names.",
        metavar="URL",
        show_default="SQLite in the state folder",
    ),
)
LOG_FORMAT: Final = Option(
    "--log-format",
    Group.OUTPUT,
    "Format of the log, on standard error.",
    type=_choice("text", "json"),
    default="text",
)
QUIET: Final = Option(
    "-q --quiet", Group.OUTPUT, "Log warnings only, and show no progress.", **_FLAG
)
CONFIG: Final = Option(
    "--config",
    Group.OUTPUT,
    "TOML file with the same names as these options.",
    type=_FILE,
    is_eager=True,
    expose_value=False,
    callback=config.load,
    show_default=f"{config.FILE}, if it is there",
)
LOGGING: Final = (
    LOG_FORMAT,
    Option("-v --verbose", Group.OUTPUT, "Log more.", **_FLAG),
    QUIET,
    CONFIG,
)

INPUT_FILE: Final = click.Argument(["input"], metavar="INPUT")
RUN_ID: Final = click.Argument(["run_id"], metavar="RUN_ID")
MAYBE_RUN_ID: Final = click.Argument(["run_id"], metavar="[RUN_ID]", required=False)

WORK: Final = (*PACE, *CONNECTION, *STATE, SUMMARY, *LOGGING)
"""What every command takes that reads from Campaign or writes to it."""

WRITING: Final = (YES, REPORT, *LIMITS, VERIFY, KEEP_ROWS, LOCK_WAIT, *WORK)
"""What every command takes that writes to Campaign."""

COMPARING: Final = (*INPUT, ON_AMBIGUOUS, *CREATE, IGNORE_DATES, JOB, ALLOW, FRESH, *READING)
"""What every command takes that compares a file with Campaign."""
