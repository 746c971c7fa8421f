"""Of two requests for one profile the later one wins, whatever was written when."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, read_csv

from bulk_sync.simulator import Simulator

STAMP = "ccpaOptOutLastModified"


class Team:
    """People who upload lists, one run after the other."""

    def __init__(self, sim: Simulator, folder: Path, run: Run) -> None:
        self.sim, self.folder, self.run = sim, folder, run
        self.count = 0

    def wish(self, state: str, date: str, rows: int = 1, *words: object) -> list[str]:
        """Upload a list for the first so many profiles, and return what became of its rows."""
        path = self.list_of(state, date, rows)
        return self.results("run", path, *words)

    def list_of(self, state: str, date: str, rows: int = 1) -> Path:
        self.count += 1
        path = self.folder / f"list{'abcdefghij'[self.count]}.csv"
        lines = [f"{key(number)},{state},{date}" for number in range(rows)]
        path.write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
        return path

    def results(self, *words: object) -> list[str]:
        report = self.folder / f"report{self.count}{words[0]}.csv"
        report.unlink(missing_ok=True)
        self.run(self.sim, *words, "--max-opt-ins", "100%", "--report", report)
        return [row["sync_outcome"] for row in read_csv(report)]

    def newest(self) -> str:
        runs = orjson.loads(self.run(None, "runs", "--json").out)
        return str(runs[-1]["run_id"])


@pytest.fixture
def team(sim: Simulator, tmp_path: Path, run: Run) -> Team:
    populate(sim, 4)
    return Team(sim, tmp_path, run)


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
@pytest.mark.parametrize("first", ["true", "false"])
def test_a_later_request_wins_over_one_that_was_carried_out(
    first: str, fetch: str, team: Team
) -> None:
    second = "false" if first == "true" else "true"
    for profile in team.sim.profiles.values():
        profile["ccpaOptOut"] = first != "true"
    words = ("--fetch", fetch)
    assert team.wish(first, "2026-01-20", 2, *words) == ["updated"] * 2
    assert team.wish(second, "2026-01-25", 2, *words) == ["updated"] * 2
    assert team.wish(first, "2026-01-20", 2, *words) == ["drifted"] * 2
    assert team.wish(first, "2026-01-26", 2, *words) == ["updated"] * 2


def test_an_older_request_says_which_one_was_carried_out(team: Team) -> None:
    assert team.wish("true", "2026-01-25") == ["updated"]
    first = team.newest()
    path = team.list_of("false", "2026-01-20")
    team.run(team.sim, "run", path, "--report", "r.csv")
    (row,) = read_csv(team.folder / "r.csv")
    assert row["sync_reason"] == "newer_choice"
    assert f"Run {first} has carried out a request of 2026-01-25" in row["sync_detail"]
    assert row["sync_after"] == "true"


def test_a_tie_and_an_undated_list_go_to_the_opt_out(team: Team) -> None:
    assert team.wish("true", "2026-01-25") == ["updated"]
    assert team.wish("false", "2026-01-25") == ["drifted"]
    assert team.wish("false", "2026-01-26") == ["updated"]
    assert team.wish("true", "2026-01-26") == ["updated"]
    assert team.wish("false", "") == ["drifted"]
    assert team.wish("false", "2026-01-27") == ["updated"]
    assert team.wish("true", "") == ["updated"]
    assert team.wish("false", "") == ["updated"]  # as no request with a date asked for the opt-out
    assert team.wish("true", "2026-01-01") == ["updated"]


@pytest.mark.parametrize("date", ["", "soon", "2062-01-01"])
@pytest.mark.parametrize("first", ["written", "found"])
def test_an_opt_in_whose_date_cannot_be_read_leaves_a_dated_opt_out(
    first: str, date: str, team: Team
) -> None:
    team.sim.profiles[key(0)]["ccpaOptOut"] = first == "found"
    team.wish("true", "2026-01-25")
    path = team.list_of("false", date)
    assert team.run(team.sim, "run", path, "--report", "r.csv").status == 3
    (row,) = read_csv(team.folder / "r.csv")
    assert (row["sync_reason"], row["sync_after"]) == ("newer_choice", "true")
    assert "a request of 2026-01-25 for this profile" in row["sync_detail"]
    assert team.wish("false", date, 1, "--ignore-dates") == ["updated"]


def test_without_stamps_the_ledger_alone_tells(team: Team) -> None:
    for state, date, outcome in (
        ("true", "2026-01-25", "updated"),
        ("false", "2026-01-20", "drifted"),
        ("false", "2026-01-26", "updated"),
        ("true", "2026-01-25", "drifted"),
    ):
        assert team.wish(state, date) == [outcome]
        team.sim.profiles[key(0)][STAMP] = ""


def test_what_somebody_else_has_changed_since_goes_by_its_stamp(team: Team) -> None:
    assert team.wish("true", "2026-01-20") == ["updated"]
    team.sim.profiles[key(0)] |= {"ccpaOptOut": False, STAMP: "2026-01-22 12:00:00.000Z"}
    assert team.wish("true", "2026-01-21") == ["drifted"]
    assert team.wish("true", "2026-01-23") == ["updated"]


def test_after_the_undo_of_a_wrong_list_the_right_one_is_carried_out(team: Team) -> None:
    team.sim.profiles[key(3)]["ccpaOptOut"] = True
    assert team.wish("true", "2026-01-26", 4) == ["updated"] * 3 + ["unchanged"]
    wrong = team.newest()
    assert team.results("undo", wrong) == ["updated"] * 3
    assert team.sim.states == {key(n): n == 3 for n in range(4)}
    assert team.wish("true", "2026-01-20", 3) == ["updated"] * 3


def test_after_an_undo_the_request_before_it_stands_again(team: Team) -> None:
    assert team.wish("true", "2026-01-10") == ["updated"]
    assert team.wish("false", "2026-01-20") == ["updated"]
    wrong = team.newest()
    assert team.results("undo", wrong) == ["updated"]  # so the opt-out of the 10th stands
    assert team.wish("false", "2026-01-09") == ["drifted"]
    assert team.wish("false", "2026-01-12") == ["updated"]


def test_the_undo_of_an_undo_lets_the_request_stand_again(team: Team) -> None:
    assert team.wish("false", "2026-01-05") == ["unchanged"]
    assert team.wish("true", "2026-01-20") == ["updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.sim.states[key(0)] is True
    assert team.wish("false", "2026-01-19") == ["drifted"]
    assert team.wish("false", "2026-01-22") == ["updated"]


def test_an_apply_goes_by_requests_too(team: Team) -> None:
    plans = {"2026-01-25": "updated", "2026-01-15": "drifted"}
    for date in plans:
        path = team.list_of("true", date)
        assert team.run(team.sim, "plan", path, "--out", f"{date}.parquet").status == 0
    assert team.wish("true", "2026-01-10") == ["updated"]
    assert team.wish("false", "2026-01-20") == ["updated"]
    for date, outcome in reversed(plans.items()):
        assert team.results("apply", f"{date}.parquet") == [outcome]


def test_a_plan_shows_what_the_ledger_knows(team: Team) -> None:
    assert team.wish("true", "2026-01-25") == ["updated"]
    for date, outcome in (("2026-01-20", "drifted"), ("2026-01-26", "would_update")):
        assert team.results("plan", team.list_of("false", date)) == [outcome]


@pytest.mark.parametrize(
    ("date", "others", "outcome"),
    [
        ("2026-01-25", "2026-01-20", "updated"),
        ("2026-01-20", "2026-01-20", "updated"),
        ("2026-01-15", "2026-01-20", "drifted"),
        ("2026-01-25", "", "updated"),
        ("", "2026-01-20", "drifted"),
        ("", "", "drifted"),
    ],
)
@pytest.mark.parametrize("command", ["resume", "retry"])
def test_what_goes_on_wins_over_a_list_that_was_run_since_if_its_request_is_later(
    command: str, date: str, others: str, outcome: str, team: Team
) -> None:
    sim, path = team.sim, team.list_of("true", date, 4)
    if command == "resume":
        words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 8)
        assert team.run(sim, "run", path, *words, "--report", "1.csv").status == 6
    else:
        sim.forbidden.add(key(3))
        assert team.run(sim, "run", path, "--report", "1.csv").status == 3
        sim.forbidden.clear()
    going_on = team.newest()
    assert sim.states[key(3)] is False
    last = team.folder / "last.csv"
    for state, asked in (("true", others and "2026-01-10"), ("false", others)):
        last.write_text(f"PKey,ccpaOptOut,Request date\n{key(3)},{state},{asked}\n")
        assert team.results("run", last, "--fresh") == ["updated"]
    results = team.results(command, going_on, *(("--max-calls", 99) * (command == "resume")))
    assert results[-1] == outcome
    assert sim.states[key(3)] is (outcome == "updated")


def test_every_profile_of_an_address_is_judged_by_itself(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="a@example.com", ccpaOptOut=False)
    team = Team(sim, tmp_path, run)

    def wish(state: str, date: str) -> list[str]:
        team.count += 1
        path = tmp_path / "people.csv"
        path.write_text(f"email,ccpaOptOut,Received\na@example.com,{state},{date}\n")
        return team.results("run", path, "--on-ambiguous", "all")

    assert wish("true", "2026-01-20") == ["updated"]
    assert team.wish("false", "2026-01-25") == ["updated"]  # of the first one, by its PKey
    assert wish("false", "2026-01-22") == ["updated"]
    assert wish("true", "2026-01-23") == ["drifted"]
    assert sim.states == {key(0): False, key(1): True}


def test_a_profile_that_was_created_is_known_by_its_pkey(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    team = Team(sim, tmp_path, run)
    path = tmp_path / "new.csv"
    path.write_text("email,firstName,lastName,ccpaOptOut,Received\na@b.co,A,B,true,2026-01-20\n")
    assert team.results("run", path, "--create") == ["created"]
    (pkey,) = sim.profiles
    for date, outcome in (("2026-01-19", "drifted"), ("2026-01-22", "updated")):
        team.count += 1
        path.write_text(f"PKey,ccpaOptOut,Received\n{pkey},false,{date}\n")
        assert team.results("run", path) == [outcome]


def test_machines_that_share_a_ledger_know_of_each_other(
    team: Team, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_LEDGER", new_database())
    words = ("--state-dir", team.folder / "other")
    assert team.wish("true", "2026-01-25") == ["updated"]
    assert team.wish("false", "2026-01-20", 1, *words) == ["drifted"]
    assert team.wish("false", "2026-01-26", 1, *words) == ["updated"]


def test_dates_that_were_ignored_are_recorded_all_the_same(team: Team) -> None:
    assert team.wish("true", "2026-01-25", 1, "--ignore-dates") == ["updated"]
    assert team.wish("false", "2026-01-20") == ["drifted"]
    assert team.wish("false", "2026-01-20", 1, "--ignore-dates") == ["updated"]


@pytest.mark.parametrize("first", ["true", "false"])
def test_a_request_that_found_the_state_as_it_asked_counts_too(first: str, team: Team) -> None:
    second = "false" if first == "true" else "true"
    team.sim.profiles[key(0)]["ccpaOptOut"] = first != "true"
    assert team.wish(first, "2026-01-20") == ["updated"]
    assert team.wish(first, "2026-01-25") == ["unchanged"]
    assert team.wish(second, "2026-01-22") == ["drifted"]
    assert team.wish(second, "2026-01-26") == ["updated"]
    assert team.wish(first, "2026-01-25") == ["drifted"]


def test_a_request_that_found_what_somebody_else_had_set_counts_too(team: Team) -> None:
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    assert team.wish("true", "2026-01-25") == ["unchanged"]
    path = team.list_of("false", "2026-01-20")
    team.run(team.sim, "run", path, "--report", "r.csv")
    (row,) = read_csv(team.folder / "r.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_choice")
    assert "found this state as asked for by a request of 2026-01-25" in row["sync_detail"]
    assert team.wish("false", "2026-01-26") == ["updated"]


def test_what_a_list_that_was_undone_found_as_it_asked_does_not_count(team: Team) -> None:
    team.sim.profiles[key(0)]["ccpaOptOut"] = True
    assert team.wish("true", "2026-01-25", 2) == ["unchanged", "updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.wish("false", "2026-01-20") == ["updated"]


@pytest.mark.parametrize("date", ["2026-01-20", ""])
@pytest.mark.parametrize("command", ["resume", "retry", "undo"])
def test_a_later_list_that_was_undone_has_no_word_any_more(
    command: str, date: str, team: Team
) -> None:
    sim, path = team.sim, team.list_of("true", date, 4)
    if command == "resume":
        words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 8)
        assert team.run(sim, "run", path, *words, "--report", "1.csv").status == 6
    else:
        sim.forbidden.update([key(3)] if command == "retry" else [])
        assert team.run(sim, "run", path, "--report", "1.csv").status in {0, 3}
        sim.forbidden.clear()
    first = team.newest()
    wrong = team.folder / "wrong.csv"
    state = "false" if command == "undo" else "true"
    later = "2026-01-25" if date else ""
    wrong.write_text(f"PKey,ccpaOptOut,Request date\n{key(3)},{state},{later}\n")
    assert team.results("run", wrong, "--fresh") == ["updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    results = team.results(command, first, *(("--max-calls", 99) * (command == "resume")))
    assert results[-1] == "updated"
    assert sim.states[key(3)] is (command != "undo")
