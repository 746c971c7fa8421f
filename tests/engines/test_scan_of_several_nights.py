"""A list longer than the budget of a night is read on in the next night."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from conftest import Ran, Run, key, populate, read_csv, write_states
from test_scan import EndlessUncounted, Lying, Wavering, options_for, serving

from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.engines.session import Session
from bulk_sync.errors import StoppedEarly
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Credentials, Fetch, Pace, Reading, Secret
from bulk_sync.simulator import CountStyle, Fault, Options, ScanFault, Simulator, running

SCAN = ("--fetch", "scan", "--page-size", 10, "--summary", "json")


def run_nights(sim: Simulator, run: Run, path: Path, *words: object, calls: int) -> list[Ran]:
    """Run a file with a budget of calls a night until it is done; in twenty nights at most."""
    ran = [run(sim, "run", path, "--max-calls", calls, *words)]
    while ran[-1].status == 6 and len(ran) < 20:
        ran.append(run(sim, "resume", "--max-calls", calls))
    return ran


def starts(sim: Simulator, page_size: int = 10) -> Counter[str]:
    """Return how often each page was requested, by its start; "" is the first page."""
    lists = [request for request in sim.requests if "_count" not in request.raw_path]
    queries = [parse_qs(request.query) for request in lists]
    pages = [query for query in queries if query.get("_lineCount") == [str(page_size)]]
    return Counter(query.get("_lineStart", [""])[0] for query in pages)


@pytest.mark.parametrize("fetch", ["scan", "auto"])
def test_a_list_longer_than_the_budget_is_read_to_its_end(
    fetch: str, tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 400, state=True)
        path = write_states(tmp_path / "in.csv", 400)
        ran = run_nights(sim, run, path, "--fetch", fetch, "--page-size", 10, calls=15)
        assert [each.status for each in ran] == [6, 6, 0], ran[-1].err
        assert list(starts(sim).values()) == [1] * 40


def test_keys_missing_in_the_list_are_looked_up_after_its_last_page_in_several_nights(
    tmp_path: Path, run: Run
) -> None:
    with running(Options(scan_fault=ScanFault.HIDES, scan_hides_share=0.3)) as sim:
        populate(sim, 100, state=True)
        ran = run_nights(sim, run, write_states(tmp_path / "in.csv", 100), *SCAN, calls=9)
        assert ran[-1].status == 0, ran[-1].err
        looked_up = Counter(each.raw_path for each in sim.requests if not each.query)
        assert 10 < len(looked_up) < 60
        assert looked_up.most_common(1)[0][1] <= 2


def test_the_next_run_begins_with_the_page_that_failed(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 100, state=True)
        sim.queue_fault(Fault.RESET, times=10_000, matching="_lineStart")
        path = write_states(tmp_path / "in.csv", 100)
        assert run(sim, "run", path, *SCAN, "--max-calls", 6, "--retries", 0).status == 6
        sim.clear()
        ran = run(sim, "resume", "--max-calls", 100)
        assert ran.status == 0, ran.err
        assert list(starts(sim).values()) == [1] * 9


def test_a_list_whose_next_page_is_gone_is_read_from_its_beginning(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 100, state=True)
        path = write_states(tmp_path / "in.csv", 100)
        assert run(sim, "run", path, *SCAN, "--max-calls", 5).status == 6
        (place,) = (tmp_path / "state").glob("runs/*/list.json")
        place.write_bytes(place.read_bytes().replace(b"_lineStart=@", b"_lineStart=@expired"))
        ran = run(sim, "resume", "--max-calls", 100)
        assert ran.status == 0, ran.err
        assert "does not go on where it was left" in ran.err
        assert starts(sim)[""] == 2


class Moving(Lying):
    """Ten pages of ten profiles, which move between two nights."""

    moved = 0

    def listed(self, line_start: int) -> dict[str, object]:
        first = 10 * line_start + self.moved
        found = [{"PKey": key(first + row), "ccpaOptOut": True} for row in range(10)]
        page: dict[str, object] = {"content": found, "count": {"value": 100}}
        if line_start < 9:
            page["next"] = {"href": f"/profileAndServices/profile?_lineStart={line_start + 1}"}
        return page

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": True}


@pytest.mark.parametrize("moved", [-30, -5, 5, 20, 1000])
def test_a_place_in_the_list_with_other_profiles_by_now_loses_none(
    moved: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Moving) as endpoint:
        words = options_for(endpoint, tmp_path)
        path = write_states(tmp_path / "in.csv", 100)
        assert run(None, "run", path, *words, *SCAN, "--max-calls", 5).status == 6
        monkeypatch.setattr(Moving, "moved", moved)
        ran = run(None, "resume", *words, "--max-calls", 300, "--summary", "json")
    assert ran.status == 0, ran.err
    assert ran.summary["outcomes"] == {"unchanged": 100}


@pytest.mark.parametrize("fault", [Fault.TRANSIENT_500, Fault.NOT_JSON, Fault.WRONG_JSON])
def test_a_place_in_the_list_that_answers_with_an_error_loses_no_profile(
    fault: Fault, tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 100, state=True)
        path = write_states(tmp_path / "in.csv", 100)
        assert run(sim, "run", path, *SCAN, "--max-calls", 5).status == 6
        sim.queue_fault(fault, "GET", times=10_000, matching="_lineStart")
        ran = run(sim, "resume", "--max-calls", 300, "--retries", 0, "--report", "resumed.csv")
        rows = read_csv(tmp_path / "resumed.csv")
        assert ran.status == 0, ran.err
        assert [row["sync_outcome"] for row in rows] == ["unchanged"] * 100


@pytest.mark.parametrize("calls", [(1, 2), (2,), (1,)])
@pytest.mark.parametrize("states", [(False, True, True), (True, False, True), (True, True, False)])
def test_a_key_shown_in_two_ways_on_several_nights_is_looked_up(
    calls: tuple[int, ...],
    states: tuple[bool, ...],
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Wavering, "states", states)
    with serving(Wavering) as endpoint:
        path = write_states(tmp_path / "in.csv", 2, "false")
        words = (*options_for(endpoint, tmp_path), *SCAN)
        ran = run(None, "run", path, *words, "--max-calls", calls[0])
        for more in calls[1:]:
            assert ran.status == 6
            ran = run(None, "resume", *words[:6], "--max-calls", more)
        assert ran.status == 6
        ran = run(None, "resume", *words[:6], "--max-calls", 100, "--summary", "json")
    assert ran.summary["outcomes"] == {"unchanged": 2}


class Bookmark:
    """A bookmark with the places kept, and the number of durable states before each."""

    def __init__(self, most: int) -> None:
        self.durable: list[int] = []
        self.kept: list[tuple[int, ScanPosition | None]] = []
        self._most = most

    def keep_states(self, positions: Sequence[int], steps: Steps) -> None:
        del steps
        if len(self.durable) + len(positions) > self._most:
            raise StoppedEarly("The disk is full.")
        self.durable += positions

    def place(self) -> None:
        return None

    def keep_place(self, place: ScanPosition | None) -> None:
        self.kept.append((len(self.durable), place))


@pytest.mark.parametrize(("most", "is_kept"), [(100, True), (39, False)])
def test_the_place_in_the_list_is_kept_only_after_the_states_of_its_pages(
    most: int, is_kept: bool
) -> None:
    noted = Bookmark(most)
    with running(Options(count_style=CountStyle.INLINE)) as sim:
        populate(sim, 100)
        connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        keys = [key(number) for number in range(100)]
        with Session(connection, Pace(max_calls=4), lambda *_: None) as session:
            how = Reading(Fetch.SCAN, page_size=10)
            session.read(keys, Steps.blank(100), how, checkpoint=noted)
    assert noted.kept[0] == (0, None)  # after a crash during the list it begins anew
    places = [(durable, place.pages) for durable, place in noted.kept if place is not None]
    assert places == ([(40, 4)] if is_kept else [])


class Renamed(Lying):
    """Ten pages of ten profiles; their links have another name of the API than the requests."""

    def listed(self, line_start: int) -> dict[str, object]:
        found = [{"PKey": key(10 * line_start + row), "ccpaOptOut": True} for row in range(10)]
        page: dict[str, object] = {"content": found, "count": {"value": 100}}
        if line_start < 9:
            page["next"] = {"href": f"/profileAndServices/profile?_lineStart={line_start + 1}"}
        return page

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": True}


@pytest.mark.parametrize(("api", "calls"), [("auto", 1 + 5), ("profileAndServices", 1 + 10)])
def test_a_list_is_continued_only_under_its_first_name_of_the_api(
    api: str, calls: int, tmp_path: Path, run: Run
) -> None:
    with serving(Renamed) as endpoint:
        path = write_states(tmp_path / "in.csv", 100)
        words = options_for(endpoint, tmp_path)
        assert run(None, "run", path, *words, *SCAN, "--max-calls", 5).status == 6
        ran = run(None, "resume", *words, "--api", api, "--max-calls", 100, "--summary", "json")
    assert ran.summary["calls_total"] == calls


def test_a_list_of_unknown_length_is_left_by_its_cost_in_all_nights(
    tmp_path: Path, run: Run
) -> None:
    with serving(EndlessUncounted) as endpoint:
        words = options_for(endpoint, tmp_path)
        ran = run(
            None, "run", write_states(tmp_path / "in.csv", 40), *words, *SCAN, "--max-calls", 25
        )
        assert ran.status == 6
        ran = run(None, "resume", *words, "--max-calls", 100, "--summary", "json")
    assert ran.summary["outcomes"] == {"unchanged": 40}
    assert ran.summary["calls_total"] < 1 + 15 + 40 + 3


@pytest.mark.parametrize("budget", ["--max-calls", "--max-calls-per-day"])
def test_addresses_are_looked_up_if_the_budget_ends_before_the_list(
    budget: str, tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        for number in range(400):
            sim.add(None, email=f"p{number}@example.com", ccpaOptOut=True)
        path = tmp_path / "in.csv"
        rows = [f"p{number}@example.com,true" for number in range(60)]
        path.write_text("\n".join(["email,ccpaOptOut", *rows, ""]))
        words = ("--page-size", 10)
        ran = run(sim, "run", path, *words, budget, 30)
        assert ran.status == 6, ran.err
        assert "the budget leaves" in ran.err
        assert list(starts(sim).values()) == [1]
        ran = run(sim, "resume", budget, 300)
        assert ran.status == 0, ran.err


def test_a_budget_just_enough_for_the_list_is_spent_on_it(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        for number in range(100):
            sim.add(None, email=f"p{number}@example.com", ccpaOptOut=True)
        rows = [f"p{number}@example.com,true" for number in range(60)]
        path = tmp_path / "in.csv"
        path.write_text("\n".join(["email,ccpaOptOut", *rows, ""]))
        words = ("run", path, "-n", "--page-size", 10, "--summary", "json")
        needed = run(sim, *words).summary["calls_total"]
        enough = run(sim, *words, "--max-calls", needed)
        less = run(sim, *words, "--max-calls", needed - 1)
    assert (enough.status, less.status) == (0, 6)
    assert "the budget leaves" not in enough.err
    assert "take 9 more calls, and the budget leaves 8" in less.err
