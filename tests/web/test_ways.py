"""The links between screens: tasks, messages shown once, and the sign-in."""

import re
from html import unescape
from pathlib import Path

import pytest
import requests
from conftest import key, populate
from flow import ANA, approve, make_plan, press, run_of, text_of, wait_for_jobs
from serving import Served

from bulk_sync.simulator import Simulator
from bulk_sync.web import planning
from bulk_sync.web.identity import Role


@pytest.fixture
def served(working_page: Served) -> Served:
    """Return a page whose processes work on the simulator."""
    return working_page


def test_a_plan_leads_from_one_person_to_the_next(
    sim: Simulator, served: Served, tmp_path: Path
) -> None:
    populate(sim, 12)
    path = tmp_path / "in.csv"
    rows = [f"{key(number)},{'yes' if number else 'maybe'}" for number in range(12)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    former = make_plan(served, path)
    paper = served.page.paperwork.plan(former)
    assert paper is not None
    plan_id = planning.begin(served.page, ANA, [str(path)], upload=paper.upload)
    wait_for_jobs(served, plan_id)
    plan, ana, ben = f"/plans/{plan_id}", *map(served.signed_in, (Role.UPLOADER, Role.APPROVER))

    def start(session: requests.Session) -> str:
        return text_of(session.get(f"{served.url}/"))

    assert 'href="#decide"' in ana.get(f"{served.url}{plan}").text
    assert "A plan to ask approval for in.csv," in start(ana)
    assert "Waiting for you Nothing to approve, correct or resume. Runs" in start(ben)
    assert start(ana).count("A plan to ask approval for") == 1
    assert "Give the address of this page" in text_of(press(ana, served, f"{plan}/ask"))
    assert "A plan to ask approval for" not in start(ana)
    assert "Waiting for others A plan that waits for approval in.csv," in start(ana)
    assert "Give the address" not in text_of(ben.get(f"{served.url}{plan}?note=asked"))
    assert "approval is recorded" not in text_of(ana.get(f"{served.url}{plan}?note=approved"))
    approve(ben, served, plan_id)
    run_id = run_of(served, plan_id)
    assert "approval is recorded" not in text_of(ana.get(f"{served.url}{plan}?note=approved"))
    assert "Waiting for others" not in start(ana)
    assert "Give the address" not in text_of(ana.get(f"{served.url}{plan}?note=asked"))
    run = ana.get(f"{served.url}/runs/{run_id}?note=stopping")
    assert "was asked to stop" not in text_of(run)
    (upload,) = re.findall(r'href="(/uploads/new\?corrects=[^"]+)">Upload the corrected', run.text)
    assert "It corrects in.csv . Job and ticket are kept." in text_of(ana.get(served.url + upload))
    assert "corrects=" not in ben.get(f"{served.url}/runs/{run_id}").text
    undo = press(ana, served, f"/runs/{run_id}/undo")
    wait_for_jobs(served, undo.url.rpartition("/")[2])
    text = text_of(ana.get(undo.url))
    assert "Plan to undo a run: in.csv State: stopped by a limit" in text
    assert "A limit protects people from a wrong undo. Look at the rows below first. " in text
    assert "upload it again" not in text
    ledger = unescape(ben.get(f"{served.url}/ledger").text)
    assert f'<a href="{plan}">plan: in.csv</a>' in ledger
    assert f'<a href="/runs/{run_id}">run: in.csv</a>' in ledger


@pytest.mark.parametrize(
    ("path", "way_back"),
    [
        ("/plans/01/approve", "?next=/plans/01"),
        ("/uploads/01/check", "?next=/uploads/01"),
        ("/uploads/new", "?next=/uploads/new"),
        ("/runs/2026-a/undo", "?next=/runs/2026-a"),
        ("/people", "?next=/people"),
        ("/sign-out", ""),
    ],
)
def test_a_button_pressed_after_the_session_ended_leads_back_to_its_screen(
    served: Served, path: str, way_back: str
) -> None:
    answer = press(served.visitor(), served, path)
    assert answer.status_code == 401
    assert f'<a href="/sign-in{way_back}">To the sign-in page</a>' in answer.text
