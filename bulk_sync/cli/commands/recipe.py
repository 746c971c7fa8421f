"""``bulk-sync recipe``: files for cron, systemd, Kubernetes and monitoring, ready for this machine.

The files are templates in ``recipes/``. Standard output is the file alone; what is still to be done
by a person goes to standard error.
"""

import shlex
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import click

from bulk_sync.cli import escapes
from bulk_sync.cli.command import Command
from bulk_sync.cli.commands import recipe_facts
from bulk_sync.cli.machine import Machine
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import LOST, say
from bulk_sync.errors import UsageProblem

RECIPES: Final = {
    "cron": "Read it, then add it to the crontab of the user of the job: crontab -e",
    "systemd": "Write each part into the file that is its first line, then enable the timers:\n"
    "  bulk-sync recipe systemd ... | sudo awk '/^# [/]/ {file = $2} {print >file}'\n"
    "  sudo systemctl daemon-reload && sudo systemctl enable --now UNIT.timer UNIT-resume.timer",
    "kubernetes": "Read it, make the secret that its first lines name, then: kubectl apply -f FILE",
    "container": "Write it into a file called Containerfile; its first lines say how to build it.",
    "oauth2-proxy": "Fill in what example.com stands for; the first lines say how to start both.",
    "alerts": "Check it with `promtool check rules FILE`, and name it in rule_files of Prometheus.",
    "dashboard": "Import it into Grafana: Dashboards, New, Import.",
}
"""The recipes, in the order of the list, each with what to do with it.

Each is ``recipes/NAME.j2``; its first line is a title.
"""


@Command.declare(
    "recipe",
    click.Argument(["name"], required=False, metavar="[NAME]"),
    click.Argument(["input"], required=False, metavar="[INPUT]"),
    run_options.JOB,
    *deployment_options.SCHEDULE,
    *deployment_options.CONNECTION,
    *deployment_options.STATE,
    deployment_options.METRICS_FILE,
    run_options.CONFIG,
    examples="""
  bulk-sync recipe                                          the list
  bulk-sync recipe cron /in/optouts.csv --at 23:30          a crontab
  bulk-sync recipe cron '/in/optouts-%Y-%m-%d.csv'          ... for a file named by its day
  bulk-sync recipe systemd '/in/*.csv' --job optouts
  bulk-sync recipe kubernetes /in/optouts.csv >cronjob.yaml
  bulk-sync recipe alerts --job optouts >bulk-sync.rules.yml
""",
)
def command(**values: Any) -> None:
    """Print a ready file with the paths and options of this machine; without NAME, list them.

    Call it as the user of the job, in the folder where the job works. INPUT is the nightly file: a
    path, a glob in quotes, or a path with parts of its day, such as %Y-%m-%d. Standard output is
    the file alone. Secrets are never printed: the recipe names their files.
    """
    name = values["name"]
    if name is None:
        say("\n".join(_contents()))
        return
    if name not in RECIPES:
        raise UsageProblem(f"There is no recipe {name!r}. There are: {', '.join(RECIPES)}.")
    machine = Machine(click.get_current_context())
    facts = recipe_facts.collect(machine, name)
    say(rendered(name, facts).rstrip("\n"))
    if LOST.is_set():  # half a crontab would take the place of a whole one
        return
    for hint in (*facts["missing"], RECIPES[name].replace("UNIT", facts["unit"])):
        say(hint, err=True)


def title(name: str) -> str:
    """Return the title of a recipe."""
    first = _source(name).partition("\n")[0]
    return first.removeprefix("{# ").removesuffix(" #}")


def rendered(name: str, facts: dict[str, Any]) -> str:
    """Return the file of a recipe; raise UsageProblem if a value cannot stand in it."""
    from jinja2 import Environment, StrictUndefined

    # No HTML: escapes.py quotes for each kind of file.
    environment = Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    for quote in (
        escapes.cron_command,
        escapes.cron_value,
        escapes.systemd_value,
        escapes.systemd_word,
    ):
        environment.filters[quote.__name__] = quote
    environment.filters |= {"json": escapes.as_json, "quote": shlex.quote}
    return environment.from_string(_source(name)).render(facts)


def _source(name: str) -> str:
    return (files("bulk_sync") / "recipes" / f"{name}.j2").read_text("utf-8")


def _contents() -> Iterator[str]:
    yield "These files are ready for this machine. Print one with: bulk-sync recipe NAME\n"
    for name in RECIPES:
        yield f"  {name:<14}{title(name)}"
    yield "\nThe options: bulk-sync recipe --help"
