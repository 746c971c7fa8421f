"""The options about the input and its keys: where the table is, and what its cells mean."""

from functools import partial
from typing import Final

from bulk_sync.cli.options.option import Group, Option, Recorded
from bulk_sync.cli.options.value_types import Choice, Whole, size
from bulk_sync.settings import DateOrder, Dialect, EmailCase, OnAmbiguous

_input = partial(Option, group=Group.INPUT)
_key = partial(Option, group=Group.KEYS)

SHEET: Final = _input(
    "--sheet NAME", "The sheet of a workbook.", show_default="the first visible one with data"
)
HEADER_ROW: Final = _input(
    "--header-row N",
    "The row with the names of the columns, as a spreadsheet numbers it.",
    type=Whole(1),
    show_default="the first row, or the only header among the first 20",
)
KEYS: Final = (
    _key(
        "--key KIND",
        "What the keys are: pkey, email, custom (a custom key of the profile resource), or "
        "filter:NAME:PARAM (a value that a filter of Campaign takes).",
        show_default="pkey; email if there is a column of addresses and none of PKeys",
    ),
    _key("--key-column NAME", "The column of keys.", show_default="PKey, or email"),
    _key(
        "--key-field FIELD",
        "The profile's field that holds a custom key, or the value that a filter takes.",
        show_default="the one called like the column, or the filter",
    ),
    _key(
        "--email-case",
        "Whether capitals count before the @ of an address. After it they never count.",
        type=Choice(EmailCase),
        default="exact",
    ),
    _key(
        "--dialect",
        "How filters are named: Campaign v8 names custom ones without 'by'.",
        type=Choice(Dialect),
        default="standard",
    ),
)
ON_AMBIGUOUS: Final = _key(
    "--on-ambiguous",
    "What to do if several profiles have one key: change all of them, or reject the row.",
    type=Choice(OnAmbiguous),
    show_default="all for an opt-out, reject for an opt-in",
)
CREATE: Final = (
    _key(
        "--create",
        "Create a profile for an address that no profile has, from the columns firstName, lastName "
        "and email.",
    ),
    _key("--create-column FIELD[=COLUMN] ...", "Another field that new profiles get."),
)
INPUT: Final = (
    *KEYS,
    _input(
        "--state-column NAME",
        "The column of desired states.",
        show_default="found by name, such as ccpaOptOut or Opt out",
    ),
    _input(
        "--state-means",
        "What yes means in the column of states. opt-out: yes forbids the sale; consent: yes "
        "allows it.",
        type=Choice(["opt-out", "consent"]),
        show_default="opt-out",
    ),
    _input(
        "--true-values LIST",
        'Further words that forbid the sale, such as "opted out,DNS". They do so whatever yes '
        "means.",
    ),
    _input(
        "--false-values LIST", "Further words that allow the sale. They do so whatever yes means."
    ),
    _input(
        "--date-column NAME",
        "The column of request dates. The oldest requests are carried out first.",
        show_default="found by name, such as Request date or Received",
    ),
    _input(
        "--date-order",
        "What 3/4/2026 is in the column of request dates: March 4, or 3 April. Real dates of a "
        "workbook count as they are then.",
        type=Choice(DateOrder),
        show_default="what other dates of the column, or its name, show",
    ),
    _input(
        "--state",
        "The one desired state of a file that holds only keys.",
        type=Choice(["true", "false"], case_sensitive=False),
    ),
    SHEET,
    HEADER_ROW,
    _input(
        "--blank-state",
        "What to do with a row whose state is empty.",
        type=Choice(["reject", "skip"]),
        default="reject",
    ),
    _input(
        "--on-conflict",
        "What to do if one key has two states: reject its rows; opt-out: true wins; last: the last "
        "row of the file wins.",
        type=Choice(["reject", "opt-out", "last"]),
        default="reject",
    ),
)
MEMORY: Final = _input(
    "--memory SIZE",
    "How much memory reading, comparing and reporting may take, whatever the size of the file.",
    recorded=Recorded.NEVER,
    type=size(least="100MB"),
    show_default="a quarter of the machine or container, at least 500MB",
)
SAVE_MAPPING: Final = _input(
    "--save-mapping",
    "Write these choices, and the columns that were found, into the configuration, [job.NAME], so "
    "that the next file of the job needs none of them.",
    recorded=Recorded.NEVER,
)
IGNORE_DATES: Final = _input(
    "--ignore-dates", "Change a profile even if its choice in Campaign is newer than the request."
)
SAMPLE: Final = _input(
    "--sample N|P%", "Read so many of its writes.", recorded=Recorded.NEVER, show_default="all"
)
HEAD: Final = _input(
    "--head LINE:SHA256 ...",
    "Where the ledger once ended, as the summary of a run printed it.",
    recorded=Recorded.NEVER,
)
