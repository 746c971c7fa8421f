"""What a recipe takes over from this machine: program, folders, variables, and where secrets lie.

A variable of this shell goes into the recipe, since cron and systemd start without it. What the
configuration holds stays there. A secret is never printed: its file is named instead.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from bulk_sync.cli import config
from bulk_sync.cli.option import DECLARED, Group, Option, Recorded, variable
from bulk_sync.cli.options import ALLOW, LOCK_WAIT
from bulk_sync.remote import url

NAME: Final = "bulk-sync"
SECRETS_FOLDER: Final = Path("/etc/bulk-sync")
_REQUIRED: Final = ("organization", "api_key")
_ELSEWHERE: Final = (Group.SCHEDULE, Group.PAGE)
_OWN: Final = frozenset({"config", "state_dir"})
_WAIT: Final = "4h"
"""How long a line waits for the other one: a scan of a large base takes hours."""


@dataclass(frozen=True)
class SecretFile:
    """A file with a secret.

    Attributes:
        option: the name of the secret, such as ``client_secret``.
        path: where it lies, or is to lie.
        configured: whether the configuration names it.
        missing: what a person has to do before the recipe works; empty if nothing.
    """

    option: str
    path: str
    configured: bool = False
    missing: str = ""

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return self.option.replace("_", "-")

    @property
    def variable(self) -> str:
        """Return the variable that names the file."""
        return variable(f"{self.option}_file")


@dataclass(frozen=True)
class Machine:
    """The options of this shell and this folder.

    Attributes:
        values: parsed options of the command.
        typed: those of the command line, as text.
        configuration: the file in use, and its content.
    """

    values: Mapping[str, Any]
    typed: Mapping[str, str]
    configuration: tuple[Path, Mapping[str, Any]] | None

    @classmethod
    def current(cls, context: click.Context) -> "Machine":
        """Return this machine, as a command sees it."""
        path = config.path_of(context)
        return cls(
            values=context.params,
            typed={
                name: str(value)
                for name, value in context.params.items()
                if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            },
            configuration=None if path is None else (path.absolute(), config.content(path)),
        )

    @property
    def program(self) -> list[str]:
        """Return the words that start the program in use."""
        beside = [Path(sys.argv[0]), Path(sys.executable).with_name(NAME)]
        for path in beside:
            if path.name == NAME and os.access(path, os.X_OK):
                return [str(path.absolute())]
        return [sys.executable, "-m", "bulk_sync"]

    @property
    def folder(self) -> Path:
        """Return the folder where the job works."""
        return Path.cwd()

    @property
    def config(self) -> Path | None:
        """Return the configuration file in use."""
        return self.configuration[0] if self.configuration else None

    @property
    def state_folder(self) -> Path:
        """Return where runs and the ledger are kept."""
        return Path(self.values["state_dir"]).absolute()

    @property
    def has_own_state_folder(self) -> bool:
        """Return whether the state folder is chosen, and no default."""
        given = "state_dir" in self.typed or os.environ.get(variable("state_dir"))
        return bool(given or self.configured("state_dir"))

    def configured(self, name: str) -> list[Any]:
        """Return every value of an option in the configuration, those for single jobs included."""
        if self.configuration is None:
            return []
        top = self.configuration[1]
        jobs = top.get(config.JOBS)
        tables = [top, *(jobs.values() if isinstance(jobs, dict) else ())]
        found = [
            value
            for table in tables
            if isinstance(table, dict)
            for written, value in table.items()
            if written.replace("-", "_") == name
        ]
        return [each for value in found for each in (value if isinstance(value, list) else [value])]

    def texts(self, option: Option) -> list[str]:
        """Return every value that an option may have."""
        if not (given := self.given(option.key)):
            return list(map(str, self.configured(option.key)))
        return list(option.type.split_envvar_value(given)) if option.multiple else [given]

    def paths(self, option: Option) -> list[Path]:
        """Return every path of this machine that an option may have, as absolute ones."""
        return [
            Path(each).expanduser().absolute()
            for each in self.texts(option)
            if not url.is_url(each)
        ]

    def given(self, name: str) -> str:
        """Return an option as it was typed, or as its variable has it; empty if neither has it."""
        return self.typed.get(name) or os.environ.get(variable(name), "")

    def variables(self) -> dict[str, str]:
        """Return the variables that the job needs beside its configuration, without secrets."""
        found = {}
        if self.config is not None:
            found[variable("config")] = str(self.config)
        if not self.configured("state_dir"):
            found[variable("state_dir")] = str(self.state_folder)
        for option in DECLARED:
            is_other = option.key in {*_OWN, *config.SECRETS} or option.group in _ELSEWHERE
            if (text := self.given(option.key)) and not (is_other or _is_for_once(option)):
                found[variable(option.key)] = text
        found.pop(variable("job"), None)  # it is typed where it belongs
        for name in _REQUIRED:
            if not (self.given(name) or self.configured(name)):
                found[variable(name)] = name.replace("_", "-").upper()
        return found

    @property
    def waiting(self) -> list[str]:
        """Return the option to wait for another run, unless it is chosen already."""
        is_chosen = self.given(LOCK_WAIT.key) or self.configured(LOCK_WAIT.key)
        return [] if is_chosen else [LOCK_WAIT.flag, _WAIT]

    def secrets(self) -> list[SecretFile]:
        """Return where the secrets of the job lie, or are to lie."""
        found = [each for name in config.SECRETS if (each := self._secret(name)) is not None]
        known = {each.option for each in found} | set(self.exposed())
        if not known & {"client_secret", "access_token"}:
            why = "The job needs the client secret in a file, since access tokens expire"
            found.insert(0, _new_file("client_secret", why))
        return found

    def _secret(self, name: str) -> SecretFile | None:
        shell = os.environ
        if name == "access_token" and not shell.get(variable(f"{name}_file")):
            return None
        if name in self.typed or shell.get(variable(name)):
            where = "on the command line" if name in self.typed else f"in {variable(name)}"
            return _new_file(name, f"A secret {where} would be lost: the job needs it in a file")
        if path := shell.get(variable(f"{name}_file")):
            return SecretFile(name, str(Path(path).expanduser().absolute()))
        if paths := self.configured(f"{name}_file"):
            path = str(Path(str(paths[0])).expanduser().absolute())
            return SecretFile(name, path, configured=True)
        return None

    def missing(self) -> Iterator[str]:
        """Yield what a person has to do before a recipe works."""
        for name in _REQUIRED:
            if not (self.given(name) or self.configured(name)):
                word = name.replace("_", "-")
                yield f"Write the {word} in place of {word.upper()}: bulk-sync help adobe"
        for secret in self.secrets():
            if secret.missing:
                yield secret.missing
        for option in filter(_is_for_once, DECLARED):
            if self.given(option.key):
                yield f"{option.envvar} of this shell is left out: it is for one command."

    def exposed(self) -> list[str]:
        """Return the secrets that the configuration holds itself."""
        return [name for name in config.SECRETS if self.configured(name)]


def _is_for_once(option: Option) -> bool:
    """Return whether an option is a decision about one run, which no job may repeat every night."""
    is_once = option.group is Group.SAFETY and option.recorded is Recorded.NEVER
    return is_once or option is ALLOW or option.recorded is Recorded.OWN


def _new_file(name: str, why: str) -> SecretFile:
    path = str(SECRETS_FOLDER / name.replace("_", "-"))
    return SecretFile(name, path, missing=f"{why}: install -D -m 600 /dev/stdin {path}")
