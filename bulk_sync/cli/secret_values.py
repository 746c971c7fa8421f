"""Secrets: a variable, or a file that it names, or either in the configuration.

A secret is never typed, except for the URLs of hooks.
"""

import os
from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import config
from bulk_sync.cli.option import Option, variable
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Secret


def secret(name: str) -> Secret | None:
    """Find a secret: the variable, the file named by it, then the same two in the config."""
    text = secret_text(name)
    return None if text is None else Secret(text)


def urls_of_hook(option: Option, given: Any) -> list[str]:
    """Return the URLs of a hook: those given, or the lines of its file.

    A file that a variable names takes the place of URLs in the configuration.
    """
    source = click.get_current_context().get_parameter_source(option.key)
    if not given or (source not in config.GIVEN and variable(f"{option.key}_file") in os.environ):
        lines = map(str.strip, (secret_text(option.key) or "").splitlines())
        given = [
            option.type.convert(line, option, None) for line in lines if line and line[0] != "#"
        ]
    return [given] if isinstance(given, str) else list(given)


def secret_text(name: str) -> str | None:
    """Find the text of a secret, whatever characters it holds."""
    configured = config.at_hand(click.get_current_context())
    for values, direct, through in (
        (os.environ, variable(name), variable(f"{name}_file")),
        (configured, name, f"{name}_file"),
    ):
        if value := values.get(direct):
            return str(value).strip()
        if path := values.get(through):
            try:
                return Path(str(path)).expanduser().read_text("utf-8-sig").strip()
            except (OSError, UnicodeDecodeError, RuntimeError) as error:  # the last of ~
                why = error.strerror if isinstance(error, OSError) else None
                raise UsageProblem(
                    f"{through} names the file {str(path)!r}, which cannot be read: "
                    f"{why or error}. Correct the path, or write the file."
                ) from error
    return None
