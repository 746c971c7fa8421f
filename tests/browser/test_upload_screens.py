"""Uploading in a real browser: with the script and without, by keyboard, for any eyes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import LOOKS, Shown
from conftest import populate
from flow import page_before
from playwright.sync_api import Page, expect
from serving import NAMES, PASSWORD, Served

from bulk_sync.simulator import Options, running
from bulk_sync.web.identity import Role

REQUESTS = (
    "Report of November\n"
    "Contact,Wants,Received\n"
    "p0@example.com,yes,2026-11-20\n"
    "p1@example.com,perhaps,2026-11-21\n"
    "nobody,no,2026-11-22\n"
)
MOST = 1_000_000
WAIT_MS = 60_000


@pytest.fixture(scope="module", autouse=True)
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page, whose processes work on a simulator, made before the browser starts."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch, running(Options()) as sim:
        populate(sim, 5)
        patch.setenv("HOME", str(folder))
        with page_before(sim, folder, patch, max_upload=MOST) as served:
            yield served


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")


def begin(page: Page, served: Served) -> None:
    """Sign in, and open the form."""
    page.goto(served.url)
    page.get_by_label("Name").fill(NAMES[Role.UPLOADER])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="New upload").click()


def wait_for(page: Page, heading: str) -> None:
    """Wait for a heading; without the script, by loading the page again."""
    link = page.get_by_role("link", name="Show the present state")
    while link.is_visible():
        link.click()
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=WAIT_MS)


def check(shown: Shown) -> None:
    for look in LOOKS:
        shown.look(look)
        assert shown.violations() == []
    shown.look("light")


def story(page: Page, served: Served, folder: Path, job: str) -> Iterator[str]:
    """Upload, choose columns, correct, upload again, compare; yield the name of each screen."""
    path = folder / "November.csv"
    path.write_text(REQUESTS)
    begin(page, served)
    yield "form"
    page.get_by_label("Spreadsheet or CSV file", exact=True).set_input_files(path)
    page.get_by_label("Job", exact=True).fill(job)
    page.get_by_label("Ticket", exact=True).fill("T-12")
    page.get_by_role("button", name="Check file", exact=True).click()
    page.wait_for_url("**/uploads/0*", timeout=WAIT_MS)
    wait_for(page, "Columns")
    expect(page.get_by_role("status")).to_contain_text("The file cannot be used as it is")
    yield "unreadable"
    page.get_by_label("Key column", exact=True).select_option("Contact")
    page.get_by_label("State column", exact=True).select_option("Wants")
    page.get_by_label("Keys are", exact=True).select_option("email")
    page.get_by_label("Yes means", exact=True).select_option("opt-out")
    page.get_by_role("button", name="Check again", exact=True).click()
    wait_for(page, "Verdict")
    expect(page.get_by_role("status")).to_contain_text("1 row can be used, 2 cannot")
    bad = page.get_by_role("row").filter(has_text="perhaps").filter(has_text="✗ wrong")
    expect(bad).to_contain_text("which is neither yes nor no")
    yield "verdict"
    with page.expect_download() as download:
        page.get_by_role("link", name="Rows to correct", exact=True).click()
    assert download.value.suggested_filename == "November.rows-to-correct.csv"
    mended = download.value.path().read_text()
    mended = mended.replace(",perhaps,", ",yes,", 1).replace("\nnobody,", "\np2@example.com,")
    corrected = folder / "corrected.csv"
    corrected.write_text(mended)
    page.get_by_role("link", name="Upload the corrected file").click()
    assert page.get_by_label("Job", exact=True).input_value() == job
    assert page.get_by_label("Ticket", exact=True).input_value() == "T-12"
    yield "form of a corrected file"
    page.get_by_label("Spreadsheet or CSV file", exact=True).set_input_files(corrected)
    page.get_by_role("button", name="Check file", exact=True).click()
    page.wait_for_url("**/uploads/0*", timeout=WAIT_MS)
    wait_for(page, "Verdict")
    expect(page.get_by_role("status")).to_contain_text("Every row can be used")
    yield "corrected"
    page.get_by_role("button", name="Compare with Campaign", exact=True).click()
    page.wait_for_url("**/plans/0*", timeout=WAIT_MS)


def test_a_file_is_uploaded_mapped_corrected_and_compared(
    shown: Shown, served: Served, tmp_path: Path
) -> None:
    for _ in story(shown.page, served, tmp_path, "with script"):
        check(shown)
        shown.page.set_viewport_size({"width": 320, "height": 800})
        assert shown.page.evaluate("document.documentElement.scrollWidth") == 320
        shown.page.set_viewport_size({"width": 1280, "height": 800})
    assert shown.complaints == []
    assert {each.split("/")[2] for each in shown.requests} == {served.url.split("/")[2]}


def test_without_the_script_it_works_too(shown: Shown, served: Served, tmp_path: Path) -> None:
    browser = shown.page.context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False) as context, context.new_page() as page:
        assert len(list(story(page, served, tmp_path, "without"))) == 5


def test_the_keyboard_alone_uploads_chooses_and_compares(
    shown: Shown, served: Served, tmp_path: Path
) -> None:
    page, keyboard = shown.page, shown.page.keyboard
    path = tmp_path / "keyboard.csv"
    path.write_text("PKey,Opt out,May sell\n@a,yes,no\n@b,no,no\n")
    begin(page, served)
    _tab_to(page, "file")
    with page.expect_file_chooser() as chooser:
        keyboard.press("Space")
    chooser.value.set_files(path)
    _tab_to(page, "ticket")
    keyboard.type("T-1")
    keyboard.press("Enter")
    page.wait_for_url("**/uploads/0*", timeout=WAIT_MS)
    wait_for(page, "Verdict")
    _tab_to(page, "state_column")
    keyboard.type("May")
    _tab_to(page, "state_means")
    keyboard.type("May")
    keyboard.press("Tab")
    _tab_to(page, "Check again")
    keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("2 forbid the sale", timeout=WAIT_MS)
    _tab_to(page, "Compare with Campaign")
    keyboard.press("Enter")
    page.wait_for_url("**/plans/0*", timeout=WAIT_MS)


def test_a_file_that_is_not_kept_is_named_at_its_field_and_the_input_stays(
    shown: Shown, served: Served, tmp_path: Path
) -> None:
    page, macros, big = shown.page, tmp_path / "macros.xlsm", tmp_path / "big.csv"
    macros.write_bytes(b"PK\x03\x04")
    big.write_bytes(b"x" * (MOST + 1))
    begin(page, served)
    field = page.get_by_label("Spreadsheet or CSV file", exact=True)
    page.get_by_label("Job", exact=True).fill("requests")
    field.set_input_files(big)
    expect(page.locator("#file-error")).to_have_text(re.compile("at most 1 MB can be uploaded"))
    field.set_input_files(macros)
    expect(page.locator("#file-error")).to_be_hidden()
    page.get_by_role("button", name="Check file").click()
    expect(page.locator("#file-error")).to_contain_text("A file that ends in .xlsm cannot be read")
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.get_by_label("Job", exact=True).input_value() == "requests"
    check(shown)
    again = tmp_path / "list.csv"
    again.write_text("PKey,Opt out\n@a,yes\n")
    field.set_input_files(again)
    page.get_by_role("button", name="Check file").click()
    page.wait_for_url("**/uploads/0*", timeout=WAIT_MS)
    wait_for(page, "Verdict")


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until an element has the focus, by its id or its text."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("[document.activeElement.id, document.activeElement.innerText]")
        if name in focused:
            return
    raise AssertionError(name)
