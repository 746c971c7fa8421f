"""The options about those who monitor runs: where the end of each run goes."""

from functools import partial
from pathlib import Path
from typing import Final

from bulk_sync.cli.filled import FilledPath
from bulk_sync.cli.option import Duration, Group, Option, Recorded, WebAddress

_FILE: Final = FilledPath(path_type=Path, dir_okay=False)
_monitoring = partial(Option, group=Group.MONITORING, recorded=Recorded.NEVER)

METRICS_FILE: Final = _monitoring(
    "--metrics-file PATH",
    "Write gauges for Prometheus, at the end of every run. Jobs can share the file.",
    type=_FILE,
)
PING: Final = _monitoring(
    "--ping URL",
    "Send a ping when a run begins and when it ends, as healthchecks.io takes them. Put the URL "
    "into BULK_SYNC_PING, or into a file that BULK_SYNC_PING_FILE names.",
    type=WebAddress(),
    secret=True,
)
NOTIFY: Final = _monitoring(
    "--notify URL ...",
    "Send a message when the state of the job changes, through apprise. Put the URLs into "
    "BULK_SYNC_NOTIFY, or line by line into a file that BULK_SYNC_NOTIFY_FILE names.",
    secret=True,
)
PROGRESS_EVERY: Final = _monitoring(
    "--progress-every DURATION",
    "How often a log, where there is no terminal, shows how far a pass is.",
    type=Duration(),
    default="30s",
)
MONITORING: Final = (METRICS_FILE, PING, NOTIFY)
"""The options of every command whose end somebody may wait for."""
