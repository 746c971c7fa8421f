"""The facts above the rows of a report for people: what it is, when, by whom, with what result.

They hold no row. ``runs/stages/report_facts.py`` makes them of the ledger and the rows of a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.certain_dates import Dates


class Subject(StrEnum):
    """What a report is about; its value is the title."""

    PLAN = "Plan of opt-out changes"
    RESULT = "Result of opt-out changes"
    VERDICT = "Verdict on an opt-out file"
    UNDO = "Undo of opt-out changes"
    AUDIT = "Audit of opt-out changes"
    MAP = "New PKeys"  # no report, but a new input


PAST_RUNS: Final = 30
"""The most runs of a job that a report shows."""

STATES: Final = ("true", "false", "unknown")
"""The states of a profile, in the order of a matrix."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Who wanted a run, and why; "" where that is not known. ``purpose`` names an earlier run."""

    prepared_by: str = ""
    approved_by: tuple[str, ...] = ()
    ticket: str = ""
    comment: str = ""
    purpose: str = ""
    plan_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What was read, and the place in Campaign.

    Attributes:
        input: as it was given.
        read_as: how it was read, as a sentence.
        organization: in Campaign; "" if it was not contacted.
        endpoint: base URL of Campaign.
        attribute: the attribute of a profile.
        name: what the input is called, if that is not its own name.
        dates: the column of request dates and how it was read; None if there is none.
    """

    input: str = ""
    sha256: str = ""
    read_as: str = ""
    organization: str = ""
    endpoint: str = ""
    attribute: str = ""
    job: str = ""
    name: str = ""
    dates: Dates | None = field(default=None, kw_only=True)

    @property
    def shown(self) -> str:
        """Return what the input is called."""
        return self.name or self.input


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended, in sentences.

    Attributes:
        sentences: what became of the rows, and the exit status with its meaning.
        refusal: why rows were left undone; "" if the run did all it could.
        deadlines: what is late, or soon will be; empty without request dates.
        all_rows: the file with every row, or the command that writes it.
    """

    sentences: tuple[str, ...] = ()
    refusal: str = ""
    deadlines: tuple[str, ...] = ()
    all_rows: str = ""


@dataclass(frozen=True, slots=True)
class InputCounts:
    """Rows of the input, counted; each is counted once.

    Attributes:
        rows: all of them.
        outcomes: by outcome, those that occur, in the order of ``Outcome``.
        reasons: by reason, the most frequent first.
        matrix: by state before and state after, in the order of ``STATES``; empty if no state was
            read. After a plan is what the plan would leave.
        days_left: opt-outs not carried out, by business days until their last one; empty if there
            are none.
    """

    rows: int = 0
    outcomes: Mapping[Outcome, int] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[Reason, int] = field(default_factory=lambda: MappingProxyType({}))
    matrix: tuple[tuple[int, ...], ...] = ()
    days_left: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the same job: rows of its input, those it changed or created, and failed ones."""

    run_id: str
    at: datetime
    rows: int
    changes: int
    failures: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report shows beside the rows.

    Attributes:
        run_id: the run; "" if there is none.
        at: when it ended, in local time.
        past: the last runs of the job, the oldest first, this one included.
    """

    subject: Subject
    run_id: str
    at: datetime
    request: RunRequest = field(default_factory=RunRequest)
    source: Source = field(default_factory=Source)
    result: Result = field(default_factory=Result)
    counts: InputCounts = field(default_factory=InputCounts)
    past: Sequence[PastRun] = ()

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the facts with a value as label and text, in the order to show them."""
        request, source = self.request, self.source
        found = {
            "Date": f"{self.at:%Y-%m-%d %H:%M %Z}".rstrip(),
            "Run": self.run_id,
            "Purpose": request.purpose,
            "Prepared by": request.prepared_by,
            "Approved by": ", ".join(request.approved_by),
            "Ticket": request.ticket,
            "Comment": request.comment,
            "SHA-256 of the plan": request.plan_sha256,
            "Input": source.shown,
            "SHA-256 of the input": source.sha256,
            "How it was read": source.read_as,
            "Organization": source.organization,
            "Campaign's address": source.endpoint,
            "Attribute": source.attribute,
        }
        yield from ((label, text) for label, text in found.items() if text)
