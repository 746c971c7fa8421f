"""What a recipe takes over from this machine: program, folders, variables, and where secrets lie.

A variable of this shell goes into the recipe, since cron and systemd start without it. What the
configuration holds stays there. A secret is never printed: its file is named instead.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from bulk_sync.cli.options.config import Configuration
from bulk_sync.cli.options.config_file import SECRETS
from bulk_sync.cli.options.deployment_options import API_KEY, ORGANIZATION, STATE_DIR
from bulk_sync.cli.options.option import DECLARED, Group, Option, Recorded, variable
from bulk_sync.cli.options.run_options import ALLOW, CONFIG, JOB, LOCK_WAIT
from bulk_sync.remote import url

NAME: Final = "bulk-sync"
SECRETS_FOLDER: Final = Path("/etc/bulk-sync")
_REQUIRED: Final = (ORGANIZATION, API_KEY)
_ELSEWHERE: Final = (Group.SCHEDULE, Group.PAGE)
_OWN: Final = frozenset({CONFIG.key, STATE_DIR.key, JOB.key, *SECRETS})
"""What goes into a recipe in ways of its own."""

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
        """Return the variable for the path of the file."""
        return variable(f"{self.option}_file")


class Machine:
    """The options of this shell and this folder.

    Args:
        context: of the command.

    Attributes:
        values: parsed options of the command.
        folder: where the job works.
        config: the configuration file in use; None if there is none.
        program: the words that start the program in use.
        state_folder: where runs and the ledger are kept.
    """

    def __init__(self, context: click.Context) -> None:
        self._configuration = Configuration.current(context)
        path = self._configuration.path
        self.values, self.folder = context.params, Path.cwd()
        self.config = None if path is None else path.absolute()
        self.program = _program()
        self.state_folder = Path(self.values[STATE_DIR.key]).absolute()
        self._typed = {
            name: str(value)
            for name, value in context.params.items()
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        }

    def configured(self, name: str) -> list[str]:
        """Return every value of an option in the configuration, those for single jobs included."""
        found: list[str] = []
        for table in (self._configuration.own, *self._configuration.jobs.values()):
            value = table.get(name, [])
            found += map(str, value) if isinstance(value, list) else [str(value)]
        return found

    def given(self, option: Option) -> str:
        """Return an option as it was typed, or as its variable has it; empty if neither has it."""
        return self._typed.get(option.key) or os.environ.get(variable(option.key), "")

    def texts(self, option: Option) -> list[str]:
        """Return every possible value of an option."""
        if not (given := self.given(option)):
            return self.configured(option.key)
        return list(option.type.split_envvar_value(given)) if option.multiple else [given]

    def paths(self, option: Option) -> list[Path]:
        """Return every path of this machine that an option may have, as absolute ones."""
        return [_absolute(each) for each in self.texts(option) if not url.is_url(each)]

    def variables(self) -> dict[str, str]:
        """Return the variables that the job needs beside its configuration, without secrets."""
        found = {}
        if self.config is not None:
            found[variable(CONFIG.key)] = str(self.config)
        if not self.configured(STATE_DIR.key):
            found[variable(STATE_DIR.key)] = str(self.state_folder)
        for option in DECLARED:
            is_other = option.key in _OWN or option.group in _ELSEWHERE or _is_for_once(option)
            if (text := self.given(option)) and not is_other:
                found[variable(option.key)] = text
        for option in self._absent():
            found[variable(option.key)] = _placeholder(option)
        return found

    @property
    def waiting(self) -> list[str]:
        """Return the option to wait for another run, unless it is chosen already."""
        return [] if self.texts(LOCK_WAIT) else [LOCK_WAIT.flag, _WAIT]

    def secrets(self) -> list[SecretFile]:
        """Return where the secrets of the job lie, or are to lie."""
        found = [each for name in SECRETS if (each := self._secret(name)) is not None]
        known = {each.option for each in found} | set(self.exposed())
        if not known & {"client_secret", "access_token"}:
            why = "The job needs the client secret in a file, since access tokens expire"
            found.insert(0, _new_file("client_secret", why))
        return found

    def _secret(self, name: str) -> SecretFile | None:
        shell = os.environ
        if name == "access_token" and not shell.get(variable(f"{name}_file")):
            return None
        if name in self._typed or shell.get(variable(name)):
            where = "on the command line" if name in self._typed else f"in {variable(name)}"
            return _new_file(name, f"A secret {where} would be lost: the job needs it in a file")
        if path := shell.get(variable(f"{name}_file")):
            return SecretFile(name, str(_absolute(path)))
        if paths := self.configured(f"{name}_file"):
            return SecretFile(name, str(_absolute(paths[0])), configured=True)
        return None

    def missing(self) -> Iterator[str]:
        """Yield what a person has to do before a recipe works."""
        for option in self._absent():
            word = _placeholder(option)
            yield f"Write the {word.lower()} in place of {word}: bulk-sync help adobe"
        for secret in self.secrets():
            if secret.missing:
                yield secret.missing
        for option in filter(_is_for_once, DECLARED):
            if self.given(option):
                yield f"{option.envvar} of this shell is left out: it is for one command."

    def _absent(self) -> list[Option]:
        return [option for option in _REQUIRED if not self.texts(option)]

    def exposed(self) -> list[str]:
        """Return the secrets in the configuration itself."""
        return [name for name in SECRETS if self.configured(name)]


def _program() -> list[str]:
    for path in (Path(sys.argv[0]), Path(sys.executable).with_name(NAME)):
        if path.name == NAME and os.access(path, os.X_OK):
            return [str(path.absolute())]
    return [sys.executable, "-m", "bulk_sync"]


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _placeholder(option: Option) -> str:
    """Return what stands in place of a value that a person has to fill in."""
    return option.flag.removeprefix("--").upper()


def _is_for_once(option: Option) -> bool:
    """Return whether an option is a decision about one run, which no job may repeat every night."""
    is_once = option.group is Group.SAFETY and option.recorded is Recorded.NEVER
    return is_once or option is ALLOW or option.recorded is Recorded.OWN


def _new_file(name: str, why: str) -> SecretFile:
    path = str(SECRETS_FOLDER / name.replace("_", "-"))
    return SecretFile(name, path, missing=f"{why}: install -D -m 600 /dev/stdin {path}")
