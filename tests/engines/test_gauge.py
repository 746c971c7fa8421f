"""When one event loop is seen to be the limit."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulk_sync.engines.processes import gauge
from bulk_sync.engines.processes.gauge import Gauge


@dataclass
class Machine:
    """Processors, seen from one process."""

    clock_s: float = 0.0
    own_s: float = 0.0
    idle_s: float = 0.0
    allowed: float = 8.0

    def gauge(self, count: int) -> Gauge:
        return Gauge(
            count,
            lambda: self.clock_s,
            lambda: self.own_s,
            lambda: self.idle_s,
            lambda: self.allowed,
        )

    def passes(self, busy: float, idle: float) -> None:
        self.clock_s += 0.3
        self.own_s += 0.3 * busy
        self.idle_s += 0.3 * idle


@pytest.mark.parametrize(
    ("busy", "idle", "done", "expected"),
    [
        (1.0, 1.0, 3_000, True),
        (0.95, 0.6, 3_000, True),
        (0.6, 1.0, 3_000, False),
        (1.0, 0.2, 3_000, False),
        (1.0, 1.0, 20_000, False),
    ],
    ids=["it is", "nearly", "it waits", "none is idle", "little is left"],
)
def test_one_process_is_the_limit(busy: float, idle: float, done: int, expected: bool) -> None:
    machine = Machine()
    watching = machine.gauge(30_000)
    machine.passes(busy, idle)
    assert watching.shows_limit(done) is expected


def test_only_what_was_since_the_last_look_counts() -> None:
    machine = Machine()
    watching = machine.gauge(30_000)
    machine.passes(1.0, 1.0)
    assert watching.shows_limit(3_000)
    machine.passes(0.1, 1.9)
    assert not watching.shows_limit(6_000)
    machine.passes(1.0, 1.0)
    assert watching.shows_limit(9_000)


def test_nothing_is_done_yet() -> None:
    machine = Machine()
    watching = machine.gauge(30_000)
    machine.passes(1.0, 1.0)
    assert watching.shows_limit(0)


def test_a_container_of_one_processor_has_no_other() -> None:
    machine = Machine(allowed=1.5)
    watching = machine.gauge(30_000)
    machine.passes(1.0, 7.0)
    assert not watching.shows_limit(3_000)


def test_what_the_system_tells(tmp_path: Path) -> None:
    told = tmp_path / "stat"
    assert gauge.idle_s(told) == 0
    told.write_text("cpu  100 0 100 500 200 0 0 0 0 0\ncpu0 1 1 1 1 1\n")
    assert gauge.idle_s(told) == 700 / os.sysconf("SC_CLK_TCK")
    told.write_text("")
    assert gauge.idle_s(told) == 0
    assert gauge.idle_s() > 0


def test_what_a_container_may_use(tmp_path: Path) -> None:
    quota, all_of_them = tmp_path / "cpu.max", len(os.sched_getaffinity(0))
    assert gauge.allowed(quota) == all_of_them
    quota.write_text("max 100000\n")
    assert gauge.allowed(quota) == all_of_them
    quota.write_text("50000 100000\n")
    assert gauge.allowed(quota) == 0.5
