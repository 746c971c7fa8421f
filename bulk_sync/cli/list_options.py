"""The options about a list: which of the past runs are shown."""

from functools import partial
from typing import Final

import click

from bulk_sync.cli.option import Group, Option, Recorded

_list = partial(Option, group=Group.OUTPUT, recorded=Recorded.NEVER)

WANTED: Final = (
    _list("--last N", "List the newest N alone.", type=click.IntRange(1)),
    _list("--job NAME", "List the runs of this job alone, if it is typed."),
    _list(
        "--since DATE",
        "List the runs since this day, or minute (2026-11-01T02:00), in local time.",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    ),
    _list("--failed", "List the runs alone that did not end with exit status 0."),
)
