"""Outcomes, reasons, exit statuses and deadlines in plain words, for all that people read."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from bulk_sync.errors import Exit
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome, Reason
from bulk_sync.report.facts import Subject
from bulk_sync.rows import columns
from bulk_sync.rows.due_dates import BUSINESS_DAYS, SOON, Late


class Tone(StrEnum):
    """What a colour stands for. A sign and a word are always beside it."""

    DONE = "done"
    PLANNED = "planned"
    QUIET = "quiet"
    PERSON = "person"
    FAILED = "failed"


class Word(NamedTuple):
    """An outcome for people: its sign, its colour, and its meaning."""

    sign: str
    tone: Tone
    meaning: str


OUTCOMES: Final[Mapping[Outcome, Word]] = {
    Outcome.USABLE: Word("○", Tone.DONE, "`validate` only: the row can be used"),
    Outcome.UNCHANGED: Word("=", Tone.QUIET, "Campaign already had it"),
    Outcome.UPDATED: Word("✓", Tone.DONE, "changed, and confirmed by Campaign"),
    Outcome.WOULD_UPDATE: Word("→", Tone.PLANNED, "dry run or plan: would be changed"),
    Outcome.CREATED: Word(
        "+", Tone.DONE, "a new profile, made by `--create` and confirmed by Campaign"
    ),
    Outcome.WOULD_CREATE: Word("→+", Tone.PLANNED, "dry run or plan: a new profile would be made"),
    Outcome.DUPLICATE: Word("≡", Tone.QUIET, "same key as another row, which counts"),
    Outcome.SKIPPED: Word("/", Tone.QUIET, "left out: its state is empty (`--blank-state skip`)"),
    Outcome.REJECTED: Word("✗", Tone.PERSON, "the row cannot be used, or the person is protected"),
    Outcome.NOT_FOUND: Word("?", Tone.PERSON, "Campaign knows no such profile"),
    Outcome.DRIFTED: Word(
        "≠",
        Tone.PERSON,
        "left alone: the profile changed since, Campaign has a newer choice, or a later run worked "
        "on it",
    ),
    Outcome.FAILED: Word(
        "!",
        Tone.FAILED,
        "tried and given up: Campaign refused, did not answer, or does not show the state",
    ),
    Outcome.PENDING: Word(
        "…", Tone.FAILED, "not tried: the run stopped before it, or a limit holds it back"
    ),
}

_AGAIN: Final = "`bulk-sync retry RUN` tries again"
_ENGINEER: Final = "an engineer must look at it"
_OUT_OF_SERVICE: Final = f"Campaign was out of service for the moment; {_AGAIN}"
_INSIDE: Final = f"an error inside Campaign; {_AGAIN}"

REASONS: Final[Mapping[Reason, str]] = {
    Reason.NOT_DATA: "not a request: a total, a legend or a signature below the list",
    Reason.BAD_STATE: "the state is neither yes nor no",
    Reason.BLANK_STATE: "the state is empty",
    Reason.EMPTY_KEY: "the key is empty",
    Reason.BAD_KEY: "the key is damaged, or no e-mail address",
    Reason.CONFLICT: "the input has two states for this key",
    Reason.AMBIGUOUS: "several profiles have this key, or one has it in other capitals: whom it "
    "means is not certain",
    Reason.EXISTS: "`--create`: the address is there already, in other capitals",
    Reason.INCOMPLETE: "`--create`: the row has no name for the new profile",
    Reason.PROTECTED: "a list given with `--protect` forbids any change of this person",
    Reason.NOT_FOUND: "Campaign knows no such profile",
    Reason.INVALID_KEY: "no profile in your Campaign can have this key",
    Reason.STATE_UNKNOWN: "Campaign does not show what this person has chosen",
    Reason.NOT_STORED: "Campaign confirmed the change, but does not show it",
    Reason.MOVED: "the state changed after it was read",
    Reason.NEWER_CHOICE: "Campaign has a newer choice than the request",
    Reason.NEWER_RUN: "a later run worked on this profile",
    Reason.BAD_ANSWER: "Campaign's answer could not be understood",
    Reason.WRONG_PROFILE: "Campaign answered three times about another profile",
    Reason.CONNECTION: f"Campaign could not be reached; {_AGAIN}",
    Reason.TIMEOUT: f"Campaign did not answer in time; {_AGAIN}",
    Reason.HTTP_400: f"Campaign did not accept this request; {_ENGINEER}",
    Reason.HTTP_403: "Campaign does not let this program read or change this profile; the "
    "administrator of Campaign can grant it",
    Reason.HTTP_404: f"Campaign did not find what was asked for; {_ENGINEER}",
    Reason.HTTP_413: f"Campaign found this request too large; {_ENGINEER}",
    Reason.HTTP_429: f"Campaign had more requests than it allows; {_AGAIN}",
    Reason.HTTP_500: _INSIDE,
    Reason.HTTP_502: _OUT_OF_SERVICE,
    Reason.HTTP_503: _OUT_OF_SERVICE,
    Reason.HTTP_504: _OUT_OF_SERVICE,
    Reason.HTTP_4XX: f"Campaign refused this request; {_ENGINEER}",
    Reason.HTTP_5XX: _INSIDE,
    Reason.REDIRECT: f"Campaign's address sent the request elsewhere; {_ENGINEER}",
    Reason.LIMIT: "left undone because a limit was passed, or held back by `--hold-opt-ins`",
    Reason.STOPPED: "the run stopped before this row; `bulk-sync resume` goes on",
}

HEADINGS: Final = {
    columns.ROW: "Row",
    columns.OUTCOME: "Outcome",
    columns.FILE: "File",
    columns.REASON: "Reason",
    columns.DETAIL: "What happened",
    columns.KEY: "Key",
    columns.DESIRED: "Wanted",
    columns.BEFORE: "Before",
    columns.AFTER: "After",
    columns.DUE: "Due",
    columns.AT: "Time (UTC)",
    columns.ATTEMPTS: "Tries",
    columns.PROFILES: "Profiles",
}
"""What our columns are called for people, in the order in which they are shown."""

EXITS: Final[Mapping[Exit, tuple[str, str]]] = {
    Exit.DONE: ("nothing is left to do", "done"),
    Exit.BUG: ("an unexpected error", "a bug"),
    Exit.USAGE: ("wrong options or configuration, or unreadable input", "wrong options"),
    Exit.ROWS_LEFT: ("finished, but some rows need a person", "some rows need a person"),
    Exit.REFUSED: ("a safety limit, or the person at the terminal, said no", "refused by a limit"),
    Exit.ACCESS_DENIED: ("Campaign refused the credentials or the organization", "access denied"),
    Exit.STOPPED_EARLY: ("stopped early; `bulk-sync resume` goes on", "stopped early"),
    Exit.ANOTHER_RUN: ("another run is at work on this organization", "another run was at work"),
    Exit.INTERRUPTED: ("interrupted; `bulk-sync resume` goes on", "interrupted"),
    Exit.TERMINATED: ("interrupted; `bulk-sync resume` goes on", "interrupted"),
}
"""The meaning of each exit status, and the same in a few words."""

_NOT_UPLOADED: Final = "finished, but a report could not be uploaded and stays on this machine"


_DONE: Final[Mapping[Subject, str]] = {
    Subject.PLAN: "everything could be planned; nothing was written",
    Subject.VERDICT: "every row can be used",
}


def spoken(code: str) -> str:
    """Return an outcome or a reason as people say it: ``would update``, ``HTTP 403``."""
    return code.replace("http_", "HTTP ").replace("_", " ")


def legible(text: str) -> str:
    """Return a sentence without the backticks around commands; HTML turns them into code."""
    return re.sub("`(.*?)`", r"\1", text)


def exit_status(
    status: Exit,
    subject: Subject = Subject.RESULT,
    *,
    outcomes: Mapping[str, int] = MappingProxyType({}),
    is_resumable: bool = True,
) -> str:
    """Return an exit status with its meaning for what was done; empty ``outcomes`` are unknown."""
    meaning, _ = EXITS[status]
    if not is_resumable:
        meaning = meaning.partition(";")[0]
    if status is Exit.DONE:
        meaning = _DONE.get(subject, meaning)
    if lacks_upload_alone(status, outcomes):
        meaning = _NOT_UPLOADED
    return f"exit status {int(status)}: {meaning}"


def in_short(status: Exit, outcomes: Mapping[str, int]) -> str:
    """Return the meaning of an exit status in a few words."""
    return "report not uploaded" if lacks_upload_alone(status, outcomes) else EXITS[status][1]


def lacks_upload_alone(status: int, outcomes: Mapping[str, int]) -> bool:
    """Return whether no row needs a person, so that exit status 3 is about an upload alone."""
    return status == Exit.ROWS_LEFT and bool(outcomes) and not set(outcomes) & set(NEEDS_A_PERSON)


def deadlines(late: Late | None) -> list[str]:
    """Return how many opt-outs are late, or soon will be, as sentences; none without any."""
    if late is None or not (late.left or late.done or late.soon or late.undated):
        return []
    left = [f"{late.left:,} past their last day", f"{late.soon:,} due within {SOON} business days"]
    if late.undated:
        left.append(f"{late.undated:,} without a date that can be read")
    deadline = (
        f"Opt-outs have {BUSINESS_DAYS} business days: the report has the last day of each, and "
        "`bulk-sync holidays` lists the days that do not count."
    )
    return [
        deadline,
        f"Still to be carried out: {', '.join(left)}.",
        f"Carried out too late: {late.done:,}.",
    ]
