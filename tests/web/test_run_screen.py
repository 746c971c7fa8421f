"""A run on its screen: at work, stopped, at its end, and its next steps."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Run, before_answer, key, populate, read_csv, write_states
from flow import (
    ANA,
    BEN,
    approve,
    confirm_opt_ins,
    make_plan,
    press,
    run_of,
    text_of,
    wait_for_jobs,
)
from serving import Served

from bulk_sync.ledger import Deed
from bulk_sync.simulator import Simulator
from bulk_sync.web import run_view
from bulk_sync.web.identity import Role
from bulk_sync.web.run_view import RunState


@pytest.fixture
def served(inline_page: Served) -> Served:
    """Return a page whose processes run here."""
    return inline_page


def apply_file(served: Served, path: Path) -> str:
    """Have a plan of a file approved; wait for the end of the process, and return its run."""
    plan_id = make_plan(served, path)
    press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/ask")
    approve(served.signed_in(Role.APPROVER), served, plan_id)
    return f"/runs/{run_of(served, plan_id)}"


def test_the_result_is_shown_with_its_files_and_undone_after_an_approval(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    path.write_text(path.read_text() + f"{key(9)},true\n")
    run = apply_file(served, path)
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    screen = ana.get(served.url + run)
    assert '<tr><th scope="row"><time datetime="' in screen.text  # in the reader's zone, as others
    shown = text_of(screen)
    assert "(0 opt-ins, 3 opt-outs); 1 row needs a person. Files " in shown
    assert "3 of 4 rows were changed in Campaign" in shown
    assert not re.search("(?i)exit status", shown)
    assert f"Approved by {BEN}" in shown
    excel = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    for kind, content_type in (("xlsx", excel), ("csv", "text/csv"), ("html", "text/html")):
        answer = ben.get(f"{served.url}{run}/report/{kind}")
        name = f'attachment; filename="in.{run.rpartition("/")[2]}.results.{kind}"'
        assert answer.headers["Content-Disposition"].startswith(name)
        assert answer.headers["Content-Type"] == content_type
    todo = ben.get(f"{served.url}{run}/report/todo").content
    (tmp_path / "todo.csv").write_bytes(todo)
    assert [row["PKey"] for row in read_csv(tmp_path / "todo.csv")] == [key(9)]
    assert ben.get(f"{served.url}{run}/report/exe").status_code == 404
    assert press(ben, served, f"{run}/undo").status_code == 403
    undos = {press(ana, served, f"{run}/undo").url.rpartition("/")[2] for _ in range(2)}
    (undo,) = undos
    wait_for_jobs(served, undo)
    press(ana, served, f"/plans/{undo}/ask")
    confirm_opt_ins(ben, served, undo)
    approve(ben, served, undo)
    wait_for_jobs(served, undo)
    assert not any(sim.states.values())
    assert "Its changes were put back by" in ana.get(served.url + run).text
    assert press(ana, served, f"{run}/undo").status_code == 409
    deeds = [act.deed for act in served.page.ledger.acts(run.rpartition("/")[2])]
    assert deeds == [Deed.UNDO_ASKED]
    files = [each for each in served.page.settings.state.folder.rglob("*") if each.is_file()]
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


def test_a_killed_run_is_shown_as_such_and_resumed_once(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    populate(sim, 30)

    def kill() -> None:
        (job,) = served.page.jobs.last(1)
        while not (job.folder / "alive").stat().st_size:
            pass  # the page writes the number down once the process has begun
        os.kill(job.pid, signal.SIGKILL)

    before_answer(sim, "PATCH", 5, kill)
    run = apply_file(served, write_states(tmp_path / "in.csv", 30))
    viewer, ben = served.signed_in(Role.VIEWER), served.signed_in(Role.APPROVER)
    shown = text_of(viewer.get(served.url + run))
    assert (shown.count("broke off"), shown.count("It broke off, as by a power cut")) == (2, 1)
    assert press(viewer, served, f"{run}/resume").status_code == 403
    answers = [press(ben, served, f"{run}/resume").url for _ in range(2)]
    wait_for_jobs(served, run.rpartition("/")[2])
    assert all(run in url for url in answers)
    assert len(served.page.jobs.list_about(run.rpartition("/")[2], "resume")) == 1
    assert all(sim.states.values())
    assert "30 of 30 rows were changed" in text_of(viewer.get(served.url + run))


def test_a_run_that_ends_while_its_screen_is_made_is_shown_at_its_end(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    page, states = working_page.page, list[RunState | None]()
    populate(sim, 3)

    def look() -> None:
        states.append(run_view.read(page, page.jobs.last(1)[0].progress().run_id or ""))

    before_answer(sim, "PATCH", 1, look)
    apply_file(working_page, write_states(tmp_path / "in.csv", 3))
    (state,) = states
    assert state is not None
    assert state.is_at_work
    shown = run_view.values(page, state, {})
    assert shown["state"].standing.word == "done"
    assert shown["facts"] is not None


def test_a_run_is_stopped_and_resumed(sim: Simulator, working_page: Served, tmp_path: Path) -> None:
    served = working_page
    populate(sim, 400)
    ana = served.signed_in(Role.UPLOADER)
    answers: list[str] = []

    def stop() -> None:
        (job,) = served.page.jobs.last(1)
        run_id = job.progress().run_id
        shown = text_of(ana.get(f"{served.url}/runs/{run_id}"))
        answers.extend([shown, text_of(press(ana, served, f"/runs/{run_id}/stop"))])

    before_answer(sim, "PATCH", 3, stop)
    run = apply_file(served, write_states(tmp_path / "in.csv", 400))
    assert "State: → at work" in answers[0]
    assert "The run was asked to stop." in answers[1]
    shown = text_of(ana.get(served.url + run))
    assert "The run is not finished. It was stopped at the page or by Ctrl-C." in shown
    assert "SIGINT" not in shown
    assert "It can be resumed. " in shown
    assert re.search(r"; 0 rows need a person, \d+ are still to do\. Files .* Rows to", shown)
    assert "and Resume does them." in shown
    assert "If its list is wrong, do not resume it: ask the person who looks after" in shown
    undo = press(ana, served, f"{run}/undo")
    assert (undo.status_code, "it cannot be undone yet" in undo.text) == (409, True)
    assert re.search(r"… stopped apply in\.csv 400 0 \d+ 0 ", text_of(ana.get(served.url)))
    assert 0 < list(sim.states.values()).count(True) < 400
    press(ana, served, f"{run}/resume")
    wait_for_jobs(served, run.rpartition("/")[2])
    assert all(sim.states.values())
    assert "It has ended already." in press(ana, served, f"{run}/stop").text
    acts = [(act.deed, act.who) for act in served.page.ledger.acts(run.rpartition("/")[2])]
    assert acts == [(Deed.STOPPED, ANA), (Deed.RESUMED, ANA)]
    shown = text_of(ana.get(served.url + run))
    assert re.search(rf": {ANA} asked to stop .{{,40}}: {ANA} resumed ", shown)


def test_failed_rows_are_tried_again_as_a_run_of_their_own(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 2)
    sim.forbidden.add(key(1))
    run = apply_file(served, write_states(tmp_path / "in.csv", 2))
    sim.forbidden.clear()
    ana = served.signed_in(Role.UPLOADER)
    assert "Try failed rows again" in ana.get(served.url + run).text
    press(ana, served, f"{run}/retry")
    second = run_of(served, run.rpartition("/")[2], "retry")
    assert second not in run
    assert "1 of 1 row was changed" in text_of(ana.get(f"{served.url}/runs/{second}"))
    assert all(sim.states.values())
    assert "Its failed rows were tried again by" in text_of(ana.get(served.url + run))
    assert press(ana, served, f"{run}/retry").status_code == 409


def test_a_retry_and_an_undo_that_stopped_are_gone_on_with_and_not_begun_again(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 2)
    sim.forbidden.add(key(1))
    run = apply_file(served, write_states(tmp_path / "in.csv", 2))
    sim.forbidden.clear()
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)

    settings = served.page.settings
    few = replace(settings, variables={**settings.variables, "BULK_SYNC_MAX_CALLS": "1"})

    def retry() -> str:
        served.page.jobs._settings = few
        press(ana, served, f"{run}/retry")
        return run_of(served, run.rpartition("/")[2], "retry")

    def undo() -> str:
        about = press(ana, served, f"{run}/undo").url.rpartition("/")[2]
        press(ana, served, f"/plans/{about}/ask")
        confirm_opt_ins(ben, served, about)
        served.page.jobs._settings = few
        approve(ben, served, about)
        return run_of(served, about)

    for begin, button, words in (
        (retry, "retry", "failed rows {} tried again"),
        (undo, "undo", "changes {} put back"),
    ):
        second = begin()
        served.page.jobs._settings = settings
        assert press(ana, served, f"{run}/{button}").status_code == 409
        shown = text_of(ana.get(served.url + run))
        assert f"Its {words.format('are being')} by run {second} ." in shown
        assert "bulk-sync resume" not in shown
        press(ana, served, f"/runs/{second}/resume")
        wait_for_jobs(served, second)
        shown = text_of(ana.get(served.url + run))
        assert f"Its {words.format('were')} by run {second} ." in shown


def test_a_retry_that_could_not_begin_names_the_reason(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 2)
    sim.forbidden.add(key(1))
    run = apply_file(served, write_states(tmp_path / "in.csv", 2))
    ana, settings = served.signed_in(Role.UPLOADER), served.page.settings
    broken = {**settings.variables, "BULK_SYNC_RATE": "fast"}
    served.page.jobs._settings = replace(settings, variables=broken)
    press(ana, served, f"{run}/retry")
    wait_for_jobs(served, run.rpartition("/")[2])
    assert "'fast'" in text_of(ana.get(served.url + run))


def test_runs_of_the_command_line_are_shown_as_well(
    sim: Simulator, served: Served, run: Run, tmp_path: Path
) -> None:
    populate(sim, 3)
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n{key(1)},maybe\n")
    ids = [
        run(sim, *words, "--summary", "json").summary["run_id"]
        for words in (
            ("run", "in.csv"),
            ("plan", "in.csv", "--out", "p.parquet"),
            ("run", "missing.csv"),
        )
    ]
    viewer = served.signed_in(Role.VIEWER)
    shown = [text_of(viewer.get(f"{served.url}/runs/{run_id}")) for run_id in ids if run_id]
    assert "1 of 2 rows was changed in Campaign" in shown[0]
    assert "Plan of opt-out changes: in.csv" in shown[1]
    assert viewer.get(f"{served.url}/runs/{ids[1]}/report/html").status_code == 200


def test_a_run_at_work_of_a_command_line_is_shown_with_its_machine(
    sim: Simulator, served: Served, run: Run, tmp_path: Path
) -> None:
    populate(sim, 3)
    viewer, shown = served.signed_in(Role.VIEWER), list[str]()

    def look() -> None:
        (run_id,) = served.page.ledger.at_work()
        shown.append(text_of(viewer.get(f"{served.url}/runs/{run_id}")))

    before_answer(sim, "PATCH", 1, look)
    run(sim, "run", write_states(tmp_path / "in.csv", 3))
    where = rf"At work is \S+ on .*, process {os.getpid()}, since [-: 0-9]+ [A-Z]+ \. "
    assert re.search(f"Under way outside of this page {where}Its progress is shown", shown[0])
    assert "Stop" not in shown[0]
