"""The options that a deployment chooses once: Campaign, the ledger, who watches, and when."""

from functools import partial
from pathlib import Path
from typing import Final

import platformdirs

from bulk_sync.cli.options.option import Group, Option, Recorded
from bulk_sync.cli.options.value_types import (
    FILE,
    FilledPath,
    TextPath,
    duration,
    filled,
    period,
    time_of_day,
    web_address,
)
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import ATTRIBUTE as CCPA
from bulk_sync.settings import AUTO, SCOPE
from bulk_sync.storage import lock

_connection = partial(Option, group=Group.CONNECTION)
_state = partial(Option, group=Group.OUTPUT, recorded=Recorded.NEVER)
_monitoring = partial(Option, group=Group.MONITORING, recorded=Recorded.NEVER)
_schedule = partial(Option, group=Group.SCHEDULE, recorded=Recorded.NEVER)


def _state_folder() -> Path:
    try:
        return platformdirs.user_state_path("bulk-sync")
    except RuntimeError as error:  # neither HOME nor an entry for the user in /etc/passwd
        raise UsageProblem(
            "This user has no home folder for runs and the ledger. Name a folder with --state-dir."
        ) from error


ATTRIBUTE: Final = _connection(
    "--attribute NAME",
    "The profile attribute that holds the opt-out.",
    recorded=Recorded.FIXED,
    default=CCPA,
)
CA_FILE: Final = _connection(
    "--ca-file FILE", "Certificates of a private CA, PEM.", type=FilledPath(path_type=Path)
)
ENDPOINT: Final = _connection(
    "--endpoint URL",
    "Where Campaign's API is.",
    recorded=Recorded.FIXED,
    default="https://mc.adobe.io",
)
ORGANIZATION: Final = _connection(
    "--organization ID",
    "The instance's id in the URL.",
    recorded=Recorded.FIXED,
    show_default="none: required",
)
API_KEY: Final = _connection("--api-key KEY", "The OAuth client id.", show_default="none: required")
CONNECTION: Final = (
    ENDPOINT,
    ORGANIZATION,
    API_KEY,
    _connection(
        "--ims-endpoint URL", "Where tokens come from.", default="https://ims-na1.adobelogin.com"
    ),
    _connection(
        "--scope LIST",
        "OAuth scopes, separated by commas.",
        default=SCOPE,
        show_default="what Campaign clients send",
    ),
    _connection(
        "--api NAME",
        "The API's name in the URL: profileAndServicesExt for custom fields.",
        default=AUTO,
    ),
    ATTRIBUTE,
    CA_FILE,
)
LOOKUP: Final = _connection(
    "--lookup",
    "Find the PKeys of an e-mail address in Campaign (GET only), and search the files that held "
    "other keys alone for them too.",
    recorded=Recorded.NEVER,
)

STATE_DIR: Final = _state(
    "--state-dir DIR",
    "Where runs, locks and the ledger are kept.",
    type=TextPath(path_type=Path, file_okay=False),
    default=_state_folder,
    show_default="the platform's user state folder",
)
STATE_URL: Final = _state(
    "--state-url URL",
    "A folder of a bucket (s3, gs, az) where checkpoints are kept as well, so that another "
    "machine with the same ledger can resume a run.",
    show_default="none",
)
STATE: Final = (
    STATE_DIR,
    _state(
        "--ledger URL",
        "SQLAlchemy URL of a ledger that machines share. Put one with a password into "
        "BULK_SYNC_LEDGER, or into a file that BULK_SYNC_LEDGER_FILE names.",
        type=filled,
        show_default="SQLite in the state folder",
    ),
    STATE_URL,
)

METRICS_FILE: Final = _monitoring(
    "--metrics-file PATH",
    "Write gauges for Prometheus, at the end of every run. Jobs can share the file.",
    type=FILE,
)
PING: Final = _monitoring(
    "--ping URL",
    "Send a ping when a run begins and when it ends, as healthchecks.io takes them. Put the URL "
    "into BULK_SYNC_PING, or into a file that BULK_SYNC_PING_FILE names.",
    type=web_address,
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
    type=duration,
    default="30s",
)
MONITORING: Final = (METRICS_FILE, PING, NOTIFY)
"""The options of every command whose end somebody may wait for."""

SCHEDULE: Final = (
    _schedule("--at HH:MM", "When the job runs, every day.", type=time_of_day, default="02:00"),
    _schedule(
        "--period DURATION",
        "How often a run of the job should end with 0: alerts wait for two of these.",
        type=period,
        default="1d",
    ),
    _schedule(
        "--mail-to ADDRESS",
        "Who gets cron's mail.",
        default=lock.user,
        show_default="the user of the system",
    ),
)
