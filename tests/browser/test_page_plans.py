"""The story of a plan in a real browser: with the script and without, and by keyboard alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import LOOKS, Shown
from conftest import key
from flow import planned
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from serving import NAMES, PASSWORD, Served, serving, settings_in

from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.web.identity import Role

_NUMBERS = iter(range(1000, 10**6, 1000))
_WAIT_MS = 60_000
"""How long a process may take; each state of the page is waited for."""


@pytest.fixture(scope="module", autouse=True)
def sim() -> Iterator[Simulator]:
    with running(Options()) as simulator:
        yield simulator


@pytest.fixture(scope="module", autouse=True)
def served(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    variables = {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
    }
    with serving(settings_in(folder, variables=variables)) as served:
        yield served


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")


def new_plan(sim: Simulator, served: Served, folder: Path, opt_ins: int, opt_outs: int) -> str:
    """Begin a plan of new profiles, and return its address."""
    first, rows = next(_NUMBERS), ["Name,PKey,ccpaOptOut"]
    for number in range(first, first + opt_ins + opt_outs):
        lifts = number < first + opt_ins
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=lifts)
        rows.append(f"Person {number},{key(number)},{'no' if lifts else 'yes'}")
    path = folder / f"list{first}.csv"
    path.write_text("\n".join([*rows, f"Bad,{key(first)}x,maybe", ""]))
    raised = f"--allow inverted --allow fewer-rows --max-opt-ins {opt_ins}"
    return f"{served.url}/plans/{planned(served, path, raised=raised, wait=False)}"


def signed_in(context: BrowserContext, served: Served, role: Role) -> Page:
    """Sign in by keyboard, and return the page."""
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    page.goto(served.url)
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(NAMES[role])
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.url}/")
    return page


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def reach(page: Page, target: Locator) -> None:
    """Press Tab until the focus is there."""
    for _ in range(300):
        if target.evaluate("each => each == document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {target}")


def press(page: Page, name: str) -> None:
    """Press a button by keyboard."""
    reach(page, button(page, name))
    page.keyboard.press("Enter")


def reload_until(page: Page, target: Locator) -> None:
    """Load the page again until something is there, as people without the script do."""
    for _ in range(600):
        if target.count():
            return
        page.wait_for_timeout(100)
        page.reload()
    pytest.fail(f"{target} does not appear")


def at_run(page: Page) -> None:
    """Go to the run of a plan that was just approved: on a slow machine it has not begun yet."""
    while "/plans/" in page.url:
        link = page.get_by_role("link", name="show the run")
        reload_until(page, link)
        link.click()
        page.wait_for_url("**/runs/*")


def check(shown: Shown) -> None:
    for look in LOOKS:
        shown.look(look)
        assert shown.violations() == []
    shown.look("light")


def seen_by_scrolling(page: Page) -> None:
    """Scroll down with the keyboard, and up again, until every opt-in was on the screen."""
    for _ in range(600):
        if button(page, "Approve and apply").is_enabled():
            return
        is_end = page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 9")
        page.keyboard.press("Home" if is_end else "PageDown")
        page.wait_for_timeout(50)
    pytest.fail("The button stays disabled")


def seen_by_confirming(page: Page) -> None:
    """Confirm each page of opt-ins by keyboard."""
    while button(page, "Approve and apply").is_disabled():
        box = page.get_by_role("checkbox")
        reach(page, box)
        page.keyboard.press("Space")
        with page.expect_navigation():
            press(page, "Confirm these rows")


@pytest.mark.parametrize("has_script", [True, False], ids=["with the script", "without it"])
def test_the_story_from_the_plan_to_its_undo_by_keyboard_alone(
    browser: Browser, sim: Simulator, served: Served, tmp_path: Path, has_script: bool
) -> None:
    address = new_plan(sim, served, tmp_path, 120, 3)
    before = dict(sim.states)
    words = {"java_script_enabled": has_script}
    with browser.new_context(**words) as hers, browser.new_context(**words) as his:  # type: ignore[arg-type]
        ana, ben = signed_in(hers, served, Role.UPLOADER), signed_in(his, served, Role.APPROVER)

        def wait_for(page: Page, target: Locator) -> None:
            if has_script:
                expect(target).to_be_visible(timeout=_WAIT_MS)
            else:
                reload_until(page, target)

        def approved(plan: str) -> None:
            ben.goto(plan)
            seen_by_scrolling(ben) if has_script else seen_by_confirming(ben)
            reach(ben, button(ben, "Approve and apply"))
            with ben.expect_navigation():
                ben.keyboard.press("Enter")
            at_run(ben)
            wait_for(ben, ben.get_by_role("link", name="Report (Excel)"))

        ana.goto(address)
        wait_for(ana, button(ana, "Ask for approval"))
        reach(ana, ana.get_by_label("Comment"))
        ana.keyboard.type("From the privacy desk")
        press(ana, "Ask for approval")
        ana.get_by_text("Approval was asked for.").wait_for()
        approved(address)
        assert [sim.states[each] for each in before if before[each] != sim.states[each]]
        with ben.expect_download() as download:
            ben.get_by_role("link", name="Report (Excel)").click()
        assert download.value.suggested_filename.endswith(".results.xlsx")
        run = ben.url.partition("?")[0]
        ana.goto(run)
        press(ana, "Undo this run")
        ana.wait_for_url("**/plans/*")
        wait_for(ana, button(ana, "Ask for approval"))
        press(ana, "Ask for approval")
        ana.get_by_text("Approval was asked for.").wait_for()
        approved(ana.url.partition("?")[0])
        ana.goto(run)
        ana.get_by_text("Its changes were put back by").wait_for()
    assert sim.states == before


def test_a_jump_to_the_end_shows_no_opt_in_that_was_skipped(
    browser: Browser, sim: Simulator, served: Served, tmp_path: Path
) -> None:
    address = new_plan(sim, served, tmp_path, 50, 10)
    with browser.new_context() as hers, browser.new_context() as his:
        ana, ben = signed_in(hers, served, Role.UPLOADER), signed_in(his, served, Role.APPROVER)
        ana.goto(address)
        button(ana, "Ask for approval").click()
        ana.get_by_text("Approval was asked for.").wait_for()
        ben.goto(address)
        ben.keyboard.press("End")
        ben.get_by_text("Not on your screen yet: opt-ins 1 to 50.").wait_for()
        assert button(ben, "Approve and apply").is_disabled()
        ben.keyboard.press("Home")
        seen_by_scrolling(ben)
        ben.reload()
        assert button(ben, "Approve and apply").is_enabled()


@pytest.mark.parametrize("width", [320, 1280])
def test_every_state_can_be_read_by_everybody(
    shown: Shown, browser: Browser, sim: Simulator, served: Served, tmp_path: Path, width: int
) -> None:
    address = new_plan(sim, served, tmp_path, 3, 3)
    page = shown.page
    page.set_default_timeout(_WAIT_MS)
    page.set_viewport_size({"width": width, "height": 800})

    def checked() -> None:
        check(shown)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    with browser.new_context() as his:
        ben = signed_in(his, served, Role.APPROVER)
        page.goto(served.url)
        page.get_by_label("Name").fill(NAMES[Role.UPLOADER])
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.goto(address)
        checked()
        button(page, "Ask for approval").wait_for()
        checked()
        button(page, "Ask for approval").click()
        checked()
        ben.goto(address)
        seen_by_scrolling(ben)
        button(ben, "Send back").click()
        expect(ben.get_by_label("Comment")).to_be_focused()
        with ben.expect_navigation():
            button(ben, "Approve and apply").click()
        at_run(ben)
        page.goto(ben.url.partition("?")[0])
        page.get_by_role("link", name="Report (Excel)").wait_for()
        checked()
        button(page, "Check that it still holds").click()
        page.get_by_text("6 of 6 changes still hold").or_(page.get_by_text("being read again"))
        checked()
        page.goto(address)
        checked()
    assert shown.complaints == []
