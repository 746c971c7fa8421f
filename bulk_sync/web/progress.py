"""How far a process is, or how it ended, by its log and its summary.

no summary, alive      at work
no summary, not alive  it died: the ledger and its checkpoint show what became of the run
a summary              it ended, with an exit status
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson

from bulk_sync.amounts import duration

_BEGINNING: Final = 64 * 1024
_END: Final = 256 * 1024
"""Bytes that are read of a log, from its beginning and from its end: it may be long."""

_MESSAGES: Final = 20
_WARNINGS: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a process is, or how it ended.

    Attributes:
        is_alive: it is at work.
        run_id: of its run; None until it has begun, or for a command without one.
        rows: of the input; 0 until they are known.
        stage: the pass: ``scan``, ``read`` or ``write``; "" between them.
        done: how much of the pass is done.
        total: how much the pass has to do.
        rate: rows of the pass a second; None if unknown.
        held_s: seconds for which Campaign asked to wait.
        seconds_left: of the pass; None if unknown.
        trouble: why Campaign is tried again, until something is done; "" if it answers.
        plan: what ``event: plan`` has; None until it is made.
        limit: what ``event: limit`` has: ``message`` and ``option``; None if none was passed.
        warnings: the last warnings and errors, as sentences.
        summary: of ``--summary json``; None if it has not ended, or died.
    """

    is_alive: bool
    run_id: str | None = None
    rows: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    rate: float | None = None
    held_s: float = 0.0
    seconds_left: float | None = None
    trouble: str = ""
    plan: Mapping[str, Any] | None = None
    limit: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    summary: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def exit(self) -> int | None:
        """Return the exit status; None if it has not ended, or died."""
        return None if self.summary is None else int(self.summary.get("exit", 1))

    @property
    def message(self) -> str:
        """Return why it ended early; "" if it did not."""
        return "" if self.summary is None else str(self.summary.get("message") or "")

    @property
    def time_left(self) -> str:
        """Return the time left of the pass, in words; "" if it is not known."""
        if self.seconds_left is None:
            return ""
        minutes = round(self.seconds_left / 60)
        return duration(60 * minutes) if minutes else "less than a minute"

    @property
    def sentence(self) -> str:
        """Return how far it is in one short sentence."""
        if not self.is_alive:
            return "Ended."
        if self.trouble:
            return f"Campaign is tried again: {self.trouble}."
        if not self.total:
            return "At work."
        left = f", {self.time_left} left" if self.time_left else ""
        return f"{self.done:,} of {self.total:,}{left}."

    @classmethod
    def read(cls, log: Path, summary: Path, *, is_alive: bool) -> Self:
        """Read the files of a process; a file that is missing, or half written, holds nothing."""
        found: dict[str, Any] = {}
        warnings: list[str] = []
        first: Mapping[str, Any] = {}
        for line in _lines(log):
            found |= _trouble(line, found.get("done", 0)) | _facts(line)
            if line.get("event") == "progress":
                first = first if first.get("pass") == line.get("pass") else line
                found |= _speed(first, line)
            if line.get("level") in _WARNINGS and "event" not in line:
                warnings.append(str(line.get("message", "")))
        result = None if is_alive else last_object(summary)
        if result is not None:
            found["run_id"] = found.get("run_id") or result.get("run_id")
        return cls(
            is_alive=is_alive,
            **found,
            warnings=tuple(dict.fromkeys(warnings))[-_MESSAGES:],
            summary=result,
        )


def _facts(line: Mapping[str, Any]) -> dict[str, Any]:
    match line.get("event"):
        case "run_began":
            return {"run_id": line.get("run_id"), "rows": line.get("rows") or 0}
        case "progress":
            return {
                "stage": str(line.get("pass") or ""),
                "done": line.get("done") or 0,
                "total": line.get("total") or 0,
                "held_s": line.get("held_seconds") or 0.0,
            }
        case "plan":
            return {"plan": line, "stage": "", "done": 0, "total": 0, "seconds_left": None}
        case "limit":
            return {"limit": line}
        case "run_ended":
            return {"stage": "", "seconds_left": None}
    return {}


def _trouble(line: Mapping[str, Any], done: int) -> dict[str, str]:
    if "trouble" in line:
        return {"trouble": str(line["trouble"])}
    is_over = line.get("event") in {"plan", "run_ended"} or line.get("done", done) != done
    return {"trouble": ""} if is_over else {}


def _speed(first: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, float | None]:
    try:
        begun, now = (datetime.fromisoformat(line["time"]) for line in (first, last))
        done, left = last["done"] - first["done"], last["total"] - last["done"]
        seconds = (now - begun).total_seconds()
    except (KeyError, TypeError, ValueError):
        return {}
    if done <= 0 or seconds <= 0:
        return {"rate": None, "seconds_left": None}
    return {"rate": done / seconds, "seconds_left": left * seconds / done}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a log as objects: the first ones, and the last ones."""
    try:
        with path.open("rb") as file:
            text = file.read(_BEGINNING)
            size = os.fstat(file.fileno()).st_size
            if size > _BEGINNING:
                file.seek(max(_BEGINNING, size - _END))
                text += (b"\n" if size > _BEGINNING + _END else b"") + file.read()
    except OSError:
        return
    for line in text.splitlines():
        found = _parsed(line)
        if found is not None:
            yield found


def last_object(path: Path) -> Mapping[str, Any] | None:
    """Return the last line of a file that is an object; None if there is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    return next(filter(None, map(_parsed, reversed(lines))), None)


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
