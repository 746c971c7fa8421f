"""The start, one person, and the ledger, over plain HTTP."""

import re
from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states
from serving import NAMES, PASSWORD, Served, serving, settings_in, wait_for

from bulk_sync.ledger import Act, Deed
from bulk_sync.simulator import Simulator
from bulk_sync.web.database import now_ms
from bulk_sync.web.identity import Role
from bulk_sync.web.records import Paper, PlanVerdict, Upload

ANA, BEN, IDA = NAMES[Role.UPLOADER], NAMES[Role.APPROVER], NAMES[Role.ADMIN]


def test_the_start_lists_runs_the_newest_first_with_their_state(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 3)
    (tmp_path / "in <b>.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n{key(1)},maybe\n")
    ids = [
        run(sim, *words, "--summary", "json").summary["run_id"]
        for words in (("run", "in <b>.csv"), ("plan", "in <b>.csv", "--out", "p.parquet"))
    ]
    with serving(settings_in(tmp_path)) as served:
        text = served.signed_in(Role.VIEWER).get(f"{served.url}/").text
    assert re.findall(r'href="/runs/([\w-]+)"', text) == ids[::-1]
    assert "in &lt;b&gt;.csv" in text
    assert "? rows left" in text
    assert "The last run<" in text


def test_a_run_that_could_not_start_is_listed_with_the_reason_and_no_link(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    assert run(sim, "run", "missing<b>.csv").status == 2
    with serving(settings_in(tmp_path)) as served:
        text = served.signed_in(Role.UPLOADER).get(f"{served.url}/").text
    assert "! could not start" in text
    assert "missing&lt;b&gt;.csv" in text
    assert "Nothing was sent." in text
    assert 'href="/runs/' not in text
    assert "A run to resume" not in text


def test_each_person_sees_their_tasks(served: Served) -> None:
    paperwork = served.page.paperwork
    for plan_id in ("p1", "p2", "p3", "p4"):
        new = Paper(plan_id, 1, ANA, "u1", None, None)
        paperwork.add(new)
        paperwork.set_made(plan_id, "a" * 64)
        paperwork.ask(plan_id, ANA, "")
    paperwork.decide(PlanVerdict("p2", "a" * 64, now_ms(), BEN, False, "Row 7 is odd"))
    paperwork.decide(PlanVerdict("p3", "a" * 64, now_ms() + 1, BEN, True, ""))
    paperwork.decide(PlanVerdict("p4", "a" * 64, now_ms(), BEN, False, "Another one stands for it"))
    replaced = paperwork.plan("p4")
    assert replaced is not None
    paperwork.replace(replaced, "p5")
    start = {role: served.signed_in(role).get(f"{served.url}/").text for role in Role}
    waiting = {
        role: re.findall(r'href="/plans/(\w+)">([^<]*)', text) for role, text in start.items()
    }
    assert waiting == {
        Role.VIEWER: [],
        Role.UPLOADER: [("p2", "A plan that was sent back")],  # p1 and p3 have no file any more
        Role.APPROVER: [("p1", "A plan to approve")],
        Role.ADMIN: [("p3", "A plan to approve"), ("p1", "A plan to approve")],
    }


def test_work_left_by_one_who_may_not_upload_any_more_waits_for_all_who_may(
    served: Served, tmp_path: Path
) -> None:
    def seen(role: Role) -> list[str]:
        text = served.signed_in(role).get(f"{served.url}/").text
        return re.findall(r'href="(/(?:plans/p1|uploads/u1))">', text)

    paperwork, path = served.page.paperwork, tmp_path / "a.csv"
    path.write_text(f"PKey,ccpaOptOut\n{key(0)},maybe\n{key(1)},true\n")
    paperwork.add(Upload("u1", 1, ANA, "a.csv", 9, "f" * 64, "", "", {}, None, False))
    wait_for(served.page.jobs.start("validate", [str(path)], about="u1", who=ANA))
    paperwork.add(Paper("p1", 1, ANA, None, None, None))
    paperwork.set_made("p1", "a" * 64)
    paperwork.ask("p1", ANA, "")
    paperwork.decide(PlanVerdict("p1", "a" * 64, now_ms(), BEN, False, "Row 7 is odd"))
    theirs = ["/plans/p1", "/uploads/u1"]
    assert [seen(role) for role in Role] == [[], theirs, [], []]
    served.page.accounts.remove(ANA)
    served.page.accounts.add(ANA, Role.VIEWER, PASSWORD)
    assert seen(Role.ADMIN) == theirs
    assert seen(Role.UPLOADER) == []  # Ana, who only reads now


def test_an_upload_with_bad_rows_waits_until_it_is_corrected(
    served: Served, tmp_path: Path
) -> None:
    def upload(upload_id: str, corrects: str | None = None, content: str = "f") -> None:
        new = Upload(upload_id, 1, ANA, "a.csv", 9, content * 64, "", "", {}, corrects, False)
        served.page.paperwork.add(new)

    path = tmp_path / "a.csv"
    path.write_text(f"PKey,ccpaOptOut\n{key(0)},maybe\n{key(1)},true\n")
    upload("u1")
    job = served.page.jobs.start("validate", [str(path)], about="u1", who=ANA)
    session = served.signed_in(Role.UPLOADER)
    wait_for(job)
    assert "a.csv: 1 row to correct" in session.get(f"{served.url}/").text
    assert "to correct" not in served.signed_in(Role.ADMIN).get(f"{served.url}/").text
    upload("u2", content="e")  # another file of the job has its own rows
    assert "a.csv: 1 row to correct" in session.get(f"{served.url}/").text
    upload("u3")
    assert "to correct" not in session.get(f"{served.url}/").text
    upload("u4", corrects="u3")
    wait_for(served.page.jobs.start("validate", [str(path)], about="u3", who=ANA))
    assert "to correct" not in session.get(f"{served.url}/").text


def test_an_upload_whose_rows_can_all_be_used_waits_until_it_is_compared(
    served: Served, tmp_path: Path
) -> None:
    def waiting() -> list[str]:
        text = served.signed_in(Role.UPLOADER).get(f"{served.url}/").text
        return re.findall(r'href="/uploads/(u\d)">An upload to compare', text)

    path = tmp_path / "a.csv"
    path.write_text(f"PKey,ccpaOptOut\n{key(0)},true\n")
    for number, content in enumerate("efe"):  # the third is the first one again
        new = Upload(f"u{number}", 1, ANA, "a.csv", 9, content * 64, "", "", {}, None, False)
        served.page.paperwork.add(new)
        wait_for(served.page.jobs.start("validate", [str(path)], about=new.id, who=ANA))
    assert waiting() == ["u2", "u1"]
    served.page.paperwork.add(Paper("p1", 1, ANA, "u0", None, None))
    assert waiting() == ["u1"]


def test_an_unusable_file_waits_until_there_is_a_newer_one_of_the_job(
    served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("PKey,ccpaOptOut\n")
    for number, job in enumerate(("a", "b", "a")):
        if number == 2:
            assert served.signed_in(Role.UPLOADER).get(f"{served.url}/").text.count("cannot") == 2
        new = Upload(f"u{number}", 1, ANA, "a.csv", 9, str(number) * 64, job, "", {}, None, False)
        served.page.paperwork.add(new)
        wait_for(served.page.jobs.start("validate", [str(path)], about=new.id, who=ANA))
    text = served.signed_in(Role.UPLOADER).get(f"{served.url}/").text
    assert re.findall(r'href="/uploads/(u\d)">An upload that cannot be used', text) == ["u2", "u1"]


def test_opt_outs_past_their_last_day_are_shown_with_their_run(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 1)
    (tmp_path / "in.csv").write_text("PKey,ccpaOptOut,Request date\n@unknown,true,2026-01-05\n")
    run_id = run(sim, "run", "in.csv", "--summary", "json").summary["run_id"]
    with serving(settings_in(tmp_path)) as served:
        text = served.signed_in(Role.VIEWER).get(f"{served.url}/runs/{run_id}").text
    assert "Still to be carried out: 1 past their last day" in text


def test_an_interrupted_run_waits_for_those_who_may_resume_it(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 9)
    path = write_states(tmp_path / "in.csv", 9)
    ran = run(sim, "run", path, "--max-calls", 12, "--fetch", "lookup")
    assert ran.status == 6
    with serving(settings_in(tmp_path)) as served:
        seen = {
            role: "A run to resume" in served.signed_in(role).get(f"{served.url}/").text
            for role in Role
        }
    assert seen == {role: role is not Role.VIEWER for role in Role}


def test_the_story_of_a_person_is_shown_by_address_and_key_and_each_search_recorded(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 2)
    (tmp_path / "in.csv").write_text("email,opt out\np0@example.com,yes\n")
    run_id = run(sim, "run", "in.csv", "--summary", "json").summary["run_id"]
    with serving(settings_in(tmp_path)) as served:
        session = served.signed_in(Role.VIEWER)
        for typed in ("P0@Example.com", key(0)):
            answer = session.post(f"{served.url}/people", data={"key": typed})
            assert "has opted out (ccpaOptOut is true)" in answer.text
            assert f'href="/runs/{run_id}"' in answer.text
            assert answer.url == f"{served.url}/people"
        again = served.signed_in(Role.ADMIN).post(f"{served.url}/people", data={"key": key(0)})
        assert NAMES[Role.VIEWER] in again.text
        acts = served.page.ledger.acts()
    found = [(act.deed, act.who, act.key) for act in acts]
    assert found == [
        (Deed.LOOKED_UP, NAMES[Role.VIEWER], "P0@Example.com"),
        (Deed.LOOKED_UP, NAMES[Role.VIEWER], key(0)),
        (Deed.LOOKED_UP, IDA, key(0)),
    ]


@pytest.mark.parametrize("typed", ["", "   ", "x" * 1001])
def test_a_search_without_a_key_keeps_the_input_and_is_not_recorded(
    served: Served, typed: str
) -> None:
    session = served.signed_in(Role.VIEWER)
    answer = session.post(f"{served.url}/people", data={"key": typed})
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{typed.strip()}"' in answer.text
    assert served.page.ledger.acts() == []


def test_a_key_that_no_profile_has_is_explained_without_words_of_the_command_line(
    served: Served,
) -> None:
    session = served.signed_in(Role.VIEWER)
    answer = session.post(f"{served.url}/people", data={"key": "x\u200by"})
    assert answer.status_code == 400
    assert "The key &#39;x\\u200by&#39; holds an invisible character" in answer.text


def test_an_unknown_person_has_no_story(served: Served) -> None:
    session = served.signed_in(Role.VIEWER)
    answer = session.post(f"{served.url}/people", data={"key": "<i>eve@example.com"})
    assert "This tool never changed &lt;i&gt;eve@example.com" in answer.text


def test_the_ledger_shows_its_head_and_proves_that_it_fits(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 1)
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n")
    ledger = run(sim, "run", "in.csv", "--summary", "json").summary["ledger"]
    with serving(settings_in(tmp_path)) as served:
        session = served.signed_in(Role.VIEWER)
        shown = session.get(f"{served.url}/ledger").text
        assert f"{ledger['position']}:{ledger['sha256']}" in shown
        assert shown.count(ledger["sha256"]) == 1
        fits = session.post(f"{served.url}/ledger").text
        assert f"Nothing was altered.</strong> All {ledger['position']} lines fit." in fits
        (tmp_path / "state" / "ledger.anchor").unlink()
        unproven = session.post(f"{served.url}/ledger").text
        assert f"<p>All {ledger['position']} lines fit.</p>" in unproven
        assert "Nothing was altered" not in unproven
        (tmp_path / "state" / "ledger.anchor").write_text(
            '{"ledger": "", "position": 9, "hash": "%s"}' % ("0" * 64)
        )
        altered = session.post(f"{served.url}/ledger").text
        assert "The ledger was altered" in altered
        assert "is missing" in altered


def test_without_a_ledger_there_is_nothing_to_verify_and_the_page_explains_it(
    served: Served,
) -> None:
    answer = served.signed_in(Role.VIEWER).post(f"{served.url}/ledger")
    assert "There is no ledger" in answer.text
    assert answer.status_code == 200


def test_acts_are_listed_without_the_searched_keys(served: Served) -> None:
    session = served.signed_in(Role.VIEWER)
    session.post(f"{served.url}/people", data={"key": "jo@example.com"})
    text = session.get(f"{served.url}/ledger").text
    assert "looked up" in text
    assert "jo@example.com" not in text


def test_older_acts_are_on_further_pages(served: Served) -> None:
    session, path, found = served.signed_in(Role.VIEWER), "/ledger", list[str]()
    for number in range(51):
        served.page.ledger.record(
            Act(Deed.UPLOADED, ANA, f"u{number}", "", {"name": f"{number}.csv"})
        )
    for shown in (50, 1):
        text = session.get(f"{served.url}{path}").text
        names = re.findall(r">(\d+)\.csv<", text)
        assert len(names) == shown
        found += names
        path = (re.findall(r'href="([^"]+)">Older acts<', text) or [""])[0]
    assert found == [str(number) for number in range(51)][::-1]
    assert not path


def test_a_restarted_page_knows_sessions_and_acts(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as served:
        session = served.signed_in(Role.VIEWER)
        session.post(f"{served.url}/people", data={"key": "jo@example.com"})
        (session_id,) = session.cookies.values()
    with serving(settings_in(tmp_path), people=False) as again:
        assert len(again.page.ledger.acts()) == 1
        found = again.page.sessions.find(session_id or "")
        assert found is not None
        assert found.name == NAMES[Role.VIEWER]


def test_a_screen_not_built_yet_has_a_message(served: Served) -> None:
    answer = served.signed_in(Role.UPLOADER).get(f"{served.url}/uploads/new")
    assert answer.status_code == 200
