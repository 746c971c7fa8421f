"""A page in front of a simulator, and steps towards plans and runs."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest
import requests
from serving import NAMES, Served, serving, settings_in, wait_for

from bulk_sync.cli import main
from bulk_sync.simulator import Simulator
from bulk_sync.web import plan_state, planning
from bulk_sync.web.database import now_ms
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import Jobs
from bulk_sync.web.records import Upload

ANA, BEN, IDA = NAMES[Role.UPLOADER], NAMES[Role.APPROVER], NAMES[Role.ADMIN]


@contextmanager
def page_for(
    sim: Simulator, folder: Path, patch: pytest.MonkeyPatch, **settings: object
) -> Iterator[Served]:
    """Serve a page whose processes work on a simulator."""
    patch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")
    variables = {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
    }
    with serving(settings_in(folder, variables=variables, **settings)) as served:
        yield served


@contextmanager
def without_processes() -> Iterator[None]:
    """Run the page's processes in this one, to their end: starting a process takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Jobs, "_start", _run_here)
        yield


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _run_here(jobs: Jobs, typed: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        open(folder / "summary.json", "w", opener=_opened) as out,
        open(folder / "log.jsonl", "w", opener=_opened) as log,
        open(folder / "alive", "w", opener=_opened) as alive,
        redirect_stdout(out),
        redirect_stderr(log),
        suppress(SystemExit),
    ):
        fcntl.flock(alive, fcntl.LOCK_EX)  # the job is at work until its end
        for name, value in {**jobs._environment(), **variables}.items():
            patch.setenv(name, value)
        main(typed[3:])


def upload(served: Served, path: Path, who: str = ANA) -> str:
    """Store a file as an upload, and return its id."""
    upload_id = f"u{now_ms():x}"
    digest = sha256(path.read_bytes() if path.exists() else b"").hexdigest()
    new = Upload(upload_id, now_ms(), who, path.name, 1, digest, "", "", {}, None, False)
    served.page.paperwork.add(new)
    return upload_id


def make_plan(
    served: Served,
    path: Path,
    *words: str,
    who: str = ANA,
    raised: str = "",
    source: str = "",
    is_process: bool = False,
) -> str:
    """Make a plan of a file as the page does, but here, and return its id.

    Args:
        served: the page.
        path: the file.
        words: further words of the command.
        who: the person who prepares it.
        raised: words that raise limits, as if an admin had raised them.
        source: the upload, if the file is an upload already.
        is_process: make it in a process of its own.
    """
    options = {plan_state.RAISED: raised} if raised else {}
    given, source = [str(path), *words], source or upload(served, path, who)
    with nullcontext() if is_process else without_processes():
        return planning.begin(served.page, who, given, upload=source, options=options)


def wait_for_jobs(served: Served, about: str) -> None:
    """Wait for the end of all processes about a plan or a run."""
    for job in served.page.jobs.list_about(about):
        wait_for(job)


def run_of(served: Served, about: str, command: str = "apply") -> str:
    """Wait for the end of the last process of a command, and return its run.

    A button leads there at once only if the process begins in time.
    """
    wait_for_jobs(served, about)
    return served.page.jobs.list_about(about, command)[0].progress().run_id or ""


def press(session: requests.Session, served: Served, path: str, **fields: str) -> requests.Response:
    """Press a button, and return the next page."""
    return session.post(f"{served.url}{path}", data=fields)


def sha256_of(served: Served, plan_id: str) -> str:
    paper = served.page.paperwork.plan(plan_id)
    assert paper is not None
    return paper.sha256


def approve(
    session: requests.Session, served: Served, plan_id: str, **fields: str
) -> requests.Response:
    """Press the button that approves a plan in its present state."""
    served_text = session.get(f"{served.url}/plans/{plan_id}").text
    found = re.search(r'name="sha256" value="(\w+)"', served_text)
    given = {"sha256": found[1] if found else "", **fields}
    return press(session, served, f"/plans/{plan_id}/approve", **given)


def states(sim: Simulator) -> Mapping[str, object]:
    return dict(sim.states)


def confirm_opt_ins(session: requests.Session, served: Served, plan_id: str) -> None:
    """Confirm each page of opt-ins."""
    for page in range(1, 10):
        press(session, served, f"/plans/{plan_id}/seen", page=str(page))


def text_of(answer: requests.Response) -> str:
    """Return the visible text."""
    main = answer.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
