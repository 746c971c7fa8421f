"""The output and the report of `validate`."""

import re
import resource
from datetime import date
from pathlib import Path

import openpyxl
import orjson
import pyarrow.parquet as pq
import pytest
from conftest import Run, read_csv

from bulk_sync.cli.arguments import given_input
from bulk_sync.cli.commands.validate import command


@pytest.fixture
def checked(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("PKey,ccpaOptOut\n@a,yes\n@b,no\n@c,yes\n@c,yes\n@d,perhaps\n@e,yes\n")
    return path


def test_it_counts_the_usable_opt_outs_and_opt_ins(checked: Path, run: Run) -> None:
    ran = run(None, "validate", checked)
    assert ran.status == 3
    (usable,) = (line for line in ran.out.splitlines() if line.startswith("  usable"))
    assert usable.split(None, 2) == [
        "usable", "4", "of these 3 forbid the sale (opt-outs), 1 allows it",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["true", "TRUE", "False"])
def test_capitals_do_not_count_in_the_state_of_all_rows(state: str) -> None:
    context = command.make_context("validate", ["in.csv", "--state", state])
    assert given_input(context.params).rules.state is (state != "False")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2_000_000_000),
        ("2g", 2_000_000_000),
        (" 1.5 GB ", 1_500_000_000),
        ("0.1TB", 100_000_000_000),
        ("500MB", 500_000_000),
        ("100mb", 100_000_000),
        ("512MiB", 536_870_912),
        ("1Gi", 1_073_741_824),
        ("100000000", 100_000_000),
        ("100000000B", 100_000_000),
    ],
)
def test_its_memory_is_a_size(text: str, expected: int) -> None:
    context = command.make_context("validate", ["in.csv", f"--memory={text}"])
    assert given_input(context.params).memory == expected


def test_its_memory_may_be_left_out() -> None:
    assert given_input(command.make_context("validate", ["in.csv"]).params).memory is None


@pytest.mark.parametrize(
    "text", ["", "many", "2 GBs", "2XB", "-2GB", "1e9", "2,5GB", "0", "0GB", "2", "99MB", "inf"]
)
def test_a_wrong_or_too_small_size_is_refused(text: str, checked: Path, run: Run) -> None:
    ran = run(None, "validate", checked, f"--memory={text}")
    assert ran.status == 2
    assert f"{text!r}: write a size such as 200MB, 1.5GB or 512MiB, at least 100MB." in ran.err


def test_the_command_that_it_suggests_has_its_memory(checked: Path, run: Run) -> None:
    checked.write_text("PKey,ccpaOptOut\n@a,yes\n")
    ran = run(None, "validate", checked, "--memory", "2GB", "--blank-state", "skip")
    assert ran.out.endswith(f"  bulk-sync plan {checked} --blank-state skip --memory 2GB\n")


def test_it_counts_them_for_scripts(checked: Path, run: Run) -> None:
    facts = orjson.loads(run(None, "validate", checked, "--summary", "json").out)
    assert {name: facts[name] for name in ("rows", "usable", "forbid", "allow", "sum")} == {
        "rows": 6, "usable": 4, "forbid": 3, "allow": 1, "sum": 6,
    }  # fmt: skip
    assert facts["outcomes"] == {"usable": 4, "duplicate": 1, "rejected": 1}


def test_its_report_has_the_outcome_usable_and_is_an_input(
    checked: Path, tmp_path: Path, run: Run
) -> None:
    run(None, "validate", checked, "--report", "judged.csv")
    rows = read_csv(tmp_path / "judged.csv")
    assert [row["sync_outcome"] for row in rows] == [
        "usable", "usable", "usable", "duplicate", "rejected", "usable",
    ]  # fmt: skip
    assert {row["sync_before"] + row["sync_after"] + row["sync_at"] for row in rows} == {""}
    again, first = (run(None, "validate", each).out for each in ("judged.csv", checked))
    assert again.splitlines()[2:-1] == first.splitlines()[2:-1]


@pytest.mark.parametrize("suffix", [".xlsx", ".html", ".parquet", ".json"])
def test_every_format_of_report_knows_usable_rows(
    suffix: str, checked: Path, tmp_path: Path, run: Run
) -> None:
    assert run(None, "validate", checked, "--report", f"judged{suffix}").status == 3
    assert (tmp_path / f"judged{suffix}").stat().st_size


def test_a_usual_workbook_needs_no_option(tmp_path: Path, run: Run) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["Customer", "E-mail", "Opt out?", "Date received", "Verified on"],
        ["Ann", "ann@example.com", "Yes", "11/03/2026", date(2026, 11, 4)],
        ["Ben", "ben@example.com", "no", "11/23/2026", date(2026, 11, 24)],
        ["Cid", "cid@example.com", "YES ", "11/05/2026", None],
        [],
        ["Total requests: 3"],
        ["Prepared by Jane Doe", None, None, "11/30/2026"],
    ):
        sheet.append(row)
    book.save(tmp_path / "requests.xlsx")
    ran = run(None, "validate", "requests.xlsx", "--report", "judged.csv")
    assert ran.status == 3
    assert "of these 2 forbid the sale (opt-outs), 1 allows it" in ran.out
    assert "WARNING" not in ran.err
    rows = read_csv(tmp_path / "judged.csv")
    assert [row["sync_due"] for row in rows] == ["2026-11-25", "", "2026-12-01", "", ""]
    assert [row["sync_reason"] for row in rows] == ["", "", "", "not_data", "not_data"]
    assert [row["sync_row"] for row in rows] == ["2", "3", "4", "6", "7"]


def test_dates_that_excel_swapped_are_named_and_marked_and_the_opt_out_counts(
    tmp_path: Path, run: Run
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["E-mail", "Opt out?", "Received", "Date"],
        ["ann@example.com", "Yes", date(2026, 4, 3), "1"],
        ["ben@example.com", "No", date(2026, 4, 3), "2"],
        ["cid@example.com", "Yes", "14/3/2026", "3"],
    ):
        sheet.append(row)
    book.save(tmp_path / "requests.xlsx")
    ran = run(None, "validate", "requests.xlsx", "--report", "j.csv", "--report", "marked.xlsx")
    assert ran.status == 0
    read_as = "request dates: 'Received', read as day/month/year with day and month in doubt in 2"
    assert read_as in ran.out
    assert "in 2 dates (row 2, row 3) day and month may have been swapped" in ran.err
    assert [row["sync_due"] for row in read_csv(tmp_path / "j.csv")] == [
        "2026-03-25", "", "2026-04-06",
    ]  # fmt: skip
    marked = openpyxl.load_workbook(tmp_path / "marked.xlsx")
    notes = [cell.comment.text for (cell,) in marked["Sheet"]["C2:C3"] if cell.comment]
    assert ["Day and month of the request date could be swapped" in note for note in notes] == [
        True,
        True,
    ]


def test_a_mere_date_is_named_with_the_option_that_uses_it(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text("PKey,Opt out,Date\n@a,yes,11/23/2026\n")
    ran = run(None, "validate", "in.csv", "--report", "judged.html")
    assert "no request dates: 'Date' not used." in ran.out
    assert "add --date-column Date." in ran.out
    assert "not used" in (tmp_path / "judged.html").read_text()
    ran = run(None, "validate", "in.csv", "--date-column", "Date")
    assert "request dates: 'Date', read as month/day/year." in ran.out


def test_the_named_option_is_enough_for_a_column_of_marks(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.csv"
    path.write_text("PKey,Do not sell,note\n@a,x,1\n@b,X,2\n@c,,3\n@d,,4\n")
    ran = run(None, "validate", path)
    assert ran.status == 3
    assert "add --true-values x;" in ran.out
    assert ran.out.splitlines()[-1].endswith(", or add such an option, and validate it again.")
    options = ("--true-values", "x", "--blank-state", "skip")
    ran = run(None, "validate", path, *options)
    assert (ran.status, "of these 2 forbid the sale (opt-outs), 0 allow it" in ran.out) == (0, True)
    plan = ran.out.splitlines()[-1]
    assert plan.endswith(" --true-values x --blank-state skip")


def test_the_message_about_a_full_disk_does_not_mention_campaign(tmp_path: Path, run: Run) -> None:
    lines = [f"@{number:06},true" for number in range(20_000)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *lines]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        ran = run(None, "validate", "in.csv", "--report", "verdicts.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ran.status == 6
    assert "verdicts.csv could not be written: File too large. Make room, or name" in ran.err
    assert "Campaign" not in ran.err
    assert not (tmp_path / "verdicts.csv").exists()


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_protected_people_are_counted_and_marked(
    name: str, checked: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('protect = ["vip.csv"]\n')
    (tmp_path / "vip.csv").write_text("@a\n@c\n")
    ran = run(None, "validate", checked, "--report", name)
    assert ran.status == 3
    assert "protected 3" in ran.out
    summary = run(None, "validate", checked, "--summary", "json").summary
    assert (summary["usable"], summary["outcomes"]["rejected"]) == (2, 4)
    if name == "r.csv":
        reasons = {row["PKey"]: row["sync_reason"] for row in read_csv(tmp_path / name)}
        assert reasons == {
            "@a": "protected",
            "@b": "",
            "@c": "protected",
            "@d": "bad_state",
            "@e": "",
        }
    typed = run(None, "validate", checked, "--protect", "gone.csv")
    assert (typed.status, "gone.csv" in typed.err) == (2, True)


def test_protected_people_are_marked_in_a_person_s_own_workbook(tmp_path: Path, run: Run) -> None:
    book = openpyxl.Workbook()
    for row in (["PKey", "Opt out"], ["@a", "yes"], ["@b", "no"]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "in.xlsx")
    (tmp_path / "vip.csv").write_text("@b\n")
    ran = run(None, "validate", "in.xlsx", "--protect", "vip.csv", "--report", "marked.xlsx")
    assert ran.status == 3
    _, sheet = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets
    assert sheet["A2"].comment is None
    assert "no run may change this person" in sheet["A3"].comment.text


def test_a_text_in_a_column_of_the_user_is_not_taken_for_the_original_row(
    tmp_path: Path, run: Run
) -> None:
    cells = ("A-7", "0", "41", "")
    lines = [f"@{at},perhaps,{cell}" for at, cell in enumerate(cells)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,original_row", *lines]))
    out = run(None, "validate", "in.csv", "--report", "r.csv").out
    assert re.findall(r"row \S+ of the original file", out) == ["row 41 of the original file"]
    assert tuple(row["original_row"] for row in read_csv(tmp_path / "r.csv")) == cells


def test_rows_that_are_no_requests_may_stay(tmp_path: Path, run: Run) -> None:
    with_total = "PKey,ccpaOptOut\n@a,yes\n@b,no\nTotal,2\n"
    (tmp_path / "in.csv").write_text(with_total)
    ran = run(None, "validate", "in.csv")
    assert (ran.status, ran.out.splitlines()[-2:]) == (3, [
        "The rejected rows are no requests, so they may stay. To see what would change:",
        "  bulk-sync plan in.csv",
    ])  # fmt: skip
    (tmp_path / "in.csv").write_text(with_total.replace("yes", "perhaps"))
    assert "may stay" not in run(None, "validate", "in.csv").out


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "@a,yes\n@b\n",
            "1 line does not have 2 cells as the header has: line 3 (1). It is the last",
        ),
        ("@a\n@b,no\n", "line 2 (1). Quote cells that hold ',', and mend the rest."),
        ("@a,yes\n@b,no,x\n", "line 3 (3). Quote cells that hold ',', and mend the rest."),
        ("@a\n@b\n", "2 lines do not have 2 cells as the header has: line 2 (1), line 3 (1)."),
    ],
    ids=["cut off", "in the middle", "longer", "two"],
)
def test_a_truncated_line_has_another_message_than_an_uneven_one(
    text: str, remedy: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{text}")
    ran = run(None, "validate", "in.csv")
    assert ran.status == 2
    assert remedy in ran.err


def test_a_parquet_report_of_a_workbook_has_no_group_without_rows(tmp_path: Path, run: Run) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["PKey", "ccpaOptOut"], ["@a", "yes"], ["@b", "no"]):
        sheet.append(row)
    book.save(tmp_path / "in.xlsx")
    run(None, "validate", "in.xlsx", "--report", "judged.parquet")
    groups = pq.read_metadata(tmp_path / "judged.parquet")
    assert [groups.row_group(at).num_rows for at in range(groups.num_row_groups)] == [2]
