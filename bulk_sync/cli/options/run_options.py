"""The options of the commands, each declared once; to add one, declare it here and use it.

Some subjects have modules of their own, such as ``input_options.py``. All are imported here: a file
for all commands may hold any option, and ``option.DECLARED`` has them all. Each command lists its
options; the groups below save repetition. ``simulate`` has options of its own.
"""

from functools import partial
from typing import Final

import click

from bulk_sync.cli.options import (
    config,
    config_file,
    deployment_options,
    input_options,
    page_options,
)
from bulk_sync.cli.options.option import Group, Option, Recorded, refuse_untyped
from bulk_sync.cli.options.value_types import (
    FILE,
    Choice,
    Number,
    ReportName,
    Whole,
    duration,
    filled,
    person,
)
from bulk_sync.remote import url
from bulk_sync.settings import Fetch, Oddity
from bulk_sync.storage import lock

_safety = partial(Option, group=Group.SAFETY)
_once = partial(Option, group=Group.SAFETY, recorded=Recorded.NEVER)
_limit = partial(Option, group=Group.SAFETY, recorded=Recorded.SEALED)
_approval = partial(Option, group=Group.APPROVAL)
_pace = partial(Option, group=Group.PACE)
_output = partial(Option, group=Group.OUTPUT, recorded=Recorded.NEVER)

_ABOVE_0: Final = Number(0, min_open=True)
_FROM_0: Final = Whole(0)
_FROM_1: Final = Whole(1)


INPUT_FILE: Final = click.Argument(["input"], metavar="INPUT", type=url.source)
DATABASE: Final = click.Argument(["url"], metavar="URL")
RUN_ID: Final = click.Argument(["run_id"], metavar="RUN_ID", type=filled)
MAYBE_RUN_ID: Final = click.Argument(["run_id"], metavar="[RUN_ID]", required=False, type=filled)

SHOW_ONLY: Final = _once("-n --dry-run", "Show what would be removed, and remove nothing.")
DRY_RUN: Final = _once("-n --dry-run", "Send no method but GET; outcomes say what would happen.")
YES: Final = _once("--yes", "Do not ask at a terminal.")
BOUNDS: Final = (
    _limit("--max-changes N|P%", "More changes than this: nothing is written."),
    _limit(
        "--max-opt-ins N|P%",
        "More opt-ins (true to false) than this: nothing is written.",
        show_default="10 or 1%, the larger",
    ),
    _limit(
        "--max-failures N|P%",
        "Stop when more rows than this failed.",
        show_default="10%, from 100 rows on",
    ),
    _limit("--max-creates N|P%", "More new profiles than this: nothing is written."),
)
PROTECT: Final = _safety(
    "--protect FILE ...",
    "People that no run may change, by PKey or e-mail address: a CSV with one column. Their rows "
    "are rejected.",
    recorded=Recorded.ADDED,
    type=FILE,
)
LIMITS: Final = (
    *BOUNDS,
    _limit(
        "--hold-opt-ins",
        "If only the opt-ins pass a limit, write the rest and leave those pending (exit 3). "
        "`resume RUN --max-opt-ins N` writes them.",
    ),
    PROTECT,
)
ALLOW: Final = _safety(
    "--allow ...",
    "Let an input pass that looks like a mistake: far fewer rows than the last ones, no key that "
    "Campaign knows, nearly every state the inverse of the current one. same-file leaves out the "
    "warning about a file that was carried out before.",
    type=Choice(Oddity),
)
JOB: Final = _safety(
    "--job NAME",
    "The name of the job. Runs of one job are compared with each other.",
    type=filled,
    show_default="the input's file name without its digits",
)
VERIFY: Final = _safety("--verify", "Read every changed profile back.")
FRESH: Final = _once(
    "--fresh", "Start anew although an interrupted run of this input could be resumed."
)
ALL: Final = _once(
    "--all", "Finish every interrupted run, the oldest first, until one stops early."
)
GIVE_UP: Final = _once(
    "--give-up", "Write nothing more and end the run for good. What it wrote stays."
)

TICKET: Final = _approval(
    "--ticket TEXT", "The ticket of the request: it stands in the ledger and in the reports."
)
COMMENT: Final = _approval(
    "--comment TEXT", "A remark: it stands in the ledger and in the reports."
)
PREPARED_BY: Final = _approval(
    "--prepared-by NAME",
    "Who asks for it, if you start the program for somebody else.",
    recorded=Recorded.OWN,
    type=person,
    default=lock.user,
    show_default="the user of the system",
)
INPUT_NAME: Final = _approval(
    "--input-name NAME",
    "What the input is called in lists and reports, if you start the program for somebody else.",
    show_default="its own name",
)
APPROVALS: Final = _approval(
    "--approvals N",
    "So many people other than the preparer must approve a plan before it is applied.",
    recorded=Recorded.SEALED,
    type=_FROM_0,
    default=0,
)
APPROVED_BY: Final = _approval(
    "--approved-by NAME ...",
    "Who approves the plan: each person types it, so neither a variable nor the configuration may.",
    recorded=Recorded.OWN,
    type=person,
    callback=refuse_untyped,
)
PLAN_VALID: Final = _approval(
    "--plan-valid DURATION",
    "Refuse an older plan. Its age counts when it begins to be applied.",
    recorded=Recorded.NEVER,
    type=duration,
    default="7d",
)
EXPECT_SHA256: Final = _approval(
    "--expect-sha256 SHA256",
    "Refuse any other file than the one that was reviewed; `plan --out` prints its SHA-256.",
    recorded=Recorded.NEVER,
)

READING: Final = (
    _pace(
        "--fetch",
        "Read states one by one (lookup), or from Campaign's list, page by page (scan); auto: what "
        "takes fewer calls.",
        type=Choice(Fetch),
        default="auto",
    ),
    _pace(
        "--page-size N",
        "Profiles on a page of Campaign's list.",
        type=Whole(1, 100_000),
        show_default="found by trying",
    ),
)
PACE: Final = (
    _pace(
        "--concurrency N",
        "Requests in flight.",
        type=Whole(1, 256),
        show_default="adaptive, at most 64; more only if --rate needs it",
    ),
    _pace("--rate R", "Most requests a second.", type=_ABOVE_0, show_default="adaptive"),
    _pace(
        "--max-calls N", "Stop cleanly after so many calls.", recorded=Recorded.SPENT, type=_FROM_1
    ),
    _pace(
        "--max-calls-per-day N",
        "Stop cleanly when all runs together have made so many calls on this day (UTC).",
        recorded=Recorded.SPENT,
        type=_FROM_1,
    ),
    _pace(
        "--retries N",
        "Further tries of a request. A wait that Campaign asks for costs none.",
        type=_FROM_0,
        default=5,
    ),
    _pace("--timeout S", "Seconds for one request.", type=_ABOVE_0, default=60),
    _pace(
        "--patience S",
        "Seconds that one request may take with all its tries and waits. A server that cannot be "
        "reached is tried again for this long, by `check` for 30 s at most.",
        type=_ABOVE_0,
        default=1800,
    ),
)
LOCK_WAIT: Final = _pace(
    "--lock-wait DURATION",
    "Wait so long, such as 90s, 30m or 2h, for another run on this organization to end; `plan`: "
    "for another process at work on the same plan.",
    recorded=Recorded.NEVER,
    type=duration,
    default=0,
)

REPORT: Final = _output(
    "--report FILE ...",
    "Where to write the report: a file, or a URL of a bucket (s3, gs, az), where nothing is "
    "overwritten. The suffix decides the format: .csv .parquet .json .xlsx .html; .gz after a text "
    "one packs it.",
    type=ReportName(dir_okay=False),
)
TODO: Final = _output(
    "--todo", "Also write the todo file beside the report, if a row needs a person."
)
OUTLINE: Final = _output(
    "--outline FILE",
    "Also write what the file holds, as JSON: sheets, first rows, columns with samples, and what "
    "was read as what. For programs that let a person choose; also if it cannot be read as it is.",
    type=FILE,
)
PLAN_OUT: Final = _output(
    "--out PLAN", "Save the plan, as Parquet, for `bulk-sync apply PLAN`.", type=FILE
)
MAPPED_OUT: Final = _output(
    "--out FILE",
    "Where the rows with new PKeys go. The suffix decides the format: .csv .parquet .xlsx.",
    type=FILE,
    show_default="INPUT's name and .mapped.csv",
)
KEEP_ROWS: Final = _output(
    "--keep-rows DAYS",
    "How long the rows of a finished run are kept for `history`; 0: not at all.",
    recorded=Recorded.REPEATED,
    type=_FROM_0,
    show_default="800, but 30 above 100,000 rows",
)
KEEP: Final = _output(
    "--keep DAYS",
    "Remove what is older than this; what a run or a plan still needs stays. `tidy`: also what has "
    "time left. `serve`: uploads, plans and reports of the page.",
    type=_FROM_0,
    show_default="`tidy`: each thing has its own time; `serve`: 800",
)
SUMMARY: Final = _output(
    "--summary", "Print the summary as one JSON object on standard output.", type=Choice(["json"])
)
JSON: Final = _output("--json", "Print JSON.")
LOG_FORMAT: Final = _output(
    "--log-format",
    "Format of the log, on standard error.",
    type=Choice(["text", "json"]),
    default="text",
)
QUIET: Final = _output("-q --quiet", "Log warnings only, and show no progress.")
CONFIG: Final = config.Config(
    "--config FILE",
    "TOML file with the same names as these options. A table [job.NAME] is for one job.",
    Group.OUTPUT,
    recorded=Recorded.NEVER,
    type=FILE,
    is_eager=True,
    expose_value=False,
    callback=config.load,
    show_default=f"{config_file.FILE}, if it is there",
)
LOGGING: Final = (LOG_FORMAT, _output("-v --verbose", "Log more."), QUIET, CONFIG)

PAGE: Final = page_options.PAGE

WANTED: Final = (
    _output("--last N", "List the newest N alone.", type=_FROM_1),
    _output("--job NAME", "List the runs of this job alone, if it is typed.", type=filled),
    _output(
        "--since DATE",
        "List the runs since this day, or minute (2026-11-01T02:00), in local time.",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    ),
    _output("--failed", "List the runs alone that did not end with exit status 0."),
)

WORK: Final = (
    *PACE,
    input_options.MEMORY,
    *deployment_options.CONNECTION,
    *deployment_options.STATE,
    SUMMARY,
    deployment_options.PROGRESS_EVERY,
    *LOGGING,
)
"""The options of every command with calls to Campaign."""

WRITING: Final = (
    YES,
    REPORT,
    *LIMITS,
    VERIFY,
    KEEP_ROWS,
    LOCK_WAIT,
    *WORK,
    *deployment_options.MONITORING,
)
"""The options of every command with writes to Campaign."""

ASKING: Final = (TICKET, COMMENT, PREPARED_BY, INPUT_NAME)
"""The options of every command with a request of its own."""

COMPARING: Final = (
    *input_options.INPUT,
    input_options.SAVE_MAPPING,
    input_options.ON_AMBIGUOUS,
    *input_options.CREATE,
    input_options.IGNORE_DATES,
    JOB,
    ALLOW,
    FRESH,
    *READING,
)
"""The options of every command to compare a file with Campaign."""
