"""Profiles of Campaign's whole list are made durable as the list is read."""

import pyarrow as pa

from bulk_sync.campaign.list_pages import ListPage, ScanPosition
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.whole_list import SavedPages

PAGE = 1000


def test_a_long_list_is_made_durable_before_its_end() -> None:
    saved = list[tuple[int, ScanPosition]]()

    def save(listed: pa.Table, left_at: ScanPosition) -> None:
        saved.append((listed.num_rows, left_at))

    pages = SavedPages("profileAndServices", "ccpaOptOut", 1, save, None)
    states: list[Profile] = [{"PKey": f"@{number}", "ccpaOptOut": True} for number in range(PAGE)]
    for number in range(1, 501):
        pages.take(ListPage(states, f"page-{number + 1}", None, None, False, 0))
    assert [(rows, place.path, place.pages, place.shown) for rows, place in saved] == [
        (250_000, "page-251", 250, 250_000),
        (250_000, "page-501", 500, 500_000),
    ]
