"""The output and the requests of a run survive a power cut at any moment.

A run works on a disk that forgets everything not synced (``power_cut.py``). Afterwards its files
are rebuilt as after a power cut at every moment of the run, and ``resume`` goes on from there,
against a Campaign in the state of that moment. A missing flush, fsync, folder sync, commit or
``synchronous=FULL`` loses facts needed by a request or an exit status.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import Run, key, populate, process, read_csv, write_states
from power_cut import Disk, Names

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Options, Simulator, running

ROWS = 30
FORMATS = ("csv", "parquet", "json", "xlsx", "html")


@dataclass(frozen=True)
class Recorded:
    """A finished run on a disk with recorded syncs."""

    disk: Disk
    sim: Simulator
    run_id: str
    sent: list[tuple[str, int]]
    """The key of every write in the order of arrival, and the number of syncs before it."""


def on_a_recorded_disk(sim: Simulator, folder: Path, *words: str, status: int) -> Disk:
    """Run a command with an expected status, and return its disk."""
    root, syncs = folder / "root", folder / "syncs"
    program = (sys.executable, str(Path(__file__).with_name("power_cut.py")), str(root), str(syncs))
    with process(sim, root, *words, program=program) as ran:
        assert ran.stderr is not None
        text = ran.stderr.read()
    assert ran.returncode == status, text
    return Disk(root, syncs)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "root").mkdir()
    disk = Disk(folder / "root", folder / "syncs")
    sent: list[tuple[str, int]] = []

    class Watched(list[tuple[str, bool | None]]):
        def append(self, write: tuple[str, bool | None]) -> None:
            sent.append((write[0], disk.moment()))
            super().append(write)

    with running(Options(latency_s=0.01)) as sim:
        sim.patched = Watched()
        populate(sim, ROWS)
        write_states(folder / "root" / "in.csv", ROWS + 1)
        reports = [word for each in FORMATS for word in ("--report", f"out.{each}")]
        words = ("run", "in.csv", "--fetch", "lookup", "--concurrency", "4", *reports)
        on_a_recorded_disk(sim, folder, *words, status=3)
        with ledger.open_existing(State(folder / "root" / "state")) as book:
            assert book is not None
            (run,) = book.runs()
        writes = list(sent)
        assert len(writes) == ROWS
        sim.options = replace(sim.options, latency_s=0.0)
        yield Recorded(disk, sim, run.run_id, writes)


each_loss_of_names = pytest.mark.parametrize("names", Names, ids=lambda names: names.name.lower())


@each_loss_of_names
def test_no_write_is_sent_before_its_intent_would_survive(
    recorded: Recorded, names: Names, tmp_path: Path
) -> None:
    for moment in sorted({moment for _, moment in recorded.sent}):
        root = recorded.disk.after_power_cut(moment, names, tmp_path / "after")
        state = State(root / "state")
        with ledger.open_ledger(state) as book:
            assert book.verify()[1] is None
            intended = {write.intent.key: write.position for write in book.writes(recorded.run_id)}
        noted = ledger.connect.anchor_of(state).head()
        assert noted is not None
        for each in (each for each, when in recorded.sent if when == moment):
            assert intended[each] <= noted.position


@each_loss_of_names
def test_the_printed_end_of_a_run_would_survive(
    recorded: Recorded, names: Names, tmp_path: Path, run: Run
) -> None:
    root = recorded.disk.after_power_cut(recorded.disk.moment(), names, tmp_path / "after")
    kept = {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}
    wanted = [f"out.{each}" for each in FORMATS] + [f"in.{recorded.run_id}.todo.csv"]
    assert kept.keys() >= set(wanted)
    for name in wanted:
        assert kept[name] == (recorded.disk.root / name).read_bytes(), name
    with ledger.open_existing(State(recorded.disk.root / "state")) as live:
        assert live is not None
        head, _ = live.verify()
    assert ledger.connect.anchor_of(State(root / "state")).head() == head
    verified = run(None, "ledger", "verify", "--state-dir", root / "state", "--json").summary
    assert (verified["lines"], verified["first_misfit"]) == (head.position, None)
    with ledger.open_ledger(State(root / "state")) as book:
        assert book.run(recorded.run_id).is_finished
        assert {write.settled is not None for write in book.writes(recorded.run_id)} == {True}


def content(root: Path) -> str:
    """Return a hash of all names and files below a folder."""
    found = sha256()
    for path in sorted(root.rglob("*")):
        found.update(f"\n{path.relative_to(root)}\n".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


@each_loss_of_names
def test_after_a_power_cut_at_any_moment_resume_finishes_the_run(
    recorded: Recorded, names: Names, tmp_path: Path, run: Run
) -> None:
    campaign, went_on, seen = recorded.sim, 0, set[object]()
    for moment in range(1, recorded.disk.moment() + 1):
        root = recorded.disk.after_power_cut(moment, names, tmp_path / "after")
        arrived = {each for each, when in recorded.sent if when <= moment}
        if (same := (len(arrived), content(root))) in seen:
            continue
        seen.add(same)
        campaign.clear()
        populate(campaign, ROWS)
        for each in arrived:
            campaign.profiles[each]["ccpaOptOut"] = True
        ran = run(campaign, "resume", "--state-dir", root / "state", "--report", root / "again.csv")
        if "nothing to resume" in ran.out:  # the run had not begun, or was finished
            assert len(arrived) in {0, ROWS}
            with ledger.open_ledger(State(root / "state")) as book:
                assert [each.is_finished for each in book.runs()] == [True] * bool(arrived)
        else:
            went_on += 1
            assert ran.status == 3, ran.err
            report = read_csv(root / "again.csv")
            assert [row["PKey"] for row in report] == [key(number) for number in range(ROWS + 1)]
            outcomes = [row["sync_outcome"] for row in report]
            assert outcomes == ["updated"] * ROWS + ["not_found"]
            assert {each for each, _ in campaign.patched} == set(campaign.profiles) - arrived
            assert len(campaign.patched) == ROWS - len(arrived)
        assert run(None, "ledger", "verify", "--state-dir", root / "state").status == 0
    assert went_on > 10


def test_a_plan_that_was_written_would_survive(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with running(Options()) as sim:
        populate(sim, 3)
        write_states(tmp_path / "root" / "in.csv", 4)
        words = ("plan", "in.csv", "--out", "reviewed.parquet")
        disk = on_a_recorded_disk(sim, tmp_path, *words, status=3)
    written = (disk.root / "reviewed.parquet").read_bytes()
    for names in Names:
        root = disk.after_power_cut(disk.moment(), names, tmp_path / "after")
        assert (root / "reviewed.parquet").read_bytes() == written


def test_states_read_before_a_budget_was_spent_would_survive(tmp_path: Path, run: Run) -> None:
    (tmp_path / "root").mkdir()
    with running(Options()) as sim:
        populate(sim, 100, state=True)
        write_states(tmp_path / "root" / "in.csv", 100)
        words = ("run", "in.csv", "--fetch", "scan", "--page-size", "10", "--max-calls", "6")
        disk = on_a_recorded_disk(sim, tmp_path, *words, status=6)
        for names in Names:
            root = disk.after_power_cut(disk.moment(), names, tmp_path / "after")
            sim.clear()
            where = ("--state-dir", root / "state", "--report", root / "r.csv")
            assert run(sim, "resume", "--max-calls", 100, *where).status == 0
            assert len(sim.requests) == 1 + 10 - 4  # a first call, and the pages that were left
