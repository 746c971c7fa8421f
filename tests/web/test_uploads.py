"""Uploads: kept and recorded before any check, then checked, mapped, corrected and compared."""

import io
import os
import re
import signal
import socket
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from html import unescape
from itertools import count
from select import select
from typing import Final

import openpyxl
import pytest
import requests
import workbook_kinds
from conftest import populate
from flow import page_for, without_processes
from full_disk import full_disk
from serving import Served, wait_for
from visitors import ANSWER_S

from bulk_sync.ledger import Act, Deed
from bulk_sync.report import marked
from bulk_sync.rows import expand, request_order
from bulk_sync.rows.plan_limits import MIGRATED
from bulk_sync.rows.request_order import DatedChoice, Own
from bulk_sync.simulator import Options, running
from bulk_sync.web import choices, rendering, upload_state
from bulk_sync.web.identity import Role
from bulk_sync.web.upload_state import UploadStage, UploadState

REQUESTS: Final = (
    "E-mail,Opt out,Received\n"
    "p0@example.com,yes,2026-11-20\n"
    "p1@example.com,perhaps,2026-11-21\n"
    "4.5E+11,no,2026-11-22\n"
    "nobody,,2026-11-23\n"
)
OWN: Final = Own(True, 1, 2, None, 2, "20261123T020000Z-7f3a9c")
MOST: Final = 3_000_000
NAMES: Final = (f"list{'-' * number}.csv" for number in count())
"""Each name is of another job: no file is checked with the choices for another one."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield a page whose processes work on a simulator."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch, running(Options()) as sim:
        populate(sim, 5)
        patch.setenv("HOME", str(folder))
        with page_for(sim, folder, patch, max_upload=MOST) as served:
            yield served


@pytest.fixture
def ana_with_processes(served: Served, monkeypatch: pytest.MonkeyPatch) -> requests.Session:
    """Return the session of an uploader; the page's processes take its variables."""
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")
    return served.signed_in(Role.UPLOADER)


@pytest.fixture
def ana(ana_with_processes: requests.Session) -> Iterator[requests.Session]:
    """Yield the session of an uploader; the page's processes run here."""
    with without_processes():
        yield ana_with_processes


def upload(
    session: requests.Session, served: Served, name: str, content: bytes | str, **fields: str
) -> requests.Response:
    """Upload a file, and return the next page."""
    files = {"file": (name, content)}
    return session.post(f"{served.url}/uploads/new", files=files, data=fields)


def press(session: requests.Session, answer: requests.Response, name: str, **changed: str) -> str:
    """Press a button of the form about columns; return the address of the next page."""
    found = session.post(f"{path(answer)}/{name}", data={**form(answer.text), **changed})
    assert found.status_code == 200, found.text
    return found.url


def path(answer: requests.Response) -> str:
    return answer.url.partition("?")[0]


def form(text: str) -> dict[str, str]:
    """Return the fields of the form about columns as a browser would send them."""
    fields = dict(re.findall(r'<input [^>]*name="(\w+)"[^>]* value="([^"]*)"', text))
    for name, options in re.findall(r'<select id="(\w+)".*?>(.*?)</select>', text, re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"', options)
        chosen = re.findall(r'<option value="([^"]*)" selected', options)
        fields[name] = (chosen or values)[0]
    return {name: unescape(value) for name, value in fields.items()}


def text_of(answer: requests.Response) -> str:
    """Return the visible text."""
    main = answer.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def state_of(served: Served, answer: requests.Response) -> UploadState:
    state = upload_state.read(served.page, path(answer).rpartition("/")[2])
    assert state is not None
    return state


def wait_for_check(session: requests.Session, served: Served, answer: requests.Response) -> str:
    """Wait for the end of the check, and return the visible text."""
    for job in served.page.jobs.list_about(path(answer).rpartition("/")[2]):
        wait_for(job)
    return text_of(session.get(path(answer)))


def acts(served: Served) -> Sequence[Act]:
    return [act for act in served.page.ledger.acts() if act.deed == Deed.UPLOADED]


def folders(served: Served) -> set[str]:
    return {each.name for each in (served.page.settings.folder / "uploads").glob("*")}


def test_a_file_is_kept_for_this_user_alone_and_recorded(
    served: Served, ana: requests.Session
) -> None:
    answer = upload(ana, served, "../../Liste größer.CSV", REQUESTS, job="requests", ticket="T-7")
    text = wait_for_check(ana, served, answer)
    assert text.startswith("main") or "Liste größer.CSV" in text
    assert "Job requests , ticket T-7" in text
    state = state_of(served, answer)
    kept = upload_state.path_of(served.page, state.upload)
    assert kept is not None
    assert kept.name == "upload.csv"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert kept.read_text() == REQUESTS
    (act,) = (act for act in acts(served) if act.about == state.upload.id)
    assert act.who == "Ana Diaz"
    assert act.facts["name"] == "Liste größer.CSV"
    assert act.facts["sha256"] == sha256(REQUESTS.encode()).hexdigest() == state.upload.sha256


def test_the_verdict_has_counts_and_rows_by_reason(served: Served, ana: requests.Session) -> None:
    answer = upload(ana, served, next(NAMES), REQUESTS)
    text = wait_for_check(ana, served, answer)
    assert "1 row can be used, 3 cannot" in text
    assert "1 forbids the sale (opt-outs), 0 allow it" in text
    assert "1 row: The state is neither yes nor no" in text
    assert "3 ✗ wrong p1@example.com" not in text
    assert "3 p1@example.com ✗ wrong perhaps 2026-11-21" in text
    assert "5 ✗ wrong nobody ✗ empty 2026-11-23" in text
    assert "E-mail Key column p0@example.com p1@example.com 4.5E+11" in text
    assert "<details open>" in ana.get(path(answer)).text  # rows name choices in it
    fields = form(ana.get(path(answer)).text)
    assert fields["key_column"] == "E-mail"
    assert fields["key"] == "email"
    assert fields["state_column"] == "Opt out"
    assert fields["state_means"] == "opt-out"
    assert fields["date_column"] == "Received"
    assert fields["header_row"] == "1"


def test_a_cell_of_blanks_is_empty(served: Served, ana: requests.Session) -> None:
    answer = upload(ana, served, next(NAMES), "E-mail,Opt out\np0@example.com,  \n")
    assert "2 p0@example.com ✗ empty " in wait_for_check(ana, served, answer)


def test_rows_with_doubtful_dates_are_shown_last_with_their_treatment(
    served: Served, ana: requests.Session
) -> None:
    rows = ("p0@example.com,yes,someday", "p1@example.com,yes,", "p2@example.com,no,03/04/2026",
            "p3@example.com,maybe,03/04/2026", "p2@example.com,no,03/04/2026")  # fmt: skip
    content = "\n".join(["E-mail,Opt out,Received", *rows, ""])
    answer = upload(ana, served, next(NAMES), content)
    text = wait_for_check(ana, served, answer)
    assert "3 rows can be used, 1 cannot." in text
    bad = text.index("1 row: The state is neither yes nor no")
    swapped = text.index("2 rows: Day and month of the request date could be swapped They are")
    assert bad < swapped
    assert "4 p2@example.com no ? doubtful 03/04/2026 Day and month" in text
    assert "2 p0@example.com yes ? doubtful someday The request date cannot be read" in text
    assert "worked on last." in text
    assert "in doubt the opt-out. Same key and state as row 4, which counts." in text
    one = text_of(ana.get(path(answer), params={"reason": "date"}))
    assert one.count("? doubtful") == 2


def test_each_reason_has_pages_of_50_rows(served: Served, ana: requests.Session) -> None:
    rows = "".join(f"p{row}@example.com,maybe\n" for row in range(120))
    answer = upload(ana, served, next(NAMES), f"E-mail,Opt out\n{rows}@a b,yes\n")
    wait_for_check(ana, served, answer)
    found = ana.get(path(answer), params={"reason": "bad_state", "page": "3"}).text
    numbers = re.findall(r'<th scope="row" class="n">([\d,]+)</th>', found)
    assert numbers == [str(row) for row in range(102, 122)]
    assert "Page 3 of 3" in found
    assert '?reason=bad_state&amp;page=2#bad_state">Previous 50</a>' in found
    assert "Next 50" not in found
    for odd in ("0", "-1", "x", "9" * 30, ""):
        assert ana.get(path(answer), params={"reason": "bad_state", "page": odd}).status_code == 200


def test_rows_with_one_problem_are_grouped_whatever_the_message(
    served: Served, ana: requests.Session
) -> None:
    """An invisible character has another place in each row; so has a faulty domain."""
    rows = [f"{'p' * row}\u200b@example.com,yes" for row in range(1, 31)]
    rows += [f"p{row}@-b{row}.example.com,yes" for row in range(40)]
    answer = upload(ana, served, next(NAMES), "\n".join(["E-mail,Opt out", *rows, ""]))
    text = wait_for_check(ana, served, answer)
    assert "30 rows: The key holds an invisible character, U+200B ZERO WIDTH SPACE" in text
    titles = re.findall(r"([\d,]+) rows?: ", text)
    assert len(titles) <= 12 + 1
    assert sum(map(int, titles)) == 70


def test_a_title_keeps_its_words_around_an_apostrophe(
    served: Served, ana: requests.Session
) -> None:
    answer = upload(ana, served, next(NAMES), f"PKey,Opt out\n@{'a' * 80},yes\n#REF!,maybe\n")
    text = wait_for_check(ana, served, answer)
    assert "1 row: The key is a spreadsheet's error value; it makes #NAME? of text that" in text


def test_columns_that_are_not_found_are_chosen_and_remembered_for_the_job(
    served: Served, ana: requests.Session
) -> None:
    content = "Report\n\nKontakt,Werbung\np0@example.com,yes\np1@example.com,no\n"
    answer = upload(ana, served, "x.csv", content, job="kontakte")
    text = wait_for_check(ana, served, answer)
    assert "The file cannot be used as it is" in text
    assert "x.csv: row 3 looks most like a header" in text
    assert "name it with “Key column”" in text
    assert "Choose the columns below and press Check again" in text
    assert "--" not in text
    assert "Kontakt kept, not read p0@example.com p1@example.com" in text
    assert "Compare with Campaign" not in text
    assert "An upload that cannot be used as it is x.csv" in text_of(ana.get(f"{served.url}/"))
    answer = ana.get(path(answer))
    chosen = {"key_column": "Kontakt", "key": "email", "state_column": "Werbung"}
    press(ana, answer, "check", **chosen, state_means="consent")
    text = wait_for_check(ana, served, answer)
    assert "Every row can be used" in text
    assert "1 forbids the sale (opt-outs), 1 allows it" in text
    assert state_of(served, answer).choices == {**chosen, "state_means": "consent"}
    next_one = upload(ana, served, "y.csv", f"A further line\n{content}", job="kontakte")
    assert "Every row can be used" in wait_for_check(ana, served, next_one)


@pytest.mark.parametrize(("all_rows", "is_kept"), [("allows", False), ("forbids", True)])
def test_that_every_row_lifts_an_opt_out_is_chosen_for_each_file_of_a_job(
    served: Served, ana: requests.Session, all_rows: str, is_kept: bool
) -> None:
    job = {"job": f"list that {all_rows}"}
    answer = upload(ana, served, "list-1.csv", "E-mail\np1@example.com\n", **job)
    press(ana, ana.get(path(answer)), "check", state_column=f"every row {all_rows} the sale")
    assert "The row can be used" in wait_for_check(ana, served, answer)
    corrected = {**job, "corrects": path(answer).rpartition("/")[2]}
    for content, fields, is_read in (
        ("E-mail\np2@example.com\n", corrected, True),
        ("E-mail\np3@example.com\n", job, is_kept),
    ):
        other = upload(ana, served, "list-2.csv", content, **fields)
        assert ("The row can be used" in wait_for_check(ana, served, other)) == is_read


@pytest.mark.parametrize(("which", "is_kept"), [("last", False), ("opt-out", True)])
def test_that_the_last_of_two_states_counts_is_chosen_for_each_file_of_a_job(
    served: Served, ana: requests.Session, which: str, is_kept: bool
) -> None:
    job = {"job": f"the {which} counts"}
    answer = upload(ana, served, "pair-1.csv", "E-mail,Opt out\np1@a.com,yes\np1@a.com,no\n", **job)
    press(ana, ana.get(path(answer)), "check", on_conflict=which)
    assert "Every row can be used" in wait_for_check(ana, served, answer)
    assert "<details open>" in ana.get(path(answer)).text
    other = upload(ana, served, "pair-2.csv", "E-mail,Opt out\np2@a.com,yes\np2@a.com,no\n", **job)
    assert ("Every row can be used" in wait_for_check(ana, served, other)) == is_kept


def test_the_other_rows_of_a_csv_file_are_asked_for_until_they_are_compared(
    served: Served, ana: requests.Session
) -> None:
    def waiting() -> list[str]:
        text = text_of(ana.get(f"{served.url}/"))
        return re.findall(r"An upload to compare with Campaign (two\S+|all\S+)", text)

    content = f"PKey,Opt out\n@{'k' * 80},yes\n@{'m' * 80},{{}}\n"
    whole = upload(ana, served, "two.csv", content.format("maybe"))
    wait_for_check(ana, served, whole)
    rows = ana.get(f"{path(whole)}/rows-to-correct").text.replace("maybe", "yes")
    corrects = {"corrects": path(whole).rpartition("/")[2]}
    part = upload(ana, served, "part.csv", rows, **corrects)
    assert "Compare two.csv too" in wait_for_check(ana, served, part)
    assert waiting() == ["two.csv:"]
    again = upload(ana, served, "all.csv", content.format("yes"), **corrects)
    assert "Compare two.csv too" not in wait_for_check(ana, served, again)
    assert waiting() == ["all.csv,"]


def test_the_column_of_keys_is_proposed_if_that_of_states_is_not_found(
    served: Served, ana: requests.Session
) -> None:
    content = f"Name,PKey,Wants\nAnn,@{'k' * 80},yes\n"
    answer = upload(ana, served, next(NAMES), content)
    assert "name it with “State column”" in wait_for_check(ana, served, answer)
    answer = ana.get(answer.url)
    assert form(answer.text)["key_column"] == "PKey"
    press(ana, answer, "check", state_column="Wants", state_means="opt-out")
    assert "The row can be used" in wait_for_check(ana, served, answer)
    assert "key_column" not in state_of(served, answer).choices


def test_the_order_of_doubtful_dates_is_stated_where_they_are_shown_and_remembered_for_the_job(
    served: Served, ana: requests.Session
) -> None:
    content = "E-mail,Opt out,Received\np0@example.com,yes,2026-04-03\np1@example.com,no,{}\n"
    answer = upload(ana, served, "x.csv", content.format("3/14/2026"), job="stated")
    text = wait_for_check(ana, served, answer)
    assert "? doubtful 2026-04-03" in text
    assert f"say so with “Day and month: {choices.ORDER['month-first']}”" in text
    assert "--" not in text
    press(ana, ana.get(path(answer)), "check", date_order="month-first")
    text = wait_for_check(ana, served, answer)
    assert "doubtful" not in text
    assert "'Received', read as month/day/year, as stated, and real dates as they are." in text
    next_one = upload(ana, served, "y.csv", content.format("5/14/2026"), job="stated")
    assert "as stated" in wait_for_check(ana, served, next_one)
    assert form(ana.get(path(next_one)).text)["date_order"] == "month-first"
    press(ana, ana.get(path(next_one)), "check", date_order="")
    assert "? doubtful 2026-04-03" in wait_for_check(ana, served, next_one)


def test_choices_that_do_not_fit_another_file_of_the_job_are_forgotten(
    served: Served, ana: requests.Session
) -> None:
    answer = upload(ana, served, "x.csv", "Kontakt,Werbung\np0@example.com,yes\n", job="odd")
    wait_for_check(ana, served, answer)
    chosen = {"key_column": "Kontakt", "key": "email", "state_column": "Werbung"}
    press(ana, ana.get(path(answer)), "check", **chosen, state_means="opt-out")
    assert "The row can be used" in wait_for_check(ana, served, answer)
    other = upload(ana, served, "y.csv", "PKey,Opt out\n@a,yes\n", job="odd")
    while len(served.page.jobs.list_about(path(other).rpartition("/")[2])) < 2:
        threading.Event().wait(0.01)
    assert "The row can be used" in wait_for_check(ana, served, other)
    assert state_of(served, other).choices == {}


def test_a_new_sheet_is_chosen_with_its_own_columns(served: Served, ana: requests.Session) -> None:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.title = "Old"
    other = book.create_sheet("New")
    for sheet, name in ((first, "PKey"), (other, "Customer e-mail")):
        sheet.append([name, "Opt out"])
        sheet.append(["@a" if name == "PKey" else "p0@example.com", "yes"])
    file = io.BytesIO()
    book.save(file)
    answer = upload(ana, served, "two.xlsx", file.getvalue())
    assert "only the sheet 'Old' was read" in wait_for_check(ana, served, answer)
    answer = ana.get(path(answer))
    press(ana, answer, "check", sheet="New")
    wait_for_check(ana, served, answer)
    fields = form(ana.get(path(answer)).text)
    assert (fields["sheet"], fields["key_column"], fields["key"]) == (
        "New", "Customer e-mail", "email",
    )  # fmt: skip


def test_a_sheet_that_the_form_proposes_is_taken_by_pressing_check_again(
    served: Served, ana: requests.Session
) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Requests of the year"])
    for month in ("October", "November"):
        sheet = book.create_sheet(month)
        sheet.append(["E-mail", "Opt out"])
        sheet.append([f"{month}@example.com", "yes"])
    file = io.BytesIO()
    book.save(file)
    answer = upload(ana, served, "months.xlsx", file.getvalue())
    assert "more than one row could be the header" in wait_for_check(ana, served, answer)
    answer = ana.get(path(answer))
    assert form(answer.text)["sheet"] == "October"
    press(ana, answer, "check")
    assert "The row can be used" in wait_for_check(ana, served, answer)


def test_a_header_below_data_is_chosen_by_a_person(served: Served, ana: requests.Session) -> None:
    name, content = next(NAMES), "a@b.com,yes\nE-mail,Opt out\np0@example.com,yes\n"
    answer = upload(ana, served, name, content)
    assert "look like data" in wait_for_check(ana, served, answer)
    answer = ana.get(path(answer))
    assert form(answer.text)["header_row"] == ""
    press(ana, answer, "check")
    assert "look like data" in wait_for_check(ana, served, answer)
    press(ana, answer, "check", header_row="2", state_column="Opt out")
    assert "The row can be used" in wait_for_check(ana, served, answer)


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("week 47.csv", "week"),
        ("week 47.20261129T101139Z-cbccb8.todo.csv", "week.todo"),
    ],
)
def test_the_job_of_a_file_is_that_of_the_command_line(
    served: Served, ana: requests.Session, name: str, job: str
) -> None:
    answer = upload(ana, served, name, "PKey,Opt out\n@a,yes\n")
    assert state_of(served, answer).upload.job == job


def test_capitals_in_addresses_count_until_a_person_chooses(
    served: Served, ana: requests.Session
) -> None:
    content = "E-mail,Opt out\nP3@EXAMPLE.COM,yes\np4@example.com,yes\np4@example.com,no\n"
    answer = upload(ana, served, next(NAMES), content)
    verdict = wait_for_check(ana, served, answer)
    assert "count with “One key with two states: The opt-out counts”." in verdict
    exact = press(ana, ana.get(path(answer)), "compare")
    wait_for_check(ana, served, ana.get(exact))
    assert "as one with “Capitals in addresses: Do not count”." in text_of(ana.get(exact))
    press(ana, ana.get(path(answer)), "check", email_case="ignore")
    wait_for_check(ana, served, answer)
    checked = ana.get(path(answer))
    assert form(checked.text)["email_case"] == "ignore"
    plan = press(ana, checked, "compare")
    wait_for_check(ana, served, ana.get(plan))
    assert "1 of 3 rows would be changed in Campaign" in text_of(ana.get(plan))


@pytest.mark.parametrize(
    ("states", "day", "is_link", "is_button", "is_next"),
    [
        pytest.param(["yes", "no"], "2026-11-20", False, False, True, id="every-row-good"),
        pytest.param(["yes", "no"], "someday", True, False, True, id="doubtful-dates"),
        pytest.param(["yes", "perhaps"], "2026-11-20", True, True, False, id="one-bad"),
    ],
)
def test_rows_to_correct_are_offered_only_if_there_are_any(
    served: Served,
    ana: requests.Session,
    states: Sequence[str],
    day: str,
    is_link: bool,
    is_button: bool,
    is_next: bool,
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["E-mail", "Opt out", "Received"])
    for number, state in enumerate(states):
        sheet.append([f"p{number}@example.com", state, day])
    book.create_sheet("Cover").append(["a note about another sheet"])
    file = io.BytesIO()
    book.save(file)
    answer = upload(ana, served, "some.xlsx", file.getvalue())
    text = wait_for_check(ana, served, answer)
    html = ana.get(path(answer)).text
    assert ("/rows-to-correct" in html) == is_link
    assert ('class="button" href' in html) == is_button
    assert ("then press Compare with Campaign" in text) == is_next


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("xlsx", "Your own workbook, with the cells to correct"),
        ("xls", "Your list as an .xlsx, without formats, formulas and other sheets,"),
        ("ods", "Your list as an .xlsx, without formats, formulas and other sheets,"),
    ],
)
def test_the_rows_to_correct_have_a_fitting_label(
    served: Served, ana: requests.Session, end: str, says: str
) -> None:
    content = (workbook_kinds.FOLDER / f"signed.{end}").read_bytes()
    answer = upload(ana, served, f"signed.{end}", content)
    assert says in wait_for_check(ana, served, answer)


def test_the_marks_missing_in_a_long_workbook_are_not_mentioned(
    served: Served, ana: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marked, "MOST_ROWS", 1)
    content = (workbook_kinds.FOLDER / "signed.xlsx").read_bytes()
    answer = upload(ana, served, "long.xlsx", content)
    text = wait_for_check(ana, served, answer)
    assert "Rows to correct Upload the corrected file Just these rows, with the reasons." in text
    assert "a new workbook" not in text


def test_a_file_is_corrected_and_compared_with_job_and_ticket_kept(
    served: Served, ana_with_processes: requests.Session
) -> None:
    ana = ana_with_processes
    answer = upload(ana, served, "requests.csv", REQUESTS, job="nightly", ticket="T-9")
    wait_for_check(ana, served, answer)
    todo = ana.get(f"{path(answer)}/rows-to-correct")
    assert todo.headers["Content-Disposition"].startswith("attachment;")
    assert "requests.rows-to-correct.csv" in todo.headers["Content-Disposition"]
    assert len(todo.text.splitlines()) == 4
    page = ana.get(
        f"{served.url}/uploads/new", params={"corrects": path(answer).rpartition("/")[2]}
    )
    assert 'value="nightly"' in page.text
    assert 'value="T-9"' in page.text
    assert page.text.count('maxlength="200"') == 2  # of job and ticket: nothing is cut off unseen
    fields = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]+)"', page.text))
    mended = re.sub(r"\n4.5E\+11,", "\np2@example.com,", todo.text)
    mended = re.sub(r"\nnobody,,", "\np3@example.com,yes,", mended).replace(",perhaps,", ",yes,", 1)
    second = upload(ana, served, "fixed.csv", mended, **fields)
    text = wait_for_check(ana, served, second)
    assert "Every row can be used" in text
    assert "Corrects requests.csv" in text
    assert "A corrected file was uploaded" in text_of(ana.get(path(answer)))
    plan = press(ana, ana.get(path(second)), "compare")
    assert plan.startswith(f"{served.url}/plans/")
    paper = served.page.paperwork.plan(plan.rpartition("/")[2])
    assert paper is not None
    assert (paper.who, paper.upload) == ("Ana Diaz", path(second).rpartition("/")[2])
    wait_for_check(ana, served, ana.get(plan))
    (run,) = (run for run in served.page.ledger.runs() if run.begun.job == "nightly")
    assert run.begun.settings["ticket"] == "T-9"
    assert run.begun.settings["prepared_by"] == "Ana Diaz"
    assert run.begun.rows == 3


def test_comparing_twice_makes_one_plan(served: Served, ana: requests.Session) -> None:
    content = "E-mail,Opt out,May sell\np0@example.com,yes,no\np1@example.com,no,no\n"
    answer = upload(ana, served, next(NAMES), content)
    wait_for_check(ana, served, answer)
    seen = ana.get(path(answer))
    changed = press(ana, seen, "compare", state_column="May sell", state_means="consent")
    assert changed == f"{path(answer)}?note=checked-again"
    assert "2 forbid the sale" in wait_for_check(ana, served, answer)
    assert press(ana, seen, "compare") == f"{path(answer)}?note=checked-since"
    seen = ana.get(path(answer))
    plans = {press(ana, seen, "compare") for _ in range(2)}
    assert len(plans) == 1
    assert len(served.page.paperwork.plans(upload=state_of(served, answer).upload.id)) == 1


def test_a_plan_names_a_newer_one_of_the_same_upload(served: Served, ana: requests.Session) -> None:
    content = "E-mail,Opt out,May sell\np0@example.com,yes,yes\np1@example.com,no,no\n"
    answer = upload(ana, served, next(NAMES), content)
    older = press(ana, ana.get(path(answer)), "compare")
    consent = {"state_column": "May sell", "state_means": "consent"}
    press(ana, ana.get(path(answer)), "check", **consent)
    newer = press(ana, ana.get(path(answer)), "compare")
    assert "There is a newer plan of this upload" in text_of(ana.get(older))
    assert f'href="{newer.removeprefix(served.url)}">show it' in ana.get(older).text
    assert "There is a newer plan" not in text_of(ana.get(newer))


def test_a_plan_names_a_corrected_file_that_was_uploaded_since(
    served: Served, ana: requests.Session
) -> None:
    content = "E-mail,Opt out\np0@example.com,yes\np1@example.com,no\n"
    answer = upload(ana, served, next(NAMES), content)
    plan = press(ana, ana.get(path(answer)), "compare")
    assert "A corrected file" not in text_of(ana.get(plan))
    fields = {"corrects": path(answer).rpartition("/")[2]}
    second = upload(ana, served, "mended.csv", content.replace("no", "yes"), **fields)
    assert "A corrected file was uploaded by Ana Diaz" in text_of(ana.get(plan))
    assert f'href="{path(second).removeprefix(served.url)}">mended.csv' in ana.get(plan).text


def test_a_file_uploaded_twice_is_shown_as_such_to_uploaders_and_approvers(
    served: Served, ana: requests.Session
) -> None:
    content, name = "E-mail,Opt out\np4@example.com,yes\n", next(NAMES)
    first = upload(ana, served, name, content)
    assert "The same file" not in text_of(first)
    second = upload(served.signed_in(Role.ADMIN), served, name, content)
    assert "The same file was uploaded by Ana Diaz" in text_of(second)
    assert f'href="{path(second).removeprefix(served.url)}"' in ana.get(path(first)).text
    plan = press(ana, ana.get(path(first)), "compare")
    ben = served.signed_in(Role.APPROVER)
    assert "The same file was uploaded by Ida Berg" in text_of(ben.get(plan))


@pytest.mark.parametrize("is_checked_again", [False, True], ids=["", "checked again"])
def test_a_file_that_was_changed_on_the_disk_makes_no_plan_until_it_is_the_uploaded_one(
    served: Served, ana: requests.Session, is_checked_again: bool
) -> None:
    content = "E-mail,Opt out\np0@example.com,yes\np1@example.com,yes\n"
    answer = upload(ana, served, next(NAMES), content)
    file = upload_state.path_of(served.page, state_of(served, answer).upload)
    assert file is not None
    file.write_text(content.replace("yes", "no"))
    if is_checked_again:
        press(ana, ana.get(path(answer)), "check")
    plan = press(ana, ana.get(path(answer)), "compare")
    shown = text_of(ana.get(plan))
    assert "There is no plan. The file on the server was changed after it was uploaded" in shown
    assert ana.post(f"{plan}/ask").status_code == 409
    file.write_text(content)
    ana.post(f"{plan}/again")
    assert "2 of 2 rows would be changed" in text_of(ana.get(plan))


def test_a_check_that_was_killed_is_shown_and_made_again(
    served: Served, ana_with_processes: requests.Session
) -> None:
    ana = ana_with_processes
    answer = upload(ana, served, next(NAMES), REQUESTS)
    wait_for_check(ana, served, answer)
    state = state_of(served, answer)
    job = upload_state.check(served.page, state.upload, "Ana Diaz", {})
    os.kill(job.pid, signal.SIGKILL)
    assert "The check broke off" in wait_for_check(ana, served, answer)
    press(ana, ana.get(path(answer)), "check")
    assert "1 row can be used, 3 cannot" in wait_for_check(ana, served, answer)


def test_a_check_for_which_there_is_no_room_is_no_bug(
    served: Served, ana: requests.Session
) -> None:
    answer = upload(ana, served, next(NAMES), REQUESTS)
    fresh = served.signed_in(Role.UPLOADER)  # an older one would be noted as seen
    with full_disk(0):
        refused = fresh.post(f"{path(answer)}/check", data=form(answer.text))
    assert refused.status_code == 503
    assert "there must be room" in text_of(refused)
    press(fresh, answer, "check")
    assert "1 row can be used, 3 cannot" in wait_for_check(fresh, served, answer)


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", b"<a>" + b" " * 300_000_000)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bomb.xlsx", bomb, "bomb.xlsx"),
        ("locked.xlsx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "locked.xlsx"),
        ("list.csv", lambda: b"%PDF-1.7 \0", "list.csv is not text: it looks like a PDF"),
        ("none.csv", lambda: b"PKey,Opt out\n", "none.csv has a header but no data rows"),
        ("open.csv", lambda: b'PKey,Opt out\n@a,yes\n"@b,no\n', "the quote that opens in line 3"),
        ("book.xlsx", lambda: b"PKey,Opt out\n@a,yes\n", "book.xlsx is no workbook, although its"),
        ("rows.parquet", lambda: b"PAR1 or not", "rows.parquet"),
    ],
)
def test_files_that_the_command_line_refuses_have_its_message_without_a_path(
    served: Served, ana: requests.Session, name: str, content: object, says: str
) -> None:
    assert callable(content)
    answer = upload(ana, served, name, content())
    text = wait_for_check(ana, served, answer)
    assert state_of(served, answer).stage is UploadStage.UNREADABLE
    assert says in text
    assert "Choose the columns" not in text
    has_columns = name in {"none.csv", "open.csv"}
    assert ("Check again" in text) == has_columns  # else there is nothing to choose
    assert str(served.page.settings.folder) not in answer.text + text


@pytest.mark.parametrize(
    ("name", "content", "status", "says"),
    [
        ("", b"", 400, "Choose a file."),
        ("list.csv", b"", 400, "This file is empty."),
        ("macros.xlsm", b"PK\x03\x04", 415, "A file that ends in .xlsm cannot be read."),
        ("list", b"PKey\n", 415, "without an ending such as .xlsx"),
        (".csv", b"PKey\n", 415, "without an ending"),
        ("a.csv.exe", b"MZ", 415, "A file that ends in .exe cannot be read."),
        ("big.csv", b"x" * (MOST + 1), 413, "at most 3 MB can be uploaded"),
        ("big.exe", b"x" * (MOST * 6), 415, "A file that ends in .exe cannot be read."),
    ],
)
def test_rejected_files_have_a_message_at_the_field_and_the_input_stays(
    served: Served, ana: requests.Session, name: str, content: bytes, status: int, says: str
) -> None:
    before, known = folders(served), len(acts(served))
    answer = upload(ana, served, name, content, job="My job", ticket="T-3")
    assert answer.status_code == status
    assert says in text_of(answer)
    assert 'value="My job"' in answer.text
    assert 'value="T-3"' in answer.text
    assert re.search(r'type="file"[^>]* autofocus aria-invalid="true"', answer.text)
    assert (folders(served), len(acts(served))) == (before, known)


@pytest.mark.parametrize(
    "fields",
    [{"file": (None, "text")}, {str(number): (None, "x") for number in range(30)}, {}],
    ids=["no file", "many fields", "no form"],
)
def test_other_forms_are_no_upload(
    served: Served, ana: requests.Session, fields: dict[str, tuple[None, str]]
) -> None:
    before = folders(served)
    answer = ana.post(f"{served.url}/uploads/new", files=fields)
    assert answer.status_code == 400
    assert folders(served) == before


def test_an_upload_is_written_as_it_arrives_and_removed_if_it_breaks_off(
    served: Served, ana: requests.Session
) -> None:
    before, folder = folders(served), served.page.settings.folder / "uploads"
    recorded = len(acts(served))
    with sending(ana, served, MOST) as connection:
        connection.sendall(b"PKey,Opt out\n" * 200_000)
        while not any(
            file.stat().st_size
            for file in folder.glob("*/upload.csv")
            if file.parent.name not in before
        ):
            threading.Event().wait(0.01)
    while folders(served) != before:
        threading.Event().wait(0.01)
    assert len(acts(served)) == recorded


def test_a_file_without_end_is_answered_before_its_end(
    served: Served, ana: requests.Session
) -> None:
    before, most = folders(served), MOST * 40
    with sending(ana, served, most) as connection:
        sent = 0
        while sent < most and not select([connection], [], [], 0)[0]:
            sent += connection.send(b"PKey,Opt out\n" * 20_000)
        answer = connection.recv(100)
    assert answer.startswith(b"HTTP/1.1 413")
    assert sent < most
    assert folders(served) == before


@contextmanager
def sending(session: requests.Session, served: Served, size: int) -> Iterator[socket.socket]:
    """Begin to upload a file byte by byte, in a form of a size."""
    host, port = served.url.removeprefix("http://").split(":")
    cookie = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    head = (
        f"POST /uploads/new HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
        "Sec-Fetch-Site: same-origin\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), ANSWER_S) as connection:
        connection.sendall(head.encode() + body)
        yield connection


def test_the_template_is_read_without_a_choice(served: Served, ana: requests.Session) -> None:
    file = ana.get(f"{served.url}/uploads/template")
    book = openpyxl.load_workbook(io.BytesIO(file.content))
    for column, value in enumerate(("p0@example.com", "yes", "2026-11-20"), 1):
        book["Requests"].cell(2, column, value)
    filled = io.BytesIO()
    book.save(filled)
    answer = upload(ana, served, "filled.xlsx", filled.getvalue())
    text = wait_for_check(ana, served, answer)
    assert "✓ The row can be used." in text
    assert "To read another one" not in text
    fields = form(ana.get(path(answer)).text)
    assert (fields["key_column"], fields["date_column"]) == ("E-mail", "Request date")


def test_a_viewer_reads_but_does_not_upload_check_or_compare(
    served: Served, ana: requests.Session
) -> None:
    answer = upload(ana, served, next(NAMES), REQUESTS)
    wait_for_check(ana, served, answer)
    viewer = served.signed_in(Role.VIEWER)
    shown = viewer.get(path(answer))
    assert shown.status_code == 200
    assert "Check again</button>" not in shown.text
    assert viewer.get(f"{served.url}/uploads/new").status_code == 403
    for name in ("check", "compare", "discard"):
        assert viewer.post(f"{path(answer)}/{name}", data={}).status_code == 403


def test_a_wrong_file_is_discarded_with_what_was_found_in_it(
    served: Served, ana: requests.Session
) -> None:
    name = next(NAMES)
    answer = upload(ana, served, name, REQUESTS, job="wrong")
    wait_for_check(ana, served, answer)
    upload_id = state_of(served, answer).upload.id
    found = [job.folder for job in served.page.jobs.list_about(upload_id)]
    assert all(folder.exists() for folder in found)
    assert name in ana.get(served.url).text
    gone = ana.post(f"{path(answer)}/discard")
    for said in ("The file is discarded.", "The file is no longer kept."):
        assert said in text_of(gone)
    assert upload_id not in folders(served)
    assert not any(folder.exists() for folder in found)
    assert name not in ana.get(served.url).text
    assert ana.post(f"{path(answer)}/compare", data=form(answer.text)).status_code == 410
    assert ana.post(f"{path(answer)}/discard").status_code == 200
    deeds = [act.deed for act in served.page.ledger.acts() if act.about == upload_id]
    assert sorted(deeds) == [Deed.DISCARDED, Deed.UPLOADED]


def test_a_file_is_discarded_by_the_person_who_uploaded_it_or_an_admin(
    served: Served, ana: requests.Session
) -> None:
    ida = served.signed_in(Role.ADMIN)
    answers = [upload(each, served, next(NAMES), REQUESTS) for each in (ida, ana)]
    for session, answer in zip((ida, ana), answers, strict=True):
        wait_for_check(session, served, answer)
    assert "Discard this file" not in ana.get(path(answers[0])).text
    refused = ana.post(f"{path(answers[0])}/discard")
    assert refused.status_code == 403
    assert "Only Ida Berg or an admin can discard it." in text_of(refused)
    assert "Discard this file" in ida.get(path(answers[1])).text
    assert "no longer kept" in text_of(ida.post(f"{path(answers[1])}/discard"))


def test_a_file_that_was_compared_is_not_discarded(served: Served, ana: requests.Session) -> None:
    answer = upload(ana, served, next(NAMES), REQUESTS)
    wait_for_check(ana, served, answer)
    press(ana, answer, "compare")
    assert "Discard this file" not in ana.get(path(answer)).text
    refused = ana.post(f"{path(answer)}/discard")
    assert refused.status_code == 409
    assert "This file was compared with Campaign, so it is kept." in text_of(refused)
    assert state_of(served, answer).usable


def test_a_discarded_correction_leaves_the_file_to_be_corrected(
    served: Served, ana: requests.Session
) -> None:
    name = next(NAMES)
    answer = upload(ana, served, name, "PKey,ccpaOptOut\n@a,maybe\n", job="corrections")
    wait_for_check(ana, served, answer)
    upload_id = path(answer).rpartition("/")[2]
    fixed = upload(ana, served, next(NAMES), REQUESTS, corrects=upload_id)
    wait_for_check(ana, served, fixed)
    assert name not in ana.get(served.url).text
    ana.post(f"{path(fixed)}/discard")
    assert name in ana.get(served.url).text
    assert "A corrected file was uploaded" not in ana.get(path(answer)).text


def test_unknown_uploads_are_not_found(served: Served, ana: requests.Session) -> None:
    for name in ("nope", "..%2f..%2fetc", "%00"):
        assert ana.get(f"{served.url}/uploads/{name}").status_code == 404
        assert ana.get(f"{served.url}/uploads/{name}/rows-to-correct").status_code == 404


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("name it with --key-column.", "name it with “Key column”."),
        ("add --header-row 3.", "put 3 into “Header row”."),
        ("add --date-column 'Came in'.", "put 'Came in' into “Request date”."),
        ("as one with --email-case ignore.", "as one with “Capitals in addresses: Do not count”."),
        ("each, and `bulk-sync holidays` lists the days that do not count.", "each."),
        ("add --state-means consent,", f"choose “Yes means: {choices.MEANS['consent']}”,"),
        ("--key-column and --key email", "“Key column” and “Keys are: E-mail addresses”"),
        ("Leave out --state, or", "Leave out “State column”, or"),
        ("with --blank-state skip.", f"with “Empty states: {choices.BLANK['skip']}”."),
        ("add --true-values DNS; if", "put DNS into “Words that forbid the sale”; if"),
        (
            """add --true-values 'Opted out' --false-values 'It'"'"'s ok'.""",
            "put Opted out into “Words that forbid the sale” and It's ok into “{}”.".format(
                choices.LABELS["false_values"]
            ),
        ),
        ("""add --date-column 'Day'"'"'s end'.""", 'put "Day\'s end" into “Request date”.'),
        ("add --date-column Req.Date.", "put Req.Date into “Request date”."),
        (
            "delete these rows, or write no opt-in at all with --hold-opt-ins --max-opt-ins 0.",
            "delete these rows.",
        ),
        ("a key-column, --verify", "a key-column, --verify"),
        ("Stopped by SIGTERM, before it began.", "The machine stopped it, before it began."),
        ("10 calls are spent (--max-calls). Go", "10 calls are spent. Go"),
    ],
)
def test_messages_name_the_fields_of_the_page(text: str, instead: str) -> None:
    assert choices.in_words(text) == instead


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (expand.ambiguous(2).detail, "or ask the person who looks after this page to"),
        (request_order.sentence(DatedChoice(0)), "if so, ask the person who looks after"),
        (
            request_order.sentence(DatedChoice(0, OWN)),
            "If it is later, write its date into the file",
        ),
        (MIGRATED, "the person who looks after this page can find the new ones by another column"),
    ],
    ids=["ambiguous", "changed elsewhere", "carried out", "migrated"],
)
def test_the_outcome_of_a_row_is_explained_without_options_and_commands(
    text: str, advice: str
) -> None:
    shown = choices.in_words(text)
    assert advice in shown
    assert "bulk-sync" not in shown
    assert not re.search(r"--(?!key)", shown)


def test_a_message_names_whom_to_ask_about_options_that_are_not_on_the_page() -> None:
    assert "names settings" in rendering.message("Wait, or let --lock-wait 30m do so.")
    assert "names settings" in rendering.message("Put a new one into BULK_SYNC_ACCESS_TOKEN.")
    assert "names settings" not in rendering.message("Choose the keys - by name - with --key.")
    asks_already = f"Wait, or ask {choices.KEEPER} for --lock-wait 30m."
    assert "names settings" not in rendering.message(asks_already)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("header_row", "abc", "Invalid value for '“Header row”'"),
        ("sheet", "--yes", "is not a workbook and has no sheets"),
        ("key", "filter:::", "“Keys are” 'filter:::'"),
        ("state_means", "<script>", "“Yes means”': '<script>' is not one of"),
        ("date_column", "\0", "the input has no such column"),
        ("true_values", "no", "'no' allows the sale"),
    ],
)
def test_odd_choices_get_a_message_and_can_be_changed_back(
    served: Served, ana: requests.Session, field: str, value: str, says: str
) -> None:
    answer = upload(ana, served, next(NAMES), REQUESTS)
    wait_for_check(ana, served, answer)
    before = form(ana.get(path(answer)).text)
    press(ana, ana.get(path(answer)), "check", **{field: value})
    assert says in wait_for_check(ana, served, answer)
    press(ana, ana.get(path(answer)), "check", **before)
    assert "1 row can be used, 3 cannot" in wait_for_check(ana, served, answer)
