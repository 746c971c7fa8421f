"""Reading by paging through the list: every form of link, and lists that lie."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import orjson
import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.engines.session import Session
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Credentials, Fetch, Pace, Reading, Secret
from bulk_sync.simulator import CountStyle, Fault, NextStyle, Options, ScanFault, running


@pytest.mark.parametrize(
    ("style", "keeps_force"),
    [*((style, True) for style in NextStyle), (NextStyle.ABSOLUTE, False)],
)
def test_every_form_of_link_is_followed_at_the_endpoint(
    style: NextStyle, keeps_force: bool, tmp_path: Path, run: Run
) -> None:
    options = Options(next_style=style, next_keeps_force=keeps_force, big_table_threshold=10)
    with running(options) as sim:
        populate(sim, 40)
        ran = run(
            sim, "run", write_states(tmp_path / "in.csv", 40), "--fetch", "scan", "--page-size", 9
        )
        assert ran.status == 0, ran.err
        assert [request.method for request in sim.requests].count("GET") == 1 + 5
        lists = [request for request in sim.requests if "_lineCount" in request.query]
        assert all("_forcePagination=true" in request.query for request in lists)


@pytest.mark.parametrize("fault", [ScanFault.ENDS_EARLY, ScanFault.LOOPS, ScanFault.HIDES])
def test_errors_of_the_list_cost_calls_and_no_row(
    fault: ScanFault, tmp_path: Path, run: Run
) -> None:
    with running(Options(scan_fault=fault, scan_hides_share=0.3)) as sim:
        populate(sim, 60)
        ran = run(
            sim, "run", write_states(tmp_path / "in.csv", 60), "--fetch", "scan", "--page-size", 10
        )
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["updated"] * 60
        if fault is not ScanFault.HIDES:  # the count does not include them either
            assert "Campaign's list" in ran.err
        assert sim.counters.methods["GET"] < 2 + 12 + 60


def test_a_key_missing_in_the_list_is_looked_up_before_it_counts_as_not_found(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 5)
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 7), "--fetch", "scan")
        assert ran.outcomes == ["updated"] * 5 + ["not_found"] * 2
        looked_up = [request.raw_path for request in sim.requests if "%40" in request.raw_path]
        assert sum(path.endswith(("05", "06")) for path in looked_up) == 2


def test_progress_counts_lookups_after_the_rows_of_the_list() -> None:
    with running(Options(scan_fault=ScanFault.HIDES, scan_hides_share=0.3)) as sim:
        populate(sim, 60)
        connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        progress: list[tuple[str, int, int]] = []
        keys = [key(number) for number in range(60)]
        with Session(connection, Pace(), lambda *news: progress.append(news[:3])) as session:
            how = Reading(Fetch.SCAN, page_size=10)
            session.read(keys, Steps.blank(60), how)
    looked_up = [(done, total) for what, done, total in progress if what == "read"]
    assert {total for _, total in looked_up} == {60}
    done = [done for done, _ in looked_up]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] == 60


@pytest.mark.parametrize("fault", [Fault.GATEWAY_TIMEOUT_504, Fault.HANG])
def test_a_page_that_takes_too_long_is_read_again_as_smaller_ones_at_once(
    fault: Fault, tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 40)
        sim.queue_fault(fault, times=1, matching="_lineCount=1000&")
        words = ("--fetch", "scan", "--timeout", 3)
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 40), *words)
        assert ran.status == 0, ran.err
        lists = [request.query for request in sim.requests if "_lineCount" in request.query]
        assert [query.split("&")[0] for query in lists] == ["_lineCount=1000", "_lineCount=250"]


@pytest.mark.parametrize(
    ("profiles", "rows", "changes", "most"),
    [(2000, 1000, 20, 20 + 20 + 5), (2000, 10, 2, 10 + 2 + 3), (100, 1, 1, 1 + 1 + 2)],
    ids=["a scan is cheaper", "look-ups are cheaper", "one row"],
)
def test_fetch_auto_spends_the_fewest_calls(
    profiles: int, rows: int, changes: int, most: int, tmp_path: Path, run: Run
) -> None:
    with running(Options(max_line_count=100)) as sim:
        populate(sim, profiles, state=True)
        for number in range(changes):
            sim.profiles[key(number)]["ccpaOptOut"] = False
        ran = run(sim, "run", write_states(tmp_path / "in.csv", rows), "--summary", "json")
        assert ran.status == 0, ran.err
        assert len(sim.requests) <= most
        assert ran.summary["calls_total"] == len(sim.requests)
        assert len(sim.patched) == changes


def test_without_a_count_every_key_is_looked_up(tmp_path: Path, run: Run) -> None:
    with running(Options(count_style=CountStyle.NONE)) as sim:
        populate(sim, 30)
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 30))
        assert ran.status == 0
        assert sum("_lineStart" in request.query for request in sim.requests) == 0


def test_without_a_count_the_log_names_the_option_for_paging(tmp_path: Path, run: Run) -> None:
    with running(Options(count_style=CountStyle.NONE)) as sim:
        populate(sim, 90)
        path = write_states(tmp_path / "in.csv", 30)
        ran = run(sim, "plan", path, "--page-size", 10)
        assert "not known how many profiles there are, so 20 keys are looked up" in ran.err
        assert "costs less" not in ran.err
        assert sim.counters.methods["GET"] == 1 + 20
        sim.clear()
        ran = run(sim, "plan", path, "--page-size", 10, "--fetch", "scan")
        assert sim.counters.methods["GET"] == 3


class Lying(BaseHTTPRequestHandler):
    """A list with errors that the simulator does not make, and profiles beside it."""

    def listed(self, line_start: int) -> dict[str, object] | None:
        """Return one page of the list; None if there is none."""
        raise NotImplementedError

    def one(self, key: str) -> dict[str, object] | None:
        """Return one profile; None if there is none."""
        raise NotImplementedError

    def answer(self, key: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body."""
        found = self.listed(int(query.get("_lineStart", 0))) if query else self.one(key)
        return (404, b"No such profile.") if found is None else (200, orjson.dumps(found))

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        status, body = self.answer(unquote(path.rsplit("/", 1)[-1]), dict(parse_qsl(query)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


@contextmanager
def serving(handler: type[Lying]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def options_for(endpoint: str, folder: Path) -> tuple[str, ...]:
    """Return the options of a run against such a server."""
    (folder / "bulk-sync.toml").write_text('access-token = "made-up"\n')
    return ("--endpoint", endpoint, "--organization", "acme", "--api-key", "k")


class Endless(Lying):
    """A list of forty profiles by its count, with new ones on every page, without end."""

    def listed(self, line_start: int) -> dict[str, object]:
        found = [{"PKey": f"@other{line_start}-{row}", "ccpaOptOut": True} for row in range(10)]
        following = f"/profileAndServices/profile?_lineStart={line_start + 1}"
        return {"content": found, "count": {"value": 40}, "next": {"href": following}}

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": True}


@pytest.mark.parametrize("fetch", ["scan", "auto"])
def test_a_list_without_end_is_left(fetch: str, tmp_path: Path, run: Run) -> None:
    with serving(Endless) as endpoint:
        path = write_states(tmp_path / "in.csv", 30)
        words = ("--fetch", fetch, "--page-size", 10, "--summary", "json")
        ran = run(None, "run", path, *options_for(endpoint, tmp_path), *words)
    assert ran.summary["outcomes"] == {"unchanged": 30}
    assert ran.summary["calls_total"] < 50
    assert "Campaign's list goes on" in ran.err


class EndlessUncounted(Endless):
    """The same list without a count."""

    def listed(self, line_start: int) -> dict[str, object]:
        return {
            name: value for name, value in super().listed(line_start).items() if name != "count"
        }


def test_a_list_of_unknown_length_is_left_once_it_has_cost_as_much_as_lookups(
    tmp_path: Path, run: Run
) -> None:
    with serving(EndlessUncounted) as endpoint:
        path = write_states(tmp_path / "in.csv", 30)
        words = ("--fetch", "scan", "--page-size", 10, "--summary", "json")
        ran = run(None, "run", path, *options_for(endpoint, tmp_path), *words)
    assert ran.summary["outcomes"] == {"unchanged": 30}
    assert ran.summary["calls_total"] == 30 + 30
    assert "Campaign's list goes on after 30 pages, its end is unknown" in ran.err


class Wavering(Lying):
    """A list with one profile on three pages: first with one state, then with the other."""

    states = (False, True, True)

    def listed(self, line_start: int) -> dict[str, object]:
        others = [{"PKey": f"@other{line_start}-{row}", "ccpaOptOut": True} for row in range(9)]
        one = {"PKey": key(0), "ccpaOptOut": self.states[line_start]}
        page: dict[str, object] = {"content": [*others, one], "count": {"value": 30}}
        if line_start + 1 < len(self.states):
            page["next"] = {"href": f"/profileAndServices/profile?_lineStart={line_start + 1}"}
        return page

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": False}


@pytest.mark.parametrize("states", [(False, True), (False, True, True), (True, False, True)])
def test_a_profile_listed_with_two_states_is_looked_up(
    states: tuple[bool, ...], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wavering, "states", states)
    with serving(Wavering) as endpoint:
        path = write_states(tmp_path / "in.csv", 2)
        words = ("--fetch", "scan", "--page-size", 10, "--report", "p.results.csv")
        ran = run(
            None, "plan", path, *options_for(endpoint, tmp_path), *words, "--allow", "unknown-keys"
        )
    assert ran.outcomes[0] == "would_update", ran.err


NO_TEXT: tuple[object, ...] = (None, True, False, 1, 1.5, [], ["None"], {"None": 1})


class Keyless(Lying):
    """A list with a usable entry, and with entries whose PKey is no text."""

    def listed(self, line_start: int) -> dict[str, object]:
        del line_start
        entries = [{"PKey": pkey, "ccpaOptOut": True} for pkey in (*NO_TEXT, "@real")]
        return {"content": [*entries, {"ccpaOptOut": True}], "count": {"value": len(entries) + 1}}

    def one(self, key: str) -> None:
        del key


def test_an_entry_whose_key_is_no_text_is_ignored(tmp_path: Path, run: Run) -> None:
    keys = [str(pkey) for pkey in NO_TEXT] + ["null", "true", "false"]
    rows = [f'"{each}",true' for each in ("@real", *keys)]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    with serving(Keyless) as endpoint:
        words = ("--fetch", "scan", "--allow", "unknown-keys")
        ran = run(None, "run", path, *options_for(endpoint, tmp_path), *words)
    assert ran.outcomes == ["unchanged"] + ["not_found"] * len(keys), ran.err


@pytest.mark.parametrize("count_style", list(CountStyle))
def test_fetch_lookup_reads_no_list(count_style: CountStyle, tmp_path: Path, run: Run) -> None:
    with running(Options(count_style=count_style)) as sim:
        populate(sim, 40)
        ran = run(sim, "plan", write_states(tmp_path / "in.csv", 40), "--fetch", "lookup")
        assert ran.status == 0, ran.err
        lists = [request for request in sim.requests if "_lineCount" in request.query]
        assert len(lists) == 1
        assert len(sim.requests) == 41
