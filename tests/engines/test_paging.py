"""How far Campaign's list is read, page by page, and what is done at its end."""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from virtual_time import virtually

from bulk_sync.campaign.list_pages import ListPage
from bulk_sync.engines.scan import Pages, Scanning, scan
from bulk_sync.engines.workers import Workers
from bulk_sync.errors import Interrupted, RowFailed, StopRun
from bulk_sync.outcomes import Reason
from bulk_sync.stopping import Stop


class Shown(Pages):
    """Pages of two profiles, each of which shows some of five keys."""

    def __init__(self, found: Sequence[int]) -> None:
        super().__init__({"PKey"})
        self.missing = 5
        self._found = found

    def take(self, page: ListPage) -> str | None:
        self.missing -= self._found[self.pages]
        return self._following(page, has_states=True)


PASSING = RowFailed(Reason.HTTP_503, "Busy.", passing=True)
GONE = RowFailed(Reason.HTTP_400, "Gone.")
STOPPED = Interrupted("Stopped.")


def scanned(
    found: Sequence[int],
    end: RowFailed | StopRun | None = None,
    *,
    total: int | None = None,
    stops_at: int | None = None,
) -> tuple[str | None, int, int, Stop]:
    """Read pages that show some keys each, and perhaps an error after them.

    Returns:
        The path of the next page, the pages read, how often no key was seen, and the stop.
    """
    stop, pages, unseen, told = Stop(), Shown(found), list[int](), list[tuple[int, int]]()

    def page(number: int) -> ListPage:
        is_last = number == len(found) and end is None
        following = None if is_last else f"/{number + 1}"
        return ListPage([{}, {}], following, None, None, False, 0)

    async def next_page(path: str, _parse: object) -> ListPage:
        number = int(path[1:])
        if number == stops_at:
            stop.ask(STOPPED)
        if number > len(found) and end is not None:
            raise end
        return page(number)

    async def none_seen() -> None:
        unseen.append(pages.pages)

    def progress(_what: str, done: int, all_of_them: int, _pacer: object) -> None:
        told.append((done, all_of_them))

    client = SimpleNamespace(pacer=None, listing=SimpleNamespace(page=next_page))
    run = cast("Workers", SimpleNamespace(progress=progress, client=client, stop=stop))
    how = Scanning(total, 99, while_cheaper=False, unseen=none_seen)
    path = virtually(scan(run, pages, page(1), how))
    assert told == [(2 * at, max(total or 0, 2 * at)) for at in range(1, pages.pages + 1)]
    assert unseen in ([], [1])
    return path, pages.pages, len(unseen), stop


@pytest.mark.parametrize(
    ("found", "unseen"),
    [((0, 5), 1), ((1, 0, 4), 0), ((5,), 0), ((0, 0, 5), 1)],
    ids=["none on the first page", "none on the second page", "all", "none on two pages"],
)
def test_the_keys_are_tried_if_the_first_page_shows_none(found: Sequence[int], unseen: int) -> None:
    assert scanned(found)[1:3] == (len(found), unseen)


@pytest.mark.parametrize(
    ("found", "end", "path"),
    [
        ((1, 1), None, None),
        ((1, 4, 0), GONE, "/3"),
        ((1, 1), GONE, None),
        ((1, 1), PASSING, "/3"),
        ((1, 1), STOPPED, "/3"),
    ],
    ids=["to its end", "until every key is found", "an error", "a passing error", "a stop"],
)
def test_the_path_of_the_next_page_is_kept_if_it_may_be_needed(
    found: Sequence[int], end: RowFailed | StopRun | None, path: str | None
) -> None:
    left_at, pages, _, stop = scanned(found, end)
    assert (left_at, pages) == (path, 2)
    assert stop.cause is (STOPPED if end is STOPPED else None)


def test_a_stop_during_a_page_ends_the_list_behind_it() -> None:
    assert scanned((1, 1, 1), stops_at=2)[:2] == ("/3", 2)
    assert scanned((1,), GONE, stops_at=2)[:2] == ("/2", 1)


@pytest.mark.parametrize(
    ("total", "found", "lines"),
    [
        (5, (1, 1), ["Campaign's list showed 4 of 5 profiles"]),
        (4, (1, 1), []),
        (None, (1, 1), []),
        (5, (1, 4), []),
    ],
    ids=["too few", "all", "unknown", "every key"],
)
def test_the_log_names_profiles_that_the_list_lacks(
    total: int | None, found: Sequence[int], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scanned(found, total=total)
    assert [record.message for record in caplog.records] == lines
