"""The program without root's right to pass over the permissions of files, which tests may have."""

import os
import sys

_DROP = """import ctypes, os, sys

libc = ctypes.CDLL(None, use_errno=True)
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.prctl(24, right, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit(f"root cannot give up its rights: {os.strerror(ctypes.get_errno())}")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def program() -> tuple[str, ...]:
    """Return the words that start it."""
    words = ("-m", "bulk_sync")
    return (sys.executable, *words) if os.getuid() else (sys.executable, "-c", _DROP, *words)
