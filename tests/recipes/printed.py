"""The output of ``bulk-sync recipe``, read as cron, systemd and Kubernetes read it."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copies
import npm

PROGRAM = Path(sys.executable).with_name("bulk-sync")
SECRET = "demo-secret"
BARE = {"LOGNAME": "optouts", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
"""The environment of cron, besides HOME."""


@dataclass(frozen=True)
class Printed:
    """A recipe: the file, and the steps for a person."""

    text: str
    hints: str


def recipe(folder: Path, *words: object, status: int = 0, **environment: str) -> Printed:
    """Print a recipe in a folder, with a process of its own."""
    ended = copies.run_copy(
        ["recipe", *words],
        cwd=folder,
        env={**BARE, "HOME": str(folder), **environment},
        text=True,
    )
    assert ended.returncode == status, ended.stderr
    return Printed(ended.stdout, ended.stderr)


def shell(
    words: list[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command with this environment alone; its output is one text, as in a mail."""
    return subprocess.run(
        words,
        cwd=folder,
        env={**BARE, "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def today(path: str) -> str:
    """Return a path with the parts of today's date in it, by the clock of the commands."""
    return shell(["date", f"+{path}"], Path("/"), {}).stdout.strip("\n")


@dataclass(frozen=True)
class Crontab:
    """Variables, and commands by their schedule, in the order of the file."""

    variables: dict[str, str]
    commands: dict[str, str]

    @classmethod
    def read(cls, text: str) -> "Crontab":
        """Parse a crontab by the rules of crontab(5)."""
        variables, commands = {}, {}
        for line in filter(None, map(str.lstrip, text.splitlines())):
            assert len(line) < 1000, "cron reads no longer lines"
            if line[0] == "#":
                continue
            if setting := re.match(r"(\w+) *= *(.*?) *$", line):
                value = setting[2]
                is_quoted = len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]
                variables[setting[1]] = value[1:-1] if is_quoted else value
                continue
            *schedule, command = line.split(None, 5)
            assert not re.search(r"(?<!\\)%", command), "cron ends the command there"
            commands[" ".join(schedule)] = command.replace(r"\%", "%")
        return cls(variables, commands)

    def carry_out(self, schedule: str, home: Path) -> "subprocess.CompletedProcess[str]":
        """Run a command as cron does."""
        words = [self.variables["SHELL"], "-c", self.commands[schedule]]
        return shell(words, home, self.variables)


Unit = dict[str, list[str]]


def units(text: str, folder: Path) -> dict[str, Unit]:
    """Write the unit files into a folder, with the command in the hints; return them by name."""
    split = f'/^# [/]/ {{file = $2; sub(/.*[/]/, "{folder}/", file)}} {{print >file}}'
    subprocess.run(["/usr/bin/awk", split], input=text, text=True, check=True)
    return {path.name: _unit(path) for path in sorted(folder.iterdir())}


def _unit(path: Path) -> Unit:
    found: Unit = {}
    for line in path.read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and line[0] not in "#[":
            found.setdefault(name, []).append(value)
    return found


def words_of(value: str) -> list[str]:
    """Return the words of a command of a unit file."""
    return [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(value)]


def errors_in(objects: list[Any], expressions: list[str], folder: Path) -> dict[str, Any]:
    """Return the errors in objects of Kubernetes, and the expressions that are no PromQL."""
    packages = npm.installed(Path(__file__).parent / "packages")
    given = folder / "to-check.json"
    given.write_text(json.dumps({"objects": objects, "expressions": expressions}))
    found: dict[str, Any] = json.loads(npm.node(packages / "check.mjs", str(given)))
    return found


def configuration(folder: Path, url: str, secret: Path, *lines: str) -> Path:
    """Write the configuration of a job against a simulator, and its secret."""
    secret.write_text(f"{SECRET}\n")
    path = folder / "bulk-sync.toml"
    named = {"organization": "acme", "api-key": "demo-key", "endpoint": url, "ims-endpoint": url}
    text = [f'{name} = "{value}"' for name, value in named.items()]
    path.write_text("\n".join([*text, *lines, ""]))
    os.chmod(secret, 0o600)  # noqa: PTH101
    return path
