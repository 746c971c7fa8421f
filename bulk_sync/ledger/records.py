"""The records of the ledger: frozen, each one line or a summary of several."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.outcomes import CONFIRMED, Kind, Outcome

_IN_FLIGHT_MS: Final = 1_800_000
"""The usual patience: a write without a recorded end has arrived by then, or never."""


def utc(at_ms: int) -> str:
    """Format a time like the reports: ISO 8601, in UTC."""
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def local(at_ms: int) -> str:
    """Format a time for people: local time, with its zone."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M %Z}"


class Intent(NamedTuple):
    """One write before it is attempted.

    Attributes:
        key: of the profile; the address of a profile to be created.
        row: as a spreadsheet shows it.
        file: of the row, if the input was several files.
        before: the state; None for a profile to be created.
        desired: the new state.
        used: the key of the row, if the profile has another.
        requested: when the state was requested: a day, a time without a zone, or a time ending in
            Z; None if undated. A day and ``or later`` if only the last of repeated requests is.
    """

    key: str
    row: int
    file: str | None
    before: bool | None
    desired: bool
    used: str | None = None
    requested: str | None = None


class Settled(NamedTuple):
    """The outcome of a write.

    Attributes:
        intent: the position of its line.
        reason: why, if it was not done.
        attempts: HTTP tries.
        at_ms: UTC, when it ended.
        profile: the PKey of the profile, if it was created, by others or for this row.
        after: the state of the profile after a failed write; None if unknown.
        position: of its line; set by the ledger.
    """

    intent: int
    outcome: Outcome
    reason: str | None
    detail: str
    attempts: int
    at_ms: int
    profile: str | None = None
    after: bool | None = None
    position: int = 0


@dataclass(frozen=True)
class Begun:
    """The task of a run.

    Attributes:
        kind: the command behind it.
        job: the common name of runs over one kind of file.
        input: as given on the command line.
        rows: data rows of the input.
        parent: the original run of a retry or an undo.
        settings: the given options, without secrets.
        operator: user and host.
        plan: the applied plan, if any.
        plan_sha256: of the plan file.
    """

    kind: Kind
    job: str
    endpoint: str
    organization: str
    attribute: str
    input: str
    input_sha256: str
    rows: int
    parent: str | None
    settings: Mapping[str, Any]
    version: str
    operator: str
    plan: str | None = None
    plan_sha256: str | None = None

    def __post_init__(self) -> None:
        """Convert the kind, which is text in JSON."""
        object.__setattr__(self, "kind", Kind(self.kind))

    @property
    def is_plan(self) -> bool:
        """Return whether it writes nothing to Campaign."""
        return self.kind is Kind.PLAN

    @property
    def input_name(self) -> str:
        """Return what the input is called, without its folders."""
        name = self.settings.get("input_name") or Path(self.input).name or self.input
        return str(name).encode("utf-8", "replace").decode()

    @property
    def purpose(self) -> str:
        """Return which run is undone or retried, in words; "" for any other."""
        what = Kind.UNDO if self.kind in {Kind.APPLY, Kind.PLAN} else self.kind
        return f"{what} of run {self.parent}" if self.parent else ""


@dataclass(frozen=True)
class NotBegun(Begun):
    """A requested run that could not start; what is not known is empty.

    Attributes:
        message: why, without anything personal.
        seconds: from the start of the program to its end.
    """

    exit: int = Exit.BUG
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How the work on a run ended.

    Attributes:
        message: why it ended early; "" if it did not.
        final: nothing is left for ``resume``.
        opt_ins: rows written from true to false.
        opt_outs: rows written from false to true.
        calls: calls to Campaign by method, over all processes of the run that ended in order.
        seconds: their wall time, from reading the input to the last report.
        reports: SHA-256 of each written report, by path.
        rows_kept_until: the last day, as ISO date, on which the machine of the run keeps its rows;
            "" if it does not keep them.
        plan_sha256: of the plan file that it wrote, if it did.
        todo_sha256: of the todo file that it wrote, if it did.
    """

    exit: int
    message: str
    final: bool
    outcomes: Mapping[str, int] = field(default_factory=dict)
    opt_ins: int = 0
    opt_outs: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reports: Mapping[str, str] = field(default_factory=dict)
    rows_kept_until: str = ""
    plan_sha256: str = ""
    todo_sha256: str = ""

    def after(self, before: "Ended") -> "Ended":
        """Add the calls and the time of earlier processes."""
        calls = dict(Counter(before.calls) + Counter(self.calls))
        return replace(self, calls=calls, seconds=round(before.seconds + self.seconds, 3))


@dataclass(frozen=True)
class Run:
    """A run in the ledger.

    Attributes:
        run_id: sorts by time.
        position: of its first line.
        begun_ms: when it began, UTC.
        ended_ms: when its last process ended; None if it was killed.
        end: the position of the line of that end; 0 if there is none.
    """

    run_id: str
    position: int
    begun_ms: int
    begun: Begun
    ended_ms: int | None
    ended: Ended | None
    end: int = 0

    @property
    def plan_sha256(self) -> str:
        """Return that of the plan applied or made; "" if there is none."""
        return self.begun.plan_sha256 or (self.ended.plan_sha256 if self.ended else "")

    @property
    def has_begun(self) -> bool:
        """Whether it could start."""
        return not isinstance(self.begun, NotBegun)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left for ``resume``."""
        return self.ended is not None and self.ended.final

    @property
    def changes(self) -> int:
        """How many rows it changed; 0 if it has not ended."""
        return 0 if self.ended is None else self.ended.opt_ins + self.ended.opt_outs

    def count(self, *outcomes: str) -> int:
        """Return how many rows have one of some outcomes; 0 if it has not ended."""
        counted = {} if self.ended is None else self.ended.outcomes
        return sum(counted.get(each, 0) for each in outcomes)

    @property
    def is_given_up(self) -> bool:
        """Whether it was ended for good before its end; its message says so first."""
        return self.is_finished and str(self.ended and self.ended.message).startswith("Given up")

    @property
    def is_done(self) -> bool:
        """Whether it reached its end, with or without failed rows."""
        return self.ended is not None and self.ended.exit in {Exit.DONE, Exit.ROWS_LEFT}


@dataclass(frozen=True)
class Act:
    """Something that a person did in the page.

    Attributes:
        deed: a ``Deed``, or that of a newer program.
        who: the person, by their sign-in.
        about: the id of the upload, plan or run; "" for a person.
        comment: what they wrote about it.
        facts: further facts, such as the SHA-256 of the plan or of the uploaded file.
        key: of the person who was looked up; None for any other deed.
        at_ms: when, UTC; set by the ledger.
        position: of its line; set by the ledger.
    """

    deed: str
    who: str
    about: str = ""
    comment: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    at_ms: int = 0
    position: int = 0


class Write(NamedTuple):
    """One attempted write: its intent, and its outcome if that was recorded."""

    run_id: str
    position: int
    at_ms: int
    intent: Intent
    settled: Settled | None

    @property
    def is_confirmed(self) -> bool:
        """Whether Campaign has confirmed it."""
        return self.settled is not None and self.settled.outcome in CONFIRMED

    @property
    def is_doubtful(self) -> bool:
        """Whether it may have changed the profile, unconfirmed."""
        settled = self.settled
        return settled is None or (settled.outcome is Outcome.FAILED and settled.after is None)

    @property
    def may_have_changed(self) -> bool:
        """Whether it has changed the profile, or may have."""
        return self.is_confirmed or self.is_doubtful

    @property
    def pkey(self) -> str:
        """The PKey of its profile; the address of a new one, as long as its PKey is not known."""
        return (self.settled and self.settled.profile) or self.intent.key

    @property
    def ended_ms(self) -> int:
        """When it was confirmed, or given up; when it began, if its end is not known."""
        return self.at_ms if self.settled is None else self.settled.at_ms

    @property
    def acted_ms(self) -> int:
        """When Campaign had acted on it at the latest, in ms since the epoch."""
        return self.ended_ms + (_IN_FLIGHT_MS if self.settled is None else 0)


F = TypeVar("F", Begun, NotBegun, Ended)


def dumps(facts: Begun | Ended) -> str:
    """Return facts as JSON in ASCII: the name of a file may be no text in any encoding."""
    return json.dumps(vars(facts), default=dict)


def loads(kind: type[F], text: str) -> F:
    """Read facts from JSON; ignore those of newer programs; raise UsageProblem if it is damaged."""
    known = {each.name for each in fields(kind)}
    with _damage():
        return kind(**{name: value for name, value in json.loads(text).items() if name in known})


def act_of(text: str, about: str, key: str | None, at_ms: int, position: int) -> Act:
    """Read an act from a line; raise UsageProblem if it is damaged."""
    with _damage():
        facts = dict(json.loads(text))
        deed, who, comment = (facts.pop(name) for name in ("deed", "who", "comment"))
        return Act(str(deed), str(who), about, str(comment), facts, key, at_ms, position)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageProblem(
            f"The ledger holds text that no bulk-sync wrote ({error}). `bulk-sync ledger verify` "
            "shows where."
        ) from error
