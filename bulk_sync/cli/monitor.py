"""What is known of the run of this process while it goes on, and is passed on to machines.

    command at work --watch--> its run --begin--> ... --event--> the JSON log
                                                   '--ended----> the log, and every hook

The beginning of a run is pinged too. A preview has events alone.
"""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bulk_sync.cli.hooks import Hooks
from bulk_sync.cli.logs import stamp
from bulk_sync.cli.options import config
from bulk_sync.errors import Exit, StopRun
from bulk_sync.monitoring.run_end import JobStanding, RunEnd, audit_of
from bulk_sync.outcomes import FOLLOW_UPS, Kind
from bulk_sync.remote.url import without_secrets
from bulk_sync.signals import Interrupts

if TYPE_CHECKING:
    from bulk_sync.ledger import Begun, Run
    from bulk_sync.runs import Finished
    from bulk_sync.settings import Place, State

log = logging.getLogger(__name__)

_WITHOUT_RUN: Final = frozenset({Kind.RESUME, Kind.AUDIT})
"""The commands that go on with a run, or look at one, and make none of their own."""

_PREVIEWS: Final[Mapping[str, str]] = {Kind.RUN: "dry_run", Kind.UNDO: "out"}
"""By command, the option with which it writes nothing to Campaign."""

_SIGNALS: Final = frozenset({Exit.INTERRUPTED, Exit.TERMINATED})
"""After a signal nothing more is imported: a second one ends the process."""

_COULD_NOT_START: Final = "could not start: `bulk-sync runs` shows why"
_NOT_RECORDED: Final = "could not be recorded in the ledger: the log shows why"
_NOT_UPLOADED: Final = "a report could not be uploaded and stays on the machine of the run"


@dataclass
class Monitor:
    """The run of this process, if it has one by now.

    Attributes:
        kind: of the run, such as ``run`` or ``plan``; else the name of the command.
        run_id: of the run, also if it could not begin; None if there is none.
        source: the input, as it was given, a URL without its query.
        followed: the run to be resumed, retried, undone or audited; None if there is none.
        state: where the ledger is, if known.
        place: the organization and endpoint, if known.
        has_ended: whether its end was passed on.
        is_recorded: whether the ledger has got it, as far as is known.
    """

    kind: str = ""
    run_id: str | None = None
    job: str | None = None
    source: str | None = None
    followed: str | None = None
    state: "State | None" = None
    place: "Place | None" = None
    has_ended: bool = False
    is_recorded: bool = False
    _kind: str = ""
    _values: Mapping[str, Any] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _hooks: Hooks = field(default_factory=Hooks)

    def watch(self, command: str, values: Mapping[str, Any]) -> None:
        """Begin with a command and its options, before its run is known."""
        is_preview = values.get(_PREVIEWS.get(command, ""))
        self.kind = self._kind = Kind.PLAN if is_preview else command
        source = values.get("input") or values.get("plan")
        self.source, self._values = None if source is None else without_secrets(str(source)), values
        if self.is_run:
            self._find_ledger()
            self.place = _place(values)
        self._hear(values)

    def start(self) -> None:
        """Ping that a run begins, as soon as it is known that there is one, and no preview."""
        is_unknown = self._kind in FOLLOW_UPS and self.followed is None
        if not is_unknown and self.kind not in {Kind.PLAN, Kind.RESUME}:
            self._hooks.start()

    def _hear(self, values: Mapping[str, Any]) -> None:
        """Use the hooks among some options, for a run or for nothing but a preview."""
        self._hooks = Hooks.from_options(values)
        if self.kind != Kind.PLAN:
            self._hooks.check()

    def _find_ledger(self) -> None:
        """Find out where the ledger is, unless that stands in a file that cannot be read."""
        from bulk_sync.cli import arguments

        if self._values.get("state_dir") is not None and not config.hides("state_dir"):
            with suppress(StopRun):  # the command meets the same error
                self.state = arguments.state(self._values)

    def follow(self, run: "Run") -> None:
        """Go on with the job of a run that is followed up, and the hooks of that job."""
        from bulk_sync.cli.options.deployment_options import MONITORING

        self.kind, self.has_ended, self.is_recorded = self._kind, False, False
        self.job, self.source, self.place = run.begun.job, run.begun.input, run.begun
        self.run_id = run.run_id if self.is_follow_up else None
        self._began = time.monotonic()
        if self._kind in FOLLOW_UPS:  # else it is a second `apply`, which has heard of its hooks
            self.followed = run.run_id
            self._hear({**self._values, **config.of_job(run.begun.job, MONITORING)})
            self.start()

    def begin(self, run_id: str, begun: "Begun", source: str) -> None:
        """Go on with the run that begins, or is resumed."""
        self.run_id, self.job, self.source, self.has_ended = run_id, begun.job, source, False
        if self.kind != Kind.AUDIT:
            self.kind = str(begun.kind)
        facts = {"kind": self.kind, "rows": begun.rows, "parent": begun.parent}
        self.start()
        self.event("run_began", f"Run {run_id} begins", facts)

    @property
    def is_run(self) -> bool:
        """Return whether the command carries a run out, or looks at one in Campaign."""
        return self.kind in set(Kind)

    @property
    def is_follow_up(self) -> bool:
        """Return whether the command is one that makes no run of its own."""
        return self.kind in _WITHOUT_RUN

    @property
    def seconds(self) -> float:
        """Return how long this process has worked on it."""
        return time.monotonic() - self._began

    @property
    def is_heard(self) -> bool:
        """Return whether anything takes the end of the run."""
        return self._values.get("log_format") == "json" or self._hooks.are_any

    def facts(self) -> dict[str, object]:
        """Return the time, and the run."""
        self._name_run()
        named = {"run_id": self.run_id, "job": self.job, "kind": self.kind}
        return {"time": stamp(time.time()), **named}

    def event(self, name: str, message: str, facts: Mapping[str, object]) -> None:
        """Log an event of the run, beside the messages of a JSON log."""
        log.info("%s", message, extra={"facts": {**self.named(name), **facts}, "is_event": True})

    def named(self, event: str) -> dict[str, object]:
        """Return the facts of every event."""
        return {"event": event, "run_id": self.run_id, "job": self.job, "input": self.source}

    def record(self, status: Exit, error: Exception) -> str:
        """Record in the ledger why a requested run could not start.

        Returns:
            Why the ledger has not got it, as a sentence; "" if it has, or should not.
        """
        is_answer = isinstance(error, StopRun) and error.is_answer
        if not self.is_run or is_answer or status is Exit.DONE:
            return ""
        if status in _SIGNALS and not _is_loaded():
            return ""
        try:
            from bulk_sync.cli import failure_record

            self._name_job(status)
            self._name_run()
            with Interrupts() as interrupts:
                interrupts.defer()
                missing = failure_record.record(self, self._values, status, error)
        except Exception as bug:  # the outermost edge, and the first error counts
            log.debug("Unexpected error", exc_info=bug)
            missing = f"`bulk-sync runs` does not show this run: {type(bug).__name__}."
        self.is_recorded = not missing
        return missing

    def _name_run(self) -> None:
        """Give a run an id, also if it does not begin."""
        if self.run_id is None and self.is_run and not self.is_follow_up:
            from bulk_sync.settings import new_run_id

            self.run_id = new_run_id()

    def _name_job(self, status: int) -> None:
        has_input = bool(self._values.keys() & {"input", "plan"})
        if self.job is None and has_input and (status not in _SIGNALS or _is_loaded()):
            with suppress(OSError, ValueError):  # the input's name may be none that a file can have
                self.job = config.job_of(self._values)

    def failure(self, status: int, message: str) -> dict[str, object]:
        """Return the summary of a failed command."""
        self._name_job(status)
        summary = {**self.facts(), "input": self.source, "exit": status, "message": message}
        return {**summary, "recorded": self.is_recorded} if self.is_run else summary

    def failed(self, status: int, *, was_done: bool) -> None:
        """Pass on that the run could not begin, or broke off, or that another had done its work."""
        self.has_ended = True
        end = RunEnd(self._monitored_as, self.run_id, time.time(), status, self.seconds)
        if not was_done:
            end = replace(end, note=_COULD_NOT_START if self.is_recorded else _NOT_RECORDED)
        self._pass_on(end, was_done=was_done, is_resumable=self._kind == Kind.RESUME)

    def ended(self, summary: Mapping[str, Any], finished: "Finished") -> None:
        """Pass on how the run ended: its summary to the log, its counts to the hooks."""
        self.has_ended = True
        self.event("run_ended", summary["message"], summary)
        totals, cost, late = finished.totals, finished.cost, summary["late"] or {}
        is_here = finished.files.are_unpublished
        is_missing = self.kind != Kind.AUDIT and finished.head is None
        self._pass_on(
            RunEnd(
                job=self._monitored_as,
                run_id=self.run_id,
                at_s=time.time(),
                exit=int(finished.exit),
                seconds=cost.seconds,
                outcomes=totals.outcomes,
                opt_ins=totals.opt_ins,
                opt_outs=totals.opt_outs,
                calls=cost.answered,
                throttled_s=cost.throttled_s,
                overdue=late.get("left", 0),
                due_soon=late.get("soon", 0),
                note=_NOT_RECORDED if is_missing else _NOT_UPLOADED if is_here else "",
            ),
            is_resumable=finished.is_resumable,
        )

    def _pass_on(self, end: RunEnd, *, is_resumable: bool, was_done: bool = False) -> None:
        if self.kind == Kind.PLAN or not self._hooks.are_any:
            return
        from bulk_sync.report import wording

        status = wording.exit_status(Exit(end.exit), is_resumable=is_resumable)
        end = replace(end, meaning=f"meaning: {status.partition(': ')[2]}")
        self._hooks.end(end, self._standing, was_done=was_done)

    @property
    def _monitored_as(self) -> str:
        """Return the job's name; audits are a job of their own."""
        return audit_of(self.job) if self.job and self.kind == Kind.AUDIT else self.job or ""

    def _standing(self, end: RunEnd) -> JobStanding:
        """Return how the job stands by the ledger; audits are not recorded there."""
        from bulk_sync.runs.history.job_standing import standing_of

        found = (
            JobStanding() if self.state is None else standing_of(end.job, self.state, self.place)
        )
        if self.kind == Kind.AUDIT:
            found = replace(found, last_success_s=end.at_s if end.exit == Exit.DONE else None)
        return found


def _is_loaded() -> bool:
    """Return whether what knows of runs and jobs is imported."""
    return "bulk_sync.runs" in sys.modules


class _Given(NamedTuple):
    endpoint: str
    organization: str


def _place(values: Mapping[str, Any]) -> "Place | None":
    """Return the organization and endpoint among some options, if both can be used."""
    from bulk_sync.storage import lock

    endpoint = str(values.get("endpoint") or "").rstrip("/")
    given = _Given(endpoint, str(values.get("organization") or ""))
    with suppress(KeyError, ValueError):
        lock.name(given)
        return given if given.organization else None
    return None
