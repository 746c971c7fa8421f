"""The later of two requests for one profile wins, in any order of writes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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

    def upload(self, state: str, date: str, rows: int = 1, *words: object) -> list[str]:
        """Upload a list for the first profiles, and return the outcomes of its rows."""
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
    assert team.upload(first, "2026-01-20", 2, *words) == ["updated"] * 2
    assert team.upload(second, "2026-01-25", 2, *words) == ["updated"] * 2
    assert team.upload(first, "2026-01-20", 2, *words) == ["drifted"] * 2
    assert team.upload(first, "2026-01-26", 2, *words) == ["updated"] * 2


def test_an_older_request_names_the_newer_one(team: Team) -> None:
    assert team.upload("true", "2026-01-25") == ["updated"]
    first = team.newest()
    path = team.list_of("false", "2026-01-20")
    team.run(team.sim, "run", path, "--report", "r.csv")
    (row,) = read_csv(team.folder / "r.csv")
    assert row["sync_reason"] == "newer_choice"
    assert f"Run {first} has carried out a request of 2026-01-25" in row["sync_detail"]
    assert row["sync_after"] == "true"


def test_the_opt_out_wins_on_a_tie_and_against_an_undated_list(team: Team) -> None:
    assert team.upload("true", "2026-01-25") == ["updated"]
    assert team.upload("false", "2026-01-25") == ["drifted"]
    assert team.upload("false", "2026-01-26") == ["updated"]
    assert team.upload("true", "2026-01-26") == ["updated"]
    assert team.upload("false", "") == ["drifted"]
    assert team.upload("false", "2026-01-27") == ["updated"]
    assert team.upload("true", "") == ["updated"]
    assert team.upload("false", "") == [
        "updated"
    ]  # as no request with a date asked for the opt-out
    assert team.upload("true", "2026-01-01") == ["updated"]


@pytest.mark.parametrize("date", ["", "soon", "2062-01-01"])
@pytest.mark.parametrize("first", ["written", "found"])
def test_an_opt_in_whose_date_cannot_be_read_leaves_a_dated_opt_out(
    first: str, date: str, team: Team
) -> None:
    team.sim.profiles[key(0)]["ccpaOptOut"] = first == "found"
    team.upload("true", "2026-01-25")
    path = team.list_of("false", date)
    assert team.run(team.sim, "run", path, "--report", "r.csv").status == 3
    (row,) = read_csv(team.folder / "r.csv")
    assert (row["sync_reason"], row["sync_after"]) == ("newer_choice", "true")
    assert "a request of 2026-01-25 for this profile" in row["sync_detail"]
    assert team.upload("false", date, 1, "--ignore-dates") == ["updated"]


def test_without_times_of_change_the_ledger_decides(team: Team) -> None:
    for state, date, outcome in (
        ("true", "2026-01-25", "updated"),
        ("false", "2026-01-20", "drifted"),
        ("false", "2026-01-26", "updated"),
        ("true", "2026-01-25", "drifted"),
    ):
        assert team.upload(state, date) == [outcome]
        team.sim.profiles[key(0)][STAMP] = ""


def test_changes_by_others_count_by_their_time(team: Team) -> None:
    assert team.upload("true", "2026-01-20") == ["updated"]
    team.sim.profiles[key(0)] |= {"ccpaOptOut": False, STAMP: "2026-01-22 12:00:00.000Z"}
    assert team.upload("true", "2026-01-21") == ["drifted"]
    assert team.upload("true", "2026-01-23") == ["updated"]


def test_after_the_undo_of_a_wrong_list_the_right_one_is_carried_out(team: Team) -> None:
    team.sim.profiles[key(3)]["ccpaOptOut"] = True
    assert team.upload("true", "2026-01-26", 4) == ["updated"] * 3 + ["unchanged"]
    wrong = team.newest()
    assert team.results("undo", wrong) == ["updated"] * 3
    assert team.sim.states == {key(n): n == 3 for n in range(4)}
    assert team.upload("true", "2026-01-20", 3) == ["updated"] * 3


def test_after_an_undo_the_earlier_request_counts_again(team: Team) -> None:
    assert team.upload("true", "2026-01-10") == ["updated"]
    assert team.upload("false", "2026-01-20") == ["updated"]
    wrong = team.newest()
    assert team.results("undo", wrong) == ["updated"]  # the opt-out of the 10th counts
    assert team.upload("false", "2026-01-09") == ["drifted"]
    assert team.upload("false", "2026-01-12") == ["updated"]


def test_after_an_undo_of_an_undo_the_request_counts_again(team: Team) -> None:
    assert team.upload("false", "2026-01-05") == ["unchanged"]
    assert team.upload("true", "2026-01-20") == ["updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.sim.states[key(0)] is True
    assert team.upload("false", "2026-01-19") == ["drifted"]
    assert team.upload("false", "2026-01-22") == ["updated"]


def test_an_apply_compares_requests_too(team: Team) -> None:
    plans = {"2026-01-25": "updated", "2026-01-15": "drifted"}
    for date in plans:
        path = team.list_of("true", date)
        assert team.run(team.sim, "plan", path, "--out", f"{date}.parquet").status == 0
    assert team.upload("true", "2026-01-10") == ["updated"]
    assert team.upload("false", "2026-01-20") == ["updated"]
    for date, outcome in reversed(plans.items()):
        assert team.results("apply", f"{date}.parquet") == [outcome]


def test_a_plan_shows_the_requests_in_the_ledger(team: Team) -> None:
    assert team.upload("true", "2026-01-25") == ["updated"]
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
def test_a_resumed_run_wins_over_a_later_run_if_its_request_is_later(
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
    for state, request in (("true", others and "2026-01-10"), ("false", others)):
        last.write_text(f"PKey,ccpaOptOut,Request date\n{key(3)},{state},{request}\n")
        assert team.results("run", last, "--fresh", "--ignore-dates") == ["updated"]
    results = team.results(command, going_on, *(("--max-calls", 99) * (command == "resume")))
    assert results[-1] == outcome
    assert sim.states[key(3)] is (outcome == "updated")


def test_each_profile_of_an_address_is_judged_alone(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="a@example.com", ccpaOptOut=False)
    team = Team(sim, tmp_path, run)

    def upload(state: str, date: str) -> list[str]:
        team.count += 1
        path = tmp_path / "people.csv"
        path.write_text(f"email,ccpaOptOut,Received\na@example.com,{state},{date}\n")
        return team.results("run", path, "--on-ambiguous", "all")

    assert upload("true", "2026-01-20") == ["updated"]
    assert team.upload("false", "2026-01-25") == ["updated"]  # of the first one, by its PKey
    assert upload("false", "2026-01-22") == ["updated"]
    assert upload("true", "2026-01-23") == ["drifted"]
    assert sim.states == {key(0): False, key(1): True}


@pytest.mark.parametrize("outcome", ["updated", "failed"])
def test_a_request_that_one_of_several_profiles_had_already_counts_for_that_one(
    outcome: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="a@example.com", ccpaOptOut=False)
    team = Team(sim, tmp_path, run)
    assert team.upload("true", "2026-01-20") == ["updated"]  # of the first one
    sim.forbidden.update([key(1)] if outcome == "failed" else [])
    path = tmp_path / "people.csv"
    path.write_text("email,ccpaOptOut,Received\na@example.com,true,2026-01-25\n")
    assert team.results("run", path) == [outcome]
    assert team.upload("false", "2026-01-22") == ["drifted"]
    assert team.upload("false", "2026-01-26") == ["updated"]


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


def test_machines_with_one_ledger_share_their_requests(
    team: Team, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_LEDGER", new_database())
    words = ("--state-dir", team.folder / "other")
    assert team.upload("true", "2026-01-25") == ["updated"]
    assert team.upload("false", "2026-01-20", 1, *words) == ["drifted"]
    assert team.upload("false", "2026-01-26", 1, *words) == ["updated"]


def test_an_interrupted_opt_in_leaves_a_profile_alone_that_an_undo_has_worked_on(
    team: Team,
) -> None:
    """Others have opted it out since, and Campaign shows no time."""
    assert team.upload("true", "2026-01-20") == ["updated"]
    wrong = team.newest()
    assert team.upload("false", "2026-01-25", 1, "--max-calls", 2) == ["pending"]
    assert team.results("undo", wrong) == ["updated"]
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: ""}
    assert team.results("resume", "--max-calls", 9) == ["drifted"]


def test_ignored_dates_are_recorded(team: Team) -> None:
    assert team.upload("true", "2026-01-25", 1, "--ignore-dates") == ["updated"]
    assert team.upload("false", "2026-01-20") == ["drifted"]
    assert team.upload("false", "2026-01-26") == ["updated"]
    assert team.upload("true", "2026-01-27", 1, "--ignore-dates") == ["updated"]
    assert team.upload("false", "2026-01-20", 1, "--ignore-dates") == ["updated"]


@pytest.mark.parametrize("first", ["true", "false"])
def test_a_request_without_a_change_counts_too(first: str, team: Team) -> None:
    second = "false" if first == "true" else "true"
    team.sim.profiles[key(0)]["ccpaOptOut"] = first != "true"
    assert team.upload(first, "2026-01-20") == ["updated"]
    assert team.upload(first, "2026-01-25") == ["unchanged"]
    assert team.upload(second, "2026-01-22") == ["drifted"]
    assert team.upload(second, "2026-01-26") == ["updated"]
    assert team.upload(first, "2026-01-25") == ["drifted"]


def test_a_request_for_a_state_set_by_others_counts_too(team: Team) -> None:
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    assert team.upload("true", "2026-01-25") == ["unchanged"]
    path = team.list_of("false", "2026-01-20")
    team.run(team.sim, "run", path, "--report", "r.csv")
    (row,) = read_csv(team.folder / "r.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_choice")
    assert "wants the same state by a request of 2026-01-25" in row["sync_detail"]
    assert team.upload("false", "2026-01-26") == ["updated"]


@pytest.mark.parametrize("command", ["run", "apply"])
def test_a_request_without_a_change_counts_beside_later_ones(command: str, team: Team) -> None:
    for number in range(2):
        team.sim.profiles[key(number)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    path, plan = team.list_of("false", "2026-01-20"), team.folder / "p.parquet"
    path.write_text(f"{path.read_text()}{key(1)},false,2026-01-30\n")
    team.run(team.sim, "plan", path, "--max-opt-ins", "100%", "--out", plan)
    assert team.upload("true", "2026-01-25") == ["unchanged"]
    assert team.results(command, {"run": path, "apply": plan}[command]) == ["drifted", "updated"]


def test_unchanged_rows_of_an_undone_list_do_not_count(team: Team) -> None:
    team.sim.profiles[key(0)]["ccpaOptOut"] = True
    assert team.upload("true", "2026-01-25", 2) == ["unchanged", "updated"]
    assert team.results("undo", team.newest()) == ["updated"]
    assert team.upload("false", "2026-01-20") == ["updated"]


@pytest.mark.parametrize("date", ["2026-01-20", ""])
@pytest.mark.parametrize("command", ["resume", "retry", "undo"])
def test_a_later_list_that_was_undone_does_not_count(command: str, date: str, team: Team) -> None:
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


@pytest.mark.parametrize("limit", ["--max-changes", "--max-opt-ins"])
def test_an_opt_in_of_a_refused_list_leaves_no_older_opt_out_undone(limit: str, team: Team) -> None:
    team.sim.profiles[key(3)]["ccpaOptOut"] = True
    refused = team.list_of("false", "2026-01-25", 4)
    assert team.run(team.sim, "run", refused, limit, 0, "--report", "r.csv").status == 4
    assert read_csv(team.folder / "r.csv")[0]["sync_outcome"] == "unchanged"
    assert team.upload("true", "2026-01-20") == ["updated"]
    assert team.results("run", refused) == ["updated", "unchanged", "unchanged", "updated"]


def test_an_opt_out_of_a_refused_list_still_counts_against_an_older_opt_in(team: Team) -> None:
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    refused = team.list_of("true", "2026-01-25", 4)
    words = ("--max-changes", 0, "--report", "r.csv")
    assert team.run(team.sim, "run", refused, *words).status == 4
    assert team.upload("false", "2026-01-20") == ["drifted"]
    assert team.upload("false", "2026-01-26") == ["updated"]


def test_an_opt_in_found_by_a_run_that_was_given_up_does_not_count(team: Team) -> None:
    path = team.list_of("false", "2026-01-25", 4)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 4, "--report", "first.csv")
    assert team.run(team.sim, "run", path, *words).status == 6
    assert read_csv(team.folder / "first.csv")[0]["sync_outcome"] == "unchanged"
    assert team.run(team.sim, "resume", team.newest(), "--give-up").status == 0
    assert team.upload("true", "2026-01-20") == ["updated"]


@pytest.mark.parametrize("columns", ["", ",Request date"])
def test_an_opt_out_found_without_a_date_counts_as_of_the_run_that_found_it(
    columns: str, team: Team
) -> None:
    for number in range(2):
        team.sim.profiles[key(number)] |= {"ccpaOptOut": True, STAMP: ""}
    path = team.folder / "undated.csv"
    path.write_text(f"PKey,ccpaOptOut{columns}\n{key(0)},true{columns and ','}\n")
    assert team.results("run", path) == ["unchanged"]
    found = team.newest()
    older = team.list_of("false", "2026-01-20", 2)
    team.run(team.sim, "run", older, "--max-opt-ins", 2, "--report", "r.csv")
    first, second = read_csv(team.folder / "r.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_choice")
    assert f"Run {found} wants the same state by a request whose" in first["sync_detail"]
    assert second["sync_outcome"] == "updated"
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert team.upload("false", later) == ["updated"]


def test_an_opt_in_without_a_date_lifts_an_opt_out_found_without_a_date(team: Team) -> None:
    team.sim.profiles[key(0)]["ccpaOptOut"] = True
    assert team.upload("true", "") == ["unchanged"]
    assert team.upload("false", "") == ["updated"]


def test_an_opt_out_that_an_undo_found_in_place_is_no_request(team: Team) -> None:
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    assert team.upload("false", "2026-01-20") == ["updated"]
    team.sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: "2026-01-10 12:00:00.000Z"}
    assert team.results("undo", team.newest()) == ["drifted"]
    assert team.upload("false", "2026-01-25") == ["updated"]


@pytest.mark.parametrize("keys", ["PKey", "email"])
def test_an_opt_out_that_others_set_before_its_apply_counts_with_its_date(
    keys: str, team: Team
) -> None:
    who = {"PKey": key(0), "email": "p0@example.com"}[keys]
    path = team.folder / "planned.csv"
    path.write_text(f"{keys},ccpaOptOut,Request date\n{who},true,2026-01-25\n")
    assert team.run(team.sim, "plan", path, "--out", "plan.parquet").status == 0
    assert team.upload("true", "2026-01-10") == ["updated"]
    wrong = team.newest()
    assert team.results("apply", "plan.parquet") == ["drifted"]
    assert team.upload("false", "2026-01-20") == ["drifted"]
    assert team.results("undo", wrong) == ["drifted"]
    assert team.sim.states[key(0)] is True
    assert team.upload("false", "2026-01-26") == ["updated"]


def test_an_opt_in_that_was_found_does_not_count_after_a_later_opt_out(team: Team) -> None:
    assert team.upload("false", "2026-01-25") == ["unchanged"]
    assert team.upload("true", "2026-01-26") == ["updated"]
    team.sim.profiles[key(0)] |= {"ccpaOptOut": False, STAMP: ""}
    assert team.upload("true", "2026-01-24") == ["updated"]
