"""Copies of a process with a loaded program: they begin at once, and behave like any other process.

Linux lets the process of the test adopt each copy, so that ``subprocess`` can wait for it.

python tests/copies.py WORD ...    carries a command out without a copy
"""

import asyncio
import atexit
import ctypes
import fcntl
import gc
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, NoReturn

import orjson

MOMENT: Final = "KILLED_AT"
"""The variable with the moment when a command is killed: see ``large_inputs``."""

NOW_S: Final = "NOW_S"
"""The variable with the time when a command begins."""

UNPRIVILEGED: Final = "UNPRIVILEGED"
"""The variable of a command that gives up root's rights: see ``unprivileged``."""

COMMAND: Final = "bulk_sync"
PARSER: Final = "bulk_sync.rows.parse.__main__"
MARKER: Final = "bulk_sync.report.marked.workbook"
"""Programs, by the module of their ``main``."""

_SET_CHILD_SUBREAPER: Final = 36
_LARGEST: Final = 1 << 17
_MOST_FILES: Final = 16
_ONE_AT_A_TIME: Final = threading.Lock()
_LOADED: Final[dict[str, socket.socket]] = {}


class Copied(subprocess.Popen[Any]):
    """A process of a program, copied from one that has loaded it."""

    _program = COMMAND

    def _execute_child(self, words: Sequence[Any], *given: Any) -> None:
        files, named = given[9:15], dict(zip(("folder", "environment"), given[4:6], strict=True))
        ours = (files[0], files[3], files[5])
        streams = [each if each >= 0 else number for number, each in enumerate(ours)]
        request = {
            "words": list(map(str, words)),
            "folder": str(named["folder"] or Path.cwd()),
            "environment": dict(named["environment"] or os.environ),
            "kept": list(given[3]),
            "is_session": given[20],
            "ignores_sighup": signal.getsignal(signal.SIGHUP) is signal.SIG_IGN,
        }
        self.pid = _started(self._program, request, [*streams, *given[3]])
        self._child_created = True
        self._close_pipe_fds(*files)  # type: ignore[attr-defined]


class Parsing(Copied):
    """A process for parsing a file."""

    _program = PARSER


class Instead(Copied):
    """A copy in place of a new process: the first three words would start the program."""

    def _execute_child(self, words: Sequence[Any], *given: Any) -> None:
        super()._execute_child(words[3:], *given)


async def start_awaited(*words: str, **given: Any) -> SimpleNamespace:
    """Start a process of the page, for a page that waits for its end."""
    process = Instead(words, **given)

    async def communicate() -> object:
        with process:
            return await asyncio.to_thread(process.communicate)

    return SimpleNamespace(communicate=communicate)


STARTED: Final[type["subprocess.Popen[Any]"]] = (
    Instead if sys.platform == "linux" else subprocess.Popen
)
"""A process of the program, a copy where that can be."""


class Marking(Copied):
    """A process for marking a workbook."""

    _program = MARKER


def run_copy(
    words: Sequence[Any],
    *,
    input: Any = None,  # noqa: A002
    kind: type[Copied] = Copied,
    **given: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a command, and return its output, as ``subprocess.run`` does."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with kind(words, **streams | given) as process:
        out, err = process.communicate(input)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def run_marker(words: Sequence[Any], *, env: Mapping[str, str], **given: Any) -> object:
    """Run the command that marks a workbook."""
    return run_copy(words, input=given["input"], kind=Marking, env=env)


def in_copies(module: ModuleType, **replaced: Callable[..., object]) -> SimpleNamespace:
    """Return the contents of a module, with some of them replaced."""
    return SimpleNamespace(**vars(module) | replaced)


def _started(program: str, request: Mapping[str, object], files: Collection[int]) -> int:
    """Start a copy with files as its standard streams, and others; return its process id."""
    control = ctypes.CDLL(None).prctl
    with _ONE_AT_A_TIME:
        if program not in _LOADED:
            _LOADED[program] = _loaded(program)
        loaded = _LOADED[program]
        control(_SET_CHILD_SUBREAPER, 1)
        try:
            socket.send_fds(loaded, [orjson.dumps(request)], files)
            return int(loaded.recv(_LARGEST))
        finally:
            control(_SET_CHILD_SUBREAPER, 0)


def _loaded(program: str) -> socket.socket:
    ours, theirs = _pair()
    with theirs:
        number = str(theirs.fileno())
        words = [sys.executable, __file__, "--copies", program, number]
        loaded = subprocess.Popen(words, pass_fds=[theirs.fileno()])

    def end() -> None:
        ours.close()
        loaded.wait()

    atexit.register(end)
    return ours


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
    return ours, theirs


def _load(program: str) -> Callable[[Sequence[str]], object]:
    """Import a program, and return a function that runs it with given words."""
    if program != COMMAND:
        module = __import__(program, fromlist=["main"])
        return lambda _: module.main()
    # The program sets it before it loads Arrow.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    for name in ("duckdb", "pandas", "uvloop", "bulk_sync.runs", "large_inputs", "time_machine"):
        __import__(name)
    from bulk_sync import cli  # noqa: PLC0415  # late: a parser has none of it

    cli.every_command()
    return carry_out


def copy_for(place: socket.socket, program: str) -> None:
    """Start a copy for each request; send its process id after its adoption."""
    carried_out = _load(program)
    gc.freeze()
    while True:
        message, files, _, _ = socket.recv_fds(place, _LARGEST, _MOST_FILES)
        if not message:
            return
        from_copy, to_us = os.pipe()
        if not (between := os.fork()):
            if copy := os.fork():
                os.write(to_us, str(copy).encode())
                os._exit(0)
            request = orjson.loads(message)
            _become(request, files)
            _end_with(carried_out, request["words"])
        os.waitpid(between, 0)
        place.send(os.read(from_copy, _LARGEST))
        for each in (from_copy, to_us, *files):
            os.close(each)


def _become(request: Mapping[str, Any], files: Sequence[int]) -> None:
    """Take over the files, the folder and the environment of a request."""
    numbers = [0, 1, 2, *request["kept"]]
    aside = [fcntl.fcntl(each, fcntl.F_DUPFD, max(numbers) + 1) for each in files]
    for number, file in zip(numbers, aside, strict=True):
        os.dup2(file, number)
    for number in {*map(int, os.listdir("/proc/self/fd"))} - {*numbers}:  # noqa: PTH208
        with suppress(OSError):  # the descriptor of the listing
            os.close(number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    if request["is_session"]:
        os.setsid()
        if sys.stdin.isatty():  # Ctrl-C there is a signal
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    on_hangup = signal.SIG_IGN if request["ignores_sighup"] else signal.SIG_DFL
    signal.signal(signal.SIGHUP, on_hangup)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])


def _end_with(work: Callable[[Sequence[str]], object], words: Sequence[str]) -> NoReturn:
    """Run the last work of this process."""
    status = 1
    try:
        work(words)
        status = 0
    except SystemExit as run_copy:
        status = run_copy.code if isinstance(run_copy.code, int) else 1
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


def carry_out(words: Sequence[str]) -> None:
    """Run the program, with the rights, at the time and until the moment in the environment."""
    import time_machine  # noqa: PLC0415
    import unprivileged  # noqa: PLC0415
    from large_inputs import killed_at  # noqa: PLC0415

    from bulk_sync import cli  # noqa: PLC0415

    if os.environ.pop(UNPRIVILEGED, ""):
        unprivileged.give_up_rights()
    if now_s := os.environ.pop(NOW_S, ""):
        time_machine.travel(float(now_s), tick=True).start()
    moment = os.environ.pop(MOMENT, "")
    if words[0] == "serve":
        _copy_processes_of_page()
    sys.argv = ["bulk-sync", *words]
    with killed_at(moment) if moment else nullcontext():
        cli.program()


def _copy_processes_of_page() -> None:
    """Start the processes of this page as copies of a copy of it, which ends with the page."""
    from bulk_sync.web import jobs  # noqa: PLC0415

    ours, theirs = _pair()
    if not os.fork():
        ours.close()
        copy_for(theirs, COMMAND)
        os._exit(0)
    theirs.close()
    _LOADED[COMMAND] = ours
    vars(jobs)["subprocess"] = in_copies(subprocess, Popen=Instead)
    vars(jobs)["asyncio"] = in_copies(asyncio, create_subprocess_exec=start_awaited)


if __name__ == "__main__":
    if sys.argv[1] == "--copies":
        copy_for(socket.socket(fileno=int(sys.argv[3])), sys.argv[2])
    else:
        carry_out(sys.argv[1:])
