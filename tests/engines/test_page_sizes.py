"""A page too large for Campaign is read again as smaller ones."""

from pathlib import Path
from urllib.parse import parse_qsl

import orjson
import pytest
from conftest import Run, key, populate, write_states
from test_scan import Lying, options_for, serving

from bulk_sync.simulator import CountStyle, Fault, Options, Simulator, running

WORDS = ("--fetch", "scan", "--summary", "json", "--retries", 0)
ON_LATER_PAGES = "_forcePagination=true&_lineStart"


class Choosy(Lying):
    """A server that refuses large pages with a status and a body."""

    status, body, most = 400, b"Invalid value for _lineCount.", 30
    sizes: tuple[int, ...] = ()

    def answer(self, key: str, query: dict[str, str]) -> tuple[int, bytes]:
        if not query:
            return super().answer(key, query)
        size = int(query["_lineCount"])
        type(self).sizes += (size,)
        return super().answer(key, query) if size <= self.most else (self.status, self.body)

    def listed(self, line_start: int) -> dict[str, object]:
        found = [
            {"PKey": key(options_for), "ccpaOptOut": True}
            for options_for in range(line_start, line_start + 25)
        ]
        page: dict[str, object] = {"content": found, "count": {"value": 100}}
        if line_start < 75:
            path = f"/profilesAndServices/profile?_lineCount=25&_lineStart={line_start + 25}"
            page["next"] = {"href": path}
        return page

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": True}


@pytest.mark.parametrize("fetch", ["scan", "auto"])
@pytest.mark.parametrize("status", [400, 413])
def test_a_server_that_refuses_large_pages_gets_requests_for_smaller_ones(
    status: int, fetch: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choosy, "status", status)
    monkeypatch.setattr(Choosy, "sizes", ())
    with serving(Choosy) as endpoint:
        path = write_states(tmp_path / "in.csv", 100)
        words = ("--fetch", fetch, "--summary", "json")
        ran = run(None, "run", path, *options_for(endpoint, tmp_path), *words)
    assert ran.summary["outcomes"] == {"unchanged": 100}, ran.err
    assert Choosy.sizes == (2500, 625, 156, 39, 25, 25, 25, 25)


GATEWAY_403 = orjson.dumps({"error_code": "403003", "message": "Api Key is invalid"})


@pytest.mark.parametrize(
    ("status", "body", "most", "exit_status"),
    [
        (400, b"Bad Request", 1, 5),
        (404, b"<html>Not Found</html>", 30, 5),
        (403, GATEWAY_403, 30, 5),
        (403, b"Forbidden", 30, 5),
    ],
    ids=["any size", "the address", "the credentials", "the rights"],
)
def test_an_error_at_the_smallest_size_too_ends_the_run(
    status: int,
    body: bytes,
    most: int,
    exit_status: int,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"status": status, "body": body, "most": most, "sizes": ()}.items():
        monkeypatch.setattr(Choosy, name, value)
    with serving(Choosy) as endpoint:
        words = (*options_for(endpoint, tmp_path), *WORDS, "--api", "profileAndServices")
        ran = run(None, "run", write_states(tmp_path / "in.csv", 100), *words)
    assert ran.status == exit_status, ran.err
    assert Choosy.sizes == ((2500,) if status != 400 else (2500, 625, 156, 39, 25))


def test_few_keys_are_looked_up_if_pages_have_a_single_profile(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choosy, "most", 1)
    with serving(Choosy) as endpoint:
        path = write_states(tmp_path / "in.csv", 10)
        ran = run(None, "run", path, *options_for(endpoint, tmp_path), "--summary", "json")
    assert ran.summary["outcomes"] == {"unchanged": 10}, ran.err
    assert "Campaign's list cannot be read" in ran.err


def requested_sizes(sim: Simulator) -> list[int]:
    queries = [dict(parse_qsl(request.query)) for request in sim.requests if request.query]
    return [int(query["_lineCount"]) for query in queries]


@pytest.mark.parametrize("fault", [Fault.GATEWAY_TIMEOUT_504, Fault.HANG])
def test_a_later_page_that_takes_too_long_gives_way_to_smaller_ones_as_do_those_after_it(
    fault: Fault, tmp_path: Path, run: Run
) -> None:
    with running(Options(count_style=CountStyle.INLINE)) as sim:
        populate(sim, 1000, state=True)
        sim.queue_fault(fault, matching=f"_lineCount=400&{ON_LATER_PAGES}")
        path = write_states(tmp_path / "in.csv", 1000)
        ran = run(sim, "run", path, *WORDS, "--page-size", 400, "--timeout", 3)
        assert ran.summary["outcomes"] == {"unchanged": 1000}, ran.err
        assert requested_sizes(sim) == [400, 400] + [100] * 6


def test_a_list_has_ended_early_when_its_smallest_page_takes_too_long(
    tmp_path: Path, run: Run
) -> None:
    with running(Options(count_style=CountStyle.INLINE)) as sim:
        populate(sim, 140, state=True)
        sim.queue_fault(Fault.GATEWAY_TIMEOUT_504, times=99, matching=ON_LATER_PAGES)
        path = write_states(tmp_path / "in.csv", 140)
        ran = run(sim, "run", path, *WORDS, "--page-size", 110)
        assert ran.summary["outcomes"] == {"unchanged": 140}, ran.err
        assert requested_sizes(sim) == [110, 110, 27, 25]
        assert "Campaign's list ended early" in ran.err


def test_pages_are_counted_by_the_size_that_campaign_gives(tmp_path: Path, run: Run) -> None:
    with running(Options(max_line_count=10)) as sim:
        populate(sim, 95, state=True)
        path = write_states(tmp_path / "in.csv", 95)
        ran = run(sim, "run", path, "-n", "--fetch", "scan", "--page-size", 50)
    assert "One by one takes 95 calls, the list 10 pages." in ran.out, ran.err
