"""Finding the profiles of keys that are no PKeys on the pages of Campaign's list."""

from collections.abc import Sequence

import pytest
from virtual_time import Disk, virtually

from bulk_sync.campaign.list_pages import ListPage
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.journal import Recorder
from bulk_sync.engines.resolve_from_list import Gathering, ListedKeys, text_of
from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Reason
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.stopping import Stop

KEYS = ["C1", "C2", "c3"]


def match(profile: Profile) -> Match:
    if "PKey" not in profile:
        raise RowFailed(Reason.BAD_ANSWER, "")
    state = {None: UNREAD, False: 0, True: 1}[profile.get("ccpaOptOut")]  # type: ignore[index]
    return Match(str(profile["PKey"]), state, 0)


def profile(pkey: str, key: object, *, state: bool | None = True) -> Profile:
    return {"PKey": pkey, "cusId": key, "ccpaOptOut": state}


def page(*profiles: Profile, following: str | None = None, cut_short: bool = False) -> ListPage:
    return ListPage(list(profiles), following, None, None, cut_short, 0)


def gathered(
    pages: Sequence[ListPage], total: int | None, *, alike: dict[str, str] | None = None
) -> tuple[dict[int, list[str]], bool, list[str | None]]:
    """Return the PKeys found by key, whether the list is used, and the paths that follow."""

    async def work() -> tuple[dict[int, list[str]], bool, list[str | None]]:
        steps, kept = Steps.blank(len(KEYS)), set[int]()
        recorder = Recorder(kept.update, Disk(), Stop())
        found = Gathering(KEYS, steps, recorder, ListedKeys("cusId", (), match, alike=alike))
        paths = [found.take(each) for each in pages]
        found.settle(total)
        await recorder.close()
        matches = {at: [each.pkey for each in group] for at, group in steps.matches(KEYS)}
        assert kept == set(matches)
        assert found.shown == sum(len(each.profiles) for each in pages)
        assert found.pages == len(pages)
        return matches, found.is_used, paths

    return virtually(work())


FIRST = page(profile("@1", "C1"), profile("@2", "C9"), following="/2")
LAST = page(profile("@3", "C2", state=False))


def test_every_profile_with_a_key_is_found_at_the_end_of_the_list() -> None:
    again = page(profile("@4", "C1", state=False), following="/3")
    found, is_used, paths = gathered([FIRST, again, LAST], 4)
    assert (found, is_used, paths) == ({0: ["@1", "@4"], 1: ["@3"]}, True, ["/2", "/3", None])


@pytest.mark.parametrize(
    ("pages", "total"),
    [
        ([FIRST], 2),
        ([FIRST, LAST], 4),
        ([FIRST, LAST], None),
        ([FIRST, page(profile("@2", "C9"))], 3),
        ([FIRST, page(profile("@3", "C2"), cut_short=True)], 3),
    ],
    ids=["without its end", "fewer than counted", "without a count", "one twice", "cut short"],
)
def test_a_list_that_may_lack_profiles_shows_nothing(
    pages: Sequence[ListPage], total: int | None
) -> None:
    found, is_used, _ = gathered(pages, total)
    assert (found, is_used) == ({}, False)


@pytest.mark.parametrize(
    "odd",
    [
        {"cusId": "C1"},
        profile("@1", "C1", state=False),
        profile("@9", "C1", state=None),
    ],
    ids=["no PKey", "two states", "no state"],
)
def test_a_key_with_an_odd_profile_is_left_to_be_looked_up(odd: Profile) -> None:
    found, is_used, _ = gathered([FIRST, page(odd, *LAST.profiles)], 3)
    assert (found, is_used) == ({1: ["@3"]}, True)


def test_keys_alike_but_for_capitals_are_remembered_where_they_matter() -> None:
    alike: dict[str, str] = {}
    found, *_ = gathered([page(profile("@1", "c1"), profile("@2", "C3"))], 2, alike=alike)
    assert (found, alike) == ({}, {"c1": "c1", "c3": "C3"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("C1", "C1"), (7, "7"), (1.5, "1.5"), (True, None), (None, None), (["C1"], None)),
        *((2**63 - 1, str(2**63 - 1)), (2**63, None), (-(2**63), str(-(2**63))), (-(2**64), None)),
    ],
    ids=repr,
)
def test_a_key_is_a_text_or_a_number(value: object, text: str | None) -> None:
    assert text_of(value) == text
