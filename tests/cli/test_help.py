"""Help for every command and option, instant."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bulk_sync.cli import group
from bulk_sync.cli.config import variable

SAMPLE = Path(__file__).parents[2] / "sample_data" / "clean.csv"
CONTEXT = click.Context(group)
COMMANDS = [*(name for name in group.list_commands(CONTEXT) if name != "ledger"), "ledger verify"]


def command(name: str) -> click.Command:
    found: click.Command | None = group
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(CONTEXT, word)
    assert found is not None
    return found


def options(name: str) -> Iterator[click.Option]:
    return (param for param in command(name).params if isinstance(param, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_and_every_option_with_examples(name: str) -> None:
    text = command(name).get_help(click.Context(command(name), info_name=name))
    assert "Example" in text
    assert f"bulk-sync {name}" in text
    for option in options(name):
        assert option.help, option.name
        assert all(flag in text for flag in option.opts)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "simulate"])
def test_every_option_has_its_variable(name: str) -> None:
    for option in options(name):
        long = next(flag for flag in option.opts if flag.startswith("--"))
        assert option.envvar == variable(long.removeprefix("--"))


def test_help_needs_no_pandas() -> None:
    told = imported_by("--help")
    assert "Exit status" in told.stdout
    assert not re.search(r"\| +pandas$", told.stderr, re.MULTILINE)


def test_a_configuration_file_needs_no_simulator(tmp_path: Path) -> None:
    path = tmp_path / "bulk-sync.toml"
    path.write_text('organization = "acme"\naccess-token = "demo-token"\n')
    told = imported_by("validate", str(SAMPLE), "--config", str(path))
    assert "rows" in told.stdout
    assert not re.search(r"\| +bulk_sync\.simulator$", told.stderr, re.MULTILINE)


def imported_by(*words: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a process of its own, which tells on standard error what it imports."""
    code = f"import sys; sys.argv[1:] = {list(words)}; from bulk_sync.cli import main; main()"
    program = [sys.executable, "-X", "importtime", "-c", code]
    return subprocess.run(program, capture_output=True, text=True, check=True)
