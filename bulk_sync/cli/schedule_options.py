"""The options about when a job runs, for the recipes."""

from datetime import time
from functools import partial
from typing import Any, Final

import click

from bulk_sync.cli.option import Duration, Group, Option, Recorded
from bulk_sync.storage import lock

_schedule = partial(Option, group=Group.SCHEDULE, recorded=Recorded.NEVER)


class TimeOfDay(click.ParamType[time]):
    """A time of day, such as 02:00."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> time:
        """Return the time."""
        try:
            found = time.fromisoformat(str(value).strip())
        except ValueError:
            found = time(second=1)
        if found != time(found.hour, found.minute):
            self.fail(f"{value!r}: write a time of day, such as 02:00 or 23:30.", param, ctx)
        return found


AT: Final = _schedule(
    "--at HH:MM", "When the job runs, every day.", type=TimeOfDay(), default="02:00"
)
PERIOD: Final = _schedule(
    "--period DURATION",
    "How often a run of the job should end with 0: alerts wait for two of these.",
    type=Duration(),
    default="1d",
)
MAIL_TO: Final = _schedule(
    "--mail-to ADDRESS",
    "Who gets cron's mail.",
    default=lock.user,
    show_default="the user of the system",
)
SCHEDULE: Final = (AT, PERIOD, MAIL_TO)
