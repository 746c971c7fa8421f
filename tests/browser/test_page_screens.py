"""The screens of the page in a real browser: for people with any eyes, by keyboard, on paper."""

from collections.abc import Iterator

import filed_reports
import pytest
from chromium import LOOKS, Shown
from serving import NAMES, PASSWORD, Served, serving, settings_in

from bulk_sync.web.identity import Role

SCREENS = ("/", "/people", "/ledger", "/nope", "/uploads/new")


@pytest.fixture(scope="module", autouse=True)
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page over the ledger of some runs, made before the browser starts."""
    folder = tmp_path_factory.mktemp("page")
    filed_reports.write_all(folder)
    with serving(settings_in(folder)) as served:
        yield served


def sign_in(shown: Shown, served: Served, role: Role = Role.ADMIN) -> None:
    shown.page.goto(served.url)
    shown.page.get_by_label("Name").fill(NAMES[role])
    shown.page.get_by_label("Password").fill(PASSWORD)
    shown.page.get_by_role("button", name="Sign in").click()


def check(shown: Shown) -> None:
    for look in LOOKS:
        shown.look(look)
        assert shown.violations() == []
    shown.look("light")


@pytest.mark.parametrize("path", SCREENS)
def test_everybody_can_read_it_and_nothing_comes_from_elsewhere(
    shown: Shown, served: Served, path: str
) -> None:
    shown.page.goto(served.url)
    check(shown)
    sign_in(shown, served)
    shown.page.goto(served.url + path)
    check(shown)
    assert {each.split("/")[2] for each in shown.requests} == {served.url.split("/")[2]}
    assert [line for line in shown.complaints if "404" not in line] == []


@pytest.mark.parametrize("path", SCREENS)
def test_on_a_narrow_screen_only_labelled_regions_scroll_sideways(
    shown: Shown, served: Served, path: str
) -> None:
    shown.page.set_viewport_size({"width": 320, "height": 800})
    sign_in(shown, served)
    shown.page.goto(served.url + path)
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 320


def test_a_story_is_found_read_and_printed(shown: Shown, served: Served) -> None:
    sign_in(shown, served)
    shown.page.get_by_role("link", name="One person").click()
    shown.page.get_by_label("Key or e-mail").fill("p9@example.com")
    shown.page.get_by_role("button", name="Search").click()
    assert shown.page.url == f"{served.url}/people"
    assert shown.page.get_by_role("heading", name="The story of p9@example.com").is_visible()
    check(shown)
    shown.look("print")
    assert not shown.page.get_by_role("button", name="Search").is_visible()
    assert shown.page.get_by_role("table").is_visible()


def test_the_ledger_is_verified_with_a_button(shown: Shown, served: Served) -> None:
    sign_in(shown, served, Role.VIEWER)
    shown.page.get_by_role("link", name="Ledger").click()
    shown.page.get_by_role("button", name="Verify").click()
    assert "lines fit" in shown.page.get_by_role("status").inner_text()
    check(shown)


def test_an_error_takes_the_focus_and_keeps_the_input(shown: Shown, served: Served) -> None:
    shown.page.goto(served.url)
    shown.page.get_by_label("Name").fill("Eve Nobody")
    shown.page.get_by_label("Password").fill("a wrong password")
    shown.page.get_by_role("button", name="Sign in").click()
    field = shown.page.get_by_label("Name")
    assert field.input_value() == "Eve Nobody"
    assert shown.page.evaluate("document.activeElement.id") == "name"
    assert "Name or password is wrong" in (field.evaluate(_DESCRIPTION) or "")
    check(shown)


def test_the_keyboard_alone_signs_in_leads_everywhere_and_signs_out(
    shown: Shown, served: Served
) -> None:
    keyboard = shown.page.keyboard
    shown.page.goto(served.url)
    shown.page.wait_for_function("document.activeElement.id == 'name'")
    keyboard.type(NAMES[Role.UPLOADER])
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


def test_without_the_script_it_works_too(served: Served, shown: Shown) -> None:
    browser = shown.page.context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False) as context, context.new_page() as page:
        plain = Shown(page)
        sign_in(plain, served)
        times = page.locator("time").all_inner_texts()
        assert times
        page.get_by_role("button", name="Sign out").click()
        assert page.get_by_role("heading", name="Sign in").is_visible()


def test_times_are_shown_in_the_zone_of_the_reader(served: Served, shown: Shown) -> None:
    browser = shown.page.context.browser
    assert browser is not None
    zone = browser.new_context(timezone_id="America/Los_Angeles", locale="en-US")
    with zone as context, context.new_page() as page:
        sign_in(Shown(page), served)
        texts = page.locator("main time").all_inner_texts()
    assert texts
    assert all(text.endswith(("PST", "PDT")) for text in texts)


_DESCRIPTION = "field => document.getElementById(field.getAttribute('aria-describedby'))?.innerText"
