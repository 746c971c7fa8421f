"""The program without root's right to pass over the permissions of files, which tests may have."""

import os
import shutil
import sys

import pytest


def program() -> tuple[str, ...]:
    """Return the words that start it; skip the test where root cannot give up that right."""
    words = (sys.executable, "-m", "bulk_sync")
    if os.getuid() != 0:
        return words
    drop = shutil.which("setpriv")
    if drop is None:
        pytest.skip("root cannot give up its rights here")
    return (drop, "--bounding-set", "-dac_override,-dac_read_search", *words)
