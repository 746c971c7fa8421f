"""Secrets on the command line, where none belongs: others can see it, and words are stored."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from bulk_sync.cli import config
from bulk_sync.cli.option import MASK, variable

_CREDENTIALS: Final = ("access_token", "client_secret")

_LEAST: Final = 20
"""A shorter secret may be a part of any word, as of a simulator; Adobe's have some 30 and more."""


def masked(words: Iterable[str]) -> tuple[list[str], str]:
    """Return words without the secrets that variables hold, and the variable of one; "" if none."""
    typed, found = list(words), ""
    if typed[:1] == ["simulate"]:  # its options are the secrets of its clients
        return typed, ""
    for name, secret in _of_variables():
        if len(secret) >= _LEAST and any(secret in word for word in typed):
            typed, found = [word.replace(secret, MASK) for word in typed], name
    return typed, found


def place_of_secret(flag: str) -> str:
    """Return, as a further sentence, where a secret belongs that is no option; "" for others."""
    name = flag.removeprefix("--").replace("-", "_")
    if name not in config.NEVER_TYPED:
        return ""
    return (
        " Others can see a command line, so a secret is never typed: put it into "
        f"{variable(name)}, or into a file that {variable(f'{name}_file')} names."
    )


def _of_variables() -> Iterator[tuple[str, str]]:
    """Yield each secret with the variable that holds it, or that names its file."""
    for name in _CREDENTIALS:
        direct, through = variable(name), variable(f"{name}_file")
        if secret := os.environ.get(direct, "").strip():
            yield direct, secret
        elif path := os.environ.get(through, ""):
            with suppress(OSError, ValueError, RuntimeError):  # the command explains them
                file = Path(path).expanduser()
                if file.is_file():  # a pipe can be read once, which the command does
                    yield through, file.read_text("utf-8-sig").strip()
