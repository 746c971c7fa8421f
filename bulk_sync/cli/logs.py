"""Logs on standard error: lines for a person, or one JSON object each for a machine."""

import logging
import sys
from datetime import UTC, datetime

import orjson

from bulk_sync.errors import StopRun

log = logging.getLogger(__name__)


def open_for(log_format: str) -> None:
    """Send the log to standard error, with the warnings of libraries."""
    # On a full disk the handler loses a line and goes on.
    handler = _Handler(_AboveBars())
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    if log_format != "json":  # events are for machines
        handler.addFilter(lambda record: not getattr(record, "is_event", False))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def set_up(log_format: str, *, verbose: bool, quiet: bool) -> None:
    """Open the log, and set how much it holds."""
    open_for(log_format)
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.getLogger("bulk_sync").setLevel(level)


class _Handler(logging.StreamHandler["_AboveBars"]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line of a failed write, but not a signal in the middle of it."""
        if isinstance(stop := sys.exception(), StopRun):
            raise stop
        super().handleError(record)


class _AboveBars:
    """Standard error, but above a progress bar instead of through it."""

    def write(self, text: str) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(text)
            return
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr, end="")

    def flush(self) -> None:
        sys.stderr.flush()


def stamp(at_s: float) -> str:
    """Return a time as ISO 8601, in UTC."""
    time = datetime.fromtimestamp(at_s, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{stamp(record.created)} {record.levelname} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    is_json = True

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": stamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= getattr(record, "facts", {})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(fields).decode()
