"""Deletes uploads, plans, reports and logs of the page after ``--keep`` days; never the ledger.

    STATE_DIR/page/uploads/ID    the file as it came, under a name of ours
                  /plans/ID      the plan, and its rows as its screen shows them
                  /reports/RUN   reports of a run, and its rows as its screen shows them
                  /jobs/ID       what a process printed, and what it found in a file

What is still at work stays. Names of people and of files stay in the database of the page.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from bulk_sync.web.jobs import Jobs
from bulk_sync.web.paperwork import Paperwork

log = logging.getLogger(__name__)

FOLDERS: Final = ("uploads", "plans", "reports", "jobs")
EVERY_S: Final = 86_400.0


def delete(folder: Path, keep_days: int, paperwork: Paperwork, jobs: Jobs) -> int:
    """Delete what is older than so many days and not at work; return how much went."""
    before_s = time.time() - keep_days * EVERY_S
    gone = 0
    for old in _older(folder, before_s):
        job = jobs.find(old.name) if old.parent.name == "jobs" else None
        if job is not None and job.is_alive:
            continue
        paperwork.set_deleted(old.name)
        gone += _is_gone(old)
    return gone


def discard(upload: Path, paperwork: Paperwork, jobs: Jobs) -> None:
    """Delete an uploaded file with its folder, and what its checks have found in it."""
    paperwork.set_deleted(upload.name)
    for folder in (upload, *(job.folder for job in jobs.list_about(upload.name))):
        _is_gone(folder)


def _is_gone(old: Path) -> bool:
    try:
        old.unlink() if old.is_symlink() or not old.is_dir() else shutil.rmtree(old)
    except FileNotFoundError:
        return True
    except OSError as error:
        log.warning("%s is no longer needed and cannot be deleted: %s.", old, error.strerror)
        return False
    return True


def _older(folder: Path, before_s: float) -> Iterator[Path]:
    for name in FOLDERS:
        for each in sorted((folder / name).glob("*")):
            with suppress(FileNotFoundError):  # gone meanwhile
                if each.lstat().st_mtime < before_s:
                    yield each
