"""The metrics file: gauges in Prometheus' text format, for the textfile collector of node_exporter.

    lock the folder --> read --> leave out this job's lines --> add its new ones --> replace

Jobs share a file: each replaces its own lines. Gauges alone, as the process ends after each run.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bulk_sync import __version__
from bulk_sync.monitoring.run_end import HookFailed, JobStanding, RunEnd
from bulk_sync.outcomes import Outcome
from bulk_sync.storage import atomic

_JOB: Final = "sync_job"
_MODE: Final = 0o644
_PREVIEWS: Final = (Outcome.USABLE, Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE)

_LAST_RUN: Final = "bulk_sync_last_run_timestamp_seconds"
_SUCCESS: Final = "bulk_sync_last_success_timestamp_seconds"
_CALLS: Final = "bulk_sync_calls_today"
_GAUGES: Final = {
    _LAST_RUN: "When the last run ended.",
    _SUCCESS: "When a run last ended with exit status 0.",
    "bulk_sync_last_run_exit_status": "Exit status of the last run.",
    "bulk_sync_last_run_duration_seconds": "How long the last run took.",
    "bulk_sync_last_run_rows": "Rows of the last run by outcome.",
    "bulk_sync_last_run_changes": "Profiles changed by the last run.",
    "bulk_sync_last_run_calls": "Calls of the last run to Campaign by method and status.",
    "bulk_sync_last_run_throttled_seconds": "How long Campaign had the last run wait.",
    "bulk_sync_opt_outs_overdue": "Opt-outs known to be overdue.",
    "bulk_sync_opt_outs_due_soon": "Opt-outs due within three business days.",
    _CALLS: "Calls of all runs on the organization today, by UTC.",
    "bulk_sync_runs_to_resume": "Runs of the job that wait for bulk-sync resume.",
}
_BUILD: Final = "bulk_sync_build_info"

_Lines = Mapping[str, Iterable[tuple[Mapping[str, str], float]]]
"""Labels, besides the job, and a value for each line of a gauge."""


def write(path: Path, end: RunEnd, standing: JobStanding) -> None:
    """Replace the lines of a job in the file; it keeps what is not known of the job now.

    Raises:
        HookFailed: the file is none of metrics, or cannot be written.
    """
    folder = path.absolute().parent
    try:
        with _locked(folder):
            found = _read(path)
            merged = _Merged(found, end.job, _lines(end, standing, _own(found, end.job)))
            with atomic.replacing(path, _MODE) as file:
                file.write(generate_latest(merged))
    except FileNotFoundError as error:
        raise HookFailed(
            f"there is no folder {folder}. Make it, or name another file; until then "
            "nobody sees how the runs end."
        ) from error
    except OSError as error:
        raise HookFailed(f"{path} cannot be written: {error.strerror}.") from error


class _Merged(Collector):
    """The lines of a file, those of one job replaced."""

    def __init__(self, found: list[Metric], job: str, lines: _Lines) -> None:
        self._found, self._job, self._lines = found, job, lines

    def collect(self) -> Iterator[Metric]:
        """Yield our gauges, then what else the file held."""
        others = {metric.name: metric for metric in self._found}
        for name, text in _GAUGES.items():
            metric = Metric(name, text, "gauge")
            before = others.pop(name, metric).samples
            metric.samples = [each for each in before if each.labels.get(_JOB) != self._job]
            for labels, value in self._lines.get(name, ()):
                metric.add_sample(name, {**labels, _JOB: self._job}, value)
            yield metric
        others.pop(_BUILD, None)
        build = GaugeMetricFamily(_BUILD, "The version of bulk-sync.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield from others.values()


def _lines(end: RunEnd, standing: JobStanding, own: Mapping[str, float]) -> _Lines:
    """Return the new lines of a job; ``own`` are its former ones without further labels."""
    counted = {
        _SUCCESS: standing.last_success_s or own.get(_SUCCESS, standing.last_success_s),
        "bulk_sync_opt_outs_overdue": end.overdue,
        "bulk_sync_opt_outs_due_soon": end.due_soon,
        _CALLS: standing.calls_today,
        "bulk_sync_runs_to_resume": standing.to_resume,
    }
    known = {name: own.get(name) if value is None else value for name, value in counted.items()}
    if standing.calls_today is None and _day(own.get(_LAST_RUN, 0.0)) != _day(end.at_s):
        del known[_CALLS]  # they are of another day
    single = {
        _LAST_RUN: end.at_s,
        "bulk_sync_last_run_exit_status": end.exit,
        "bulk_sync_last_run_duration_seconds": end.seconds,
        "bulk_sync_last_run_throttled_seconds": end.throttled_s,
        **{name: value for name, value in known.items() if value is not None},
    }
    rows = {str(each): end.outcomes.get(each, 0) for each in Outcome if each not in _PREVIEWS}
    changes = {"opt-in": end.opt_ins, "opt-out": end.opt_outs}
    return {
        **{name: [({}, value)] for name, value in single.items()},
        "bulk_sync_last_run_rows": [({"outcome": name}, n) for name, n in rows.items()],
        "bulk_sync_last_run_changes": [({"direction": way}, n) for way, n in changes.items()],
        "bulk_sync_last_run_calls": [
            ({"method": method, "status": status}, n)
            for (method, status), n in sorted(end.calls.items())
        ],
    }


def _day(at_s: float) -> date:
    return datetime.fromtimestamp(at_s, UTC).date()


def _own(found: Iterable[Metric], job: str) -> dict[str, float]:
    """Return the lines of a job that have no other label."""
    return {
        sample.name: sample.value
        for metric in found
        for sample in metric.samples
        if sample.labels == {_JOB: job}
    }


def _read(path: Path) -> list[Metric]:
    try:
        return list(text_string_to_metric_families(path.read_text("utf-8")))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise HookFailed(
            f"{path} is no file of metrics, so it was left as it is. Name another one, or move it "
            "away."
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other jobs that share the file; nothing is left behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
