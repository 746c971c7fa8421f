"""`validate --outline` and `--todo`: facts for programs in which a person chooses and corrects."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run, read_csv

REQUESTS = "E-mail;Opt out;Received\na@example.com;yes;2026-11-20\nb@example.com;perhaps;\nc;no;\n"
COLUMNS = [
    {"name": "E-mail", "samples": ["a@example.com", "b@example.com", "c"]},
    {"name": "Opt out", "samples": ["yes", "perhaps", "no"]},
    {"name": "Received", "samples": ["2026-11-20"]},
]
READ = {
    "sheet": None,
    "header_row": 1,
    "key": "email",
    "key_column": "E-mail",
    "state_column": "Opt out",
    "state": None,
    "state_means": "opt-out",
    "date_column": "Received",
    "date_order": None,
    "blank_state": "reject",
    "on_conflict": "reject",
}


def outline_of(run: Run, path: Path, *words: object) -> dict[str, Any]:
    """Return the outline of a file."""
    run(None, "validate", path, "--outline", "outline.json", *words)
    found: dict[str, Any] = json.loads((path.parent / "outline.json").read_text())
    return found


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_an_outline_has_the_columns_with_samples_and_their_roles(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.csv"
    path.write_text(REQUESTS)
    outline = outline_of(run, path)
    assert outline["columns"] == COLUMNS
    assert outline["read"] == READ
    (sheet,) = outline["sheets"]
    assert sheet["name"] is None
    assert sheet["rows"][1] == [2, ["a@example.com", "yes", "2026-11-20"]]


def test_a_short_row_has_no_sample_for_the_columns_behind_it(tmp_path: Path, run: Run) -> None:
    rows: list[list[object]] = [
        ["E-mail", "Opt out", "Note"],
        ["a@example.com", "yes"],
        ["b@example.com", "no", "by phone"],
    ]
    path = workbook(tmp_path / "in.xlsx", S=rows)
    assert outline_of(run, path)["columns"][2] == {"name": "Note", "samples": ["by phone"]}


def test_the_choices_of_an_outline_given_as_options_read_the_same(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.csv"
    path.write_text(REQUESTS)
    words = [
        word
        for name, value in READ.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", value)
    ]
    assert outline_of(run, path, *words) == outline_of(run, path)


def test_an_outline_has_every_sheet_of_a_workbook(tmp_path: Path, run: Run) -> None:
    path = workbook(
        tmp_path / "in.xlsx",
        Notes=[["A note"]],
        Empty=[],
        Requests=[["November"], [], ["PKey", "Consent"], ["@a", "yes"]],
    )
    outline = outline_of(run, path, "--state-means", "consent")
    assert [each["name"] for each in outline["sheets"]] == ["Notes", "Empty", "Requests"]
    assert (outline["sheet"], outline["header_row"]) == ("Requests", 3)
    assert outline["read"]["state_means"] == "consent"
    assert outline["read"]["key"] == "pkey"


def test_an_outline_of_parquet_has_its_columns(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"PKey": ["@a"], "ccpaOptOut": ["yes"]}), path)
    outline = outline_of(run, path)
    assert outline["columns"] == [
        {"name": "PKey", "samples": ["@a"]},
        {"name": "ccpaOptOut", "samples": ["yes"]},
    ]
    assert outline["header_row"] == 1
    assert outline["read"]["header_row"] is None


def test_an_outline_of_parquet_reads_only_its_first_rows(tmp_path: Path, run: Run) -> None:
    path, rows = tmp_path / "in.parquet", 10_000
    notes = [b"n" * 1024] * rows
    table = {"PKey": [f"@{row}" for row in range(rows)], "note": [*notes[1:], b"\xff"]}
    pq.write_table(pa.table(table), path)
    outline = outline_of(run, path)
    assert [each["name"] for each in outline["columns"]] == ["PKey", "note"]
    assert outline["read"] is None


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("no-state.csv", b"November\n\nMail,Wants\na@example.com,yes\n", ["Mail", "Wants"]),
        ("ragged.csv", b"PKey,Opt out\n@a,yes,1\n", ["PKey", "Opt out"]),
        ("report.csv", b"%PDF-1.7 \0", []),
        ("empty.csv", b"", []),
        ("blank.csv", b"\n\n", []),
        ("no-book.xlsx", b"PK\x03\x04 not to the end", []),
        ("list.pdf", b"PKey,Opt out\n@a,yes\n", []),
    ],
)
def test_an_outline_is_there_if_the_file_cannot_be_read_as_it_is(
    tmp_path: Path, run: Run, name: str, content: bytes, columns: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    outline = outline_of(run, path)
    assert [each["name"] for each in outline["columns"]] == columns
    assert outline["read"] is None


def test_an_outline_proposes_the_column_of_keys_of_a_file_without_a_column_of_states(
    tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "in.csv"
    for header, proposed in (("Name,Mail,Wants", "Mail"), ("Name,Wants", None)):
        path.write_text(f"{header}\nA,a@example.com,yes\n")
        outline = outline_of(run, path)
        assert (outline["read"], outline["key_column"]) == (None, proposed)


def test_an_outline_has_the_columns_that_were_read_wherever_they_are(
    tmp_path: Path, run: Run
) -> None:
    path, others = tmp_path / "in.csv", [f"c{number}" for number in range(1_100)]
    path.write_text(f"{','.join([*others, 'PKey', 'Opt out'])}\n{'x,' * 1_100}@a,yes\n")
    outline = outline_of(run, path)
    assert [each["name"] for each in outline["columns"]] == [*others[:1_000], "PKey", "Opt out"]
    assert outline["columns"][-1]["samples"] == ["yes"]


def test_no_cell_of_an_outline_reaches_the_summary_or_the_log(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.csv"
    path.write_text("Mail,Wants\nsecret@example.com,yes\n")
    words = ("--outline", "o.json", "--summary", "json", "--log-format", "json")
    ran = run(None, "validate", path, *words)
    assert ran.status == 2
    assert "secret@" not in ran.out + ran.err
    assert "secret@" in (tmp_path / "o.json").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("folder", "--outline", "o.json"), "--outline is for one file of this machine"),
        (("in.csv", "--outline", "in.csv"), "--outline {}/in.csv would replace the input"),
        (("in.csv", "--outline", "mine.json"), "--outline {}/mine.json is there already"),
        (("in.csv", "--outline", "none/o.json"), "--outline {}/none/o.json cannot be written"),
        (("in.csv", "--outline", "o.txt"), "--outline {}/o.txt has no suffix"),
    ],
    ids=["a folder", "the input", "a person's JSON", "no folder", "no format"],
)
def test_wrong_places_are_refused(
    tmp_path: Path, run: Run, words: tuple[str, ...], says: str
) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("in.csv", "folder/in.csv"):
        (tmp_path / name).write_text("PKey,Opt out\n@a,yes\n")
    (tmp_path / "mine.json").write_text('{"mine": 1}')
    ran = run(None, "validate", *words)
    assert ran.status == 2
    assert says.format(tmp_path) in ran.err


@pytest.mark.parametrize("name", ["in.csv", "in.xlsx"])
def test_the_rows_to_correct_are_an_input_with_their_reasons(
    tmp_path: Path, run: Run, name: str
) -> None:
    rows = [line.split(";") for line in REQUESTS.splitlines()]
    path = tmp_path / name
    if path.suffix == ".csv":
        path.write_text(REQUESTS)
    else:
        workbook(path, Requests=[list(row) for row in rows])
    ran = run(None, "validate", path, "--report", "all.csv", "--todo", "--summary", "json")
    todo = tmp_path / f"in.todo{path.suffix}"
    assert ran.summary["todo"] == str(todo)
    run(None, "validate", todo, "--report", "again.csv")
    left = read_csv(tmp_path / "again.csv")
    assert [row["original_row"] for row in left] == ["3", "4"]
    assert [row["sync_reason"] for row in left] == ["bad_state", "bad_key"]


def test_without_rows_to_correct_an_older_file_of_them_is_removed(tmp_path: Path, run: Run) -> None:
    path, todo = tmp_path / "in.csv", tmp_path / "in.todo.csv"
    words = (path, "--report", "all.csv", "--todo", "--outline", "o.json")
    path.write_text(REQUESTS)
    assert "To do: in.todo.csv" in run(None, "validate", *words).out
    assert todo.exists()
    path.write_text("PKey,Opt out\n@a,yes\n")
    ran = run(None, "validate", *words)
    assert ran.status == 2
    assert f"{todo} is there already, and rows in it may have been corrected" in ran.err
    todo.write_text("")  # no correction here
    ran = run(None, "validate", *words)
    assert not todo.exists()
    assert ran.out.rstrip().endswith(f"bulk-sync plan {path}")


def test_the_rows_to_correct_are_written_only_beside_a_report(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text(REQUESTS)
    ran = run(None, "validate", "in.csv", "--todo")
    assert ran.status == 2
    assert "it needs --report too" in ran.err
