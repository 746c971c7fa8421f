"""Secrets: read from where they lie, and refused on the command line.

Others can see a command line, and its words are stored.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from bulk_sync.cli.options import config_file
from bulk_sync.cli.options.config import Configuration
from bulk_sync.cli.options.config_file import FILE, NEVER_TYPED
from bulk_sync.cli.options.option import MASK, variable
from bulk_sync.errors import UsageProblem

_CREDENTIALS: Final = ("access_token", "client_secret")

_LEAST: Final = 20
"""A shorter secret may be a part of any word, as of a simulator; Adobe's have some 30 and more."""


def secret(name: str) -> str | None:
    """Find a secret: its variable, the file named by another, then the same two in the file.

    Raises:
        UsageProblem: the file cannot be read.
    """
    found, file = Configuration.current(click.get_current_context()), f"{name}_file"
    in_file = f"{found.path}: {file.replace('_', '-')}"
    for values, direct, through, place in (
        (os.environ, variable(name), variable(file), variable(file)),
        (found.values, name, file, in_file),
    ):
        if value := values.get(direct):
            return str(value).strip()
        if path := values.get(through):
            try:
                return _read(str(path))
            except (OSError, UnicodeDecodeError, RuntimeError) as error:  # the last of ~
                why = error.strerror if isinstance(error, OSError) else str(error)
                if isinstance(error, UnicodeDecodeError):  # whose text quotes the secret
                    why = "it is no UTF-8 text"
                raise UsageProblem(
                    f"{place} names the file {str(path)!r}, which cannot be read: {why}. Correct "
                    "the path, or write the file."
                ) from None
    return None


def masked(words: Iterable[str]) -> tuple[list[str], str]:
    """Return words without the secrets that lie elsewhere, and the place of one; "" if none."""
    typed, found = list(words), ""
    if typed[:1] == ["simulate"]:  # its options are the secrets of its clients
        return typed, ""
    for place, value in _held(typed):
        if len(value) >= _LEAST and any(value in word for word in typed):
            typed, found = [word.replace(value, MASK) for word in typed], place
    return typed, found


def place_of_secret(flag: str) -> str:
    """Return, as a further sentence, where a secret belongs that is no option; "" for others."""
    name = flag.removeprefix("--").replace("-", "_")
    if name not in NEVER_TYPED:
        return ""
    return (
        " Others can see a command line, so a secret is never typed: put it into "
        f"{variable(name)}, or into a file that {variable(f'{name}_file')} names."
    )


def _held(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each secret with its place: a variable, or a line of the configuration file."""
    prefix, path = variable(""), _configuration(words)
    variables = {
        name.removeprefix(prefix).lower(): value
        for name, value in os.environ.items()
        if name.startswith(prefix)
    }
    for values, place in ((variables, variable), (_values_in(path), f"{path}: {{}}".format)):
        for name in _CREDENTIALS:
            through = f"{name}_file"
            if value := values.get(name, "").strip():
                yield place(name), value
            elif file := values.get(through):
                with suppress(OSError, ValueError, RuntimeError):  # the command explains them
                    if Path(file).expanduser().is_file():  # a pipe is read once, by the command
                        yield place(through), _read(file)


def _configuration(words: Sequence[str]) -> Path:
    """Return the configuration file that words name, or a variable, or the usual one."""
    flag = "--config"
    named = [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
    named += [word for before, word in pairwise(words) if before == flag]
    return Path(next(iter(named), os.environ.get(variable("config"), FILE)))


def _values_in(path: Path) -> dict[str, str]:
    with suppress(OSError, UsageProblem):  # the command explains them
        if path.is_file():
            values, _ = config_file.read(path)
            return {name.replace("-", "_"): str(value) for name, value in values.items()}
    return {}


def _read(path: str) -> str:
    return Path(path).expanduser().read_text("utf-8-sig").strip()
