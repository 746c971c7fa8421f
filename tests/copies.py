"""Copies of a process that has the program loaded: they begin at once, and are like any other.

Linux lets the process of the test adopt each copy, so that ``subprocess`` can wait for it.

python tests/copies.py WORD ...    carries a command out without a copy
"""

import atexit
import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from large_inputs import killed_at

from bulk_sync import cli

MOMENT: Final = "KILLED_AT"
"""Name in the environment of the moment when a command is killed: see ``large_inputs``."""

_SET_CHILD_SUBREAPER: Final = 36
_ENVIRONMENT: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What the program sets before it loads Arrow."""


def copied(words: Sequence[str], folder: Path, environment: Mapping[str, str], stderr: int) -> int:
    """Start a command in a copy, with a file as its standard error, and return its number."""
    loaded, control = _loaded(), ctypes.CDLL(None).prctl
    assert loaded.stdin is not None
    assert loaded.stdout is not None
    path = f"/proc/{os.getpid()}/fd/{stderr}"
    control(_SET_CHILD_SUBREAPER, 1)
    try:
        loaded.stdin.write(orjson.dumps([words, str(folder), environment, path]) + b"\n")
        loaded.stdin.flush()
        return int(loaded.stdout.readline())
    finally:
        control(_SET_CHILD_SUBREAPER, 0)


@cache
def _loaded() -> subprocess.Popen[bytes]:
    loaded = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ENVIRONMENT,
    )
    atexit.register(loaded.communicate)
    return loaded


def main() -> None:
    """Start a copy for each line of standard input; print its number when it is adopted."""
    for name in ("duckdb", "pandas", "uvloop", "bulk_sync.runs"):
        __import__(name)
    cli.commands()
    for line in sys.stdin.buffer:
        words, folder, environment, path = orjson.loads(line)
        stderr = os.open(path, os.O_WRONLY)
        if not (between := os.fork()):
            if copy := os.fork():
                os.write(1, str(copy).encode())
                os._exit(0)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number, file in enumerate((nowhere, nowhere, stderr)):
                os.dup2(file, number)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            carry_out(words)
        os.waitpid(between, 0)
        os.close(stderr)
        print(flush=True)


def carry_out(words: Sequence[str]) -> None:
    """Be the program, until a moment if the environment names one."""
    moment = os.environ.pop(MOMENT, "")
    sys.argv = ["bulk-sync", *words]
    with killed_at(moment) if moment else nullcontext():
        cli.program()


if __name__ == "__main__":
    carry_out(sys.argv[1:]) if sys.argv[1:] else main()
