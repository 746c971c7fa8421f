"""HTML reports in a real browser: contrast, zoom, narrow screens, keyboard and print."""

from pathlib import Path

import filed_reports
import pytest
from chromium import LOOKS, Shown
from report_frames import results, write

from bulk_sync.rows import columns


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the reports before the browser starts."""
    folder = tmp_path_factory.mktemp("filed")
    filed_reports.write_all(folder)
    return folder


def test_axe_finds_the_violations_of_an_unreadable_page(shown: Shown) -> None:
    shown.page.set_content("<p style='color: #bbb'>Pale words on white</p>")
    assert {"color-contrast", "document-title", "html-has-lang"} == {
        violation.partition(":")[0] for violation in shown.violations()
    }


@pytest.mark.parametrize("report", filed_reports.REPORTS)
def test_it_has_no_violations_and_sends_no_request(shown: Shown, folder: Path, report: str) -> None:
    address = (folder / f"{report}.html").as_uri()
    shown.page.goto(address)
    for look in LOOKS:
        shown.look(look)
        assert shown.violations() == []
    assert shown.requests == [address]
    assert shown.complaints == []


def test_a_click_on_a_long_key_selects_all_of_it(shown: Shown, folder: Path) -> None:
    keys = [f"@{letter * 84}" for letter in "abc"]
    write(results(3, ours={columns.KEY: keys}), folder / "keys.html")
    shown.page.goto((folder / "keys.html").as_uri())
    cell = shown.page.locator("td", has_text=keys[1])
    width = cell.evaluate("cell => cell.offsetWidth")
    assert width < 300
    cell.click()
    assert shown.page.evaluate("getSelection().toString()") == keys[1]


@pytest.mark.parametrize("report", filed_reports.REPORTS)
def test_on_a_narrow_screen_only_labelled_regions_scroll_sideways(
    shown: Shown, folder: Path, report: str
) -> None:
    shown.page.set_viewport_size({"width": 320, "height": 800})
    shown.page.goto((folder / f"{report}.html").as_uri())
    shown.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 320
    assert shown.page.evaluate(_UNLABELLED_REGIONS) == []


@pytest.mark.parametrize("report", ["verdict", "plan", "result", "stopped", "audit"])
def test_the_keyboard_alone_opens_folded_sections(shown: Shown, folder: Path, report: str) -> None:
    shown.page.goto((folder / f"{report}.html").as_uri())
    folded = shown.page.locator("summary").count()
    assert folded
    for _ in range(200):
        shown.page.keyboard.press("Tab")
        if shown.page.evaluate("document.activeElement.matches('details:not([open]) > summary')"):
            shown.page.keyboard.press("Enter")
        if shown.page.locator("details[open]").count() == folded:
            return
    pytest.fail("Tab does not lead to everything that is folded")


_UNLABELLED_REGIONS = """
Array.from(document.querySelectorAll("body *"))
  .filter(each => each.scrollWidth > each.clientWidth + 1)
  .filter(each => ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
  .filter(each => !(each.role == "region" && each.tabIndex == 0 &&
    (each.ariaLabel || each.ariaLabelledByElements?.length)))
  .map(each => each.outerHTML.slice(0, 200))
"""
