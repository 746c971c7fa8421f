"""Who may work where: one run at a time on an organization, one process at a time on a plan."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from pathlib import Path

from bulk_sync import ledger
from bulk_sync.ledger import Ledger
from bulk_sync.runs.history.past_runs import known
from bulk_sync.runs.kept import checkpoint_place
from bulk_sync.runs.kept.checkpoint import checkpoint_folder
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import State
from bulk_sync.storage import lock


def working_alone(job: Job, run_id: str) -> AbstractContextManager[Ledger]:
    """Open the ledger while no other run may work on the organization."""
    return alone(job.record.state, lock.name(job.connection), f"run {run_id}")


@contextmanager
def alone(state: State, organization: str, task: str) -> Iterator[Ledger]:
    """Open the ledger while no other process may work on an organization, named as its lock.

    ``task`` is what is done, for others to read. Raise AnotherRun if another process works on it.
    """
    holder = lock.holder(task)
    with folders_locked(state, organization, holder), ledger.open_ledger(state) as book:
        book.hold(organization, holder, state.lock_wait_s)
        yield book


@contextmanager
def at_rest(state: State, task: str) -> Iterator[Ledger]:
    """Open the ledger while no process works on any organization, or plan, known here.

    Raise UsageProblem if there is none, and AnotherRun if a process is at work.
    """
    with known(state) as book:
        runs = book.runs()
    organizations = {lock.name(run.begun) for run in runs}.union(*map(lock.names, _folders(state)))
    plans = [run for run in runs if run.begun.is_plan and not run.is_finished]
    holder = lock.holder(task)
    with ExitStack() as locks:
        for name in sorted(organizations):
            locks.enter_context(folders_locked(state, name, holder))
        book = locks.enter_context(ledger.open_ledger(state))
        for name in sorted(organizations):
            book.hold(name, holder, state.lock_wait_s)
        for run in plans:
            locks.enter_context(working_on_plan(book, state, run.run_id))
        yield book


@contextmanager
def folders_locked(state: State, organization: str, holder: str) -> Iterator[None]:
    """Hold the lock of an organization in the state folder, and beside the ledger's file.

    Runs that keep their rows in different places may still share the ledger's file.
    """
    with ExitStack() as locks:
        for folder in _folders(state):
            locks.enter_context(_folder_locked(state, folder, organization, holder))
        yield


@contextmanager
def working_on_plan(book: Ledger, state: State, run_id: str) -> Iterator[None]:
    """Lock a plan, not the organization: it is only read, and others may work on it."""
    holder = lock.holder(f"run {run_id}")
    with ExitStack() as locks:
        if checkpoint_place.exists(state, run_id):
            folder = checkpoint_folder(state.folder, run_id)
            locks.enter_context(_folder_locked(state, folder, "plan", holder))
        locks.enter_context(book.holding(f"plan {run_id}", holder, state.lock_wait_s))
        yield


def at_work(state: State, book: Ledger | None) -> dict[str, lock.RunProcess]:
    """Return the runs at work now, each with its process.

    Locks in the state folder show the processes of this machine, those of the ledger's server all.
    """
    folders = [*_folders(state), *state.folder.glob("runs/*")]
    here = chain.from_iterable(map(lock.find_holders, folders))
    return lock.runs_of([*here, *(() if book is None else book.holders())])


@contextmanager
def _folder_locked(state: State, folder: Path, name: str, holder: str) -> Iterator[None]:
    """Hold a lock in a folder; do nothing if it cannot lock, but the ledger's server can."""
    with ExitStack() as locks:
        try:
            locks.enter_context(lock.hold(folder, name, holder, state.lock_wait_s))
        except lock.NoLocks:
            if not ledger.has_lock(state):
                raise
        yield


def _folders(state: State) -> list[Path]:
    return sorted({state.folder.resolve(), (ledger.folder_of(state) or state.folder).resolve()})
