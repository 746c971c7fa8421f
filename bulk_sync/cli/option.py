"""The class of all options: click's, with what the rest of the program derives from it.

    Option(...) --.--> the flag, the variable, the name in the configuration file
                  |--> its place in the help, its row in the manual
                  '--> the record of a run, and what `resume` makes of it

No list of options stands anywhere else. ``options.py`` declares them.
"""

import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from bulk_sync.errors import UsageProblem
from bulk_sync.remote import url

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZES: Final = ("", "K", "M", "G", "T")


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


NAME: Final = "NAME"
"""What suggested commands have in place of a person's name."""

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
        only_typed: a variable, or the configuration, is refused: a person means it each time.
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
        only_typed: bool = False,
        **attributes: Any,
    ) -> None:
        flags = [word for word in usage.split() if word.startswith("-")]
        value = [word for word in usage.split() if word not in {*flags, "..."}]
        multiple = usage.endswith(" ...")
        self.flag = flags[-1].partition("/")[0]
        self.group, self.recorded, self.is_secret = group, recorded, secret
        self.is_only_typed = only_typed
        super().__init__(
            flags,
            help=f"{text} Can be repeated." if multiple else text,
            envvar=variable(self.flag.removeprefix("--")),
            metavar=value[0] if value else None,
            is_flag=True if not value and "type" not in attributes else None,
            multiple=multiple,
            **{
                "show_default": "default" in attributes,
                "callback": _refuse_untyped if only_typed else None,
                **attributes,
            },
        )
        DECLARED.append(self)

    @property
    def key(self) -> str:
        """Return the name among parsed values, and in the record of a run."""
        return str(self.name)

    @property
    def is_of_input(self) -> bool:
        """Return whether it says how to read an input, or how to find its profiles."""
        is_one = self.group in {Group.INPUT, Group.KEYS}
        return is_one and self.recorded is Recorded.REPEATED

    @property
    def absent(self) -> Any:
        """Return the value in a command without this option."""
        if self.multiple or self.is_flag:
            return () if self.multiple else False
        return self.default if isinstance(self.default, str | int | float) else None

    @property
    def value_text(self) -> str:
        """Return what is typed after the flag, as the help has it."""
        context = click.Context(click.Command(None))
        return "" if self.is_flag else f" {self.make_metavar(context)}"

    @property
    def default_text(self) -> str:
        """Return the default as a person reads it."""
        if isinstance(self.show_default, str):
            return self.show_default
        if self.is_flag:
            return "off"
        return str(self.default) if self.show_default else ""

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return what stands in brackets after the help; a default in words without parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra

    def words(self, value: object) -> list[str]:
        """Return the option with a value as both are typed; passwords and secrets are masked."""
        if self.is_flag:
            return [self.flag] if value else []
        values = value if self.multiple and isinstance(value, list | tuple) else [value]
        if self.is_secret:
            values = [MASK] * len(values)
        return [word for each in values for word in _pair(self.flag, each)]


def choice(values: Iterable[str]) -> click.Choice[str]:
    """Return the type of an option with one of these values."""
    return click.Choice([str(each) for each in values])


class Duration(click.ParamType[float]):
    """A number of seconds, or ``90s``, ``30m``, ``2h``, ``1d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r}: write a number of seconds, or 90s, 30m, 2h, 1d.", param, ctx)
        return float(match[1]) * _UNITS_S[match[2]]


class Bytes(int):
    """A number of bytes; its text is the one typed."""

    text: str

    def __str__(self) -> str:
        return self.text


class Size(click.ParamType[int]):
    """A number of bytes, or ``500KB``, ``200MB``, ``1.5GB``, ``512MiB``.

    Args:
        least: the smallest one, as it is typed.
    """

    name = "size"

    def __init__(self, least: str = "1") -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        size = _bytes(str(value))
        if size is None or size < (_bytes(self._least) or 0):
            how = f"write a size such as 200MB, 1.5GB or 512MiB, at least {self._least}"
            self.fail(f"{value!r}: {how}.", param, ctx)
        found = Bytes(size)
        found.text = str(value)
        return found


class Name(click.ParamType[str]):
    """The name of a person."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, its words separated by one blank."""
        text = " ".join(str(value).split())
        if text in {"", NAME} or not text.isprintable():
            self.fail(f"{text!r} is nobody: write the name of a person.", param, ctx)
        return text


class InputName(click.ParamType[str]):
    """The name of an input; the secret parts of a URL are shown and recorded nowhere."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the name."""
        return url.source(str(value))


class ReportName(click.Path):
    """A file, or a URL; several of them in a variable have ``:`` between them."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the values of a variable. A ``:`` before ``//`` is part of a URL."""
        return re.split(rf"{os.pathsep}(?!//)", rv)


class WebAddress(click.ParamType[str]):
    """The URL of a web server; a message about it does not show it, since it may be a secret."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the URL."""
        text = str(value).strip()
        if not _is_web_address(text):
            self.fail("this is no URL; write it like https://hc-ping.com/UUID.", param, ctx)
        return text


class Row(NamedTuple):
    """A row of the manual's table of options."""

    flag: str
    variable: str
    default: str
    meaning: str
    group: Group
    commands: tuple[str, ...]


def rows(commands: Mapping[str, click.Command]) -> list[Row]:
    """Return every option as a row of the manual, by group, then in the order of declaration.

    Args:
        commands: by their full names, such as ``ledger verify``; ``cli.commands()`` has them.
    """
    having = [
        (option, tuple(name for name, command in commands.items() if option in command.params))
        for option in sorted(DECLARED, key=lambda option: list(Group).index(option.group))
    ]
    return [
        Row(
            flag=", ".join(option.opts) + option.value_text,
            variable="" if option.is_only_typed else str(option.envvar),
            default=option.default_text,
            meaning=str(option.help),
            group=option.group,
            commands=names,
        )
        for option, names in having
    ]


def recorded(*how: Recorded) -> list[str]:
    """Return the names of the recorded options, of these kinds or of all."""
    wanted = how or set(Recorded) - {Recorded.NEVER}
    return [each.key for each in DECLARED if each.recorded in wanted]


def names(options: Iterable[Option]) -> list[str]:
    """Return the names of these options."""
    return [each.key for each in options]


def variable(name: str) -> str:
    """Return the variable of an option or secret: ``max-opt-ins``, ``BULK_SYNC_MAX_OPT_INS``."""
    return f"BULK_SYNC_{name.upper().replace('-', '_')}"


def without_password(word: str) -> str:
    """Return a text with ``***`` in place of the passwords of the URLs in it."""
    word = re.sub(r"(?<=://)([^:/?#\s]*):\S*@", r"\1:***@", word)
    word = re.sub(r"(?i)(https?://[^?#\s]*)[?#][^\s)]*", r"\1?***", word)
    return re.sub(r"(?i)(?<=[?&])(\w*(?:password|secret|token)\w*)=[^&#\s]*", r"\1=***", word)


def _bytes(text: str) -> int | None:
    """Parse a size; return None if it is none. ``MB`` and ``M`` are millions, ``MiB`` is 2**20."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?))?B?", text.strip().upper())
    if match is None:
        return None
    base = 1024 if match[3] else 1000
    return int(Decimal(match[1]) * base ** _SIZES.index(match[2] or ""))


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    is_alone = not parts.fragment and parts.username is None
    return is_plain and is_alone and has_host and parts.scheme in {"http", "https"}


def _refuse_untyped(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Return a typed value, or none; raise UsageProblem if it came from anywhere else."""
    option, source = cast("Option", param), ctx.get_parameter_source(str(param.name))
    if source in {ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP}:
        raise UsageProblem(
            f"{option.flag} counts only if it is typed: else nobody would have looked at what it "
            f"lets pass. Take it out there, and type {option.flag} with each command."
        )
    return value


def _pair(flag: str, value: object) -> list[str]:
    text = str(value) if isinstance(value, Path) else without_password(str(value))
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]
