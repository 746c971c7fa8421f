"""Approvals count for one plan, one person and one day; a plan is applied once."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import time_machine
from serving import NAMES
from sqlalchemy import update

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Act, Deed
from bulk_sync.settings import State
from bulk_sync.web import database
from bulk_sync.web.database import now_ms, open_database
from bulk_sync.web.identity import Person, Role
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.ledger_view import LedgerView
from bulk_sync.web.paperwork import Paperwork, new_id
from bulk_sync.web.records import Paper, PlanVerdict, Upload

DAY_S = 86_400.0
ANA, BEN, IDA = NAMES[Role.UPLOADER], NAMES[Role.APPROVER], NAMES[Role.ADMIN]


@pytest.fixture
def paperwork(state: State) -> Iterator[Paperwork]:
    with closing(open_database(state)) as database:
        yield Paperwork(database, DAY_S)


def paper(paperwork: Paperwork, plan_id: str = "p1") -> Paper:
    """Return a plan of Ana's with a request for approval."""
    new = Paper(plan_id, 1, ANA, "u1", None, None)
    paperwork.add(new)
    paperwork.set_made(plan_id, "a" * 64)
    paperwork.ask(plan_id, ANA, "Please look")
    found = paperwork.plan(plan_id)
    assert found is not None
    return found


def verdict(
    who: str, *, approves: bool = True, sha256: str = "a" * 64, ago_s: int = 0
) -> PlanVerdict:
    """Return a verdict made some seconds before the time 0."""
    return PlanVerdict("p1", sha256, -1000 * ago_s, who, approves, "")


def decide(paperwork: Paperwork, *verdicts: PlanVerdict) -> None:
    for each in verdicts:
        paperwork.decide(replace(each, at_ms=each.at_ms + now_ms()))


def test_an_upload_is_found_again_with_its_choices(paperwork: Paperwork) -> None:
    upload = Upload("u1", 1, ANA, "a/../b.xlsx", 9, "f" * 64, "", "PRIV-1", {}, None, False)
    paperwork.add(upload)
    paperwork.choose("u1", {"key_column": "E-mail"})
    found = replace(upload, choices={"key_column": "E-mail"})
    assert paperwork.upload("u1") == found
    assert paperwork.uploads() == [found]
    assert paperwork.upload("u2") is None


def test_ids_sort_by_the_time_at_which_they_were_made() -> None:
    ids = []
    for _ in range(20):
        now = time.time_ns()
        while time.time_ns() == now:
            pass
        ids.append(new_id())
    assert ids == sorted(ids)


def test_each_table_has_the_fields_of_its_record_in_their_order() -> None:
    kept = [
        (database.uploads, Upload.__slots__),
        (database.plans, Paper.__slots__),
        (database.verdicts, ("id", *PlanVerdict.__slots__)),
        (database.jobs, tuple(name for name in PageJob._fields if name != "folder")),
    ]
    assert [table.columns.keys() for table, _ in kept] == [list(names) for _, names in kept]


def test_a_plan_is_open_until_it_is_applied_or_replaced_however_many_follow(
    paperwork: Paperwork,
) -> None:
    first = paper(paperwork, "p000")
    for number in range(1, 121):
        later = paper(paperwork, f"p{number:03}")
        if number % 3 == 0:
            assert paperwork.begin_to_apply(later, "j1")
        elif number % 3 == 1:
            paperwork.replace(later, "another")
        else:
            paperwork.set_deleted(later.id)
    assert paperwork.open_plans() == [first]


def test_readers_do_not_wait_for_writers(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    with closing(open_database(state)) as found:
        paperwork, plans = Paperwork(found, DAY_S), LedgerView(state)
        paper(paperwork)
        plans.record(Act(Deed.ASKED, ANA, "p1", "", {}, None))
        for name in ("page.sqlite3", "ledger.sqlite3"):
            with closing(sqlite3.connect(state.folder / name)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert paperwork.plan("p1") is not None
                assert [act.about for act in plans.acts()] == ["p1"]


@pytest.mark.parametrize(
    ("verdicts", "counted"),
    [
        ([verdict(BEN)], [BEN]),
        ([verdict(BEN), verdict(BEN)], [BEN]),
        ([verdict(BEN), verdict(IDA)], [BEN, IDA]),
        ([verdict(ANA)], []),
        ([verdict(f" {ANA.upper()}")], []),
        ([verdict(BEN, sha256="b" * 64)], []),
        ([verdict(BEN, ago_s=86_401)], []),
        ([verdict(BEN), verdict(IDA, approves=False)], []),
        ([verdict(BEN, ago_s=-590)], [BEN]),
        ([verdict(BEN, ago_s=-610)], []),
    ],
    ids=[
        "one", "twice the same person", "two people", "the preparer", "the preparer in capitals",
        "of another plan", "yesterday", "sent back later", "by a clock a little ahead",
        "before the clock was set back",
    ],
)  # fmt: skip
def test_which_approvals_count(
    paperwork: Paperwork, verdicts: list[PlanVerdict], counted: list[str]
) -> None:
    plan = paper(paperwork)
    decide(paperwork, *verdicts)
    plan = paperwork.plan(plan.id) or plan
    assert [each.who for each in paperwork.approvals(plan)] == counted


def test_after_it_was_sent_back_a_new_request_needs_new_approvals(paperwork: Paperwork) -> None:
    plan = paper(paperwork)
    decide(paperwork, verdict(BEN), verdict(IDA, approves=False))
    back = paperwork.plan(plan.id)
    assert back is not None
    assert back.asked_ms is None
    paperwork.ask(plan.id, ANA, "Mended")
    again = paperwork.plan(plan.id)
    assert again is not None
    assert paperwork.approvals(again) == []


@pytest.mark.parametrize("ends_by", ["sending back", "raising a limit"])
def test_no_approval_counts_for_a_later_request_though_the_clock_was_set_back(
    paperwork: Paperwork, ends_by: str
) -> None:
    now = time.time()
    with time_machine.travel(now):
        plan = paper(paperwork)
        decide(paperwork, verdict(BEN))
    with time_machine.travel(now - 3 * 3600):
        if ends_by == "sending back":
            decide(paperwork, verdict(IDA, approves=False))
        else:
            paperwork.set_options(plan.id, {"raised": "--max-opt-ins 99"})
        paperwork.ask(plan.id, ANA, "Mended")
    again = paperwork.plan(plan.id)
    assert again is not None
    for hours in (-3, 1):
        with time_machine.travel(now + 3600 * hours):
            assert paperwork.approvals(again) == []


def test_of_two_processes_one_may_apply_a_plan(paperwork: Paperwork) -> None:
    plan = paper(paperwork)
    assert paperwork.begin_to_apply(plan, "j1")
    assert not paperwork.begin_to_apply(plan, "j2")
    assert not paperwork.begin_to_apply(plan, "j3", instead_of="j2")
    assert paperwork.begin_to_apply(plan, "j3", instead_of="j1")


def test_a_plan_that_was_sent_back_meanwhile_is_not_applied(paperwork: Paperwork) -> None:
    plan = paper(paperwork)
    decide(paperwork, verdict(BEN), verdict(IDA, approves=False))
    assert not paperwork.begin_to_apply(plan, "j1")
    paperwork.ask(plan.id, ANA, "Mended")
    assert not paperwork.begin_to_apply(plan, "j1")


def test_a_plan_that_is_applied_is_not_sent_back_nor_changed(paperwork: Paperwork) -> None:
    plan = paper(paperwork)
    assert paperwork.begin_to_apply(plan, "j1")
    assert not paperwork.decide(verdict(BEN, approves=False))
    assert not paperwork.decide(verdict(BEN))
    assert not paperwork.set_options(plan.id, {"raised": "--max-opt-ins 99"})
    assert not paperwork.ask(plan.id, ANA, "Once more")
    assert paperwork.plan(plan.id) == replace(plan, applied_by="j1")
    paperwork.release(plan.id, "another")
    assert not paperwork.decide(verdict(BEN))
    paperwork.release(plan.id, "j1")
    assert paperwork.decide(verdict(BEN))


def test_the_approval_of_the_uploader_or_requester_does_not_count(paperwork: Paperwork) -> None:
    upload = Upload("u1", 1, BEN, "a.csv", 9, "f" * 64, "", "", {}, None, False)
    paperwork.add(upload)
    plan = paper(paperwork)
    decide(paperwork, verdict(BEN), verdict(IDA))
    assert [each.who for each in paperwork.approvals(plan)] == [IDA]
    assert paperwork.approvals(replace(plan, asked_by=IDA.upper())) == []


def test_confirmations_belong_to_one_person_and_one_plan(paperwork: Paperwork) -> None:
    plan = paper(paperwork)
    ben, ida = (Person(name, frozenset({Role.ADMIN})) for name in (BEN, IDA))
    paperwork.note_seen(plan, ben, [0, 1])
    paperwork.note_seen(plan, ben, [1, 2])
    assert paperwork.seen(plan, ben) == {0, 1, 2}
    assert paperwork.seen(plan, ida) == set()
    assert paperwork.seen(replace(plan, sha256="b" * 64), ben) == set()


def test_the_files_of_the_page_are_private(tmp_path: Path) -> None:
    open_database(State(tmp_path / "state")).close()
    assert (tmp_path / "state" / "page.sqlite3").stat().st_mode & 0o777 == 0o600


def test_the_database_of_a_newer_page_is_refused_and_left_as_it_is(state: State) -> None:
    with closing(open_database(state)) as made:
        newer = database.version.c.version + 1
        made.change(update(database.version).values(version=newer))
    for _ in range(2):
        with pytest.raises(UsageProblem, match=r"version 2, which a newer bulk-sync made"):
            open_database(state)
