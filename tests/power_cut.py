"""A disk that can lose its power: the files that would be left of a command at any moment.

    python tests/power_cut.py ROOT SYNCS COMMAND ...    runs the program, and keeps its syncs under
                                                        ROOT in the folder SYNCS
    Disk(root, syncs).after_power_cut(moment, ...)      rebuilds ROOT as it would be afterwards

The recorder is loaded before the program and replaces ``os.fsync`` and the sync of SQLite's own
layer over the operating system (its VFS, reached by ctypes). At each sync it keeps a copy: of the
content of a file in the kernel, or of the names in a folder. Everything else is lost, so a missing
flush, fsync, folder sync or ``synchronous=FULL`` is a file that is empty, old, or missing. It needs
no privileges, no compiler and no file system of its own; strace shows the same order of syncs.

Disks lose names in two ways, and a program has to survive both: POSIX promises a new or changed
name only after a sync of its folder (``LATE``); file systems with a journal often write names
first, of files whose data is still missing (``EARLY``).
"""

import _sqlite3
import ctypes
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Final

import orjson

LOG: Final = "log.jsonl"

ALIVE: Final[list[object]] = []
"""The functions that SQLite calls back; they must live as long as the program."""

_XSYNC: Final = 5
"""The index of xSync in sqlite3_io_methods: after the version, xClose, xRead, xWrite, xTruncate."""

_METHODS: Final = 19
"""Members of sqlite3_io_methods, the version among them; each takes the room of a pointer."""

_OPEN_JOURNAL: Final = 0x0800 | 0x80000
"""SQLITE_OPEN_MAIN_JOURNAL and SQLITE_OPEN_WAL."""


class Names(Enum):
    """The time when a new name of a file is on the disk."""

    LATE = "names count when their folder is synced"
    EARLY = "names count at once"


class Recorder:
    """Copies of everything synced below a folder."""

    def __init__(self, root: Path, syncs: Path) -> None:
        self._root = root
        self._syncs = syncs
        self._log = os.open(syncs / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._turn = threading.RLock()
        # A file that is open keeps its number. And closing one of SQLite's would free its locks.
        self._open: dict[int, int] = {}
        self._count = 0
        for path in [root, *sorted(root.rglob("*"))]:
            self.sync(path)

    def fsync(self, descriptor: int) -> None:
        """Sync a file, and keep a copy: the replacement of ``os.fsync``."""
        number = os.fstat(descriptor).st_ino
        for path in [self._root, *self._root.rglob("*")]:
            if path.stat().st_ino == number:
                self.sync(path)

    def sync(self, path: Path) -> None:
        """Keep a copy of a file, or the names in a folder."""
        if not path.is_relative_to(self._root):
            return
        with self._turn:
            is_folder = path.is_dir()
            number = path.stat().st_ino
            self._count += 1
            if not is_folder:
                self._keep(path, number)
            line = {"number": number, "is_folder": is_folder, "tree": self._tree()}
            os.write(self._log, orjson.dumps(line, option=orjson.OPT_NON_STR_KEYS) + b"\n")

    def _keep(self, path: Path, number: int) -> None:
        if number not in self._open:
            self._open[number] = os.open(path, os.O_RDONLY)
        size = os.fstat(self._open[number]).st_size
        content = os.pread(self._open[number], size, 0)
        (self._syncs / str(self._count)).write_bytes(content)

    def _tree(self) -> dict[int, dict[str, tuple[int, bool]]]:
        """Return the names in every folder: the number of each, and whether it is a folder."""
        folders = [self._root, *(path for path in self._root.rglob("*") if path.is_dir())]
        tree: dict[int, dict[str, tuple[int, bool]]] = {}
        for folder in folders:
            names = tree[folder.stat().st_ino] = {}
            for each in os.scandir(folder):
                found = each.stat(follow_symlinks=False)
                names[each.name] = (found.st_ino, S_ISDIR(found.st_mode))
        return tree


@dataclass
class Disk:
    """The copies of a recorder, and the files that a power cut would leave."""

    root: Path
    syncs: Path
    lines: list[Any] = field(default_factory=list)

    def moment(self) -> int:
        """Return the number of syncs so far, also while the program runs."""
        try:
            return (self.syncs / LOG).read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def after_power_cut(self, moment: int, names: Names, into: Path) -> Path:
        """Rebuild the folder as it would be after a power cut at a moment."""
        if len(self.lines) < moment:
            text = (self.syncs / LOG).read_bytes()
            self.lines = [orjson.loads(line) for line in text.splitlines()]
        contents: dict[int, Path] = {}
        folders: dict[int, dict[str, tuple[int, bool]]] = {}
        for count, line in enumerate(self.lines[:moment], 1):
            number = line["number"]
            if line["is_folder"]:
                folders[number] = line["tree"][str(number)]
            else:
                contents[number] = self.syncs / str(count)
        if names is Names.EARLY:  # the state before the next sync
            last = self.lines[min(moment, len(self.lines) - 1)]
            folders = {int(number): entries for number, entries in last["tree"].items()}
        shutil.rmtree(into, ignore_errors=True)
        self._rebuild(self.root.stat().st_ino, into, contents, folders)
        return into

    def _rebuild(
        self,
        number: int,
        into: Path,
        contents: dict[int, Path],
        folders: dict[int, dict[str, tuple[int, bool]]],
    ) -> None:
        into.mkdir()
        for name, (each, is_folder) in folders.get(number, {}).items():
            if is_folder:
                self._rebuild(each, into / name, contents, folders)
            elif each in contents:
                shutil.copyfile(contents[each], into / name)
            else:
                (into / name).touch()


def record(recorder: Recorder) -> None:
    """Replace the two ways to sync a file by a recorder."""
    os.fsync = recorder.fsync  # type: ignore[assignment]
    os.fdatasync = recorder.fsync  # type: ignore[assignment]
    connect = sqlite3.connect

    def connected(*given: Any, **named: Any) -> sqlite3.Connection:
        found: sqlite3.Connection = connect(*given, **named)
        # As on builds of SQLite that sync less by default; Apple's is one.
        found.execute("PRAGMA synchronous=NORMAL")
        return found

    sqlite3.connect = connected  # type: ignore[assignment]
    _record_sqlite(recorder.sync)


class _File(ctypes.Structure):
    """The beginning of SQLite's sqlite3_file."""

    _fields_ = [("methods", ctypes.POINTER(ctypes.c_void_p))]


_Open = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.POINTER(_File),
    ctypes.c_int,
    ctypes.c_void_p,
)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_File), ctypes.c_int)


class _Vfs(ctypes.Structure):
    """SQLite's sqlite3_vfs, as far as xOpen."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("size", ctypes.c_int),
        ("longest", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", _Open),
    ]


def _record_sqlite(sync: Callable[[Path], None]) -> None:
    """Make SQLite call back at each sync of a file."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    open_before = _Open(ctypes.cast(vfs.open, ctypes.c_void_p).value or 0)

    def opened(its: int, name: int, file: Any, flags: int, out: int) -> int:
        status = open_before(its, name, file, flags, out)
        if status == 0 and name:
            file.contents.methods = watched(file.contents.methods, name, flags)
        return int(status)

    def watched(before: Any, name: int, flags: int) -> Any:
        path = Path(os.fsdecode(ctypes.string_at(name)))
        methods = (ctypes.c_void_p * _METHODS)(*before[:_METHODS])
        is_first = True

        def synced(_file: Any, _flags: int) -> int:
            nonlocal is_first
            sync(path)
            if is_first and flags & _OPEN_JOURNAL:  # SQLite syncs the folder with it, once
                sync(path.parent)
            is_first = False
            return 0

        called = _Sync(synced)
        methods[_XSYNC] = ctypes.cast(called, ctypes.c_void_p).value
        ALIVE.extend([methods, called])
        return ctypes.cast(methods, ctypes.POINTER(ctypes.c_void_p))

    vfs.open = callback = _Open(opened)
    ALIVE.extend([open_before, callback])


def main() -> None:
    root, syncs = map(Path, sys.argv[1:3])
    syncs.mkdir()
    record(Recorder(root, syncs))
    # Imported late: the program must bind the recorder's functions.
    from bulk_sync.cli import program  # noqa: PLC0415

    sys.argv[1:3] = []
    program()


if __name__ == "__main__":
    main()
