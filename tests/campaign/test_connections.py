"""How many connections the system lets be open."""

import subprocess
import sys

import pytest

_TELL = (
    "import resource; from bulk_sync.campaign.connections import room_for; "
    "resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
    "print(room_for({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room"),
    [(200, 2000, 64, 64), (200, 2000, 1000, 1000), (200, 400, 1000, 272), (60, 60, 64, 1)],
    ids=["enough", "more is had", "as far as the system lets", "hardly any"],
)
def test_connections_stay_within_the_open_files_of_the_system(
    soft: int, hard: int, wanted: int, room: int
) -> None:
    words = _TELL.format(soft=soft, hard=hard, wanted=wanted)
    told = subprocess.check_output([sys.executable, "-c", words], text=True)
    found, limit = map(int, told.split())
    assert found == room
    assert limit <= hard
