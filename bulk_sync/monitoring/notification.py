"""Messages to people when the state of a job changes, through apprise; counts alone.

    ok <--> needs a person <--> overdue opt-outs <--> failed

The state that people were last told lies in a file of the job; no file means ok. It is there from
the first run on and has one length, so that a full disk can take a new state. A message that no
service took is sent again after the next run.
"""

import logging
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bulk_sync.errors import Exit, UsageProblem, is_disk_full
from bulk_sync.monitoring.run_end import HookFailed, RunEnd
from bulk_sync.monitoring.time_budget import TOGETHER_S, TimeBudget
from bulk_sync.storage import atomic

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger(__name__)


class JobState(StrEnum):
    """How a job stands after a run; the worst one counts."""

    OK = "recovered"
    NEEDS_A_PERSON = "needs a person"
    OVERDUE = "has overdue opt-outs"
    FAILED = "failed"


_INTERRUPTED: Final = frozenset({Exit.INTERRUPTED, Exit.TERMINATED})
_OF_ROWS: Final = {
    Exit.DONE: JobState.OK,
    Exit.ROWS_LEFT: JobState.NEEDS_A_PERSON,
    Exit.REFUSED: JobState.NEEDS_A_PERSON,
}
_FOLDER: Final = "notified"
_DIGITS: Final = 16
_LENGTH: Final = max(map(len, JobState))
_WHAT_TO_DO: Final = "What to do: bulk-sync help nightly"


def check(urls: Sequence[str]) -> None:
    """Raise UsageProblem, without showing it, if a URL is none, or apprise is not installed."""
    if find_spec("apprise") is None:
        raise UsageProblem(
            "--notify needs the package apprise, which is not installed. Install it with: "
            "pip install 'bulk-sync[notify]'"
        )
    for number, url in enumerate(urls, 1):
        try:
            _sender(url)
        except HookFailed as error:
            raise UsageProblem(f"--notify, URL number {number}: {error}") from None


def notify(urls: Sequence[str], end: RunEnd, folder: Path, time_budget: TimeBudget) -> None:
    """Send one message to every URL, if the state of the job changed; it is in the state folder."""
    path = path_of(folder, end.job)
    before, now = _told(path), state_of(end)
    if now is None:
        return
    if now is before:
        if not path.exists():
            _keep(path, now)
        return
    title = f"bulk-sync: {end.job} {now}"
    body = end.text if now is JobState.OK else f"{end.text}\n{_WHAT_TO_DO}"
    hooks = [partial(_send, url, title, body, now) for url in urls]
    if time_budget.spend("--notify", hooks, TOGETHER_S):
        _keep(path, now)


def path_of(folder: Path, job: str) -> Path:
    """Return the file in the state folder with the state of a job that people were last told."""
    return folder / _FOLDER / sha256(job.encode()).hexdigest()[:_DIGITS]


def state_of(end: RunEnd) -> JobState | None:
    """Return how a job stands after a run; None if a signal ended it, which changes nothing."""
    if end.exit in _INTERRUPTED:
        return None
    state = _OF_ROWS.get(Exit(end.exit), JobState.FAILED)
    return JobState.OVERDUE if end.overdue and state is not JobState.FAILED else state


def _send(url: str, title: str, body: str, state: JobState) -> None:
    from apprise import NotifyType  # noqa: PLC0415  # an extra

    types = {JobState.OK: NotifyType.SUCCESS, JobState.FAILED: NotifyType.FAILURE}
    if not _sender(url).notify(body, title, types.get(state, NotifyType.WARNING)):
        raise HookFailed("the service did not take the message.")


def _sender(url: str) -> "Apprise":
    """Return what sends to a URL; its own log, and those below it, would show the URL."""
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415

    for name in ("apprise", "requests", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # The headers of some services hold a secret, which a redirect would take to another host.
    sender = Apprise(asset=AppriseAsset(http_redirects=False))
    if not sender.add(url):
        raise HookFailed("apprise does not know such a URL. See its list of services.")
    return sender


def _told(path: Path) -> JobState | None:
    """Return the state that people were last told; None if it cannot be read."""
    try:
        return JobState(path.read_text("utf-8").strip())
    except FileNotFoundError:
        return JobState.OK
    except (OSError, ValueError):
        return None


def _keep(path: Path, state: JobState) -> None:
    content = f"{state:<{_LENGTH}}\n".encode()
    try:
        atomic.make_folder(path.parent)
        try:
            with atomic.replacing(path) as file:
                file.write(content)
        except OSError as error:
            if not is_disk_full(error):
                raise
            with path.open("r+b") as file:
                file.write(content)
    except OSError as error:
        log.warning("--notify: %s: %s. The next run tells the same again.", path, error.strerror)
