"""``bulk-sync help``: the pages of the manual."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from importlib.resources import files
from io import StringIO
from itertools import groupby
from operator import attrgetter
from shutil import get_terminal_size
from typing import Final

import click

from bulk_sync.cli.command import Command
from bulk_sync.cli.options.option import DECLARED, Group
from bulk_sync.cli.output import say
from bulk_sync.errors import UsageProblem

TOPICS: Final = (
    "nightly", "monitoring", "spreadsheets", "page", "backfill", "keys", "requests", "report",
    "ledger", "remote", "options", "adobe", "troubleshooting", "campaign-api", "design", "changes",
)  # fmt: skip
"""The pages, in the order of the list. Each is ``manual/TOPIC.md``."""

_LINE_CELLS: Final = 100
"""Longer lines are hard to read, however wide the terminal is."""

_FEW: Final = 3
"""The table names the commands of an option if there are no more than this."""


@Command.declare(
    "help",
    click.Argument(["topic"], nargs=-1, metavar="[TOPIC]"),
    examples="""
  bulk-sync help                        the list of topics
  bulk-sync help nightly                one page
  bulk-sync help report >report.md      the same page, as Markdown
""",
)
def command(topic: tuple[str, ...]) -> None:
    """Show a page of the manual; without TOPIC, list the topics.

    At a terminal the page is styled, and opened in a pager if it is long. Elsewhere it is plain
    Markdown. With the name of a command it shows its options.
    """
    name = " ".join(topic)
    if not topic:
        say("\n".join(_contents()))
    elif name in TOPICS:
        _show(page(name))
    else:
        say(_command_help(name))


def page(topic: str) -> str:
    """Return a page as Markdown, with links between pages as the command to type."""
    text = _source(topic)
    if topic == "options":
        text = "\n".join([text, *_tables(), ""])
    return re.sub(r"\[([^]]*)\]\([a-z-]+\.md(?:#[a-z0-9-]*)?\)", r"\1", text)


def _source(topic: str) -> str:
    return (files("bulk_sync") / "manual" / f"{topic}.md").read_text("utf-8")


def _contents() -> Iterator[str]:
    """Yield the list of topics. The line of a topic is the title of its page."""
    yield "The manual has these pages. Show one with: bulk-sync help TOPIC\n"
    for topic in TOPICS:
        title = _source(topic).partition("\n")[0]
        yield f"  {topic:<17}{title.partition(': ')[2]}"
    yield "\nThe options of a command: bulk-sync COMMAND --help"


def _tables() -> Iterator[str]:
    """Yield Markdown tables: the commands, then the options under their headings."""
    from bulk_sync.cli import every_command

    found = every_command()
    yield from ("## Commands", "", "| command | what it does |", "| --- | --- |")
    for name, each in found.items():
        yield f"| `{name}` | {each.get_short_help_str(200)} |"
    context = click.get_current_context()
    ordered = sorted(DECLARED, key=lambda option: list(Group).index(option.group))
    for heading, options in groupby(ordered, key=attrgetter("group")):
        yield from ("", f"## Options: {heading}", "", "| option | what it does |", "| --- | --- |")
        for option in options:
            names = [f"`{name}`" for name, each in found.items() if option in each.params]
            only = f"{', '.join(names)}: " if len(names) <= _FEW else ""
            usage = ", ".join(option.opts)
            if not option.is_flag:
                usage += f" {option.make_metavar(context)}"
            default = option.get_help_extra(context).get("default")
            ending = f" Default: {default}." if default else ""
            yield f"| `{_escaped(usage)}` | {_escaped(f'{only}{option.help}{ending}')} |"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def _command_help(name: str) -> str:
    context, words = click.get_current_context().parent, name.split()
    while words and context is not None and isinstance(context.command, click.Group):
        word = words.pop(0)
        found = context.command.get_command(context, word)
        context = None if found is None else click.Context(found, context, info_name=word)
        if context is not None and not words:
            return context.get_help()
    raise UsageProblem(f"The manual has no page {name!r}. Its topics: {', '.join(TOPICS)}.")


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        say(text.rstrip())
        return
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    width = min(get_terminal_size().columns, _LINE_CELLS)
    theme = Theme({"markdown.code": "bold cyan"})  # rich's own is a black box in a light terminal
    console = Console(file=StringIO(), force_terminal=True, width=width, theme=theme)
    with console.capture() as capture:
        console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    os.environ.setdefault("LESS", "-FRX")  # as git has it: a page that fits opens no pager
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pager
    click.echo_via_pager(capture.get(), color=True)
