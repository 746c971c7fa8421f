"""Profiles for new addresses: each created once, none forgotten, whatever goes wrong."""

import csv
import json
import signal
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from conftest import Run, before_answer, process, read_csv

from bulk_sync.simulator import ByEmail, Fault, Options, Simulator, running
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.call import Call


def people(path: Path, rows: Sequence[Sequence[str]], header: str = "") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header or "email,firstName,lastName,ccpaOptOut\n")
        csv.writer(file).writerows(rows)
    return path


def many(path: Path, count: int) -> Path:
    states = ("true", "false")
    return people(path, [(f"p{n}@x.com", "Ada", f"No{n}", states[n % 2]) for n in range(count)])


def created_addresses(sim: Simulator) -> Counter[str]:
    return Counter(profile["email"] for profile in sim.profiles.values())


def by_method(sim: Simulator) -> Counter[str]:
    return Counter(request.method for request in sim.requests)


def test_nobody_is_created_where_nobody_can_be_looked_for(tmp_path: Path, run: Run) -> None:
    with running(Options(by_email=ByEmail.NO_FILTERS)) as sim:
        sim.add(email="there@x.com", ccpaOptOut=False)
        rows = [("there@x.com", "Ada", "Ash", "true"), ("new@x.com", "Bo", "Elm", "true")]
        path = people(tmp_path / "in.csv", rows)
        ran = run(sim, "run", path, "--create", "--fetch", "lookup")
        assert ran.status == 3, ran.err
        assert [(row["sync_outcome"], row["sync_reason"]) for row in ran.report] == [
            ("failed", "http_404"),
            ("failed", "http_404"),
        ]
        assert set(by_method(sim)) == {"GET"}


def test_profiles_are_created_as_the_rows_say(sim: Simulator, tmp_path: Path, run: Run) -> None:
    there = sim.add(email="there@x.com", ccpaOptOut=False)
    path = people(
        tmp_path / "in.csv",
        [
            ("new+1ü@x.com", "Ada", "Ash", "5551", "true"),
            ("there@x.com", "Ben", "Birch", "5552", "true"),
            ("new2@x.com", "Cleo", "Cedar", "", "false"),
            ("new2@X.com", "Cleopatra", "Cedar", "5553", "false"),
        ],
        "E-Mail,First name,LASTNAME,Cell,ccpaOptOut\n",
    )
    words = ("--create", "--create-column", "mobilePhone=Cell")
    ran = run(sim, "run", path, *words)
    assert ran.status == 0, ran.err
    assert ran.outcomes == ["created", "updated", "created", "duplicate"]
    assert [row["sync_before"] for row in ran.report] == ["", "false", "", ""]
    assert [row["sync_after"] for row in ran.report] == ["true", "true", "false", "false"]
    assert [row["sync_profiles"] for row in ran.report] == ["1", "1", "1", "1"]
    assert sim.patched == [(there, True)]
    posts = [json.loads(request.body) for request in sim.requests if request.method == "POST"]
    assert sorted(posts, key=lambda post: str(post["email"])) == [
        {
            "firstName": "Ada", "lastName": "Ash", "mobilePhone": "5551",
            "email": "new+1ü@x.com", "ccpaOptOut": True,
        },
        {"firstName": "Cleo", "lastName": "Cedar", "email": "new2@x.com", "ccpaOptOut": False},
    ]  # fmt: skip
    again = run(sim, "run", path, *words, "--report", tmp_path / "again.csv")
    assert again.status == 0
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "again.csv")]
    assert outcomes == ["unchanged", "unchanged", "unchanged", "duplicate"]


@pytest.mark.parametrize("words", [("plan",), ("run", "--dry-run")])
def test_a_preview_creates_nothing(
    words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    command, *options = words
    report = tmp_path / "plan.results.csv"
    path = many(tmp_path / "in.csv", 3)
    ran = run(sim, command, path, *options, "--create", "--report", report)
    assert ran.status == 0, ran.err
    assert ran.outcomes == ["would_create"] * 3
    assert "would_create" in ran.out
    assert set(by_method(sim)) == {"GET"}


def test_without_the_option_no_profile_is_created(sim: Simulator, tmp_path: Path, run: Run) -> None:
    ran = run(sim, "run", many(tmp_path / "in.csv", 3))
    assert (ran.status, ran.outcomes) == (3, ["not_found"] * 3)
    assert not sim.profiles


def test_a_row_that_cannot_be_created_has_a_reason(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = people(
        tmp_path / "in.csv",
        [
            ("a@x.com", "", " ", "true"),
            ("b@x.com", "Ada", "Ash", "true"),
            ("B@x.com", "Ada", "Ash", "true"),
        ],
    )
    ran = run(sim, "run", path, "--create")
    assert ran.outcomes == ["not_found", "created", "rejected"], ran.err
    assert [row["sync_reason"] for row in ran.report] == ["incomplete", "", "ambiguous"]
    assert "firstName and lastName" in ran.report[0]["sync_detail"]
    assert "Row 3" in ran.report[2]["sync_detail"]
    assert created_addresses(sim) == {"b@x.com": 1}


def test_an_address_known_in_other_capitals_is_not_created(tmp_path: Path, run: Run) -> None:
    with running(Options(by_email=ByEmail.ANY_CASE)) as sim:
        sim.add(email="Ada@x.com", ccpaOptOut=False)
        path = people(tmp_path / "in.csv", [("ada@x.com", "Ada", "Ash", "true")])
        ran = run(sim, "run", path, "--create")
        assert (ran.status, ran.outcomes) == (3, ["not_found"])
        assert "--email-case ignore" in ran.report[0]["sync_detail"]
        assert set(by_method(sim)) == {"GET"}


@pytest.mark.parametrize(
    ("header", "words", "text"),
    [
        ("email,firstName,ccpaOptOut\n", (), "No column could hold lastName"),
        (
            "email,firstName,lastName,Last Name,ccpaOptOut\n",
            (),
            "More than one column could hold lastName",
        ),
        ("email,firstName,lastName,ccpaOptOut\n", ("--create-column", "phone"), "phone"),
        (
            "email,firstName,lastName,ccpaOptOut\n",
            ("--create-column", "phone=Cell"),
            "No column could hold phone",
        ),
        ("email,firstName,lastName,ccpaOptOut\n", ("--key-column", "lastName"), "--key email"),
        ("email,firstName,lastName,ccpaOptOut\n", ("--create-column", "a b=email"), "letters"),
    ],
)
def test_missing_columns_are_an_error_before_any_request(
    header: str, words: tuple[str, ...], text: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    cells = ["a@x.com", "Ada", "Ash", "true", "true"][: header.count(",") + 1]
    ran = run(sim, "run", people(tmp_path / "in.csv", [cells], header), "--create", *words)
    assert ran.status == 2
    assert text in ran.err
    assert not sim.requests


@pytest.mark.parametrize("most", ["2", "50%"])
def test_creations_beyond_the_limit_are_refused_and_can_be_allowed(
    most: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(sim, "run", many(tmp_path / "in.csv", 5), "--create", "--max-creates", most)
    assert ran.status == 4
    assert "--max-creates 5" in ran.err
    assert not sim.profiles
    ran = run(sim, *ran.out.splitlines()[-1].split()[1:], "--report", tmp_path / "resumed.csv")
    assert ran.status == 0, ran.err
    assert set(created_addresses(sim).values()) == {1}
    assert len(sim.profiles) == 5


@pytest.mark.parametrize(
    ("fault", "share"),
    [(Fault.RESET_AFTER_WRITE, 0.1), (Fault.CUT_JSON, 0.1), (Fault.TRANSIENT_500, 0.1)],
)
def test_no_profile_is_created_twice_when_answers_are_lost(
    fault: Fault, share: float, tmp_path: Path, run: Run
) -> None:
    with running(Options(faults={fault: share}, latency_s=0.001)) as sim:
        ran = run(sim, "run", many(tmp_path / "in.csv", 150), "--create", "--retries", 9)
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["created"] * 150
        assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(150)}
        states = {each["email"]: each["ccpaOptOut"] for each in sim.profiles.values()}
        assert states == {f"p{n}@x.com": n % 2 == 0 for n in range(150)}


@pytest.mark.parametrize("status", [302, 303])
def test_no_profile_is_created_twice_when_the_answer_is_a_redirect(
    status: int, sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may show the result of a POST by sending the client to another page."""
    redirected: list[str] = []

    async def answer(call: Call) -> tuple[Answer | None, Fault | None]:
        found = await Simulator.answer(sim, call)
        if call.method == "POST" and len(redirected) < 3:
            redirected.append(call.target)
            return Answer(status, headers={"Location": call.target}), None
        return found

    monkeypatch.setattr(sim, "answer", answer)
    ran = run(sim, "run", many(tmp_path / "in.csv", 6), "--create", "--concurrency", 1)
    assert ran.status == 0, ran.err
    assert ran.outcomes == ["created"] * 6
    assert len(redirected) == 3
    assert set(created_addresses(sim).values()) == {1}


@pytest.mark.parametrize("is_empty", [False, True], ids=["with the profile", "without a body"])
@pytest.mark.parametrize(("is_made", "outcome"), [(True, "created"), (False, "failed")])
def test_a_creation_that_was_only_accepted_is_looked_for_and_not_sent_again(
    outcome: str,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_made: bool,
    is_empty: bool,
) -> None:
    accepted: list[bytes] = []

    async def answer(call: Call) -> tuple[Answer | None, Fault | None]:
        if call.method != "POST":
            return await Simulator.answer(sim, call)
        if is_made:
            await Simulator.answer(sim, call)
        accepted.append(call.body)
        profile = json.dumps({"PKey": "@new", **json.loads(call.body)}).encode()
        return Answer(202, b"" if is_empty else profile), None

    monkeypatch.setattr(sim, "answer", answer)
    ran = run(sim, "run", many(tmp_path / "in.csv", 2), "--create")
    assert (ran.status, ran.outcomes) == (0 if is_made else 3, [outcome] * 2)
    assert len(accepted) == 2


def test_a_creation_that_never_answers_is_looked_for_before_another_try(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.queue_fault(Fault.HANG_AFTER_WRITE, "POST", times=2)
    sim.queue_fault(Fault.HANG, "POST", times=1)
    ran = run(sim, "run", many(tmp_path / "in.csv", 5), "--create", "--timeout", 1)
    assert ran.status == 0, ran.err
    assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(5)}
    assert by_method(sim)["POST"] == 6
    (run_id,) = {path.name.split(".")[1] for path in tmp_path.glob("*.results.csv")}
    audit = run(sim, "audit", run_id, "--summary", "json")  # by the PKeys that were found
    assert audit.summary["outcomes"] == {"unchanged": 5}


def test_every_profile_is_created_once_by_runs_killed_at_any_moment(
    tmp_path: Path, run: Run
) -> None:
    rows = 150
    options = Options(faults={Fault.RESET_AFTER_WRITE: 0.05}, latency_s=0.005)
    with running(options) as sim:
        path = many(tmp_path / "in.csv", rows)
        words: tuple[str, ...] = ("run", str(path), "--create", "--timeout", "2")
        for kill_at in (1, 60, 120):
            with process(sim, tmp_path, *words, "-q") as killed:
                left = max(1, kill_at - len(sim.profiles))
                before_answer(sim, "POST", left, killed.kill)
            assert killed.returncode == -signal.SIGKILL
            words = ("resume",)
        ran = run(sim, "resume")
        assert ran.status == 0, ran.err
        assert Counter(ran.outcomes) == {"created": rows}
        assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(rows)}


def test_a_budget_stops_creations_cleanly(sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = many(tmp_path / "in.csv", 6)
    ran = run(sim, "run", path, "--create", "--max-calls", 16, "--report", tmp_path / "1.csv")
    assert ran.status == 6, ran.err
    assert 0 < len(sim.profiles) < 6
    report = tmp_path / "2.csv"
    ran = run(sim, "resume", "--max-calls", 100, "--report", report)
    assert ran.status == 0, ran.err
    assert [row["sync_outcome"] for row in read_csv(report)] == ["created"] * 6
    assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(6)}


def test_a_plan_does_not_create_a_profile_created_meanwhile(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = tmp_path / "plan.parquet"
    assert run(sim, "plan", many(tmp_path / "in.csv", 4), "--create", "--out", plan).status == 0
    sim.add(email="p0@x.com", ccpaOptOut=True)
    sim.add(email="p1@x.com", ccpaOptOut=True)
    ran = run(sim, "apply", plan)
    assert ran.status == 3, ran.err
    assert ran.outcomes == ["unchanged", "drifted", "created", "created"]
    assert [row["sync_reason"] for row in ran.report[:2]] == ["exists", "exists"]
    assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(4)}
    assert not sim.patched


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")], ids="-".join)
def test_a_profile_is_found_whose_letters_and_accents_are_composed_otherwise(
    forms: tuple[Literal["NFC", "NFD"], ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    there, given = (unicodedata.normalize(form, "zoë@x.com") for form in forms)
    pkey = sim.add(email=there, ccpaOptOut=False)
    path = people(tmp_path / "in.csv", [(given, "Zoë", "Ash", "true")])
    ran = run(sim, "run", path, "--create", "--fetch", "lookup")
    assert ran.outcomes == ["updated"], ran.err
    assert sim.states == {pkey: True}


@pytest.mark.parametrize("there", ["p0@x.com", "p0@X.com"])
def test_a_run_stopped_while_it_read_creates_nobody_who_was_created_meanwhile(
    there: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path, report = many(tmp_path / "in.csv", 6), tmp_path / "2.csv"
    words = ("--create", "--fetch", "lookup", "--concurrency", 1, "--max-calls", 7)
    assert run(sim, "run", path, *words, "--report", tmp_path / "1.csv").status == 6
    assert not sim.profiles
    pkey = sim.add(email=there, ccpaOptOut=False)
    ran = run(sim, "resume", "--report", report, "--max-calls", 100)
    assert ran.status == 3, ran.err
    assert [row["sync_outcome"] for row in read_csv(report)] == ["drifted"] + ["created"] * 5
    assert sim.states[pkey] is False
    assert len(sim.profiles) == 6


@pytest.mark.parametrize("date", ["2026-11-20", "2026-11-24"])
def test_an_opt_out_that_others_created_meanwhile_stands_against_an_older_request(
    date: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    header = "email,firstName,lastName,ccpaOptOut,Request date\n"
    path = people(tmp_path / "in.csv", [("p0@x.com", "Ada", "Ash", "true", "2026-11-22")], header)
    plan = tmp_path / "plan.parquet"
    assert run(sim, "plan", path, "--create", "--out", plan).status == 0
    pkey = sim.add(email="p0@x.com", ccpaOptOut=True)
    ran = run(sim, "apply", plan)
    assert ran.outcomes == ["unchanged"], ran.err
    other = tmp_path / "other.csv"
    other.write_text(f"PKey,ccpaOptOut,Request date\n{pkey},false,{date}\n")
    run(sim, "run", other)
    assert sim.states[pkey] is (date < "2026-11-22")
    (told, *_) = json.loads(run(None, "history", pkey, "--json").out)
    assert (told["key"], told["outcome"]) == ("p0@x.com", "unchanged")


def test_a_created_profile_is_audited_is_in_the_history_and_stays_after_an_undo(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    there = sim.add(email="p1@x.com", ccpaOptOut=True)
    ran = run(sim, "run", many(tmp_path / "in.csv", 3), "--create", "--verify")
    assert ran.outcomes == ["created", "updated", "created"], ran.err
    (run_id,) = {path.name.split(".")[1] for path in tmp_path.glob("*.results.csv")}
    audit = run(sim, "audit", run_id, "--summary", "json")
    assert (audit.status, audit.summary["outcomes"]) == (0, {"unchanged": 3})
    (new,) = (key for key, each in sim.profiles.items() if each["email"] == "p0@x.com")
    for key in (new, "p0@x.com"):
        (facts,) = json.loads(run(None, "history", key, "--json").out)
        assert (facts["key"], facts["profile"], facts["before"]) == ("p0@x.com", new, "")
        assert facts["outcome"] == "created"
    undone = run(sim, "undo", run_id, "--yes", "--report", tmp_path / "undone.csv")
    assert undone.status == 0, undone.err
    assert "2 profiles" in undone.err
    assert sim.profiles[there]["ccpaOptOut"] is True
    assert len(sim.profiles) == 3


def test_a_profile_created_by_others_is_not_reported_as_created(
    sim: Simulator, tmp_path: Path
) -> None:
    sim.queue_fault(Fault.HANG, "POST", times=1)
    words = ("run", str(many(tmp_path / "in.csv", 1)), "--create", "--timeout", "2", "-q")
    with process(sim, tmp_path, *words) as running_still:
        while not by_method(sim)["POST"]:
            threading.Event().wait(0.01)
        sim.add(email="p0@x.com", ccpaOptOut=False)
        assert running_still.wait() == 3
    (report,) = tmp_path.glob("*.results.csv")
    (row,) = read_csv(report)
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "exists")
    assert row["sync_after"] == "false"
    assert created_addresses(sim) == {"p0@x.com": 1}


@pytest.mark.parametrize(
    ("states", "outcome"), [((True, False), "drifted"), ((True, True), "unchanged")]
)
def test_all_of_several_profiles_created_meanwhile_count(
    states: tuple[bool, ...], outcome: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = tmp_path / "plan.parquet"
    assert run(sim, "plan", many(tmp_path / "in.csv", 1), "--create", "--out", plan).status == 0
    for state in states:
        sim.add(email="p0@x.com", ccpaOptOut=state)
    ran = run(sim, "apply", plan)
    assert ran.outcomes == [outcome]
    assert created_addresses(sim) == {"p0@x.com": 2}


def test_a_resumed_run_looks_again_before_it_creates(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = many(tmp_path / "in.csv", 6)
    ran = run(sim, "run", path, "--create", "--max-calls", 17, "--concurrency", 1)
    assert ran.status == 6, ran.err
    missing = {f"p{n}@x.com" for n in range(6)} - set(created_addresses(sim))
    assert missing
    for email in missing:
        sim.add(email=email, ccpaOptOut=False)
    ran = run(sim, "resume", "--max-calls", 100, "--report", tmp_path / "2.csv")
    assert set(created_addresses(sim).values()) == {1}
    rows = {row["email"]: row for row in read_csv(tmp_path / "2.csv")}
    for email in missing:
        wants = rows[email]["sync_desired"]
        assert rows[email]["sync_outcome"] == ("drifted" if wants == "true" else "unchanged")


def test_an_unknown_field_is_an_error_before_any_write(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(email="there@x.com", ccpaOptOut=False)
    path = people(
        tmp_path / "in.csv",
        [("new@x.com", "Ada", "Ash", "1", "true"), ("there@x.com", "Ben", "Ash", "2", "true")],
        "email,firstName,lastName,mobilPhone,ccpaOptOut\n",
    )
    ran = run(sim, "run", path, "--create", "--create-column", "mobilPhone")
    assert ran.status == 2
    assert "mobilePhone" in ran.err
    assert set(by_method(sim)) == {"GET"}


def test_an_address_in_other_capitals_of_its_domain_is_no_other_person(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    pkey = sim.add(email="ada@X.Com", ccpaOptOut=False)
    path = people(tmp_path / "in.csv", [("ada@x.com", "Ada", "Ash", "true")])
    ran = run(sim, "run", path, "--create", "--fetch", "lookup")
    assert (ran.status, ran.outcomes) == (0, ["updated"]), ran.err
    assert sim.patched == [(pkey, True)]
    assert len(sim.profiles) == 1


def test_an_address_on_the_list_in_other_capitals_is_not_created(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(email="Ada@x.com", ccpaOptOut=False)
    path = people(tmp_path / "in.csv", [("ada@x.com", "Ada", "Ash", "true")])
    ran = run(sim, "run", path, "--create", "--fetch", "scan")
    assert ran.outcomes == ["not_found"]
    assert [row["sync_reason"] for row in ran.report] == ["ambiguous"]
    assert len(sim.profiles) == 1


def test_without_further_tries_a_lost_creation_is_tried_once_more_at_the_end(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.queue_fault(Fault.RESET, "POST", times=1)
    sim.queue_fault(Fault.RESET_AFTER_WRITE, "POST", times=1)
    ran = run(sim, "run", many(tmp_path / "in.csv", 3), "--create", "--retries", 0)
    assert ran.status == 0, ran.err
    assert ran.outcomes == ["created"] * 3
    assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(3)}


def test_a_plan_knows_a_profile_by_any_spelling_of_its_domain(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = tmp_path / "plan.parquet"
    assert run(sim, "plan", many(tmp_path / "in.csv", 1), "--create", "--out", plan).status == 0
    sim.add(email="p0@X.COM", ccpaOptOut=False)
    ran = run(sim, "apply", plan)
    assert ran.outcomes == ["drifted"]
    assert len(sim.profiles) == 1


def test_an_address_that_begins_like_a_thousand_others_is_created_too(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(1_200):
        sim.add(email=f"info@firm{number}.example", ccpaOptOut=False)
    path = people(tmp_path / "in.csv", [("info@new.example", "Ada", "Ash", "true")])
    ran = run(sim, "run", path, "--create", "--fetch", "lookup")
    assert ran.outcomes == ["created"], ran.err
    assert created_addresses(sim)["info@new.example"] == 1
