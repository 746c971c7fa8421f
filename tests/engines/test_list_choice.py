"""What Campaign's list costs, how much of it is left, and when it is left."""

import pytest
from virtual_time import Disk, virtually

from bulk_sync.campaign.list_pages import ListPage
from bulk_sync.engines import scan
from bulk_sync.engines.journal import Recorder
from bulk_sync.engines.list_choice import Costs, ProfileList, costs_of
from bulk_sync.engines.scan import ListedStates, Scanning
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop


def page(*emails: object, following: str | None = None) -> ListPage:
    return ListPage([{"email": each} for each in emails], following, None, None, False, 0)


@pytest.mark.parametrize(
    ("total", "page_rows", "pages"),
    [(None, 100, None), (0, 100, 1), (1, 100, 1), (100, 100, 1), (101, 100, 2), (5, 0, 5)],
    ids=["unknown", "none", "one", "a full page", "one more", "empty pages"],
)
def test_the_list_costs_a_call_a_page(total: int | None, page_rows: int, pages: int | None) -> None:
    assert costs_of(7, total, page_rows) == Costs(7, pages)


@pytest.mark.parametrize(
    ("first", "pages", "left"),
    [(None, 5, None), (page(), 5, 4), (page(), 1, 0), (page(), None, 0)],
    ids=["no scan", "five", "one", "unknown"],
)
def test_the_pages_left_are_those_after_the_first(
    first: ListPage | None, pages: int | None, left: int | None
) -> None:
    assert ProfileList(first, None, Costs(9, pages)).pages_left == left


@pytest.mark.parametrize(
    ("total", "shown", "missing", "pages", "while_cheaper", "is_enough"),
    [
        (100, 10, 9, 1, True, False),
        (100, 10, 8, 1, True, True),
        (100, 10, 8, 1, False, False),
        (109, 100, 1, 10, True, False),
        (111, 100, 1, 10, True, True),
        (100, 210, 5, 21, True, False),
        (100, 211, 5, 21, True, True),
        (None, 10, 9, 1, True, True),
        (None, 10, 9, 19, False, False),
        (None, 10, 9, 20, False, True),
    ],
    ids=[
        "as many pages as keys", "more pages than keys", "whatever it costs",
        "one page and one key", "two pages and one key", "twice as long as counted", "longer",
        "of unknown length", "unknown, and cheaper so far", "unknown, and as dear",
    ],
)  # fmt: skip
def test_a_list_is_left_when_lookups_cost_less(
    total: int | None, shown: int, missing: int, pages: int, while_cheaper: bool, is_enough: bool
) -> None:
    async def judged() -> bool:
        recorder = Recorder(lambda _: None, Disk(), Stop())
        listing = ListedStates(Texts.wrap(["@a"]), Steps.blank(1), "ccpaOptOut", recorder)
        listing.shown, listing.missing, listing.pages = shown, missing, pages

        async def unseen() -> int:
            return 0

        how = Scanning(total, 20, 1, while_cheaper, unseen)
        return scan._is_enough(listing, page(*[""] * 10, following="/next"), how)

    assert virtually(judged()) is is_enough


def test_the_list_shows_when_the_state_of_each_key_was_changed() -> None:
    async def shown() -> tuple[list[int], list[int]]:
        recorder = Recorder(lambda _: None, Disk(), Stop())
        steps = Steps.blank(3, stamped=True)
        listing = ListedStates(Texts.wrap(["@a", "@b", "@c"]), steps, "ccpaOptOut", recorder)
        times = {"@a": "2026-11-20 10:00:00.000Z", "@z": "2026-11-21 10:00:00.000Z"}
        profiles: list[dict[str, object]] = [
            {"PKey": pkey, "ccpaOptOut": True, "ccpaOptOutLastModified": at}
            for pkey, at in times.items()
        ]
        listing.take(
            ListPage([*profiles, {"PKey": 7, "ccpaOptOut": True}], None, None, None, False, 0)
        )
        await recorder.close()
        assert steps.changed_ms is not None
        return steps.changed_ms.tolist(), steps.state.tolist()

    changed_ms, states = virtually(shown())
    assert (changed_ms[0] > 0, changed_ms[1:], states) == (True, [0, 0], [1, -1, -1])
