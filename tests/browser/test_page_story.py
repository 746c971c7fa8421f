"""The whole story in a real browser, by keyboard alone: with the script, and without it.

With the script, the processes of the page are real; without it, their work runs in this process.

upload -> map -> correct -> compare -> ask -> another person approves -> run -> report -> history ->
undo
"""

import io
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import openpyxl
import pytest
from conftest import read_csv
from flow import page_for, without_processes
from keyboard import Reader, reader
from playwright.sync_api import Browser, expect
from serving import Served

from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.web.identity import Role


@pytest.fixture(scope="module", autouse=True)
def sim() -> Iterator[Simulator]:
    with running(Options()) as simulator:
        yield simulator


@pytest.fixture(scope="module", autouse=True)
def served(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch, page_for(sim, folder, patch) as served:
        yield served


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")


def write_requests(sim: Simulator, path: Path) -> Path:
    """Write a workbook of two opt-ins and five opt-outs, with headings of its own."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Report of November"])
    sheet.append(["Contact", "Wants"])
    for number in range(7):
        address = f"{path.stem}{number}@example.com"
        sim.add(pkey=f"@{path.stem}{number}", email=address, ccpaOptOut=number < 2)
        sheet.append([address, "no" if number < 2 else "yes"])
    sheet["B5"] = "perhaps"
    book.save(path)
    return path


def upload_and_compare(ana: Reader, path: Path, job: str) -> str:
    """Upload, choose columns, correct, upload again and compare; return the path of the plan."""
    status = ana.page.get_by_role("status")
    ana.go("New upload", "uploads/new")
    ana.choose_file(path)
    ana.type("Job", job)
    ana.type("Ticket", "T-12")
    ana.press("Check file")
    ana.wait_for(ana.page.get_by_text("The file cannot be used as it is"))
    for label, begins in (
        ("Key column", "Contact"),
        ("Keys are", "E-mail"),
        ("State column", "Wants"),
        ("Yes means", "Do not sell"),
    ):
        ana.type(label, begins)
    ana.press("Check again")
    ana.wait_for(ana.page.get_by_text("6 rows can be used, 1 cannot."))
    bad = ana.page.get_by_role("row").filter(has_text="perhaps").filter(has_text="✗ wrong")
    expect(bad).to_contain_text("which is neither yes nor no")
    marked = ana.download("Rows to correct")
    assert marked.suggested_filename == f"{path.stem}.rows-to-correct.xlsx"
    book = openpyxl.load_workbook(io.BytesIO(marked.path().read_bytes()))
    (sheet,) = (each for each in book if each["A2"].value == "Contact")
    sheet["B5"] = "yes"
    book.save(path)
    ana.go("Upload the corrected file", "uploads/new?*")
    assert ana.page.get_by_label("Job", exact=True).input_value() == job
    assert ana.page.get_by_label("Ticket", exact=True).input_value() == "T-12"
    ana.choose_file(path)
    ana.press("Check file")
    ana.wait_for(ana.page.get_by_text("Every row can be used."))
    expect(status.first).to_contain_text("5 forbid the sale (opt-outs), 2 allow it.")
    ana.press("Compare with Campaign")
    ana.wait_for(ana.button("Ask for approval"))
    return ana.page.url


def ask_for_approval(ana: Reader) -> None:
    ana.wait_for(ana.button("Ask for approval"))
    ana.type("Comment", "From the privacy desk")
    ana.press("Ask for approval")
    ana.page.get_by_text("Approval was asked for.").wait_for()


def approve(ben: Reader) -> str:
    """Approve the waiting plan, and return the address of its run."""
    ben.go("bulk-sync", "")
    ben.go("A plan to approve", "plans/*")
    if ben.has_script:
        ben.look_at_opt_ins()
    else:  # what is typed first stays
        ben.type("Comment", "Checked")
        ben.look_at_opt_ins()
        expect(ben.page.get_by_label("Comment")).to_have_value("Checked")
    ben.press("Approve and apply")
    return ben.wait_for_run()


def story_of(reader: Reader, address: str) -> list[dict[str, str]]:
    """Search for a person, and return the table of events, the oldest first."""
    reader.go("One person", "people")
    reader.type("Key or e-mail", address)
    reader.press("Search")
    reader.wait_for(reader.page.get_by_role("heading", name=f"The story of {address}"))
    table = reader.page.get_by_role("table")
    names = table.locator("thead th").all_inner_texts()
    rows = table.locator("tbody tr").all()
    return [dict(zip(names, row.locator("th, td").all_inner_texts(), strict=True)) for row in rows]


@pytest.mark.parametrize("has_script", [True, False], ids=["with the script", "without it"])
def test_from_the_spreadsheet_to_the_undo_by_keyboard_alone(
    browser: Browser, sim: Simulator, served: Served, tmp_path: Path, has_script: bool
) -> None:
    sim.profiles.clear()
    path = write_requests(sim, tmp_path / ("script.xlsx" if has_script else "plain.xlsx"))
    before, address = dict(sim.states), f"{path.stem}1@example.com"
    with (
        nullcontext() if has_script else without_processes(),
        reader(browser, served, Role.UPLOADER, has_script=has_script) as ana,
        reader(browser, served, Role.APPROVER, has_script=has_script) as ben,
    ):
        upload_and_compare(ana, path, path.stem)
        ask_for_approval(ana)
        run = approve(ben)
        assert list(sim.states.values()) == [False] * 2 + [True] * 5
        report = ben.download("Report (CSV)")
        assert report.suggested_filename.endswith(".results.csv")
        assert [row["sync_outcome"] for row in read_csv(report.path())] == ["updated"] * 7
        (event,) = story_of(ben, address)
        assert (
            event.items()
            >= {
                "Outcome": "✓ updated",
                "Before": "true",
                "After": "false",
                "Prepared by": "Ana Diaz",
                "Approved by": "Ben Miller",
            }.items()
        )
        ana.page.goto(run)
        ana.press("Undo this run")
        ask_for_approval(ana)
        approve(ben)
        assert sim.states == before
        ana.page.goto(run)
        ana.page.get_by_text("Its changes were put back by").wait_for()
        assert [event["After"] for event in story_of(ana, address)] == ["false", "true"]
