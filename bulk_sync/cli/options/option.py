"""The class of all options: click's, with what the rest of the program derives from it.

    Option(...) --.--> the flag, the variable, the name in the configuration file
                  |--> its place in the help, its row in the manual
                  '--> the record of a run, and what `resume` makes of it

No list of options stands anywhere else. ``run_options.py`` declares them.
"""

import re
from enum import Enum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import click
from click.core import ParameterSource

from bulk_sync.errors import UsageProblem


class Group(StrEnum):
    """The headings of the help, in this order."""

    INPUT = "Input"
    KEYS = "Keys"
    SAFETY = "Safety"
    APPROVAL = "Approval"
    PACE = "Pace"
    CONNECTION = "Connection"
    OUTPUT = "Output"
    MONITORING = "Monitoring"
    SCHEDULE = "Schedule"
    PAGE = "Page"


class Recorded(Enum):
    """What `resume`, `retry`, `undo` and `audit` do with an option of their run."""

    REPEATED = "they repeat it, unless it is given now"
    SEALED = "they repeat it, unless it is typed now: no variable loosens a limit of the run"
    ADDED = "they repeat it, and what is given now besides; a typed one takes its place"
    FIXED = "they repeat it, and refuse another value"
    SPENT = "they forget it: a budget is for one command"
    OWN = "they forget it: it is of one run alone"
    NEVER = "it is not recorded"


MASK: Final = "***"
"""What is shown in place of a secret."""

DECLARED: Final[list["Option"]] = []
"""Every option, in the order of declaration."""


class Option(click.Option):
    """An option, also read from a variable and from the configuration file.

    Args:
        usage: how it is typed: ``-n --dry-run``, ``--rate R``, or ``--report FILE ...`` if it can
            be repeated. Without a value or a type it is a flag.
        text: the help.
        group: the heading of the help.
        recorded: what later commands on the same run do with it.
        secret: its value is shown nowhere.
        attributes: what ``click.Option`` takes.
    """

    def __init__(
        self,
        usage: str,
        text: str,
        group: Group,
        *,
        recorded: Recorded = Recorded.REPEATED,
        secret: bool = False,
        **attributes: Any,
    ) -> None:
        flags = [word for word in usage.split() if word.startswith("-")]
        value = [word for word in usage.split() if word not in {*flags, "..."}]
        multiple = usage.endswith(" ...")
        self.flag = flags[-1].partition("/")[0]
        self.group, self.recorded, self.is_secret = group, recorded, secret
        super().__init__(
            flags,
            help=f"{text} Can be repeated." if multiple else text,
            envvar=variable(self.flag.removeprefix("--")),
            metavar=value[0] if value else None,
            is_flag=True if not value and "type" not in attributes else None,
            multiple=multiple,
            **{"show_default": "default" in attributes, **attributes},
        )
        DECLARED.append(self)

    @cached_property
    def key(self) -> str:
        """Return the name among parsed values, and in the record of a run."""
        return str(self.name)

    @property
    def is_of_input(self) -> bool:
        """Return whether it says how to read an input, or how to find its profiles."""
        is_one = self.group in {Group.INPUT, Group.KEYS}
        return is_one and self.recorded is Recorded.REPEATED

    @cached_property
    def absent(self) -> Any:
        """Return the value in a command without this option."""
        if self.multiple or self.is_flag:
            return () if self.multiple else False
        return self.default if isinstance(self.default, str | int | float) else None

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return what stands in brackets after the help; a default in words without parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra

    def words(self, value: object) -> list[str]:
        """Return the option with a value as both are typed; what may be secret is ``MASK``."""
        if self.is_flag:
            return [self.flag] if value else []
        values = value if self.multiple and isinstance(value, list | tuple) else [value]
        shown = [MASK if self._hides(each) else each for each in values]
        return [word for each in shown for word in pair(self.flag, each)]

    def _hides(self, value: object) -> bool:
        is_path = isinstance(value, Path)
        return self.is_secret or not (is_path or without_password(str(value)) == str(value))


def recorded(*how: Recorded) -> list[str]:
    """Return the names of the recorded options, of these kinds or of all."""
    wanted = how or set(Recorded) - {Recorded.NEVER}
    return [each.key for each in DECLARED if each.recorded in wanted]


def variable(name: str) -> str:
    """Return the variable of an option or secret: ``max-opt-ins``, ``BULK_SYNC_MAX_OPT_INS``."""
    return f"BULK_SYNC_{name.upper().replace('-', '_')}"


def without_password(word: str) -> str:
    """Return a text with ``***`` in place of the passwords of the URLs in it."""
    word = re.sub(r"(?<=://)([^:/?#\s]*):\S*@", r"\1:***@", word)
    word = re.sub(r"(?i)(https?://[^?#\s]*)[?#][^\s)]*", r"\1?***", word)
    return re.sub(r"(?i)(?<=[?&])(\w*(?:password|secret|token)\w*)=[^&#\s]*", r"\1=***", word)


def refuse_untyped(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Return a typed value, or none; raise UsageProblem if it came from anywhere else."""
    option, source = cast("Option", param), ctx.get_parameter_source(str(param.name))
    if source in {ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP}:
        raise UsageProblem(
            f"{option.flag} counts only if it is typed: else nobody would have looked at what it "
            f"lets pass. Take it out there, and type {option.flag} with each command."
        )
    return value


def pair(flag: str, value: object) -> list[str]:
    """Return an option and its value as words to type."""
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]
