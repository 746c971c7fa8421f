"""The hooks of one run: ``--ping``, ``--notify`` and ``--metrics-file``. None changes anything."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bulk_sync.cli.options.config import GIVEN
from bulk_sync.cli.options.option import Option, variable
from bulk_sync.cli.options.secret_values import secret
from bulk_sync.monitoring.run_end import JobStanding, RunEnd
from bulk_sync.signals import Interrupts

if TYPE_CHECKING:
    from bulk_sync.monitoring.ping import Pings
    from bulk_sync.monitoring.time_budget import TimeBudget

_STANDING_S: Final = 2.0
"""Seconds for the ledger, which may be on a server that hangs, to say how the job stands."""

_METRICS_S: Final = 2.0
"""Seconds for the metrics file."""


@dataclass
class Hooks:
    """Where the beginning and the end of a run go.

    Attributes:
        notified: URLs of services that take messages.
        state_dir: where the state that people were last told is kept; None if unknown.
    """

    metrics_file: Path | None = None
    ping_url: str | None = None
    notified: Sequence[str] = ()
    state_dir: Path | None = None
    _pings: "Pings | None" = None

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> "Hooks":
        """Build them from options; commands without runs have none."""
        if "ping" not in values:
            return cls()
        from bulk_sync.cli.options.deployment_options import NOTIFY, PING

        return cls(
            metrics_file=values["metrics_file"],
            ping_url=next(iter(_urls(PING, values["ping"])), None),
            notified=_urls(NOTIFY, values["notify"]),
            state_dir=values.get("state_dir"),
        )

    @property
    def are_any(self) -> bool:
        """Return whether there is one."""
        return bool(self.metrics_file or self.ping_url or self.notified)

    def check(self) -> None:
        """Raise UsageProblem if messages cannot be sent; then there is nowhere to send them."""
        urls, self.notified = self.notified, ()
        if urls:
            from bulk_sync.monitoring import notification

            notification.check(urls)
        self.notified = urls

    def start(self) -> None:
        """Ping once that the run begins."""
        if self.ping_url is not None and self._pings is None:
            self._pings = self._new_pings(self.ping_url)
            self._pings.start()

    def end(
        self, end: RunEnd, standing: Callable[[RunEnd], JobStanding], *, was_done: bool
    ) -> None:
        """Pass the end of the run on; if another run had done its work, only the ping waits for it.

        ``standing`` looks up how the job stands.
        """
        if was_done and self._pings is None:
            return
        with Interrupts() as interrupts:
            interrupts.defer()
            if self.metrics_file is not None and end.job and not was_done:
                self._write_metrics(self.metrics_file, end, standing)
            if self.ping_url is not None:
                (self._pings or self._new_pings(self.ping_url)).end(end)
            if self.notified and end.job and self.state_dir is not None and not was_done:
                from bulk_sync.monitoring import notification

                notification.notify(self.notified, end, self.state_dir, self._time)

    def _write_metrics(
        self, path: Path, end: RunEnd, standing: Callable[[RunEnd], JobStanding]
    ) -> None:
        from bulk_sync.monitoring import metrics_file

        found: list[JobStanding] = []
        look = [lambda: found.append(standing(end))]
        self._time.spend("--metrics-file: the ledger", look, _STANDING_S)
        known = found[0] if found else JobStanding()
        write = [lambda: metrics_file.write(path, end, known)]
        self._time.spend("--metrics-file", write, _METRICS_S)

    def _new_pings(self, url: str) -> "Pings":
        from bulk_sync.monitoring.ping import Pings

        return Pings(url, self._time)

    @cached_property
    def _time(self) -> "TimeBudget":
        from bulk_sync.monitoring.time_budget import TimeBudget

        return TimeBudget()


def _urls(option: Option, given: Any) -> list[str]:
    """Return the URLs of a hook: those given, or the lines of its file.

    A file that a variable names takes the place of URLs in the configuration.
    """
    source = click.get_current_context().get_parameter_source(option.key)
    if not given or (source not in GIVEN and variable(f"{option.key}_file") in os.environ):
        lines = map(str.strip, (secret(option.key) or "").splitlines())
        given = [
            option.type.convert(line, option, None) for line in lines if line and line[0] != "#"
        ]
    return [given] if isinstance(given, str) else list(given)
