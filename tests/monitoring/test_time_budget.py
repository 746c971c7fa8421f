"""Hooks that hang, fail or lie cost a known time, and change nothing."""

import logging
import threading
from collections.abc import Iterator

import pytest

from bulk_sync.monitoring import time_budget
from bulk_sync.monitoring.run_end import HookFailed
from bulk_sync.monitoring.time_budget import TimeBudget

NEVER = threading.Event()


@pytest.fixture(autouse=True)
def _end_of_hanging_hooks() -> Iterator[None]:
    NEVER.clear()
    yield
    NEVER.set()


def hang() -> None:
    NEVER.wait()


def work() -> None:
    pass


def fail() -> None:
    raise HookFailed("It is closed.")


def lie() -> None:
    raise RuntimeError("https://example.com/secret")


def test_a_hanging_hook_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    assert not TimeBudget().spend("--ping", [hang], 0.01)
    assert "--ping: given up after 0.01 s." in caplog.text


def test_all_hooks_share_their_time(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 11.99, 11.99, 12.1])
    spent = TimeBudget(clock=lambda: next(times))
    assert time_budget.TOGETHER_S == 12
    assert spent.spend("--ping", [work], 5)
    assert spent.left_s == pytest.approx(0.01)
    assert not spent.spend("--notify", [hang], 5)
    assert "given up after 0.01 s" in caplog.text
    assert not spent.spend("--notify", [work], 5)
    assert "left out, because other hooks took all their time" in caplog.text


def test_one_of_several_hooks_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert TimeBudget().spend("--notify", [fail, work, lie], 5)
    assert "--notify: It is closed. The run is not affected." in caplog.text
    assert "--notify: RuntimeError. The run is not affected." in caplog.text
    assert "secret" not in caplog.text
