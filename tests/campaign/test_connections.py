"""The limit of open files for the connections of a run."""

import subprocess
import sys

import orjson

_SCRIPT = """
import json, os, resource, sys
from bulk_sync.campaign.connections import allow_open_files
for soft, hard, connections in json.loads(sys.argv[1]):
    if not os.fork():  # a limit that was lowered cannot be raised again
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        allow_open_files(connections)
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
        os._exit(0)
    os.wait()
"""

ALLOWED = {(200, 2000, 64): 200, (200, 2000, 1000): 1128, (200, 400, 1000): 400, (60, 60, 64): 60}
"""Open files by soft limit, hard limit and connections wanted."""


def test_a_run_requests_as_many_open_files_as_it_needs_and_may_have() -> None:
    words = (sys.executable, "-c", _SCRIPT, orjson.dumps([*ALLOWED]))
    found = map(int, subprocess.check_output(words, text=True).split())
    assert dict(zip(ALLOWED, found, strict=True)) == ALLOWED
