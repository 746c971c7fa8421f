"""A plan on its screen: shown whole, approved by others, applied once, in any order of events."""

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from conftest import Run, before_answer, key, populate, write_states
from flow import (
    ANA,
    BEN,
    IDA,
    approve,
    confirm_opt_ins,
    make_plan,
    page_for,
    press,
    run_of,
    sha256_of,
    text_of,
    upload,
    wait_for_jobs,
    without_processes,
)
from page_people import Form
from serving import Served
from sqlalchemy import update

from bulk_sync.ledger import Act, Deed
from bulk_sync.simulator import Simulator
from bulk_sync.web import database, plan_state, planning, rendering
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.plan_state import PlanStage
from bulk_sync.web.records import PlanVerdict


@pytest.fixture
def served(inline_page: Served) -> Served:
    """Return a page whose processes run here."""
    return inline_page


def write_mixed(sim: Simulator, path: Path, opt_ins: int, opt_outs: int) -> Path:
    """Write a file that lifts some opt-outs, and makes others."""
    rows = []
    for number in range(opt_ins + opt_outs):
        is_opted_out = number < opt_ins
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=is_opted_out)
        rows.append(f"Person {number},{key(number)},{'no' if is_opted_out else 'yes'}")
    path.write_text("\n".join(["Name,PKey,ccpaOptOut", *rows, ""]))
    return path


def plan_to_approve(sim: Simulator, served: Served, path: Path, rows: int = 1) -> str:
    """Make a plan of opt-outs, ask for its approval, and return its id."""
    populate(sim, rows)
    plan_id = make_plan(served, write_states(path, rows))
    press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/ask")
    return plan_id


def opt_ins_to_approve(sim: Simulator, served: Served, path: Path, opt_ins: int) -> str:
    """Make a plan that lifts opt-outs, ask for its approval, and return its id."""
    raised = f"--allow inverted --max-opt-ins {opt_ins}"
    plan_id = make_plan(served, write_mixed(sim, path, opt_ins, 0), raised=raised)
    press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/ask")
    return plan_id


def record_approval(served: Served, plan_id: str, who: str, comment: str = "") -> None:
    """Record an approval, as if the page had been killed before it applied the plan."""
    served.page.ledger.record(Act(Deed.APPROVED, who, plan_id, comment))
    verdict = (plan_id, sha256_of(served, plan_id), database.now_ms(), who, True, comment)
    served.page.paperwork.decide(PlanVerdict(*verdict))


def stage(served: Served, plan_id: str) -> PlanStage:
    state = plan_state.read(served.page, plan_id)
    assert state is not None
    return state.stage


def tasks(served: Served, role: Role) -> list[tuple[str, str]]:
    """Return the plans on a person's start screen, each with its next step."""
    text = served.signed_in(role).get(f"{served.url}/").text.partition('id="others"')[0]
    return re.findall(r'href="/plans/(\w+)">([^<]*)', text)


def test_a_plan_is_shown_requested_approved_by_another_person_and_applied_once(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    path = write_mixed(sim, tmp_path / "in.csv", 3, 7)
    path.write_text(path.read_text() + f"Bad,{key(3)},maybe\n")
    plan_id = make_plan(served, path)
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    shown = text_of(ana.get(f"{served.url}/plans/{plan_id}"))
    assert "10 of 11 rows would be changed in Campaign (3 opt-ins, 7 opt-outs)" in shown
    assert shown.index("Person 2") < shown.index("Person 4")
    assert sha256_of(served, plan_id) in shown
    assert "Limits 3 opt-ins (at most 10), 10 changes (no limit) Cost" in shown
    assert "Approve" not in shown
    press(ana, served, f"/plans/{plan_id}/ask", comment="Please look")
    assert press(ana, served, f"/plans/{plan_id}/approve").status_code == 403
    unseen = approve(ben, served, plan_id)
    assert unseen.status_code == 400
    assert "Not confirmed yet: opt-ins 1 to 3." in unseen.text
    assert press(ben, served, f"/plans/{plan_id}/seen", page="1").status_code == 200
    approve(ben, served, plan_id, comment="Checked")
    run_id = run_of(served, plan_id)
    again = approve(ben, served, plan_id)
    assert again.status_code == 409
    run = served.page.ledger.run(run_id)
    assert run is not None
    assert run.begun.settings["prepared_by"] == ANA
    assert run.begun.settings["approved_by"] == [BEN]
    assert run.begun.settings["comment"] == f"{BEN}: Checked"
    acts = [(act.deed, act.who, act.comment) for act in served.page.ledger.acts(plan_id)]
    assert acts == [(Deed.ASKED, ANA, "Please look"), (Deed.APPROVED, BEN, "Checked")]
    assert [sim.states[key(number)] for number in range(3)] == [False] * 3
    assert not list(tmp_path.glob("*.results.csv"))


def test_a_plan_and_its_run_show_the_same_states_also_of_a_repeated_row(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    path = write_mixed(sim, tmp_path / "in.csv", 1, 3)
    path.write_text(path.read_text() + f"Again,{key(2)},yes\nBad,{key(3)},maybe\n")
    plan_id = make_plan(served, path)
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    screen = f"{served.url}/plans/{plan_id}"
    table = re.compile("true after .*? Reasons")
    before = table.findall(text_of(ana.get(screen)))
    assert before, text_of(ana.get(screen))
    assert "true 0 1 0 false 4 0 0 unknown 0 0 1" in before[0]
    press(ana, served, f"/plans/{plan_id}/ask")
    assert "Not on your screen yet: opt-in 1 . Look" in text_of(ben.get(screen))
    assert "I have looked at opt-in 1 " in text_of(ben.get(screen))
    assert "Opt-in 1 of 1 " in text_of(ben.get(screen))
    confirm_opt_ins(ben, served, plan_id)
    approve(ben, served, plan_id)
    run_id = run_of(served, plan_id)
    wait_for_jobs(served, run_id)
    assert table.findall(text_of(ana.get(f"{served.url}/runs/{run_id}"))) == before


def test_a_plan_shows_the_limits_with_which_it_was_made(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    words = ("--max-changes=50%", "--max-creates=0", "--max-opt-ins=7")
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 2, 3), *words)
    shown = text_of(served.signed_in(Role.VIEWER).get(f"{served.url}/plans/{plan_id}"))
    assert "Limits 2 opt-ins (at most 7), 5 changes (at most 2) Cost" in shown


def test_two_approvers_at_the_same_moment_start_it_once(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv", rows=2)
    people = [served.signed_in(role) for role in (Role.APPROVER, Role.ADMIN)]
    sha256, answers = sha256_of(served, plan_id), list[int]()

    def decide(session: requests.Session) -> None:
        answer = press(session, served, f"/plans/{plan_id}/approve", sha256=sha256)
        answers.append(answer.status_code)

    threads = [threading.Thread(target=decide, args=[session]) for session in people * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for_jobs(served, plan_id)
    assert len(served.page.jobs.list_about(plan_id, "apply")) == 1
    assert set(answers) <= {200, 409}
    assert len([call for call in sim.requests if call.method == "PATCH"]) == 2


def test_of_two_plans_that_are_applied_at_once_the_second_waits_for_the_first(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    populate(sim, 2)
    has_come, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        has_come.set()
        may_go_on.wait(60)

    def applied(plan_id: str) -> PageJob:
        state = plan_state.read(served.page, plan_id)
        assert state is not None
        verdict = PlanVerdict(plan_id, state.paper.sha256, database.now_ms(), BEN, True, "")
        job = planning.apply(served.page, replace(state, approvals=(verdict,)))
        assert job is not None
        return job

    plans = [make_plan(served, write_states(tmp_path / f"in{rows}.csv", rows)) for rows in (1, 2)]
    before_answer(sim, "PATCH", 1, hold)
    applied(plans[0])
    assert has_come.wait(60)
    second = applied(plans[1])
    while b"Waiting up to 60 s" not in (second.folder / "log.jsonl").read_bytes():
        assert second.is_alive
    may_go_on.set()
    for plan_id in plans:
        wait_for_jobs(served, plan_id)
        assert stage(served, plan_id) is PlanStage.APPLIED
    assert all(sim.states.values())


def test_as_many_people_as_asked_for_must_approve(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=2) as served, without_processes():
        plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
        ben, ida = served.signed_in(Role.APPROVER), served.signed_in(Role.ADMIN)
        for _ in range(2):
            assert "Your approval is recorded." in approve(ben, served, plan_id).text
        assert stage(served, plan_id) is PlanStage.ASKED
        approve(ida, served, plan_id)
        wait_for_jobs(served, plan_id)
    assert sim.states[key(0)] is True
    approvals = [act.who for act in served.page.ledger.acts(plan_id) if act.deed == Deed.APPROVED]
    assert approvals == [BEN, IDA]


@pytest.mark.parametrize("role", [None, Role.VIEWER], ids=["removed", "another role"])
@pytest.mark.parametrize("needed", [0, 1, 2])
def test_an_approval_counts_as_long_as_its_giver_may_approve(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: int, role: Role | None
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=needed) as served, without_processes():
        page, plan_id = served.page, plan_to_approve(sim, served, tmp_path / "in.csv")
        for name in (BEN, IDA)[: max(1, needed)]:
            record_approval(served, plan_id, name)
        assert stage(served, plan_id) is PlanStage.APPROVED  # the page was killed before the start
        page.accounts.remove(BEN)
        if role is not None:
            page.accounts.add(BEN, role, "correct horse battery")
        ida = served.signed_in(Role.ADMIN)
        assert press(ida, served, f"/plans/{plan_id}/apply").status_code == 409
        shown = text_of(ida.get(f"{served.url}/plans/{plan_id}"))
        if needed:
            assert f"{BEN} approved (no longer counts)" in shown
            assert f"{needed - 1} of {needed} approval" in shown
            assert f"{IDA} approved (no longer counts)" not in shown
            assert ("Too few people have a role" in shown) is (needed == 2)
        assert not page.jobs.list_about(plan_id, "apply")


@pytest.mark.parametrize("plan_valid_s", [7 * 86_400.0, 3_600.0], ids=["approval", "plan"])
def test_an_approval_shows_its_expiry_never_later_than_that_of_the_plan(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan_valid_s: float
) -> None:
    settings = {"approvals": 2, "plan_valid_s": plan_valid_s}
    with page_for(sim, tmp_path, monkeypatch, **settings) as served:
        plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
        ben = served.signed_in(Role.APPROVER)
        before = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
        assert "0 of 2 approvals so far. An approval is for this plan alone" in before
        assert "and is valid for 24 h." in before
        shown = approve(ben, served, plan_id).text
        (verdict,) = served.page.paperwork.verdicts(plan_id)
        state = plan_state.read(served.page, plan_id)
    assert state is not None
    until_ms = min(verdict.at_ms + 86_400_000, state.made_ms + round(plan_valid_s * 1000))
    assert f"1 of 2 approvals so far: {BEN}, valid until {rendering.time(until_ms)}. " in shown


@pytest.mark.parametrize("is_uploader", [True, False], ids=["uploaded it", "prepared it"])
def test_nobody_approves_what_they_uploaded_or_prepared(
    sim: Simulator, served: Served, tmp_path: Path, is_uploader: bool
) -> None:
    populate(sim, 1)
    plan_id = make_plan(served, write_states(tmp_path / "in.csv", 1), who=IDA)
    if is_uploader:  # a colleague compared it again
        mine = database.plans.c.id == plan_id
        served.page.database.change(update(database.plans).where(mine).values(who=ANA))
    ida = served.signed_in(Role.ADMIN)
    press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/ask")
    assert "A plan to approve" not in ida.get(f"{served.url}/").text
    shown = ida.get(f"{served.url}/plans/{plan_id}").text
    assert "another person must approve it" in shown
    assert "disabled" in (re.search(r'<button id="approve"[^>]*', shown) or [""])[0]
    answer = approve(ida, served, plan_id)
    assert answer.status_code == 409
    assert "You uploaded or prepared this plan" in answer.text
    assert stage(served, plan_id) is PlanStage.ASKED


def test_without_approvals_one_person_applies_a_plan_they_have_seen(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=0) as served, without_processes():
        plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 1, 1), who=IDA)
        ida = served.signed_in(Role.ADMIN)
        assert "A plan to approve" in ida.get(f"{served.url}/").text
        assert approve(ida, served, plan_id).status_code == 400
        confirm_opt_ins(ida, served, plan_id)
        approve(ida, served, plan_id)
        wait_for_jobs(served, plan_id)
    assert sim.states == {key(0): False, key(1): True}


def test_without_approvals_an_uploader_still_asks_those_who_may_approve(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=0) as served:
        plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 0, 1))
        ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
        assert Form(ana.get(f"{served.url}/plans/{plan_id}").text, "Ask for approval").is_there
        plan_to_approve = text_of(press(ana, served, f"/plans/{plan_id}/ask"))
        assert "It waits for another person to approve it" in plan_to_approve
        assert "A plan to approve" in ben.get(f"{served.url}/").text
        approve(ben, served, plan_id)
        wait_for_jobs(served, plan_id)
    assert sim.states == {key(0): True}


def test_without_approvals_the_run_names_the_approver_whoever_starts_it(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=0) as served, without_processes():
        plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 1, 1), who=IDA)
        assert stage(served, plan_id) is PlanStage.MADE
        record_approval(served, plan_id, IDA, "By phone")
        assert stage(served, plan_id) is PlanStage.APPROVED  # the page was killed before the start
        press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/apply")
        run = served.page.ledger.run(run_of(served, plan_id))
    assert run is not None
    assert run.begun.settings["approved_by"] == [IDA]
    assert run.begun.settings["comment"] == f"{IDA}: By phone"
    started = served.page.ledger.acts(plan_id)[-1]
    assert (started.deed, started.who) == (Deed.RESUMED, ANA)


def test_an_approval_is_for_the_plan_that_was_seen(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    ben = served.signed_in(Role.APPROVER)
    answer = press(ben, served, f"/plans/{plan_id}/approve", sha256="0" * 64)
    assert answer.status_code == 409
    assert stage(served, plan_id) is PlanStage.ASKED


def test_a_page_killed_between_approval_and_start_says_so_and_goes_on(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    state = plan_state.read(served.page, plan_id)
    assert state is not None
    record_approval(served, plan_id, BEN)
    for claimed in (None, "a process that never began"):
        if claimed:
            served.page.paperwork.begin_to_apply(state.paper, claimed)
        shown = ana.get(f"{served.url}/plans/{plan_id}").text
        assert "approved, but was not started" in shown
        waiting = {role: tasks(served, role) for role in Role}
        assert waiting.pop(Role.VIEWER) == []
        assert set(map(str, waiting.values())) == {
            str([(plan_id, "An approved plan that was not started")])
        }
    for each in (ben, ana):
        press(each, served, f"/plans/{plan_id}/apply")
    wait_for_jobs(served, plan_id)
    assert len(served.page.jobs.list_about(plan_id, "apply")) == 1
    assert sim.states[key(0)] is True


def test_a_plan_whose_run_was_given_up_is_not_applied_again(
    sim: Simulator, served: Served, tmp_path: Path, run: Run
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv", 2)
    ben, settings = served.signed_in(Role.APPROVER), served.page.settings
    few = {**settings.variables, "BULK_SYNC_MAX_CALLS": "3"}
    served.page.jobs._settings = replace(settings, variables=few)
    approve(ben, served, plan_id)
    run_id = run_of(served, plan_id)
    assert list(sim.states.values()).count(True) == 1
    assert run(sim, "resume", run_id, "--give-up").status == 0
    shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
    assert "State: given up The run of this plan was given up before its end" in shown
    assert "Nothing was changed" not in shown
    assert f"/runs/{run_id}" in press(ben, served, f"/plans/{plan_id}/apply").url
    assert [tasks(served, role) for role in Role] == [[]] * len(Role)
    assert list(sim.states.values()).count(True) == 1


def test_a_plan_whose_approval_expired_before_it_was_started_waits_for_another(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = page_for(sim, tmp_path, monkeypatch, approval_valid_s=0.0)
    with expired as served, without_processes():
        plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
        state = plan_state.read(served.page, plan_id)
        assert state is not None
        record_approval(served, plan_id, BEN)
        assert served.page.paperwork.begin_to_apply(state.paper, "a process that never began")
        assert tasks(served, Role.APPROVER) == [(plan_id, "A plan to approve")]
        shown = served.signed_in(Role.VIEWER).get(f"{served.url}/plans/{plan_id}")
        assert f"{BEN} approved (no longer counts)" in text_of(shown)


@pytest.mark.parametrize("button", ["Send back", "Withdraw the request"])
def test_an_approved_plan_that_was_not_started_can_still_be_taken_back(
    sim: Simulator, served: Served, tmp_path: Path, button: str
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    record_approval(served, plan_id, BEN)
    assert stage(served, plan_id) is PlanStage.APPROVED
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    who, other = (ben, ana) if button == "Send back" else (ana, ben)
    form, others = (
        Form(each.get(f"{served.url}/plans/{plan_id}").text, button) for each in (who, other)
    )
    assert (form.is_there, others.is_there) == (True, False)
    press(who, served, form.action, comment="Row 2 is wrong")
    assert stage(served, plan_id) is PlanStage.MADE
    press(who, served, f"/plans/{plan_id}/apply")
    assert not served.page.jobs.list_about(plan_id, "apply")


def test_a_failed_start_of_an_apply_is_shown_with_its_reason_and_can_be_retried(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    ben = served.signed_in(Role.APPROVER)
    path = plan_state.path_of(served.page, plan_id)
    aside = path.rename(path.with_suffix(".aside"))
    assert "no longer kept" in approve(ben, served, plan_id).text
    aside.rename(path)
    settings = served.page.settings
    broken = {**settings.variables, "BULK_SYNC_ORGANIZATION": "another"}
    served.page.jobs._settings = replace(settings, variables=broken)
    approve(ben, served, plan_id)
    wait_for_jobs(served, plan_id)
    shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
    assert "approved, but was not started" in shown
    assert "This file is a plan for organization 'acme'" in shown
    seen = served.signed_in(Role.VIEWER).get(f"{served.url}/plans/{plan_id}").text
    assert 'id="decide"' not in seen
    served.page.jobs._settings = settings
    press(ben, served, f"/plans/{plan_id}/apply")
    wait_for_jobs(served, plan_id)
    assert sim.states[key(0)] is True


def test_a_plan_with_a_damaged_file_is_not_called_deleted_and_a_new_one_takes_its_place(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    path = plan_state.path_of(served.page, plan_id)
    path.write_bytes(path.read_bytes()[:-9])
    ben, ana = served.signed_in(Role.APPROVER), served.signed_in(Role.UPLOADER)
    shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
    assert "A file of this plan was changed or damaged after it was made" in shown
    assert "no longer kept" not in shown
    refused = approve(ben, served, plan_id)
    assert refused.status_code == 409
    assert "changed or damaged" in refused.text
    new = press(ana, served, f"/plans/{plan_id}/again").url.rpartition("/")[2]
    assert stage(served, new) is PlanStage.MADE
    assert stage(served, plan_id) is PlanStage.REPLACED
    assert not sim.patched


def test_a_plan_is_not_called_empty_if_the_log_of_its_making_is_lost(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    assert stage(served, plan_id) is PlanStage.ASKED
    (job,) = served.page.jobs.list_about(plan_id, "plan")
    (job.folder / "log.jsonl").write_text("")
    ben = served.signed_in(Role.APPROVER)
    shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
    assert "A file of this plan was changed or damaged after it was made" in shown
    assert "Nothing would be changed" not in shown
    assert approve(ben, served, plan_id).status_code == 409
    assert not sim.patched


def test_an_expired_plan_is_refused_and_a_new_one_takes_its_place(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 1)
    with page_for(sim, tmp_path, monkeypatch, plan_valid_s=0.0) as served, without_processes():
        plan_id = make_plan(served, write_states(tmp_path / "in.csv", 1))
        served.page.paperwork.ask(plan_id, ANA, "")
        ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
        assert "A plan that is too old in.csv" in text_of(ana.get(f"{served.url}/"))
        assert "A plan " not in text_of(ben.get(f"{served.url}/"))
        answer = approve(ben, served, plan_id, sha256=sha256_of(served, plan_id))
        assert answer.status_code == 409
        assert "The plan is too old: profiles may have changed since." in answer.text
        assert sim.patched == []
        assert "A colleague who may upload" in ben.get(f"{served.url}/plans/{plan_id}").text
        assert "Make a new plan" in ana.get(f"{served.url}/plans/{plan_id}").text
        new = press(ana, served, f"/plans/{plan_id}/again").url.rpartition("/")[2]
        wait_for_jobs(served, new)
        assert stage(served, plan_id) is PlanStage.REPLACED
        assert f"/plans/{new}" in ben.get(f"{served.url}/plans/{plan_id}").text


def test_a_limit_stops_a_plan_until_an_admin_raises_it_with_a_reason(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 12, 1), "--allow=inverted")
    ana, ida = served.signed_in(Role.UPLOADER), served.signed_in(Role.ADMIN)
    shown = text_of(ana.get(f"{served.url}/plans/{plan_id}"))
    assert "12 opt-ins (true to false) of 13 rows (92.3%) are more than the limit of 10" in shown
    assert "If that is right" not in shown
    stopped = [(plan_id, "A plan that a limit stops")]
    assert [tasks(served, role) for role in Role] == [[], stopped, [], stopped]
    assert press(ana, served, f"/plans/{plan_id}/ask").status_code == 409
    assert press(ana, served, f"/plans/{plan_id}/raise", reason="x").status_code == 403
    assert "Write why" in press(ida, served, f"/plans/{plan_id}/raise").text
    note = "The limit is raised for this plan, and the reason is recorded."
    raised_at = press(ida, served, f"/plans/{plan_id}/raise", reason="A list of consents")
    assert note in text_of(raised_at)
    press(ana, served, f"/plans/{plan_id}/ask")
    ben = served.signed_in(Role.APPROVER)
    assert note not in text_of(ben.get(raised_at.url))
    confirm_opt_ins(ben, served, plan_id)
    approve(ben, served, plan_id)
    wait_for_jobs(served, plan_id)
    assert list(sim.states.values()).count(False) == 12
    (raised, *_) = served.page.ledger.acts(plan_id)
    assert (raised.deed, raised.who, raised.comment) == (
        Deed.LIMIT_RAISED, IDA, "A list of consents",
    )  # fmt: skip


def test_a_plan_that_a_limit_stops_waits_though_some_rows_of_its_file_were_corrected(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 12, 1), "--allow=inverted")
    paper, ana = served.page.paperwork.plan(plan_id), served.signed_in(Role.UPLOADER)
    assert paper is not None
    for columns, waits in (("PKey,ccpaOptOut,original_row", True), ("PKey,ccpaOptOut", False)):
        files = {"file": ("rows.csv", f"{columns}\n{key(20)},yes,7\n")}
        ana.post(f"{served.url}/uploads/new", files=files, data={"corrects": paper.upload})
        assert (plan_id in dict(tasks(served, Role.ADMIN))) is waits


@pytest.mark.parametrize(("opt_outs", "is_offered"), [(1, True), (0, False)])
def test_opt_ins_can_be_held_back_if_there_is_more_to_write(
    sim: Simulator, served: Served, tmp_path: Path, opt_outs: int, is_offered: bool
) -> None:
    path = write_mixed(sim, tmp_path / "in.csv", 12, opt_outs)
    plan_id = make_plan(served, path, "--allow=inverted")
    shown = text_of(served.signed_in(Role.UPLOADER).get(f"{served.url}/plans/{plan_id}"))
    assert "more than the limit of 10" in shown
    assert ("Make a new plan that holds the opt-ins back" in shown) == is_offered


def test_an_older_screen_makes_no_plan_in_place_of_one_that_is_asked_for_or_applied(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 12, 1), "--allow=inverted")
    ana, ben, ida = map(served.signed_in, (Role.UPLOADER, Role.APPROVER, Role.ADMIN))
    button = Form(
        ana.get(f"{served.url}/plans/{plan_id}").text, "Make a new plan that holds the opt-ins back"
    )
    press(ida, served, f"/plans/{plan_id}/raise", reason="A list of consents")
    press(ana, served, f"/plans/{plan_id}/ask")
    answer = press(ana, served, button.action, **button.fields)
    assert answer.status_code == 409
    assert "its state is “waits for approval”" in answer.text
    confirm_opt_ins(ben, served, plan_id)
    approve(ben, served, plan_id)
    wait_for_jobs(served, plan_id)
    assert press(ana, served, button.action).status_code == 409
    assert stage(served, plan_id) is PlanStage.APPLIED
    assert len(served.page.paperwork.plans()) == 1


def test_a_second_limit_is_raised_besides_the_first(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 12, 1), "--allow=inverted")
    ana, ben, ida = map(served.signed_in, (Role.UPLOADER, Role.APPROVER, Role.ADMIN))
    settings = served.page.settings
    stricter = {**settings.variables, "BULK_SYNC_MAX_CHANGES": "5"}
    served.page.jobs._settings = replace(settings, variables=stricter)
    for raised in ("--max-opt-ins 12", "--max-opt-ins 12 --max-changes 13"):
        assert stage(served, plan_id) is PlanStage.LIMITED
        stopped = [(plan_id, "A plan that a limit stops")]
        assert [tasks(served, role) for role in Role] == [[], stopped, [], stopped]
        press(ida, served, f"/plans/{plan_id}/raise", reason="A list of consents")
        state = plan_state.read(served.page, plan_id)
        assert state is not None
        assert raised in state.raised
        shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
        assert re.search(rf"more than the limit .* {IDA} raised a limit: A list of consents", shown)
        assert "--max" not in shown
        press(ana, served, f"/plans/{plan_id}/ask")
        confirm_opt_ins(ben, served, plan_id)
        approve(ben, served, plan_id)
        wait_for_jobs(served, plan_id)
    assert stage(served, plan_id) is PlanStage.APPLIED
    assert list(sim.states.values()).count(False) == 12


def test_opt_ins_can_be_held_back_and_the_rest_is_written(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 12, 1), "--allow=inverted")
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    answer = press(ana, served, f"/plans/{plan_id}/again", hold="yes")
    held = answer.url.rpartition("/")[2]
    wait_for_jobs(served, held)
    press(ana, served, f"/plans/{held}/ask")
    assert "12 opt-ins will be held back" in ben.get(f"{served.url}/plans/{held}").text
    approve(ben, served, held)
    run_id = run_of(served, held)
    assert all(sim.states.values())
    text = text_of(ana.get(f"{served.url}/runs/{run_id}"))
    assert "left as in Campaign: 12 opt-ins." in text
    assert "the limit of 0" not in text


def test_a_plan_is_sent_back_with_a_comment_and_asked_for_again(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
    ana, ben = served.signed_in(Role.UPLOADER), served.signed_in(Role.APPROVER)
    assert "Write what is wrong" in press(ben, served, f"/plans/{plan_id}/send-back").text
    sent = press(ben, served, f"/plans/{plan_id}/send-back", comment="Who is row 2?")
    assert f"Nobody asks for its approval now. {ANA}, who prepared it, can do so." in sent.text
    assert "in.csv: Who is row 2?" in ana.get(f"{served.url}/").text
    screen = ana.get(f"{served.url}/plans/{plan_id}")
    assert "State: sent back" in text_of(screen)
    assert f"{BEN} sent it back: Who is row 2? If the file" in text_of(screen)
    (link,) = re.findall(r'correct it <a href="([^"]*)">at the upload', screen.text)
    assert ana.get(served.url + link).status_code == 200
    assert approve(ben, served, plan_id, sha256=sha256_of(served, plan_id)).status_code == 409
    (most,) = re.findall(
        r'<textarea [^>]*maxlength="(\d+)"', ana.get(f"{served.url}/plans/{plan_id}").text
    )
    longest = "A customer" + "\r\n" * (int(most) - 10)
    press(ana, served, f"/plans/{plan_id}/ask", comment=f"{longest}.")
    assert (
        served.page.ledger.acts(plan_id)[-1].comment == f"{longest}."
    )  # nothing is cut off unseen
    approve(ben, served, plan_id)
    wait_for_jobs(served, plan_id)
    assert stage(served, plan_id) is PlanStage.APPLIED
    shown = text_of(ben.get(f"{served.url}/plans/{plan_id}"))
    asked = f"{ANA} asked for approval"
    assert re.search(f"{asked} .* sent back: Who is row 2.* {asked}: A cust.* approved", shown)


def test_a_plan_that_holds_opt_ins_says_so_while_and_after_another_limit_stops_it(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    first = make_plan(served, write_mixed(sim, tmp_path / "in.csv", 20, 40))
    ana, ben, ida = map(served.signed_in, (Role.UPLOADER, Role.APPROVER, Role.ADMIN))
    path = press(ana, served, f"/plans/{first}/again", hold="yes").url.removeprefix(served.url)
    plan_id = path.rpartition("/")[2]
    wait_for_jobs(served, plan_id)
    says = "Opt-ins will be held back if they are more than the limit"
    assert stage(served, plan_id) is PlanStage.LIMITED
    assert says in text_of(ana.get(served.url + path))
    press(ida, served, f"{path}/raise", reason="A list of consents")
    press(ana, served, f"{path}/ask")
    assert says in text_of(ben.get(served.url + path))
    confirm_opt_ins(ben, served, plan_id)
    approve(ben, served, plan_id)
    wait_for_jobs(served, plan_id)
    assert set(sim.states.values()) == {True}


def test_the_person_who_asked_withdraws_the_request_and_earlier_approvals_with_it(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page_for(sim, tmp_path, monkeypatch, approvals=2) as served, without_processes():
        plan_id = plan_to_approve(sim, served, tmp_path / "in.csv")
        ana, ben, ida = map(served.signed_in, (Role.UPLOADER, Role.APPROVER, Role.ADMIN))
        path = f"/plans/{plan_id}"
        approve(ben, served, plan_id)
        assert not Form(ida.get(served.url + path).text, "Withdraw the request").is_there
        assert [press(each, served, f"{path}/withdraw").status_code for each in (ida, ben)] == [
            409,
            403,
        ]
        button = Form(ana.get(served.url + path).text, "Withdraw the request")
        for said in ("Your request is withdrawn", "State: approval not asked for"):
            assert said in text_of(press(ana, served, button.action))
        assert tasks(served, Role.UPLOADER) == [(plan_id, "A plan to ask approval for")]
        answer = approve(ida, served, plan_id, sha256=sha256_of(served, plan_id))
        assert (answer.status_code, "Nobody asks for" in answer.text) == (409, True)
        press(ana, served, f"{path}/ask")
        approve(ida, served, plan_id)
        assert stage(served, plan_id) is PlanStage.ASKED  # Ben has to approve again
        acts = [(act.deed, act.who) for act in served.page.ledger.acts(plan_id)]
    asked = (Deed.ASKED, ANA)
    assert acts == [asked, (Deed.APPROVED, BEN), (Deed.WITHDRAWN, ANA), asked, (Deed.APPROVED, IDA)]


@pytest.mark.parametrize(("rows", "is_done"), [(1, True), (2, False)])
def test_a_plan_without_changes_is_done_only_if_no_row_needs_a_person(
    sim: Simulator, served: Served, tmp_path: Path, rows: int, is_done: bool
) -> None:
    sim.add(pkey=key(0), ccpaOptOut=True)
    plan_id = make_plan(served, write_states(tmp_path / "in.csv", rows))
    shown = text_of(served.signed_in(Role.UPLOADER).get(f"{served.url}/plans/{plan_id}"))
    assert stage(served, plan_id) is PlanStage.EMPTY
    assert ("Campaign already has what the file wants." in shown) is is_done
    assert ("the rows below are not done: they need a person" in shown) is not is_done


def test_a_profile_that_changed_after_the_plan_is_left_alone_and_shown(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 2)
    plan_id = make_plan(served, write_states(tmp_path / "in.csv", 2))
    sim.profiles[key(1)]["ccpaOptOut"] = True
    press(served.signed_in(Role.UPLOADER), served, f"/plans/{plan_id}/ask")
    ben = served.signed_in(Role.APPROVER)
    approve(ben, served, plan_id)
    run_id = run_of(served, plan_id)
    shown = text_of(ben.get(f"{served.url}/runs/{run_id}"))
    assert "1 of 2 rows was changed in Campaign (0 opt-ins, 1 opt-out)" in shown
    assert "≠ drifted" in shown
    assert "was set to true by other means since the change was planned" in shown
    assert sim.patched == [(key(0), True)]


def test_a_failed_plan_is_shown_with_its_reason_and_can_be_made_again(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    content, source = path.read_text(), upload(served, path)
    path.unlink()
    plan_id = make_plan(served, path, source=source)
    ana = served.signed_in(Role.UPLOADER)
    shown = text_of(ana.get(f"{served.url}/plans/{plan_id}"))
    assert "There is no plan. No such file: in.csv." in shown
    path.write_text(content)
    press(ana, served, f"/plans/{plan_id}/again")
    wait_for_jobs(served, plan_id)
    assert stage(served, plan_id) is PlanStage.MADE


def test_who_stopped_the_making_of_a_plan_is_shown(
    sim: Simulator, working_page: Served, tmp_path: Path
) -> None:
    served = working_page
    populate(sim, 200)
    ana = served.signed_in(Role.UPLOADER)

    def stop() -> None:
        press(ana, served, f"/plans/{served.page.paperwork.plans()[0].id}/stop")

    before_answer(sim, "GET", 3, stop)
    path = write_states(tmp_path / "in.csv", 200)
    plan_id = make_plan(served, path, "--fetch=lookup", is_process=True)
    wait_for_jobs(served, plan_id)
    shown = text_of(ana.get(f"{served.url}/plans/{plan_id}"))
    assert "There is no plan. It was stopped at the page or by Ctrl-C" in shown
    assert f"{ANA} asked to stop" in shown


def test_each_page_of_fifty_opt_ins_is_confirmed(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = opt_ins_to_approve(sim, served, tmp_path / "in.csv", 120)
    ben = served.signed_in(Role.APPROVER)
    answer = press(ben, served, f"/plans/{plan_id}/seen", page="2")
    assert "Not on your screen yet: opt-ins 1 to 50 and on 1 more page ." in text_of(answer)
    assert "Without JavaScript, tick the box below" in answer.text
    answer = press(ben, served, f"/plans/{plan_id}/seen", page="1")
    assert "Not on your screen yet: opt-ins 101 to 120 ." in text_of(answer)
    assert "Opt-ins 101 to 120 of 120" in answer.text
    for page in ("0", "4", "x", "-1", "9" * 30):
        assert press(ben, served, f"/plans/{plan_id}/seen", page=page).status_code == 400
    answer = press(ben, served, f"/plans/{plan_id}/seen", page="3")
    assert "Every opt-in has been on your screen" in answer.text


def test_a_ticked_box_counts_when_the_plan_is_approved_at_once(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = opt_ins_to_approve(sim, served, tmp_path / "in.csv", 60)
    ben = served.signed_in(Role.APPROVER)
    for box, left in (("0", "1 to 50 and on 1 more page"), ("1", "51 to 60")):
        answer = approve(ben, served, plan_id, page=box, comment="By phone")
        assert answer.status_code == 400
        assert f"Not confirmed yet: opt-ins {left}. Tick the box below them." in text_of(answer)
        assert ">By phone</textarea>" in answer.text
        assert stage(served, plan_id) is PlanStage.ASKED
    with without_processes():
        approve(ben, served, plan_id, page="2")
        wait_for_jobs(served, plan_id)
    assert set(sim.states.values()) == {False}


def test_a_typed_comment_stays_when_rows_are_confirmed(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    plan_id = opt_ins_to_approve(sim, served, tmp_path / "in.csv", 60)
    ben = served.signed_in(Role.APPROVER)
    screen = f"{served.url}/plans/{plan_id}"
    for _ in range(2):
        form = Form(ben.get(screen).text, "Confirm these rows")
        assert "comment" in form.fields  # a browser sends it too
        sent = {**form.fields, "comment": "Rows 2 & 3 by phone"}
        answer = ben.post(f"{served.url}{form.action}", data=sent)
        assert ">Rows 2 &amp; 3 by phone</textarea>" in answer.text
        assert "phone" not in answer.url
    assert not Form(ben.get(screen).text, "Confirm these rows").is_there


@pytest.mark.parametrize("path", ["/plans/x", "/runs/x", "/plans/x/approve", "/runs/x/undo"])
def test_unknown_plans_are_not_found(served: Served, path: str) -> None:
    admin = served.signed_in(Role.ADMIN)
    method = "GET" if path.count("/") == 2 else "POST"
    assert admin.request(method, served.url + path).status_code == 404


def test_the_address_of_a_button_leads_back_to_its_screen(served: Served) -> None:
    answer = served.signed_in(Role.VIEWER).get(f"{served.url}/plans/x/seen")
    assert answer.status_code == 405
    assert 'href="/plans/x">Show how it stands now' in answer.text
