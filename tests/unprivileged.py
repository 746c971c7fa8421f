"""The program without root's right to pass over the permissions of files, which tests may have."""

import ctypes
import os
import subprocess
import sys
from typing import Any, Final

import copies

_DROP = """import ctypes, os, sys

libc = ctypes.CDLL(None, use_errno=True)
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.prctl(24, right, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit(f"root cannot give up its rights: {os.strerror(ctypes.get_errno())}")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

_VERSION_3: Final = 0x20080522
_KEPT: Final = 0xFFFF_FFFF & ~(1 << 1 | 1 << 2)
"""All rights but those two."""


def program() -> tuple[str, ...]:
    """Return the words that start it."""
    words = ("-m", "bulk_sync")
    return (sys.executable, *words) if os.getuid() else (sys.executable, "-c", _DROP, *words)


def run_copy(*words: str, **given: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command in a copied process; return its output."""
    given["env"] = given.get("env", os.environ) | {copies.UNPRIVILEGED: "1"}
    return copies.run_copy(words, text=True, **given)


def give_up_rights() -> None:
    """Take these rights from this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, rights = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    failed = libc.capget(header, rights)
    rights[0], rights[1] = rights[0] & _KEPT, rights[1] & _KEPT  # effective, permitted
    if failed or libc.capset(header, rights):
        raise OSError(ctypes.get_errno(), "root cannot give up its rights")
