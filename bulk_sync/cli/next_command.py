"""Builds the commands that messages suggest next, from what click parsed, quoted for a shell.

    what was typed --Typed--> its options, by name --suggested--> bulk-sync COMMAND ARGUMENT ...

Options from variables, the configuration and defaults are not repeated: they hold for the next
command too.
"""

import re
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from bulk_sync.cli.config import path_of

WHERE: Final = ("state_dir", "ledger", "config")
"""Options that say where a run is kept: the next command needs them too."""


class Typed:
    """The options of one command line, as they can be typed again.

    Args:
        context: of the command, after its options were parsed.

    Attributes:
        command: the command's name.
    """

    def __init__(self, context: click.Context) -> None:
        self.command = context.command.name
        self._words: dict[str, list[str]] = {}
        self._repeatable: set[str] = set()
        values = {**context.params, "config": path_of(context)}
        for param in context.command.params:
            name = str(param.name)
            source = context.get_parameter_source(name)
            if isinstance(param, click.Option) and source is ParameterSource.COMMANDLINE:
                self._words[name] = _words(param, values[name])
                if param.multiple:
                    self._repeatable.add(name)

    def words(self, names: Iterable[str], instead: Collection[str] = ()) -> list[str]:
        """Return some options as they are typed, those that were.

        Args:
            names: of the options.
            instead: an option and its value that take the place of what was typed of it.
        """
        replaced = {word.removeprefix("--").replace("-", "_") for word in instead}
        replaced -= self._repeatable
        wanted = set(names) - replaced
        kept = (words for name, words in self._words.items() if name in wanted)
        return [word for words in kept for word in words] + list(instead)

    def words_without(self, names: Collection[str], instead: Collection[str] = ()) -> list[str]:
        """Return all options but some; otherwise as ``words``."""
        return self.words(self._words.keys() - set(names), instead)


def suggested(command: str, argument: str, options: Iterable[str]) -> str:
    """Return a command as a person types it."""
    words = ["bulk-sync", command, argument, *options]
    if argument.startswith("-") and argument != "-":  # else it would be taken for an option
        words = ["bulk-sync", command, *options, "--", argument]
    return shlex.join(words)


def without_password(word: str) -> str:
    """Return a text with ``***`` in place of the passwords of the URLs in it."""
    word = re.sub(r"(?<=://)([^:/?#\s]*):\S*@", r"\1:***@", word)
    return re.sub(r"(?i)(?<=[?&])(\w*(?:password|secret|token)\w*)=[^&#\s]*", r"\1=***", word)


def _words(option: click.Option, value: object) -> list[str]:
    """Return an option with its value as it is typed."""
    flag = next(name for name in option.opts if name.startswith("--"))
    if option.is_flag:
        return [flag]
    if option.multiple and isinstance(value, list | tuple):
        return [word for each in value for word in pair(flag, each)]
    return pair(flag, value)


def pair(flag: str, value: object) -> list[str]:
    """Return an option that takes a value with its value, as both are typed."""
    text = str(value) if isinstance(value, Path) else without_password(str(value))
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]
