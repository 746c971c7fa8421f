"""The page with sample people against a simulated Campaign, until Ctrl-C: ``make demo-page``.

    python sample_data/demo_page.py [FOLDER]

Each start makes new profiles, accounts and runs. Nothing reaches a real Campaign, and the settings
of this machine do not count.
"""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from bulk_sync.settings import State
from bulk_sync.web.accounts import Accounts, require_argon2
from bulk_sync.web.database import open_database
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import Jobs
from bulk_sync.web.settings import PageSettings

HERE: Final = Path(__file__).resolve().parent
PEOPLE: Final = {"Ana Diaz": Role.UPLOADER, "Ben Miller": Role.APPROVER, "Ida Berg": Role.ADMIN}
WORDS: Final = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory",
                "jade", "kelp", "lotus", "maple", "north", "olive", "pearl")  # fmt: skip
TEXT: Final = """\
A page to try, against a simulated Campaign with 1,000 made-up profiles:

  {url}

{people}
1. As Ana Diaz, upload {sample}
   It holds every kind of bad row on purpose. Compare it with Campaign, and ask for approval.
2. As Ben Miller, approve the plan. Two people need two browsers, or a private window.

Ctrl-C ends it.
"""
_END_S: Final = 20


class Interrupted(Exception):
    """Ctrl-C, or SIGTERM."""


def main() -> int:
    """Serve until Ctrl-C, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE.parent / ".cache/demo-page")
    folder = parser.parse_args().folder.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            _start(folder, stack).wait()
            print(f"The page ended by itself. Its log: {folder / 'serve.log'}", file=sys.stderr)
            return 1
    except Interrupted:
        print("\nThe page, the simulated Campaign, and what they were at have ended.")
        return 0


def _start(folder: Path, stack: ExitStack) -> "subprocess.Popen[str]":
    """Start everything, print how to sign in, and return the page."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    state = State(folder / "state")
    passwords = _add_people(state)
    environment = {
        **{name: value for name, value in os.environ.items() if "BULK_SYNC" not in name},
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(state.folder),
    }
    profiles = f"--profiles-csv={HERE / 'profiles.csv'}"
    access = ("--organization=acme", "--api-key=demo-key", "--access-token=demo-token")
    campaign = stack.enter_context(
        _process(folder, environment, "simulate", "--port=0", profiles, *access)
    )
    environment["BULK_SYNC_ENDPOINT"] = _first_line(campaign, folder / "simulate.log")
    stack.callback(_stop_runs, state)
    page = stack.enter_context(_process(folder, environment, "serve", "--port=0", "--no-open"))
    url = _first_line(page, folder / "serve.log")
    people = "".join(
        f"  {name:12}{PEOPLE[name]:12}password  {password}\n"
        for name, password in passwords.items()
    )
    print(TEXT.format(url=url, people=people, sample=HERE / "messy.xlsx"), flush=True)
    return page


def _add_people(state: State) -> Mapping[str, str]:
    """Add the accounts, and return their passwords, which are stored nowhere."""
    require_argon2()
    passwords = {
        name: "-".join(secrets.choice(WORDS) for _ in range(4)) + f"-{secrets.randbelow(10**6):06}"
        for name in PEOPLE
    }
    with closing(open_database(state)) as database:
        for name, role in PEOPLE.items():
            Accounts(database).add(name, role, passwords[name])
    return passwords


@contextmanager
def _process(
    folder: Path, environment: Mapping[str, str], *words: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command of the program until the block ends.

    Ctrl-C at the terminal does not reach the process: it ends after the processes that need it.
    """
    with (folder / f"{words[0]}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "bulk_sync", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _first_line(process: "subprocess.Popen[str]", log: Path) -> str:
    """Return the URL from the first line of a server's output."""
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line:
        sys.exit(f"It could not start:\n{log.read_text()}")
    return line


def _stop_runs(state: State) -> None:
    """Stop the processes of the page: they would outlive it, but not this Campaign."""
    with closing(open_database(state)) as database:
        left = [job for job in Jobs(database, PageSettings(state)).last() if job.stop()]
    until = time.monotonic() + _END_S
    while time.monotonic() < until and any(job.is_alive for job in left):
        time.sleep(0.1)


def _interrupt(_number: int, _frame: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # one is enough
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
