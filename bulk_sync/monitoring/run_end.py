"""What hooks get of a run, and of its job: counts and times, no key and no file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bulk_sync.errors import BulkSyncError


class HookFailed(BulkSyncError):
    """A hook did not do its work; the message, for the log, holds no URL."""


def audit_of(job: str) -> str:
    """Return the name under which the audits of a job are monitored."""
    return f"audit of {job}"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    Attributes:
        job: the name under which it is monitored; "" if unknown.
        run_id: of the run; None if unknown.
        at_s: when it ended, in seconds since the epoch.
        exit: its exit status.
        seconds: how long this process worked on it.
        outcomes: rows by outcome, those that occur.
        opt_ins: profiles written from true to false.
        opt_outs: profiles written from false to true.
        calls: calls to Campaign by method and status, or by the reason for no answer.
        throttled_s: seconds in which Campaign had every request wait.
        overdue: opt-outs that are late; None if its rows are not known.
        due_soon: opt-outs that soon will be; None if its rows are not known.
        note: what else people should know; "" if there is nothing.
        meaning: what its exit status means, as a line; "" if that is not said.
    """

    job: str
    run_id: str | None
    at_s: float
    exit: int
    seconds: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    opt_ins: int = 0
    opt_outs: int = 0
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    throttled_s: float = 0.0
    overdue: int | None = None
    due_soon: int | None = None
    note: str = ""
    meaning: str = ""

    @property
    def text(self) -> str:
        """Return its counts as lines."""
        counts = {
            "rows": sum(self.outcomes.values()),
            **self.outcomes,
            "opt-ins": self.opt_ins,
            "opt-outs": self.opt_outs,
            "overdue opt-outs": self.overdue,
            "opt-outs due soon": self.due_soon,
        }
        lines = [f"{name}: {count}" for name, count in counts.items() if count is not None]
        named = f"run: {self.run_id or 'none'}"
        first = [f"job: {self.job}", named, f"exit status: {self.exit}", self.meaning]
        return "\n".join([*filter(None, [*first, self.note]), *lines, ""])


@dataclass(frozen=True, slots=True)
class JobStanding:
    """What the ledger knows of a job; None where it does not.

    Attributes:
        last_success_s: when the newest run with exit status 0 ended, since the epoch; 0: never.
        to_resume: its unfinished runs that no process works on.
        calls_today: calls of all runs on the organization today, by UTC.
    """

    last_success_s: float | None = None
    to_resume: int | None = None
    calls_today: int | None = None
