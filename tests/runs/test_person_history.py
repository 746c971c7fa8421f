"""The whole history of one person: the present state, every write, and every row about them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import copies
import orjson
import pyarrow.parquet as pq
import pytest
from conftest import Run, key, populate, process, read_csv, write_states

from bulk_sync import ledger
from bulk_sync.campaign import retries
from bulk_sync.ledger import Intent
from bulk_sync.runs import story_of
from bulk_sync.runs.kept import kept_rows
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, Simulator, running


class History:
    """The output of ``history`` for a key: for a person, and for a script."""

    def __init__(
        self, run: Run, key_text: str, *words: object, sim: Simulator | None = None
    ) -> None:
        shown = run(sim, "history", key_text, *words)
        assert shown.status == 0, shown.err
        self.lines = shown.out.splitlines()
        found: list[dict[str, Any]] = orjson.loads(
            run(sim, "history", key_text, *words, "--json").out
        )
        self.events = [each for each in found if each["event"] != "note"]
        self.notes = [each["detail"] for each in found if each["event"] == "note"]
        assert self.notes == self.lines[len(self.lines) - len(self.notes) :]

    @property
    def first(self) -> str:
        return self.lines[0]

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(each["kind"], each["outcome"]) for each in self.events]


def newest_run_id(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def people(path: Path, *rows: str, header: str = "email,ccpaOptOut") -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


@pytest.mark.parametrize("key_text", ["Jo@Example.com", "JO@example.COM", "PKEY"])
def test_an_undo_is_in_the_history_of_the_address_and_of_the_pkey(
    key_text: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(1), email="Jo@Example.com", ccpaOptOut=False)
    run(sim, "run", people(tmp_path / "in.csv", "Jo@Example.com,true"))
    first = newest_run_id(run)
    run(sim, "undo", first, "--report", "u.csv")
    history = History(run, key_text.replace("PKEY", key(1)))
    assert history.outcomes == [("run", "updated"), ("undo", "updated")]
    assert history.first.startswith(
        f"As far as this tool knows, profile {key(1)} has not opted out (ccpaOptOut is false): run "
        f"{newest_run_id(run)} put back on "
    )
    assert history.first.endswith(f" what run {first} had changed.")
    assert [each["stands"] for each in history.events] == [False, True]
    assert history.events[1]["parent"] == first


def test_apply_and_retry_are_in_the_history(sim: Simulator, tmp_path: Path, run: Run) -> None:
    sim.add(pkey=key(1), email="jo@example.com", ccpaOptOut=False)
    path = people(tmp_path / "in.csv", "jo@example.com,true")
    assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
    sim.forbidden.add(key(1))
    run(sim, "apply", "plan.parquet", "--report", "a.csv")
    applied = newest_run_id(run)
    refused = History(run, "jo@example.com")
    assert refused.outcomes == [("apply", "failed")]
    assert f"has not opted out (ccpaOptOut is false): run {applied} left it so" in refused.first
    sim.forbidden.clear()
    run(sim, "retry", applied, "--report", "r.csv")
    history = History(run, "JO@EXAMPLE.COM")
    assert history.outcomes == [("apply", "failed"), ("retry", "updated")]
    assert history.outcomes == History(run, key(1)).outcomes
    assert (
        f"has opted out (ccpaOptOut is true): run {newest_run_id(run)} changed it" in history.first
    )
    names = ("key", "used", "profile", "before", "desired", "after", "reason", "parent")
    whose = (key(1), "jo@example.com", "", "false", "true")
    assert [tuple(event[name] for name in names) for event in history.events] == [
        (*whose, "false", "http_403", ""),
        (*whose, "true", "", applied),
    ]
    assert [event["requested"] for event in history.events] == ["", ""]
    assert all(event["intended_at"] <= event["at"] for event in history.events)


def test_a_profile_that_others_moved_to_the_state_was_not_changed_by_apply(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(1), ccpaOptOut=False)
    path = people(tmp_path / "in.csv", f"{key(1)},true", header="PKey,ccpaOptOut")
    assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
    sim.profiles[key(1)]["ccpaOptOut"] = True
    run(sim, "apply", "plan.parquet", "--report", "a.csv")
    history = History(run, key(1))
    assert history.outcomes == [("apply", "drifted")]
    assert f"(ccpaOptOut is true): so run {newest_run_id(run)} found it on " in history.first


@pytest.mark.parametrize(
    ("row", "state", "facts", "says"),
    [
        (
            "{key},true", True, ("unchanged", "", "true", "true", "true", 1),
            "has opted out (ccpaOptOut is true): so run",
        ),
        (
            "{key},perhaps", False, ("rejected", "bad_state", "", "", "", 0),
            "does not know the state",
        ),
        (
            "{key},true", None, ("failed", "state_unknown", "", "true", "", 1),
            "does not know the state",
        ),
        (
            "{key},true\n{key},false", False, ("rejected", "conflict", "", "true", "", 0),
            "does not know the state",
        ),
    ],
    ids=["unchanged", "rejected", "failed", "two states"],
)  # fmt: skip
def test_rows_without_a_change_are_in_the_history(
    row: str, state: bool, facts: tuple[object, ...], says: str, sim: Simulator,
    tmp_path: Path, run: Run,
) -> None:  # fmt: skip
    sim.add(pkey=key(1), ccpaOptOut=state)
    populate(sim, 1)
    other = f"{key(0)},true"
    path = people(
        tmp_path / "in.csv", *row.format(key=key(1)).split("\n"), other, header="PKey,ccpaOptOut"
    )
    run(sim, "run", path)
    history = History(run, key(1))
    names = ("outcome", "reason", "before", "desired", "after", "attempts")
    assert tuple(history.events[0][name] for name in names) == facts
    assert {each["outcome"] for each in history.events} == {facts[0]}
    assert all(each["key"] == each["used"] == key(1) for each in history.events)
    assert [each["row"] for each in history.events] == list(range(2, 2 + row.count("key")))
    assert all(each["event"] == "row" and each["detail"] is not None for each in history.events)
    assert says in history.first
    assert history.notes == []


def test_a_repeated_row_does_not_hide_that_the_run_changed_the_profile(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    row = f"{key(0)},true"
    run(sim, "run", people(tmp_path / "in.csv", row, row, header="PKey,ccpaOptOut"))
    history = History(run, key(0))
    assert history.outcomes == [("run", "updated"), ("run", "duplicate")]
    assert [event["stands"] for event in history.events] == [True, False]
    assert f"run {newest_run_id(run)} changed it on " in history.first
    assert "(row 2 of " in history.first


def test_an_address_unknown_to_campaign_has_a_history(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = people(tmp_path / "in.csv", "Jo@Example.com,true", "not an address,true")
    run(sim, "run", path)
    found = History(run, "jo@example.com")
    assert found.outcomes == [("run", "not_found")]
    assert f"the state of jo@example.com: run {newest_run_id(run)} found no profile." in found.first
    history = History(run, "not an address")
    assert "no run has read or changed it" in history.first
    assert history.outcomes == [("run", "rejected")]
    assert [event["reason"] for event in history.events] == ["bad_key"]
    assert History(run, "nobody@example.com").outcomes == []
    assert "never changed nobody@example.com" in History(run, "nobody@example.com").first


def test_addresses_in_a_column_beside_the_pkeys_are_found(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    sim.profiles[key(1)]["ccpaOptOut"] = True
    header = "PKey,E-Mail Address,ccpaOptOut"
    rows = [f"{key(number)},P{number}@example.com,true" for number in range(3)]
    run(sim, "run", people(tmp_path / "in.csv", *rows, header=header))
    run(sim, "run", write_states(tmp_path / "later.csv", 1, "false"), "--report", "l.csv")
    history = History(run, "p0@example.com")
    assert history.outcomes == [
        ("run", "updated"),
        ("run", "updated"),
    ]  # the later file by its PKey
    assert History(run, "p1@EXAMPLE.com").outcomes == [("run", "unchanged")]
    assert History(run, key(0)).outcomes == history.outcomes


def test_people_with_one_address_are_kept_apart_by_pkey(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="family@example.com", ccpaOptOut=number == 1)
    run(sim, "run", people(tmp_path / "in.csv", "family@example.com,true"))
    run(sim, "run", write_states(tmp_path / "one.csv", 1, "false"), "--report", "o.csv")
    assert History(run, key(0)).outcomes == [("run", "updated"), ("run", "updated")]
    (unchanged,) = History(run, key(1)).events
    assert (unchanged["event"], unchanged["pkeys"]) == ("row", [key(1)])
    assert unchanged["outcome"] == "unchanged"
    both = History(run, "family@example.com")
    assert sorted(both.outcomes) == [("run", "unchanged"), ("run", "updated"), ("run", "updated")]
    assert [line[:70] for line in both.lines[:2]] == [
        f"As far as this tool knows, profile {key(number)}"[:70] for number in range(2)
    ]
    assert "has not opted out" in both.lines[0]
    assert "has opted out" in both.lines[1]


def test_files_with_only_pkeys_are_mentioned_and_can_be_searched(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    run(sim, "run", write_states(tmp_path / "in.csv", 2))
    history = History(run, "p1@example.com")
    assert history.first.startswith("No write to p1@example.com is recorded")
    (note,) = history.notes
    assert f"The files of 1 run ({newest_run_id(run)}) held PKeys alone" in note
    assert "--lookup" in note
    sim.clear()
    found = History(run, "P1@example.com", "--lookup", sim=sim)
    assert found.outcomes == [("run", "updated")]
    assert f"profile {key(1)} has opted out" in found.first
    assert found.notes == []
    assert set(sim.counters.methods) == {"GET"}
    nobody = History(run, "nobody@example.com", "--lookup", sim=sim)
    assert nobody.events == []
    assert "Campaign shows no profile for nobody@example.com" in nobody.notes[0]
    ran = run(sim, "history", key(1), "--lookup")
    assert ran.status == 2
    assert "e-mail address" in ran.err


@pytest.mark.parametrize("email", ["jo@example.com", "nobody@example.com"])
def test_a_file_of_addresses_is_not_mentioned_whatever_its_column_is_called(
    email: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(1), email="jo@example.com", ccpaOptOut=False)
    path = people(tmp_path / "in.csv", "jo@example.com,true", header="Kontakt,ccpaOptOut")
    run(sim, "run", path, "--key", "email", "--key-column", "Kontakt")
    assert History(run, email).notes == []


def test_files_with_only_other_keys_are_mentioned(tmp_path: Path, run: Run) -> None:
    words = ("--key", "custom", "--key-column", "cusId", "--api", "profileAndServicesExt")
    with running(Options(custom_key="cusId")) as sim:
        sim.add(pkey=key(0), email="jo@example.com", ccpaOptOut=False, cusId="C0")
        run(sim, "run", people(tmp_path / "in.csv", "C0,true", header="cusId,ccpaOptOut"), *words)
        history = History(run, "Jo@example.com")
        assert history.first.startswith("No write to Jo@example.com is recorded")
        assert f"The files of 1 run ({newest_run_id(run)}) held keys alone" in history.notes[0]
        assert History(run, "Jo@example.com", "--lookup", sim=sim).outcomes == [("run", "updated")]


def test_rows_no_longer_kept_are_mentioned(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    sim.profiles[key(1)]["ccpaOptOut"] = True
    run(sim, "run", write_states(tmp_path / "in.csv", 2), "--keep-rows", 0)
    assert History(run, key(0)).outcomes == [("run", "updated")]
    history = History(run, key(1))
    assert history.events == []
    assert "never" not in history.first
    (note,) = history.notes
    assert f"The rows of 1 run ({newest_run_id(run)}) are not kept here" in note


def test_the_newest_five_runs_without_rows_are_named(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    run(sim, "run", write_states(tmp_path / "in.csv", 1), "--keep-rows", 0)
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (first,) = book.runs()
        for number in (1, 2, 3, 4):
            book.begin(f"later-{number}", first.begun)
    (five,) = History(run, "@unknown").notes
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.begin("later-5", first.begun)
    (six,) = History(run, "@unknown").notes
    later = "later-1, later-2, later-3, later-4"
    assert f"The rows of 5 runs ({first.run_id}, {later}) are not kept here" in five
    assert f"The rows of 6 runs ({later}, later-5, ...) are not kept here" in six


def test_an_interrupted_run_shows_its_pending_rows(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 14)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 10), *words).status == 6
    assert History(run, key(0)).outcomes == [("run", "updated")]
    history = History(run, key(9))
    assert history.outcomes == [("run", "pending")]
    assert (
        f"has not opted out (ccpaOptOut is false): so run {newest_run_id(run)} found it"
        in history.first
    )


def test_a_created_profile_is_found_by_both_of_its_keys(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    header = "email,firstName,lastName,ccpaOptOut,Received"
    path = people(tmp_path / "in.csv", "A@b.co,A,B,true,2026-01-20", header=header)
    assert run(sim, "run", path, "--create").status == 0
    (pkey,) = sim.profiles
    for key_text in ("a@B.co", pkey):
        history = History(run, key_text)
        assert history.outcomes == [("run", "created")]
        assert history.events[0]["requested"] == "2026-01-20"
        assert f"profile {pkey} has opted out" in history.first


def test_a_custom_key_is_found_by_exact_spelling(tmp_path: Path, run: Run) -> None:
    with running(Options(custom_key="cusId")) as sim:
        sim.add(pkey=key(1), cusId="C-17", ccpaOptOut=False)
        path = people(tmp_path / "in.csv", "C-17,true", header="cusId,ccpaOptOut")
        words = ("--key", "custom", "--key-column", "cusId")
        assert run(sim, "run", path, *words).status == 0
    assert History(run, "C-17").outcomes == [("run", "updated")]
    assert History(run, "c-17").outcomes == []
    assert History(run, key(1)).outcomes == [("run", "updated")]


def test_kept_rows_of_another_format_are_not_read(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1, state=True)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    (kept,) = kept_rows.all_of(tmp_path / "state").values()
    table = pq.read_table(kept.path)
    notes = {**table.schema.metadata, b"bulk-sync.rows": b'{"format":1}'}
    pq.write_table(table.replace_schema_metadata(notes), kept.path)
    other = "it has the format 1, made by another version"
    kept_ran = run(None, "history", key(0))
    kept.path.write_bytes(b"PAR1 damaged PAR1")
    for ran, says in ((kept_ran, other), (run(None, "history", key(0)), "Parquet")):
        assert ran.status == 0
        assert re.search(rf"rows of run \S+ cannot be read: .*{says}", ran.err), ran.err
        assert "are not kept here" in ran.out


def test_each_write_names_its_file_and_the_tries_that_it_took(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    (tmp_path / "lists").mkdir()
    for number, name in enumerate(("a.csv", "b.csv")):
        people(tmp_path / "lists" / name, f"{key(number)},true", header="PKey,ccpaOptOut")
    sim.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9, matching=key(1)[1:])
    ran = run(sim, "run", tmp_path / "lists", "--retries", 1)
    assert [row["sync_attempts"] for row in ran.report] == ["1", "2"]
    for number, name, outcome, attempts in ((0, "a.csv", "updated", 1), (1, "b.csv", "failed", 2)):
        (event,) = History(run, key(number)).events
        assert (event["input"], event["row"]) == (str(tmp_path / "lists" / name), 2)
        assert (event["outcome"], event["attempts"]) == (outcome, attempts)


def test_writes_in_flight_of_a_dead_process_are_unknown(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 14, "--report", "r.csv")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 10), *words).status == 6
    in_flight = [Intent(key(n), n + 2, None, before=False, desired=True) for n in range(7, 10)]
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(newest_run_id(run), in_flight)
    assert History(run, key(9)).outcomes == [("run", "unknown")]
    first, second, *_ = History(run, key(9)).lines
    assert first == f"This tool does not know the state of {key(9)}."
    assert f"by run {newest_run_id(run)} has arrived is not known: `bulk-sync resume " in second
    run(sim, "resume", "--max-calls", 2)
    left = read_csv(tmp_path / "r.csv")[9]
    assert (left["sync_outcome"], left["sync_reason"]) == ("pending", "stopped")
    assert "whether it arrived is not known" in left["sync_detail"]
    assert left["sync_after"] == ""
    assert run(sim, "resume", "--max-calls", 100).status == 0
    assert History(run, key(9)).outcomes[-1] == ("run", "updated")


def test_a_doubt_is_shown_until_a_later_run_has_read_the_state(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    first = newest_run_id(run)
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(first, [Intent(key(0), 2, None, before=True, desired=False)])
    assert f"by run {first} has arrived is not known" in History(run, key(0)).lines[1]
    assert run(sim, "run", tmp_path / "in.csv", "--report", "l.csv").status == 0
    history = History(run, key(0))
    assert history.outcomes[-1] == ("run", "unchanged")
    assert "is not known" not in "\n".join(history.lines)


def test_a_repeat_says_nothing_of_the_single_profiles_of_its_address(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="p@x.co", ccpaOptOut=number == 1)
    (tmp_path / "protected.csv").write_text("email\np@x.co\n")
    path = people(tmp_path / "in.csv", "p@x.co,false", "p@x.co,true", header="email,ccpaOptOut")
    run(sim, "run", path, "--on-conflict", "last", "--protect", tmp_path / "protected.csv")
    for number in range(2):
        assert History(run, key(number)).first.startswith("This tool does not know the state")


def test_a_lookup_that_campaign_refuses_is_named(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    sim.queue_fault(Fault.UNAUTHORIZED_401, "GET", times=99)
    refused = run(sim, "history", "p0@example.com", "--lookup")
    assert refused.status == 5
    assert "401" in refused.err


def test_the_order_of_the_ledger_counts_if_the_clock_was_set_back(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    now = datetime.now(UTC)
    for number, (hours, state) in enumerate([(0, "true"), (-3, "false"), (-2, "false")]):
        path = write_states(tmp_path / "in.csv", 1, state)
        more = {copies.NOW_S: str((now + timedelta(hours=hours)).timestamp())}
        words = ("run", str(path), "--report", f"r{number}.csv")
        with process(sim, tmp_path, *words, more=more) as process_then:
            said = process_then.communicate()[1]
        assert process_then.returncode == 0, said
    assert sim.states == {key(0): False}
    history = History(run, key(0))
    assert f"profile {key(0)} has not opted out" in history.first
    assert [(each["outcome"], each["after"]) for each in history.events] == [
        ("updated", "true"),
        ("updated", "false"),
        ("unchanged", "false"),
    ]
    assert [each["stands"] for each in history.events] == [False, False, True]


def test_a_lookup_without_an_answer_denies_nobody(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_BACKOFF_S", 0.001)
    populate(sim, 1)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=99, matching="by")
    ran = run(sim, "history", "p0@example.com", "--lookup")
    assert (ran.status, ran.out) == (6, "")
    assert "The PKeys of p0@example.com could not be looked up in Campaign" in ran.err


def test_a_run_that_begins_meanwhile_is_in_no_story_yet(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(1), ccpaOptOut=False)
    path = people(tmp_path / "in.csv", f"{key(1)},true", header="PKey,ccpaOptOut")
    run(sim, "run", path)
    state = State(tmp_path / "state")

    def looked_up() -> Iterator[str]:
        """Let a run write to the profile after the runs were read, before the writes are."""
        with ledger.open_ledger(state) as other:
            (first,) = other.runs()
            other.begin("20261201T020000Z-00000a", first.begun)
            other.intend("20261201T020000Z-00000a", [Intent(key(1), 2, None, True, False)])
        yield key(1)

    with ledger.open_ledger(state) as book:
        story = story_of(book, state, key(1), looked_up())
    assert [event.state for event in story.events] == [True]


@pytest.mark.parametrize("left", ["failed", "drifted", "pending"])
def test_each_profile_of_an_address_has_its_own_state_and_outcome(
    left: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    """One profile has what the row asks for; the other one is left as it was."""
    stamp = "2026-11-20 12:00:00.000Z" if left == "drifted" else ""
    for number, state in enumerate([False, True]):
        stamps = {"ccpaOptOutLastModified": stamp}
        sim.add(pkey=key(number), email="jo@example.com", ccpaOptOut=state, **stamps)
    if left == "failed":
        sim.forbidden.add(key(0))
    header = "email,ccpaOptOut,Request date"
    path = people(tmp_path / "in.csv", "jo@example.com,true,2026-11-10", header=header)
    limit = ["--max-changes", 0] if left == "pending" else []
    assert run(sim, "run", path, *limit).status == (4 if limit else 3)
    told = History(run, "jo@example.com")
    assert sorted(each["outcome"] for each in told.events) == sorted([left, "unchanged"])
    for number, holds in enumerate(["false", "true"]):
        (event,) = (each for each in told.events if each["pkeys"] == [key(number)])
        assert (event["before"], event["after"]) == (holds, holds)
        assert any(f"profile {key(number)} has" in line and holds in line for line in told.lines)
        (alone,) = History(run, key(number)).events
        assert (alone["before"], alone["after"]) == (holds, holds)
    (found,) = (each for each in told.events if each["outcome"] == "unchanged")
    assert found["reason"] == found["detail"] == ""
