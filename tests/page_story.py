"""The story of an upload in the page, played by two people, and its invariants.

Ana uploads a file, compares it with Campaign and asks for approval; Ben looks at every opt-in and
approves; the run is undone in the same way. Both press buttons of the screens. After each kill
every screen is compared with the ledger first.
"""

import csv
import io
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from page_people import Form, Killed, Person, Site

from bulk_sync import ledger
from bulk_sync.errors import Exit
from bulk_sync.ledger import Deed, Kind, Run
from bulk_sync.runs import at_work
from bulk_sync.web import old_files
from bulk_sync.web.database import open_database
from bulk_sync.web.paperwork import Paperwork

ANA, BEN = "Ana Diaz", "Ben Miller"
_MOST_STEPS = 300

T = TypeVar("T")


@dataclass
class Story:
    """The story and its invariants."""

    ana: Person
    ben: Person
    before: dict[str, object]
    desired: dict[str, object]
    has_struck: threading.Event
    paths: list[str] = field(default_factory=list)
    furthest: dict[str, int] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return self.ana.site

    def play(self, path: Path) -> list[str]:
        """Play it to its end, and return the paths of both runs."""
        upload = self._until(lambda: self._uploaded(path))
        plan = self._until(lambda: self._compared(upload))
        run = self._until(lambda: self._applied(plan))
        self._until(lambda: self._finished(run))
        assert self.site.sim.states == self.desired
        undo = self._until(lambda: self._undone(run))
        undoing = self._until(lambda: self._applied(undo))
        self._until(lambda: self._finished(undoing))
        assert self.site.sim.states == self.before
        return [run, undoing]

    def _until(self, step: Callable[[], T | None]) -> T:
        """Repeat a step until it is done; after each kill check all screens first."""
        for _ in range(_MOST_STEPS):
            try:
                if self.has_struck.is_set():
                    self.has_struck.clear()
                    self.site.revive()
                    self.check_screens()
                done = step()
            except Killed:
                self.site.replace()
                continue
            if done:
                return done
        raise AssertionError("no end")

    def _uploaded(self, path: Path) -> str | None:
        return self._known(self.ana.upload(path), "/uploads/")

    def _compared(self, upload: str) -> str | None:
        text = self.ana.look(upload)
        if "/events" in text:
            self.ana.wait(upload)
            return None
        button = "Compare with Campaign"
        if Form(text, button).is_there:
            return self._known(self.ana.press(upload, button), "/plans/")
        self.ana.press(upload, "Check again")
        return None

    def _applied(self, plan: str) -> str | None:
        text = self.ana.look(plan)
        match self._stage(plan, text):
            case "being made" | "being applied":
                self.ana.wait(plan)
            case "not made":
                self.ana.press(plan, "Make the plan again")
            case "approval not asked for":
                self.ana.press(plan, "Ask for approval", comment="Please look")
            case "waits for approval":
                seen = Form(self.ben.look(plan), "Confirm these rows")
                button = "Confirm these rows" if seen.is_there else "Approve and apply"
                self.ben.press(plan, button)
            case "approved, not started":
                self.ben.press(plan, "Apply the approved plan")
            case "applied":
                (run,) = re.findall(r'href="(/runs/[^"]+)">show the run', text)
                return self._known(run, "/runs/")
            case other:
                raise AssertionError(f"{plan}: {other}")
        return None

    def _finished(self, run: str) -> bool:
        text = self.ben.look(run)
        if "/events" in text:
            self.ben.wait(run)
        elif Form(text, "Resume").is_there:
            self.ben.press(run, "Resume")
        elif "✓ done" in text:
            return True
        return False

    def _undone(self, run: str) -> str | None:
        text = self.ana.look(run)
        there = re.search(r'href="(/plans/[^"]+)">a plan to undo it', text)
        path = there[1] if there else self.ana.press(run, "Undo this run")
        return self._known(path, "/plans/")

    def _known(self, path: str, kind: str) -> str | None:
        """Store the path of a screen; None if another kind of screen followed."""
        path = path.partition("?")[0]
        if not path.startswith(kind):
            return None
        if path not in self.paths:
            self.paths.append(path)
        return path

    def _stage(self, plan: str, text: str) -> str:
        """Return the stage of a plan; fail if it was further before."""
        (stage,) = re.findall(r"State: <strong>([^<]*)</strong>", text)
        order = ["waits for approval", "approved, not started", "applied"]
        at = order.index(stage) if stage in order else -1
        if stage != "being applied":  # it may die before it has begun
            assert at >= self.furthest.get(plan, -1), f"{plan} was further than {stage!r}"
            self.furthest[plan] = at
        return str(stage)

    def check_screens(self) -> None:
        """Compare every screen with the ledger and the locks, while nothing changes."""
        for _ in range(_MOST_STEPS):
            facts = self._facts()
            screens = {
                (person.name, path): person.look(path)
                for person in (self.ana, self.ben)
                for path in ("/", "/ledger", *self.paths)
            }
            if facts == self._facts() and not _is_starting(screens, facts[1]):
                break
        else:
            raise AssertionError("it never rests")
        runs, at_work, end = facts
        for (name, path), text in screens.items():
            if path == "/":
                listed = re.findall(r'href="/runs/([^"]+)".*?<td class="o">([^<]*)</td>', text)
                assert listed == [(run.run_id, _word(run, at_work)) for run in runs[::-1]], name
            elif path == "/ledger":
                assert end is None or f"{end.position}:{end.hash}" in text
            elif path.startswith("/runs/"):
                (run,) = (run for run in runs if path == f"/runs/{run.run_id}")
                assert f">{_word(run, at_work)}</strong>" in text, path
                can_go_on = not run.is_finished and run.run_id not in at_work
                assert Form(text, "Resume").is_there is can_go_on, path
            elif path.startswith("/plans/"):
                self._check_plan(path, text, runs)
            elif "/events" not in text:
                assert ("can be used" in text) or ("The check broke off" in text), path

    def _check_plan(self, path: str, text: str, runs: Sequence[Run]) -> None:
        """Compare the screen of a plan with people's acts in the ledger."""
        stage = self._stage(path, text)
        plan_id = path.removeprefix("/plans/")
        with closing(open_database(self.site.state)) as database:
            paper = Paperwork(database, 0).plan(plan_id)
        assert paper is not None, path
        applied = [run for run in runs if run.begun.plan_sha256 == (paper.sha256 or "none")]
        deeds = {act.deed for act in self._acts() if act.about == plan_id}
        assert (stage == "applied") == bool(applied), path
        if stage in {"waits for approval", "approved, not started", "being applied", "applied"}:
            assert Deed.ASKED in deeds, path
        if stage in {"approved, not started", "being applied", "applied"}:
            assert Deed.APPROVED in deeds, path

    def _facts(self) -> tuple[list[Run], set[str], ledger.Head | None]:
        with ledger.open_existing(self.site.state) as book:
            runs, end = ([], None) if book is None else (book.runs(), book.chain_end())
            return runs, set(at_work(self.site.state, book)), end

    def _acts(self) -> list[ledger.Act]:
        acts: list[ledger.Act] = []
        with ledger.open_existing(self.site.state) as book:
            if book is not None:
                book.follow({}, acts, 0)
        return acts

    def judge(self, paths: Sequence[str], kills: int) -> None:
        """Compare the writes to Campaign with the approvals in the ledger."""
        assert ledger.verify(self.site.state).misfit is None
        folders = {each.name for each in (self.site.state.folder / "page").iterdir()}
        assert folders <= set(old_files.FOLDERS), "who deletes the others?"
        runs, acts = self._facts()[0], self._acts()
        applied = [run for run in runs if run.begun.plan_sha256]
        assert [f"/runs/{run.run_id}" for run in applied] == paths
        assert all(run.begun.kind is Kind.PLAN for run in runs if run not in applied)
        meant: Counter[tuple[str, bool]] = Counter()
        for run in applied:
            approvals = [
                act
                for act in acts
                if act.deed == Deed.APPROVED
                and act.facts["sha256"] == run.begun.plan_sha256
                and act.position < run.position
            ]
            assert {act.who for act in approvals} == {BEN}
            assert run.begun.settings["approved_by"] == [BEN]
            assert run.begun.settings["prepared_by"] == ANA
            with ledger.open_existing(self.site.state) as book:
                assert book is not None
                writes = list(book.writes(run.run_id))
            meant.update((write.intent.key, write.intent.desired) for write in writes)
            last = {write.intent.key: write.settled for write in writes}
            assert set(last) == {key for key in self.before if self.differs(key)}
            assert all(settled and settled.outcome == "updated" for settled in last.values())
            assert run.ended is not None
            assert run.ended.outcomes["updated"] == len(last)
            report = io.StringIO(self.ana.look(f"/runs/{run.run_id}/report/csv"))
            outcomes = Counter(row["sync_outcome"] for row in csv.DictReader(report))
            assert outcomes.pop("updated") == len(last)
            assert set(outcomes) <= {"unchanged"}
        written = Counter((key, state is True) for key, state in self.site.sim.patched)
        assert set(written) == set(meant)
        assert all(count <= meant[each] for each, count in written.items())
        assert kills or len(meant) == meant.total(), "meant twice without a kill"

    def differs(self, key: str) -> bool:
        return self.before[key] != self.desired[key]


def _is_starting(screens: Mapping[tuple[str, str], str], at_work: set[str]) -> bool:
    """Return whether a process at work has not taken the lock of its run yet."""
    shown = {path for (_, path), text in screens.items() if "→ at work</strong>" in text}
    return any(
        path.removeprefix("/runs/") not in at_work for path in shown if path.startswith("/runs/")
    )


def _word(run: Run, at_work: set[str]) -> str:
    """Return the state of a run, by the ledger and the locks."""
    if run.run_id in at_work:
        return "→ at work"
    if run.ended is None:
        return "! broke off"
    if not run.ended.final:
        return "… stopped"
    assert run.ended.exit == Exit.DONE
    return "✓ planned" if run.begun.kind is Kind.PLAN else "✓ done"
