"""The options about where runs and the ledger are kept."""

from functools import partial
from pathlib import Path
from typing import Final

import platformdirs

from bulk_sync.cli.filled import FilledPath, FilledText
from bulk_sync.cli.option import Group, Option, Recorded
from bulk_sync.errors import UsageProblem

_state = partial(Option, group=Group.OUTPUT, recorded=Recorded.NEVER)


def _folder() -> Path:
    try:
        return platformdirs.user_state_path("bulk-sync")
    except RuntimeError as error:  # neither HOME nor an entry for the user in /etc/passwd
        raise UsageProblem(
            "This user has no home folder for runs and the ledger. Name a folder with --state-dir."
        ) from error


STATE_DIR: Final = _state(
    "--state-dir DIR",
    "Where runs, locks and the ledger are kept.",
    type=FilledPath(path_type=Path, file_okay=False),
    default=_folder,
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
        type=FilledText(),
        show_default="SQLite in the state folder",
    ),
    STATE_URL,
)
