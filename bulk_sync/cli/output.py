"""What a command prints, even where no reader is left.

A run goes on without a reader (``| head``), on a full disk or a closed stream: the report counts.
"""

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from threading import Event
from types import MappingProxyType
from typing import Final, TextIO

import click

log = logging.getLogger(__name__)

LOST: Final = Event()
"""Set once standard output could not be written, and not because its reader has gone."""

_MODES: Final = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY, "stderr": os.O_WRONLY}


def say(text: str, *, err: bool = False) -> None:
    """Print a line on standard output or error; give the stream up after a failure."""
    try:
        click.echo(text.encode("utf-8", "replace").decode(), err=err)
    except OSError as error:
        lost(sys.stderr if err else sys.stdout, error)


def lost(stream: TextIO, error: OSError) -> None:
    """Close a stream after a failed write, and warn if it is standard output."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if stream is sys.stdout and not isinstance(error, BrokenPipeError):  # a reader's own wish
        LOST.set()
        log.warning("The output could not be written: %s.", error.strerror)


def say_error(message: str, facts: Mapping[str, object] = MappingProxyType({})) -> None:
    """Print on standard error why a command failed, in the form of the log; JSON has the facts."""
    for handler in logging.getLogger().handlers:
        if getattr(handler.formatter, "is_json", False):
            log.error("%s", message, extra={"facts": facts})
            return
    say(f"bulk-sync: {message}", err=True)


def say_json(value: object) -> None:
    """Print a value as one line of JSON."""
    # Not orjson: it refuses a file name that is no text. ``say`` makes it legible.
    say(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def open_streams() -> None:
    """Open each missing standard stream to nowhere; the others write what they can.

    Without that a terminal that lacks a letter of a name would end a run in its middle.
    """
    for name, mode in _MODES.items():
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, mode), "r" if not mode else "w"))
        elif mode and isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def laid_out(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text below their names, in columns."""
    table = [names, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def one_line(value: object) -> str:
    """Return a value as one line, without what would change a terminal."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "" if value is None else str(value)
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
