"""Where values come from beside the command line: the configuration file, and secrets.

A secret is never an option: a variable, or a file named by it, or either in the configuration.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from bulk_sync.cli.option import DECLARED, Option, variable
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Secret

FILE: Final = "bulk-sync.toml"
_PATH: Final = f"{__name__}.path"
_SECRETS: Final = ("access_token", "client_secret", "ledger")
"""What may also lie in a file of its own, which ``NAME_file`` names."""


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
        path = Path(FILE)
        if not path.is_file():
            return None
    ctx.meta[_PATH] = path
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"{path}: {error}.") from error
    named = {name.replace("-", "_"): value for name, value in values.items()}
    ctx.default_map = {**named, **(ctx.default_map or {})}
    ctx.meta[__name__] = named
    known = _known()
    for name, value in named.items():
        if name not in known:
            hint = _hint(name, _dashed)
            raise UsageProblem(f"{path}: there is no option {_dashed(name)!r}.{hint}")
        ctx.default_map[name] = _checked(f"{path}: {_dashed(name)}", value, known[name])
    return path


def path_of(ctx: click.Context) -> Path | None:
    """Return the configuration file, if there is one."""
    path: Path | None = ctx.meta.get(_PATH)
    return path


def stray_variables() -> Iterator[str]:
    """Yield a sentence for each variable named like an option without being one."""
    prefix, simulated = variable(""), variable("simulate-")
    known = {"config", *_known()}
    for found in sorted(os.environ):
        name = found.removeprefix(prefix).lower()
        if found.startswith(prefix) and not found.startswith(simulated) and name not in known:
            hint = _hint(name, variable)
            yield f"{variable(name)} has no effect: there is no such option.{hint}"


def _known() -> dict[str, Option | None]:
    """Return what the file may hold, by name; a secret belongs to no option."""
    known: dict[str, Option | None] = {each.key: each for each in DECLARED if each.key != "config"}
    for name in _SECRETS:
        known |= {name: None, f"{name}_file": None}
    return known


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _hint(name: str, shown: Callable[[str], str]) -> str:
    close = difflib.get_close_matches(name, _known(), 1)
    return f" Did you mean {shown(close[0])}?" if close else ""


def _checked(place: str, value: object, option: Option | None) -> object:
    """Return a value of the file as the command line would hold it, to be judged alike.

    Raises:
        UsageProblem: no command line could hold it.
    """
    if option is not None and option.is_flag:
        if isinstance(value, bool):
            return value
        raise UsageProblem(f"{place} is on or off: write true or false.")
    if option is not None and option.multiple:
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise UsageProblem(f"{place} takes one value, not a table or a list.")
    return str(value)


def secret(name: str) -> Secret | None:
    """Find a secret: the variable, the file named by it, then the same two in the config."""
    text = secret_text(name)
    return None if text is None else Secret(text)


def secret_text(name: str) -> str | None:
    """Find the text of a secret, whatever characters it holds."""
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
