"""What the ledger keeps of a requested run that could not start, and of nothing else typed."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bulk_sync import __version__
from bulk_sync.cli.options.option import without_password
from bulk_sync.errors import DiskFull, Exit, LedgerAway, LedgerProblem, StopRun
from bulk_sync.remote.url import without_secrets
from bulk_sync.storage import lock

if TYPE_CHECKING:
    from bulk_sync.cli.monitor import Monitor
    from bulk_sync.ledger import NotBegun

_TYPED: Final = re.compile(r"(unexpected extra arguments?) \(.*\)", re.DOTALL)
_ADDRESS: Final = re.compile(r"[^\s@'\"(<]+@[^\s@'\")>]+")
"""Of a person, such as an argument that was typed by mistake."""

_SO: Final = "So `bulk-sync runs` does not show this run."
_ABOUT_IT: Final = ("ticket", "comment", "prepared_by")


def record(monitor: "Monitor", values: Mapping[str, Any], status: Exit, error: Exception) -> str:
    """Record that the run of this process could not start, unless it did.

    Returns:
        Why the ledger has not got it, as a sentence; "" if it has.
    """
    if isinstance(error, LedgerProblem | LedgerAway):
        return _SO
    if monitor.state is None:
        return "`bulk-sync runs` does not show this run: it is not known where the ledger is."
    from bulk_sync.runs.stages.begin import record_failed_start
    from bulk_sync.settings import new_run_id

    run_id = new_run_id() if monitor.is_follow_up else monitor.run_id or new_run_id()
    try:
        start = _start(monitor, values, status, error)
        is_recorded = record_failed_start(monitor.state, run_id, start)
    except StopRun as problem:
        is_same = isinstance(problem, DiskFull) and isinstance(error, DiskFull)
        return _SO if is_same else f"`bulk-sync runs` does not show this run. {problem}"
    if not is_recorded:
        return "`bulk-sync runs` does not show this run: there is no ledger yet."
    monitor.run_id = monitor.run_id or run_id
    return ""


def _start(
    monitor: "Monitor", values: Mapping[str, Any], status: Exit, error: Exception
) -> "NotBegun":
    from bulk_sync.ledger import Kind, NotBegun

    place = monitor.place
    endpoint = str(values.get("endpoint") or "") if place is None else place.endpoint
    return NotBegun(
        kind=Kind(monitor.kind),
        job=monitor.job or "",
        endpoint=without_secrets(endpoint).rpartition("@")[2],
        organization=str(values.get("organization") or "") if place is None else place.organization,
        attribute=str(values.get("attribute") or ""),
        input=monitor.source or "",
        input_sha256="",
        rows=0,
        parent=monitor.followed,
        settings={name: values[name] for name in _ABOUT_IT if values.get(name)},
        version=__version__,
        operator=lock.operator(),
        exit=int(status),
        message=reason(error, status),
        seconds=round(monitor.seconds, 3),
    )


def reason(error: Exception, status: Exit) -> str:
    """Return why a run could not start, without anything personal or secret."""
    if status is Exit.BUG:  # the text may quote a row
        return f"Unexpected error, a bug: {type(error).__name__}."
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    text = _TYPED.sub(r"\1", without_password(text))
    return _ADDRESS.sub("***", " ".join(text.split()))
