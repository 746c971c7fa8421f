"""How far Campaign's list is read, page by page, and what is done at its end."""

import logging

import pytest
from conftest import key, populate
from test_scan import Lying, serving
from test_scan_of_several_nights import Bookmark

from bulk_sync.engines.producer import PKeys
from bulk_sync.engines.session import Session
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Credentials, Fetch, Pace, Reading, Secret
from bulk_sync.simulator import Options, running

KEYS = 20
SCAN = Reading(Fetch.SCAN, page_size=10)


def read(
    endpoint: str, keys: list[str], calls: int | None = None
) -> tuple[list[tuple[int, int]], bool]:
    """Read the states of some keys by paging through the list of a server.

    Returns:
        Profiles shown and in all, after each page; whether the place of the next page was kept.
    """
    connection = Connection(endpoint, "acme", Credentials("demo-key", Secret("demo-token")))
    shown, kept = list[tuple[int, int]](), Bookmark(1000)

    def progress(what: str, done: int, total: int, _pacer: object) -> None:
        if what == "scan":
            shown.append((done, total))

    with Session(connection, Pace(max_calls=calls, retries=0), progress) as session:
        pkeys = PKeys(connection.attribute, stamped=False, tries_keys=True)
        session.read(keys, Steps.blank(len(keys)), SCAN, pkeys, kept)
    _, place = kept.kept[-1]
    return shown, place is not None and place.path is not None


@pytest.mark.parametrize(
    ("first", "looked_up"), [(0, 0), (5, 0), (10, 3), (20, 3)], ids=lambda value: str(value)
)
def test_some_keys_are_looked_up_if_the_first_page_shows_none(first: int, looked_up: int) -> None:
    with running(Options()) as sim:
        populate(sim, 40)
        shown, _ = read(sim.url, [key(first + number) for number in range(KEYS)])
        pages = -(-(first + KEYS) // 10)
        assert shown == [(10 * page, 40) for page in range(1, pages + 1)]
        asked = ["_lineCount" in request.query for request in sim.requests][2:]
        assert asked == [False] * looked_up + [True] * (pages - 1)


@pytest.mark.parametrize(
    ("keys", "calls", "pages", "is_kept"),
    [(50, None, 4, False), (KEYS, None, 2, False), (50, 3, 2, True)],
    ids=["to its end", "every key", "a budget"],
)
def test_the_place_of_the_next_page_is_kept_if_it_may_be_needed(
    keys: int, calls: int | None, pages: int, *, is_kept: bool
) -> None:
    with running(Options()) as sim:
        populate(sim, 40)
        shown, found = read(sim.url, [key(number) for number in range(keys)], calls)
    assert shown == [(10 * page, 40) for page in range(1, pages + 1)]
    assert found is is_kept


@pytest.mark.parametrize(
    ("profiles", "log"), [(40, 1), (10, 0)], ids=["it goes on", "it has one page"]
)
def test_a_list_without_the_attribute_is_left_after_its_first_page(
    profiles: int, log: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with running(Options()) as sim:
        for number in range(profiles):
            sim.add(key(number))
        shown, _ = read(sim.url, [key(number) for number in range(KEYS)])
    assert shown == [(10, profiles)]
    warning = "A page of Campaign's list shows no profile with the attribute: keys are looked up"
    assert [each.message for each in caplog.records].count(warning) == log


class Counted(Lying):
    """Two pages of two profiles; how many there are, and perhaps a link to a third page."""

    total: int | None = None
    links = 1

    def listed(self, line_start: int) -> dict[str, object] | None:
        if line_start > 1:
            return None
        found = [{"PKey": key(2 * line_start + row), "ccpaOptOut": True} for row in range(2)]
        page: dict[str, object] = {"content": found}
        if self.total is not None:
            page["count"] = {"value": self.total}
        if line_start < self.links:
            page["next"] = {"href": f"/profileAndServices/profile?_lineStart={line_start + 1}"}
        return page

    def one(self, key: str) -> dict[str, object]:
        return {"PKey": key, "ccpaOptOut": True}


def test_the_place_of_a_page_that_is_not_there_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, "links", 2)
    with serving(Counted) as endpoint:
        assert read(endpoint, [key(number) for number in range(5)]) == ([(2, 2), (4, 4)], False)


@pytest.mark.parametrize(
    ("total", "keys", "lines"),
    [
        (5, 5, ["Campaign's list showed 4 of 5 profiles"]),
        (4, 5, []),
        (None, 5, []),
        (5, 4, []),
    ],
    ids=["too few", "all", "unknown", "every key"],
)
def test_the_log_names_profiles_that_the_list_lacks(
    total: int | None,
    keys: int,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(Counted, "total", total)
    with serving(Counted) as endpoint:
        read(endpoint, [key(number) for number in range(keys)])
    assert [record.message for record in caplog.records] == lines
