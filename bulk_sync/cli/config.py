"""Where values come from beside the command line: the configuration file, and secrets.

A secret is never an option: a variable, or the file that it names, or either in the configuration.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

import click

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Secret

CONFIG: Final = "bulk-sync.toml"
_PATH: Final = f"{__name__}.path"
SECRETS: Final = ("access_token", "client_secret", "ledger")
"""What may also lie in a file of its own, which ``NAME_file`` names."""


@dataclass
class Invocation:
    """One call of the program, shared by all who handle it.

    Attributes:
        words: the words of the command line, without the program's name.
        is_quiet: whether what is neither the answer nor a warning is to be left out.
        has_begun: whether a command is at work; before that, only help is printed.
    """

    words: list[str]
    is_quiet: bool = False
    has_begun: bool = False

    @property
    def wants_json(self) -> bool:
        """Whether the summary, also that of an error, is to be JSON."""
        return self._value("summary") == "json"

    @property
    def logs_json(self) -> bool:
        """Whether the log is to be JSON."""
        return self._value("log-format") == "json"

    def _value(self, name: str) -> object:
        """Tell the value of an option though what was asked may make no sense as a whole.

        The command line comes first, then the variable, then the configuration file.
        """
        typed = _typed(self.words, name)
        if typed is not None:
            return typed
        if value := os.environ.get(variable(name)):
            return value
        path = _typed(self.words, "config") or os.environ.get(variable("config")) or CONFIG
        try:
            values = tomllib.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return values.get(name, values.get(name.replace("-", "_")))


def _typed(words: Sequence[str], name: str) -> str | None:
    """Tell what the command line says last of an option; None if it does not mention it."""
    found = None
    for word, following in pairwise([*words, ""]):
        if word == f"--{name}":
            found = following
        elif word.startswith(f"--{name}="):
            found = word.partition("=")[2]
    return found


def variable(name: str) -> str:
    """Tell the variable of an option or secret: ``max-opt-ins`` is ``BULK_SYNC_MAX_OPT_INS``."""
    return f"BULK_SYNC_{name.upper().replace('-', '_')}"


def load(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Use the configuration file's values as defaults of the options.

    Raises:
        UsageProblem: the file is wrong, or there is no working directory to look for one in.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise UsageProblem(
            "The working directory cannot be read. Perhaps it was removed. Change to a folder "
            "that exists (cd), and call the command again."
        ) from error
    if path is None:
        path = Path(CONFIG)
        if not path.is_file():
            return None
    ctx.meta[_PATH] = path
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"{path}: {error}.") from error
    named = {name.replace("-", "_"): value for name, value in values.items()}
    known = _known_options(ctx, named)
    for name, value in named.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {close[0].replace('_', '-')}?" if close else ""
            raise UsageProblem(f"{path}: there is no option {name.replace('_', '-')!r}.{hint}")
        named[name] = _checked(f"{path}: {name.replace('_', '-')}", value, known[name])
    ctx.default_map = {**named, **(ctx.default_map or {})}
    ctx.meta[__name__] = named
    return path


def path_of(ctx: click.Context) -> Path | None:
    """Return the configuration file that was read; None if there was none."""
    path: Path | None = ctx.meta.get(_PATH)
    return path


def stray_variables() -> Iterator[str]:
    """Say of each variable that is named like an option, and is of none, that it has no effect."""
    prefix, simulated = variable(""), variable("simulate-")
    found = (name for name in sorted(os.environ) if name.startswith(prefix))
    names = [name.removeprefix(prefix).lower() for name in found if not name.startswith(simulated)]
    known = {"config": None, **_known_options(click.get_current_context(), names)}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {variable(close[0])}?" if close else ""
            yield f"{variable(name)} has no effect: there is no such option.{hint}"


def _known_options(ctx: click.Context, names: Collection[str]) -> dict[str, click.Parameter | None]:
    """Collect the options of commands until these are among them; secrets are none.

    One file serves all commands. The one that runs comes first, and mostly knows all: to look at
    the others is to import them, the simulator last.
    """
    known: dict[str, click.Parameter | None] = {}
    for name in SECRETS:
        known |= {name: None, f"{name}_file": None}
    for command in chain([ctx.command], _commands(ctx.find_root().command, ctx)):
        params = {str(param.name): param for param in command.params}
        if params.pop("config", None) is not None:
            known |= {name: each for name, each in params.items() if isinstance(each, click.Option)}
        if known.keys() >= set(names):
            break
    return known


def _commands(command: click.Command, ctx: click.Context) -> Iterator[click.Command]:
    """Yield a command, and all below it."""
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None:
                yield from _commands(below, ctx)


def _checked(place: str, value: object, param: click.Parameter | None) -> object:
    """Turn a value of the file into what the command line would hold, so that it is judged alike.

    Raises:
        UsageProblem: it is of a kind that no command line could hold.
    """
    if isinstance(param, click.Option) and param.is_flag:
        if isinstance(value, bool):
            return value
        raise UsageProblem(f"{place} is on or off: write true or false.")
    if isinstance(param, click.Option) and param.multiple:
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise UsageProblem(f"{place} takes one value; tables and lists are for nothing here.")
    return str(value)


def secret(name: str) -> Secret | None:
    """Find a secret: the variable, the file that it names, then the same two in the config."""
    text = secret_text(name)
    return None if text is None else Secret(text)


def secret_text(name: str) -> str | None:
    """Find the text of a secret, whatever it may hold."""
    configured: Mapping[str, Any] = click.get_current_context().meta.get(__name__, {})
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
                raise UsageProblem(f"{through} {str(path)!r}: {error}.") from error
    return None
