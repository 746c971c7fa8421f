"""Page and runs are killed in the middle of a story; ``make torture`` does it more often."""

from pathlib import Path

from page_people import Target
from page_torture import Moment, play


def test_nothing_is_lost_and_nothing_applied_twice_or_without_approval(tmp_path: Path) -> None:
    moments = [
        Moment(20, 0.03, Target.PAGE),
        Moment(20, 0.0, Target.RUN),
        Moment(30, 0.0, Target.BOTH),
    ]
    killer = play(tmp_path, moments, seed=7)
    assert killer.kills.total() == 3
