"""Files dropped onto the page, and rejected files, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Shown
from flow import page_for
from playwright.sync_api import Page, expect
from serving import NAMES, PASSWORD, Served

from bulk_sync.simulator import Options, running
from bulk_sync.web.identity import Role

MOST = 1_000_000
WAIT_MS = 60_000


@pytest.fixture(scope="module", autouse=True)
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a page on a simulator; start it before the browser."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch, running(Options()) as sim:
        patch.setenv("HOME", str(folder))
        with page_for(sim, folder, patch, max_upload=MOST) as served:
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


def test_a_rejected_file_has_a_message_at_its_field_and_the_input_stays(
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
    shown.check()


def test_a_file_dropped_onto_the_field_is_uploaded(
    shown: Shown, served: Served, tmp_path: Path
) -> None:
    page, path = shown.page, tmp_path / "dropped.csv"
    path.write_text("PKey,Opt out\n@a,yes\n")
    begin(page, served)
    field = page.get_by_label("Spreadsheet or CSV file", exact=True)
    place = field.bounding_box()
    assert place is not None
    at = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
    dragged = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    mouse = page.context.new_cdp_session(page)
    for event in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": event, "data": dragged, **at})
    assert field.evaluate("each => each.files[0].name") == "dropped.csv"
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_role("heading", name="dropped.csv")).to_be_visible(timeout=WAIT_MS)
    assert shown.complaints == []


def test_an_upload_after_the_end_of_the_session_leads_to_the_sign_in(
    shown: Shown, served: Served, tmp_path: Path
) -> None:
    page, path = shown.page, tmp_path / "late.csv"
    path.write_text("PKey,Opt out\n@a,yes\n")
    begin(page, served)
    page.get_by_label("Spreadsheet or CSV file", exact=True).set_input_files(path)
    served.page.accounts.end_sessions(NAMES[Role.UPLOADER])
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_role("heading", name="Please sign in")).to_be_visible()
    expect(page).to_have_title("Please sign in - bulk-sync")
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    page.get_by_role("link", name="To the sign-in page").click()
    page.wait_for_url("**/sign-in?next=/uploads/new")
