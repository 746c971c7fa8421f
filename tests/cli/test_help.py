"""Help for every command and option, without delay."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import Run

from bulk_sync.cli import every_command
from bulk_sync.cli.options.option import DECLARED, Group, Option, Recorded, recorded, variable

SAMPLE = Path(__file__).parents[2] / "sample_data" / "clean.csv"
COMMANDS = every_command()
OPTIONS = {
    name: [param for param in command.params if isinstance(param, Option)]
    for name, command in COMMANDS.items()
    if name not in {"simulate", "help"}
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_and_every_option_with_examples(name: str) -> None:
    command = COMMANDS[name]
    text = command.get_help(click.Context(command, info_name=name))
    assert "Example" in text
    assert f"bulk-sync {name}" in text
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert all(flag in text for flag in option.opts)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_declared_in_one_place_and_has_a_variable(name: str) -> None:
    taken = [param for param in COMMANDS[name].params if isinstance(param, click.Option)]
    assert set(taken) <= set(DECLARED)
    for option in OPTIONS[name]:
        assert option.envvar == variable(option.flag.removeprefix("--"))


def test_the_help_groups_options_in_the_order_of_the_groups() -> None:
    text = COMMANDS["run"].get_help(click.Context(COMMANDS["run"], info_name="run"))
    headings = re.findall(r"^(\w+):$", text, re.MULTILINE)
    others = {Group.SCHEDULE, Group.PAGE}
    assert [each for each in headings if each in list(Group)] == [
        each for each in Group if each not in others
    ]


def test_a_recorded_option_belongs_to_a_resumable_command() -> None:
    """Without it in the command a run could not record it, and ``resume`` would forget it."""
    assert set(recorded()) == {
        option.key
        for command in ("run", "plan", "apply")
        for option in OPTIONS[command]
        if option.recorded is not Recorded.NEVER
    }


def test_help_needs_no_pandas() -> None:
    result = imports_of("--help")
    assert "Exit status" in result.stdout
    assert not re.search(r"\| +pandas$", result.stderr, re.MULTILINE)


def test_a_small_file_needs_neither_a_simulator_nor_duckdb(tmp_path: Path) -> None:
    path = tmp_path / "bulk-sync.toml"
    path.write_text('organization = "acme"\naccess-token = "demo-token"\n')
    result = imports_of("validate", str(SAMPLE), "--config", str(path))
    assert "rows" in result.stdout
    assert not re.search(r"\| +(bulk_sync\.simulator|_?duckdb)$", result.stderr, re.MULTILINE)


def test_a_file_for_all_commands_may_hold_the_options_of_any(tmp_path: Path) -> None:
    own = {option.key for option in OPTIONS["validate"]}
    others = {option.key: option for option in DECLARED if option.key not in own}
    assert {option.group for option in others.values()} == set(Group)
    path = tmp_path / "bulk-sync.toml"
    values = (f"{key} = {'true' if option.is_flag else 1}" for key, option in others.items())
    path.write_text("\n".join(values))
    # In a process of its own: this one has imported every module with options.
    assert "No row is rejected" in imports_of("validate", str(SAMPLE), "--config", str(path)).stdout


def imports_of(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that lists its imports on standard error."""
    code = f"import sys; sys.argv[1:] = {list(words)}; from bulk_sync.cli import main; main()"
    program = [sys.executable, "-X", "importtime", "-c", code]
    return subprocess.run(program, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("aply",), "No such command 'aply'. Did you mean 'apply'?"),
        (("resum", "--all"), "No such command 'resum'. Did you mean 'resume'?"),
        (("ledger", "verfy"), "No such command 'verfy'. Did you mean 'verify'?"),
        (("xyz",), "No such command 'xyz'."),
        (("--run",), "No such option '--run'"),
    ],
    ids=["a command", "with an option", "below another", "like none", "an option"],
)
def test_a_misspelt_command_is_followed_by_the_right_one(
    typed: tuple[str, ...], says: str, run: Run
) -> None:
    ran = run(None, *typed)
    assert ran.status == 2
    assert says in ran.err
    if says.startswith("No such command"):
        assert says in ran.err.splitlines()[-1]
        assert ran.err.rstrip().endswith(says)
