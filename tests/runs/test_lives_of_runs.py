"""Runs in any order and with any faults lose no outcome and make no wrong write.

A state machine starts, kills, resumes, retries and undoes runs against a simulator; its profiles
move by themselves and cannot always be written. A kill is an exception raised where the run reports
progress, and never caught; ``torture.py`` uses real processes.
"""

import logging
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from conftest import key
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bulk_sync import runs
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.errors import Refused, UsageProblem
from bulk_sync.ledger import Begun, Kind, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.runs import Finished, Input, Job, JobRecord, Judged, NothingLeft, Plan
from bulk_sync.settings import (
    Bound,
    Connection,
    Credentials,
    Fetch,
    Limits,
    Pace,
    Reading,
    Secret,
    State,
)
from bulk_sync.simulator import Options, running

PROFILES = 8
MOST_OPT_INS = 3

KILLED_AFTER = st.one_of(st.none(), st.integers(0, 2 * PROFILES + 2))


class Killed(KeyboardInterrupt):
    """The end of a process, simulated within one process."""


class Watcher:
    """A screen that kills a run after a number of progress reports."""

    def __init__(self, killed_after: int | None) -> None:
        self._left = killed_after
        self._is_loop_dead = False

    def begin(self, _run_id: str, _begun: Begun) -> None:
        self.show_progress("", 0, 0)

    def announce(self, _judged: Judged) -> None:
        self.show_progress("", 0, 0)

    def show_progress(
        self, _what: str, _done: int = 0, _total: int = 0, _pacer: Pacer | None = None
    ) -> None:
        if self._left is None or (_pacer is not None and self._is_loop_dead):
            return  # after a kill the loop runs once more, to close its connections
        if self._left == 0:
            self._is_loop_dead = _pacer is not None
            raise Killed
        self._left -= 1

    def show(self, _reviewed: Plan) -> None:
        self.show_progress("", 0, 0)

    def approve(self, _reviewed: Plan) -> None:
        self.show_progress("", 0, 0)


class Lives(RuleBasedStateMachine):
    """The state machine: ``words`` has the expected requests of each run."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("bulk_sync").setLevel(logging.CRITICAL)
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.sim = self.stack.enter_context(running(Options(retry_after_s=0)))
        for number in range(PROFILES):
            self.sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
        connection = Connection(self.sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        self.job = Job(
            connection=connection,
            pace=Pace(concurrency=2),
            reading=Reading(Fetch.LOOKUP),
            limits=Limits(max_opt_ins=Bound(count=MOST_OPT_INS)),
            record=JobRecord(
                State(self.folder / "state"), "lists", reports=(str(self.folder / "{run_id}.csv"),)
            ),
        )
        self.files = 0
        self.seen: dict[str, int] = {}

    def teardown(self) -> None:
        self.stack.close()

    @rule(
        rows_desired=st.dictionaries(st.integers(0, PROFILES + 1), st.booleans(), min_size=1),
        killed_after=KILLED_AFTER,
    )
    def start(self, rows_desired: dict[int, bool], killed_after: int | None) -> None:
        self.files += 1
        path = self.folder / f"{self.files}.csv"
        rows = "".join(
            f"{key(number)},{str(row_state).lower()}\n"
            for number, row_state in rows_desired.items()
        )
        path.write_text(f"PKey,ccpaOptOut\n{rows}")
        self.live(lambda watcher: runs.sync(self.job, Input(str(path)), watcher), killed_after)

    @precondition(lambda self: self.interrupted is not None)
    @rule(killed_after=KILLED_AFTER)
    def resume(self, killed_after: int | None) -> None:
        found = self.interrupted
        assert found is not None
        self.live(lambda watcher: runs.resume(self.job, found.run_id, watcher), killed_after)

    @precondition(lambda self: self.finished)
    @rule(data=st.data(), killed_after=KILLED_AFTER)
    def retry(self, data: st.DataObject, killed_after: int | None) -> None:
        run = data.draw(st.sampled_from(self.finished))
        self.live(lambda watcher: runs.retry(self.job, run.run_id, watcher), killed_after)

    @precondition(lambda self: self.finished)
    @rule(data=st.data(), killed_after=KILLED_AFTER)
    def undo(self, data: st.DataObject, killed_after: int | None) -> None:
        run = data.draw(st.sampled_from(self.finished))
        self.live(lambda watcher: runs.undo(self.job, run.run_id, watcher), killed_after)

    @rule(number=st.integers(0, PROFILES - 1), state=st.booleans())
    def move(self, number: int, state: bool) -> None:
        self.sim.profiles[key(number)]["ccpaOptOut"] = state

    @rule(numbers=st.sets(st.integers(0, PROFILES - 1)))
    def forbid(self, numbers: set[int]) -> None:
        self.sim.forbidden.clear()
        self.sim.forbidden.update(key(number) for number in numbers)

    def live(self, work: Callable[[Watcher], Finished], killed_after: int | None) -> None:
        """Run a part of a run's life, and check its writes and its report."""
        held, written = dict(self.sim.states), len(self.sim.patched)
        opted_out = {pkey for pkey, state in held.items() if state is True}
        try:
            finished = work(Watcher(killed_after))
        except (Killed, NothingLeft, Refused):
            return
        except UsageProblem as refused:
            assert any(each in str(refused) for each in ("Finish it", "was undone"))  # noqa: PT017
            return
        finally:
            patched = self.sim.patched[written:]
            assert len(patched) == len({pkey for pkey, _ in patched})
            lifted = {pkey for pkey, state in patched if not state and pkey in opted_out}
            assert len(lifted) <= MOST_OPT_INS
        self.judge(finished)

    def judge(self, finished: Finished) -> None:
        rows = finished.rows
        assert sum(finished.totals.outcomes.values()) == len(rows)
        report = pd.read_csv(self.folder / f"{finished.run_id}.csv", dtype=str)
        assert report["sync_outcome"].tolist() == rows[columns.OUTCOME].tolist()
        recorded = {}
        with runs.known(self.job.record.state) as book:
            for write in book.writes(finished.run_id):
                recorded[write.intent.key] = write.settled
        columns_wanted = [columns.KEY, columns.OUTCOME, columns.DESIRED]
        for pkey, outcome, desired in rows[columns_wanted].itertuples(index=False):
            if outcome == Outcome.UPDATED:
                settled = recorded[pkey]
                assert settled is not None
                assert settled.outcome is Outcome.UPDATED
                # A write in flight at a kill counts as arrived if Campaign has it now.
                held = self.sim.states.get(pkey) == desired
                assert held or (pkey, desired) in self.sim.patched
            elif outcome == Outcome.FAILED and finished.cause is None:
                assert pkey in self.sim.forbidden or recorded.get(pkey) is not None

    @invariant()
    def the_ledger_fits_and_only_grows(self) -> None:
        if not (self.folder / "state" / "ledger.sqlite3").exists():
            return
        with runs.known(self.job.record.state) as book:
            head, misfit = book.verify()
            assert misfit is None
            intended = {
                write.intent.key for run in book.runs() for write in book.writes(run.run_id)
            }
        assert head.position >= self.seen.get("lines", 0)
        self.seen["lines"] = head.position
        assert {pkey for pkey, _ in self.sim.patched} <= intended

    @property
    def all_runs(self) -> list[Run]:
        if not (self.folder / "state" / "ledger.sqlite3").exists():
            return []
        with runs.known(self.job.record.state) as book:
            return book.runs()

    @property
    def interrupted(self) -> Run | None:
        return next((run for run in reversed(self.all_runs) if not run.is_finished), None)

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.all_runs if run.is_finished and run.begun.kind != Kind.APPLY]


TestLivesOfRuns = Lives.TestCase
TestLivesOfRuns.settings = settings(
    max_examples=18,
    stateful_step_count=8,
    derandomize=True,  # the test must not depend on chance
    suppress_health_check=list(HealthCheck),
)
