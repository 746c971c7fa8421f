"""The number of connections that the system allows."""

import subprocess
import sys

import orjson

_SCRIPT = """
import json, os, resource, sys
from bulk_sync.campaign.connections import room_for
for soft, hard, wanted in json.loads(sys.argv[1]):
    if not os.fork():  # a limit that was lowered cannot be raised again
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(room_for(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
        os._exit(0)
    os.wait()
"""

ROOM = {
    (200, 2000, 64): 64,
    (200, 2000, 1000): 1000,
    (200, 400, 1000): 272,
    (60, 60, 64): 1,
}
"""Connections by soft limit, hard limit and number wanted."""


def test_connections_stay_within_the_open_files_of_the_system() -> None:
    words = (sys.executable, "-c", _SCRIPT, orjson.dumps([*ROOM]))
    numbers = [line.split() for line in subprocess.check_output(words, text=True).splitlines()]
    assert [int(room) for room, _ in numbers] == list(ROOM.values())
    for (_, hard, _), (_, limit) in zip(ROOM, numbers, strict=True):
        assert int(limit) <= hard
