"""Every state of every screen, made once by the real commands, before a browser starts.

Many states of a plan differ only in people's decisions: they are copies of one plan.
"""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import copies
import filed_reports
import orjson
import pytest
from conftest import before_answer, key
from flow import ANA, BEN, make_plan, page_for, press, without_processes
from serving import Served

from bulk_sync.cli import main
from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.storage import atomic
from bulk_sync.web import jobs, plan_state, planning, upload_state
from bulk_sync.web.database import now_ms
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.paperwork import new_id
from bulk_sync.web.records import PlanVerdict, Upload

LOCKED_OUT = "Eve Nobody"
_PROGRESS = {"event": "progress", "pass": "read", "done": 1_000, "total": 20_000}
_PROBLEMS = (
    "Name,E-mail,Opt out,Received",
    "Ann,p0@example.com,yes,2026-11-20",
    "Bob,4.5E+11,no,2026-11-22",
    "Cleo,nobody,,2026-11-23",
    "Dan,p2@example.com,yes,someday",
    "Eve,p3@example.com,yes,2026-11-24",
    "Eve,p3@example.com,no,2026-11-24",
    *(f"Row {row},p{row}@example.com,maybe,2026-11-25" for row in range(60)),
)


@contextmanager
def served_states(folder: Path) -> Iterator[tuple[Served, Mapping[str, str]]]:
    """Serve a page, and yield it with the path of each state by its name."""
    filed_reports.write_all(folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        running(Options()) as sim,
        page_for(sim, folder, patch, max_upload=1_000_000) as served,
    ):
        for _ in range(10):
            served.page.attempts.begin(LOCKED_OUT, "192.0.2.1")
        press(served.signed_in(Role.VIEWER), served, "/people", key="p9@example.com")
        with without_processes():
            made = _runs(sim, served, folder) | _plans(sim, served, folder) | _uploads(served)
        try:
            yield served, made | _at_work(sim, served, made)
        finally:
            for job in served.page.jobs.last(100):
                if job.is_alive:
                    os.kill(job.pid, signal.SIGKILL)


def listed(sim: Simulator, path: Path, first: int, opt_ins: int, opt_outs: int) -> Path:
    """Write a file of new profiles, with one bad row at its end."""
    rows = ["Name,PKey,ccpaOptOut,Request date"]
    for number in range(first, first + opt_ins + opt_outs):
        lifts = number < first + opt_ins
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=lifts)
        rows.append(f"Person {number},{key(number)},{'no' if lifts else 'yes'},2026-11-20")
    path.write_text("\n".join([*rows, f"Bad,{key(first)}x,maybe,", ""]))
    return path


def decide(served: Served, plan_id: str, *, is_approval: bool) -> None:
    """Record the request for approval, and another person's decision."""
    paperwork = served.page.paperwork
    paperwork.ask(plan_id, ANA, "Please look")
    paper = paperwork.plan(plan_id)
    assert paper is not None
    comment = "Well done" if is_approval else "Who is row 2?"
    paperwork.decide(PlanVerdict(plan_id, paper.sha256, now_ms(), BEN, is_approval, comment))


def _runs(sim: Simulator, served: Served, folder: Path) -> dict[str, str]:
    """Make runs on the command line."""

    def ran(path: Path) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in served.page.settings.variables.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit):
                main(["run", str(path), f"--report={folder}/{{run_id}}.csv"])
        return f"/runs/{served.page.ledger.requested()[0].run_id}"

    by_kind = {str(run.begun.kind): f"/runs/{run.run_id}" for run in served.page.ledger.runs()}
    sim.forbidden.add(key(101))
    ran(folder / "missing.csv")
    return {
        "run stopped": by_kind["run"],
        "run undone": by_kind["apply"],
        "run of an undo": by_kind["undo"],
        "run of a plan": by_kind["plan"],
        "run refused": ran(listed(sim, folder / "refused.csv", 200, 12, 1)),
        "run with a failed row": ran(listed(sim, folder / "failing.csv", 100, 0, 3)),
    }


def _plans(sim: Simulator, served: Served, folder: Path) -> dict[str, str]:
    """Make plans, and decide about copies of one of them."""
    paperwork, limited = served.page.paperwork, listed(sim, folder / "limited.csv", 300, 12, 1)
    same = listed(sim, folder / "same.csv", 700, 0, 1)
    sim.profiles[key(700)]["ccpaOptOut"] = True
    plans: dict[str, tuple[Path, list[str]]] = {
        "plan limited": (limited, ["--allow=inverted"]),
        "plan that holds opt-ins": (limited, ["--allow=inverted", "--hold-opt-ins"]),
        "plan not made": (folder / "missing.csv", []),
        "plan without changes": (same, []),
        "plan made": (listed(sim, folder / "plan.csv", 400, 3, 3), []),
        # One row: a second write of a killed process could come later, and count as another's.
        "broken off": (listed(sim, folder / "broken off.csv", 500, 0, 1), []),
        "at work": (listed(sim, folder / "at work.csv", 600, 0, 2), []),
    }
    made = {name: make_plan(served, path, *words) for name, (path, words) in plans.items()}
    for plan_id in made.values():
        plan_state.read(served.page, plan_id)  # has the same SHA-256

    def copy(of: str = "plan made", options: Mapping[str, str] = {}, **changed: object) -> str:
        paper = paperwork.plan(made[of])
        assert paper is not None
        new = replace(paper, id=new_id(), options={**paper.options, **options}, **changed)  # type: ignore[arg-type]
        folder = plan_state.path_of(served.page, paper.id).parent
        shutil.copytree(folder, folder.with_name(new.id))
        paperwork.add(new)
        return new.id

    for name in (
        "to approve",
        "too old",
        "being applied",
        "sent back",
        "approved",
        "no longer kept",
    ):
        made[f"plan {name}"] = copy(asked_ms=now_ms(), asked_by=ANA, comment="Please look")
    raised = {plan_state.RAISED: "--max-opt-ins 12"}
    made["plan with a raised limit"] = copy("plan limited", options=raised)
    made["plan replaced"] = copy(replaced_by=made["plan made"])
    decide(served, made["plan sent back"], is_approval=False)
    decide(served, made["plan approved"], is_approval=True)
    paperwork.set_deleted(made["plan no longer kept"])
    return {name: f"/plans/{plan_id}" for name, plan_id in made.items()}


def _uploads(served: Served) -> dict[str, str]:
    """Make uploads, and check them."""
    files: Mapping[str, Sequence[str]] = {
        "with problems": _PROBLEMS,
        "in order": ("E-mail,Opt out", "p0@example.com,yes"),
        "with unknown columns": ("Contact,Wants", "p0@example.com,yes"),
        "that cannot be read": ("%PDF-1.7 \0",),
    }
    made = {name: _upload(served, lines) for name, lines in files.items()}
    made["of a correction"] = _upload(served, _PROBLEMS[:2], corrects=made["with problems"].id)
    for each in made.values():
        upload_state.check(served.page, each, ANA, {})
    made["whose check broke off"] = _upload(served, _PROBLEMS)  # before it began
    made["no longer kept"] = _upload(served, _PROBLEMS)
    served.page.paperwork.set_deleted(made["no longer kept"].id)
    correct = {"form of a correction": f"/uploads/new?corrects={made['with problems'].id}"}
    return correct | {f"upload {name}": f"/uploads/{each.id}" for name, each in made.items()}


def _upload(served: Served, lines: Sequence[str], corrects: str | None = None) -> Upload:
    new = Upload(
        new_id(), now_ms(), ANA, "list.csv", 9, "f" * 64, "list", "T-7", {}, corrects, False
    )
    folder = served.page.settings.folder / "uploads" / new.id
    atomic.make_folder(folder)
    (folder / "upload.csv").write_text("\n".join(lines))
    served.page.paperwork.add(new)
    return new


class _Stopped(subprocess.Popen[bytes]):
    """A process stopped before its first step."""

    def __init__(self, words: Sequence[str], **given: Any) -> None:
        super().__init__(["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *words], **given)


def _at_work(sim: Simulator, served: Served, made: Mapping[str, str]) -> dict[str, str]:
    """Begin the processes of the screens at work; they last until the end of the tests."""
    page, runs = served.page, dict[str, str]()
    for name, number in (("broken off", signal.SIGKILL), ("at work", signal.SIGSTOP)):
        job = _stopped_at_a_write(sim, served, made[name].rpartition("/")[2], number)
        runs[f"run {name}"] = f"/runs/{job.progress().run_id}"
    checked = _upload(served, _PROBLEMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "subprocess", copies.in_copies(subprocess, Popen=_Stopped))
        plan_id = make_plan(served, Path("list.csv"), source=checked.id, is_process=True)
        begun = (
            upload_state.check(page, checked, ANA, {}),
            page.jobs.list_about(plan_id)[0],
            _applied(served, made["plan being applied"].rpartition("/")[2]),
        )
    for job in begun:
        (job.folder / "log.jsonl").write_bytes(orjson.dumps(_PROGRESS))
    return {
        **runs,
        "upload being checked": f"/uploads/{checked.id}",
        "plan being made": f"/plans/{plan_id}",
    }


def _stopped_at_a_write(sim: Simulator, served: Served, plan_id: str, number: int) -> PageJob:
    """Apply a plan, send its process a signal at its first write, and return the process."""
    has_come = threading.Event()

    def act() -> None:
        os.kill(served.page.jobs.last(1)[0].pid, number)
        has_come.set()

    before_answer(sim, "PATCH", 1, act)
    job = _applied(served, plan_id)
    assert has_come.wait(60)
    return job


def _applied(served: Served, plan_id: str) -> PageJob:
    """Approve a plan, and begin to apply it."""
    decide(served, plan_id, is_approval=True)
    state = plan_state.read(served.page, plan_id)
    assert state is not None
    job = planning.apply(served.page, state)
    assert job is not None
    return job
