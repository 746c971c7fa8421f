"""Every state of every screen in a real browser: contrast, zoom, width, keyboard and print."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import pytest
from chromium import Shown
from page_states import LOCKED_OUT, served_states
from playwright.sync_api import Page
from serving import NAMES, PASSWORD, Served

from bulk_sync.web.identity import Role

NARROW, WIDE = 320, 1280
_SHOW_ALL = "for (const each of document.querySelectorAll('main [hidden]')) each.hidden = false"
"""Elements shown only without the script, or after an error."""


class State(NamedTuple):
    """A state of a screen: its name or path, its reader, and an expected text."""

    name: str
    role: Role | None
    says: str


ANA, BEN, IDA, VERA = Role.UPLOADER, Role.APPROVER, Role.ADMIN, Role.VIEWER

STATES = [
    State("/sign-in", None, "Carry CCPA opt-out states"),
    State("/sign-in?token=used", None, "This address signs in once"),
    State("/", ANA, "A plan that was sent back"),
    State("/", BEN, "A plan to approve"),
    State("/people", VERA, "One person"),
    State("/ledger", VERA, "What people did"),
    State("/nope", VERA, "There is no such page"),
    State("/uploads/new", VERA, "You may not do this"),
    State("/uploads/new", ANA, "New upload"),
    State("form of a correction", ANA, "Upload the corrected file"),
    State("upload being checked", ANA, "1,000 of 20,000"),
    State("upload with problems", ANA, "Rows with problems"),
    State("upload in order", ANA, "The row can be used"),
    State("upload with unknown columns", ANA, "cannot be used as it is"),
    State("upload that cannot be read", ANA, "it looks like a PDF"),
    State("upload of a correction", VERA, "Corrects"),
    State("upload whose check broke off", ANA, "The check broke off"),
    State("upload no longer kept", ANA, "The file is no longer kept"),
    State("plan being made", ANA, "Comparing with Campaign"),
    State("plan not made", ANA, "There is no plan"),
    State("plan made", ANA, "approval not asked for"),
    State("plan made", BEN, "who prepared it, can do so"),
    State("plan without changes", ANA, "Nothing would be changed"),
    State("plan limited", ANA, "A limit stops this plan"),
    State("plan limited", IDA, "Raise the limit for this plan"),
    State("plan with a raised limit", ANA, "A limit was raised"),
    State("plan that holds opt-ins", ANA, "12 opt-ins will be held back"),
    State("plan to approve", ANA, "to approve it"),
    State("plan to approve", BEN, "Approve and apply"),
    State("plan sent back", ANA, "sent it back"),
    State("plan too old", ANA, "This plan is too old"),
    State("plan replaced", ANA, "Another plan stands in the place"),
    State("plan no longer kept", ANA, "is no longer kept"),
    State("plan approved", BEN, "approved, but was not started"),
    State("plan being applied", ANA, "It is being applied"),
    State("at work", ANA, "The plan has been applied"),
    State("run at work", ANA, "Progress"),
    State("run broken off", BEN, "It broke off"),
    State("run stopped", BEN, "The run is not finished"),
    State("run refused", ANA, "Important"),
    State("run of a plan", ANA, "would be changed"),
    State("run undone", ANA, "Its changes were put back"),
    State("run of an undo", ANA, "Undo this run"),
    State("run with a failed row", ANA, "Try failed rows again"),
]


@pytest.fixture(scope="module", autouse=True)
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Served, Mapping[str, str]]]:
    with served_states(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def served(world: tuple[Served, Mapping[str, str]]) -> Served:
    return world[0]


def sign_in(shown: Shown, served: Served, role: Role) -> None:
    """Give a browser the session of a person."""
    cookies = served.signed_in(role).cookies
    given = [{"name": each.name, "value": each.value or "", "url": served.url} for each in cookies]
    shown.page.context.add_cookies(given)  # type: ignore[arg-type]


def check(shown: Shown) -> None:
    """Fail if anything is unreadable in the light theme, in the dark one, or on a narrow screen."""
    shown.page.evaluate(_SHOW_ALL)
    shown.check()
    shown.page.set_viewport_size({"width": NARROW, "height": 800})
    assert shown.page.evaluate("document.documentElement.scrollWidth") == NARROW
    shown.page.set_viewport_size({"width": WIDE, "height": 800})


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.name}, {state.role}")
def test_it_has_no_violations_and_no_request_leaves_the_page(
    shown: Shown,
    world: tuple[Served, Mapping[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    state: State,
) -> None:
    served, paths = world
    if state.name == "plan too old":
        too_old = replace(served.page.settings, plan_valid_s=0.0)
        monkeypatch.setattr(served.page, "settings", too_old)
    if state.role is not None:
        sign_in(shown, served, state.role)
    shown.page.goto(served.url + paths.get(state.name, state.name))
    assert state.says in shown.page.locator("main").inner_text()
    check(shown)
    assert {each.split("/")[2] for each in shown.requests} == {served.url.split("/")[2]}
    assert [text for text in shown.complaints if "Failed to load resource" not in text] == []


def test_a_wrong_password_and_too_many_of_them_take_the_focus_and_keep_the_name(
    shown: Shown, served: Served
) -> None:
    for name, says in ((NAMES[ANA], "Name or password is wrong"), (LOCKED_OUT, "Too many failed")):
        shown.page.goto(served.url)
        _send(shown.page, name, "a wrong password")
        field = shown.page.get_by_label("Name")
        assert field.input_value() == name
        assert shown.page.evaluate("document.activeElement.id") == "name"
        assert says in (field.evaluate(_DESCRIPTION) or "")
        check(shown)


def _send(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_story_is_found_read_and_printed(shown: Shown, served: Served) -> None:
    sign_in(shown, served, VERA)
    shown.page.goto(f"{served.url}/people")
    shown.page.get_by_label("Key or e-mail").fill("p9@example.com")
    shown.page.get_by_role("button", name="Search").click()
    assert shown.page.url == f"{served.url}/people"
    assert shown.page.get_by_role("heading", name="The story of p9@example.com").is_visible()
    check(shown)
    shown.look("print")
    assert not shown.page.get_by_role("button", name="Search").is_visible()
    assert shown.page.get_by_role("table").is_visible()


def test_the_ledger_is_verified_with_a_button(shown: Shown, served: Served) -> None:
    sign_in(shown, served, VERA)
    shown.page.goto(f"{served.url}/ledger")
    shown.page.get_by_role("button", name="Verify").click()
    assert "lines fit" in shown.page.get_by_role("status").inner_text()
    check(shown)


def test_the_keyboard_alone_signs_in_leads_everywhere_and_signs_out(
    shown: Shown, served: Served
) -> None:
    keyboard = shown.page.keyboard
    shown.page.goto(served.url)
    shown.page.wait_for_function("document.activeElement.id == 'name'")
    keyboard.type(NAMES[ANA])
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    shown.page.wait_for_url(f"{served.url}/")
    reached = []
    for _ in range(8):
        keyboard.press("Tab")
        reached.append(shown.page.evaluate("document.activeElement.innerText").strip())
        if reached[-1] == "Sign out":
            break
    assert reached == [
        "Skip to the content", "bulk-sync", "New upload", "One person", "Ledger", "Sign out",
    ]  # fmt: skip
    keyboard.press("Enter")
    shown.page.wait_for_url(f"{served.url}/sign-in?note=signed-out")


def test_times_are_shown_in_the_zone_of_the_reader(served: Served, shown: Shown) -> None:
    browser = shown.page.context.browser
    assert browser is not None
    zone = browser.new_context(timezone_id="America/Los_Angeles", locale="en-US")
    with zone as context, context.new_page() as page:
        sign_in(Shown(page), served, VERA)
        page.goto(served.url)
        texts = page.locator("main time").all_inner_texts()
    assert texts
    assert all(text.endswith(("PST", "PDT")) for text in texts)


_DESCRIPTION = "field => document.getElementById(field.getAttribute('aria-describedby'))?.innerText"
