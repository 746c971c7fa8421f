"""What is known of the run of this process while it goes on, and is told to machines.

command at work --watch--> its run --begin--> ... --event--> the JSON log
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bulk_sync.errors import Exit

if TYPE_CHECKING:
    from bulk_sync.ledger import Begun

log = logging.getLogger(__name__)

PLAN: Final = "plan"
_NEW_RUNS: Final = frozenset({"run", PLAN, "apply", "retry", "undo"})
_RUNS: Final = _NEW_RUNS | {"resume", "audit"}
"""The commands that carry a run out, or look at one in Campaign."""


@dataclass
class Monitor:
    """The run of this process, if it has one by now.

    Attributes:
        kind: of the run, such as ``run`` or ``plan``; else the name of the command.
        run_id: of the run, also if it could not begin; None if there is none.
        job: its job, if known.
        source: the input, as it was given.
        has_ended: whether its end was told.
    """

    kind: str = ""
    run_id: str | None = None
    job: str | None = None
    source: str | None = None
    has_ended: bool = False
    _values: Mapping[str, Any] = field(default_factory=dict)

    def watch(self, command: str, values: Mapping[str, Any]) -> None:
        """Begin with a command and its options, before its run is known."""
        is_preview = values.get("dry_run") or (command == "undo" and values.get("out"))
        self.kind = PLAN if is_preview else command
        source = values.get("input") or values.get("plan")
        self.source, self._values = None if source is None else str(source), values

    def follow(self, begun: "Begun") -> None:
        """Go on with the job of a run that is followed up."""
        self.job, self.source, self.has_ended = begun.job, begun.input, False

    def begin(self, run_id: str, begun: "Begun", source: str) -> None:
        """Go on with the run that begins, or is resumed."""
        self.run_id, self.job, self.source, self.has_ended = run_id, begun.job, source, False
        if self.kind != "audit":
            self.kind = str(begun.kind)
        facts = {"kind": self.kind, "rows": begun.rows, "parent": begun.parent}
        self.event("run_began", f"Run {run_id} begins", facts)

    @property
    def is_run(self) -> bool:
        """Return whether the command is one that carries a run out."""
        return self.kind in _RUNS

    @property
    def is_heard(self) -> bool:
        """Return whether anything takes the end of the run."""
        return self._values.get("log_format") == "json"

    def facts(self) -> dict[str, object]:
        """Return when it is, and which run that is about."""
        if self.run_id is None and self.kind in _NEW_RUNS:
            from bulk_sync.settings import new_run_id

            self.run_id = new_run_id()
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"time": stamp, "run_id": self.run_id, "job": self.job, "kind": self.kind}

    def event(self, name: str, message: str, facts: Mapping[str, object]) -> None:
        """Log an event of the run, beside the messages of a JSON log."""
        log.info("%s", message, extra={"facts": {**self.named(name), **facts}, "is_event": True})

    def named(self, event: str) -> dict[str, object]:
        """Return the facts that every event has."""
        return {"event": event, "run_id": self.run_id, "job": self.job, "input": self.source}

    def ended(self, summary: Mapping[str, object]) -> None:
        """Log the end of the run, with all that its summary holds."""
        self.has_ended = True
        self.event("run_ended", str(summary["message"]), summary)

    def failure(self, status: int, message: str) -> dict[str, object]:
        """Return the summary of a command that failed."""
        has_input = bool(self._values.keys() & {"input", "plan"})
        # After a signal nothing more is imported: a second one ends the process.
        if self.job is None and has_input and status not in {Exit.INTERRUPTED, Exit.TERMINATED}:
            from bulk_sync.cli.config import job_of

            with suppress(OSError, ValueError):  # the input's name may be none that a file can have
                self.job = job_of(self._values)
        return {**self.facts(), "input": self.source, "exit": status, "message": message}
