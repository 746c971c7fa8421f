"""Page and runs are killed in the middle of a story; ``make torture`` does it more often."""

import socket
import subprocess
import threading
from pathlib import Path

import copies
import pytest
from page_people import Site, Target
from page_torture import Moment, play
from visitors import Unanswered, Visitor

from bulk_sync.simulator import Simulator


def test_nothing_is_lost_and_nothing_applied_twice_or_without_approval(tmp_path: Path) -> None:
    moments = [
        Moment(20, 0.03, Target.PAGE),
        Moment(20, 0.0, Target.RUN),
        Moment(30, 0.0, Target.BOTH),
    ]
    killer = play(tmp_path, moments, seed=7, popen=copies.STARTED)
    assert killer.kills.total() == 3


class Dying(subprocess.Popen[str]):
    """A page that answers no more, and is gone after the test has waited for it."""

    def __init__(self) -> None:
        super().__init__(["cat"], stdin=subprocess.PIPE, text=True)
        self.is_killed = threading.Event()

    def kill(self) -> None:
        self.is_killed.set()

    def wait(self, timeout: float | None = None) -> int:
        if threading.current_thread() is threading.main_thread():
            assert self.stdin is not None
            self.stdin.close()
        return super().wait(timeout)


def test_a_killed_page_is_started_again_once_it_is_gone(sim: Simulator, tmp_path: Path) -> None:
    dying = Dying()
    site = Site(sim, tmp_path, popen=copies.STARTED, _process=dying)
    killer = threading.Thread(target=site.kill, args=[Target.PAGE])
    killer.start()
    assert dying.is_killed.wait(60)
    try:
        site.replace()
        assert site._process is not dying
    finally:
        dying.wait()
        killer.join()
        site.end()


def test_a_visitor_gives_up_on_a_missing_answer_and_shows_the_stacks_of_threads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, Visitor() as visitor:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/runs?key=1"
        with pytest.raises(Unanswered, match=r"GET /runs: no answer within 0\.1 s\n") as given_up:
            visitor.get(url, timeout=0.1)
    assert "MainThread:" in str(given_up.value)
