"""The place of the table by the first rows: header, sheet, and the message without one.

The properties read real files of each format: a table below title rows is the table itself.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import office_files as office
import pandas as pd
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.check import Rules, StateMeans, StateWords
from bulk_sync.rows.parse import workbook
from bulk_sync.rows.parse.sheets import Sheet
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.rows.read.location import choose_sheet, locate
from bulk_sync.rows.read.tables import likely
from bulk_sync.settings import KeyKind, Keys

HEADER = ("E-mail", "Name", "Opt out?")
DATA = (("a@x.com", "Ann", "Yes"), ("b@x.com", "Bob", "No"))
TITLE = ("Opt-out requests, November 2026",)
CUSTOM = Rules(keys=Keys(KeyKind.CUSTOM), key_column="cusId", tells_kind=False)


def sheet(*rows: Sequence[str], name: str | None = None, first: int = 1) -> FirstRows:
    return FirstRows({at: cells for at, cells in enumerate(rows, first) if any(cells)}, name)


def header_of(*sheets: FirstRows, rules: Rules | None = None, row: int | None = None) -> str:
    return str(locate(sheets, Wanted(header_row=row, rules=rules or Rules()), "in.xlsx"))


def problem_of(
    *sheets: FirstRows, rules: Rules | None = None, row: int | None = None
) -> InputProblem:
    with pytest.raises(InputProblem) as refused:
        header_of(*sheets, rules=rules, row=row)
    return refused.value


def options_of(problem: InputProblem) -> list[str]:
    return [" ".join(each.words) for each in problem.remedies]


@pytest.mark.parametrize(
    ("rows", "rules", "expected"),
    [
        ((HEADER, *DATA), Rules(), "row 1"),
        ((TITLE, (), (), HEADER, *DATA), Rules(), "row 4"),
        ((*[TITLE] * 19, HEADER, *DATA), Rules(), "row 20"),
        ((*[()] * 40, HEADER, *DATA), Rules(), "row 41"),
        ((("Who", "Answer"), ("a@x.com", "Yes")), Rules(state=True, key_column="who"), "row 1"),
        ((TITLE, ("Who", "Answer")), Rules(key_column="Who", state_column="answer"), "row 2"),
        ((HEADER, HEADER), Rules(), "row 1"),
        ((TITLE, ("E-mail",), ("a@x.com",)), Rules(state=True), "row 2"),
        ((TITLE, ("E-mail", "Name")), Rules(needs_state=False), "row 2"),
        ((TITLE, ("cusId", "Opt out?"), ("C1", "Yes")), CUSTOM, "row 2"),
    ],
    ids=[
        "first row", "below a title", "the last of the first rows", "first row with content",
        "named key", "named columns below a title", "first one counts", "keys alone", "no states",
        "any word may be a key",
    ],
)  # fmt: skip
def test_the_header_is_the_first_row_or_the_only_one_among_the_first(
    rows: Sequence[Sequence[str]], rules: Rules, expected: str
) -> None:
    assert header_of(sheet(*rows), rules=rules) == expected


def test_a_row_after_the_first_ones_is_a_header_only_if_it_is_named() -> None:
    rows = sheet(*[TITLE] * 20, HEADER, *DATA)
    problem = problem_of(rows)
    assert "row 21 could be the header" in str(problem)
    assert options_of(problem) == ["--header-row 21"]
    assert header_of(rows, row=21) == "row 21"
    assert header_of(rows, row=24) == "row 24"  # beyond the rows that are known
    assert "row 23 looks like data" in str(problem_of(rows, row=23))


def test_two_headers_below_a_title_are_an_error() -> None:
    problem = problem_of(sheet(TITLE, HEADER, DATA[0], HEADER, DATA[1], name="R"))
    assert "row 2 of sheet 'R', row 4 of sheet 'R'" in str(problem)
    assert options_of(problem) == ["--header-row 2", "--header-row 4"]


def test_the_only_sheet_with_a_header_is_read_despite_a_cover_sheet() -> None:
    cover, table = sheet(TITLE, name="Cover"), sheet(TITLE, HEADER, *DATA, name="R")
    assert header_of(cover, table) == "row 2 of sheet 'R'"
    assert header_of(cover, table, row=2) == "row 2 of sheet 'R'"
    first = sheet(HEADER, *DATA, name="First")
    assert header_of(first, table) == "row 1 of sheet 'First'"
    problem = problem_of(cover, table, first)
    assert options_of(problem) == ["--sheet R", "--sheet First"]


def test_rows_above_a_header_that_look_like_data_are_not_lost() -> None:
    problem = problem_of(sheet(DATA[0], HEADER, DATA[1]))
    assert "row 1 above the header in row 2 look like data" in str(problem)
    assert options_of(problem) == ["--header-row 2"]
    assert header_of(sheet(DATA[0], HEADER, DATA[1]), row=2) == "row 2"
    assert "row 1 above the header in row 2" in str(problem_of(sheet(DATA[0], HEADER)))


@pytest.mark.parametrize(
    ("above", "header", "rules", "is_data"),
    [
        (("a@x.com", "Ann", ""), HEADER, Rules(), False),
        (("a@x.com", "Ann"), HEADER, Rules(), False),
        (("ask a@x.com", "Ann", "Yes"), HEADER, Rules(), False),
        (("Ann", "a@x.com", "Yes"), HEADER, Rules(), False),
        ((" '@a", "Yes"), ("PKey", "Opt out?"), Rules(), True),
        (("Who", "Yes"), ("PKey", "Opt out?"), Rules(), False),
        (("C1", "Yes"), ("cusId", "Opt out?"), CUSTOM, True),
        (("C 1", "Yes"), ("cusId", "Opt out?"), CUSTOM, False),
        (("@a", ""), ("PKey", "Opt out?"), Rules(needs_state=False), True),
    ],
    ids=[
        "no state", "no cell of the state", "a sentence", "another column", "a PKey", "no PKey",
        "a custom key", "several words", "no state is needed",
    ],
)  # fmt: skip
def test_a_row_above_a_header_is_data_if_it_has_a_key_and_a_state(
    above: Sequence[str], header: Sequence[str], rules: Rules, is_data: bool
) -> None:
    rows = sheet(above, header, DATA[0])
    if is_data:
        assert "row 1 above the header in row 2 look like data" in str(
            problem_of(rows, rules=rules)
        )
    else:
        assert header_of(rows, rules=rules) == "row 2"


@pytest.mark.parametrize(
    ("name", "rows", "is_ours"),
    [
        ("Summary", [("bulk-sync: result of a run",)], True),
        ("Summary", [(), ("bulk-sync: result of a run",)], False),
        ("Requests", [("Run", "x")], False),
    ],
)
def test_our_own_sheets_are_recognized_by_their_first_cell(
    name: str, rows: list[Sequence[str]], is_ours: bool
) -> None:
    assert sheet(*rows, name=name).is_ours is is_ours


def test_advice_about_words_names_both_of_them() -> None:
    problem = problem_of(sheet(("PKey", "Type"), ("@a", "Opt out"), ("@b", "Opted in")))
    (remedy,) = problem.remedies
    assert remedy.when == (
        "If 'Opt out' in 'Type' forbids the sale, and 'Opted in' allows it, type"
    )


def test_our_own_sheets_are_skipped_unless_one_is_named() -> None:
    ours = sheet(("bulk-sync: rows that need a person",), HEADER, DATA[1], name="Needs a person")
    table = sheet(HEADER, *DATA, name="R")
    wanted = Wanted(rules=Rules())
    assert choose_sheet([ours, table], wanted, "in.xlsx") == (1, 1)
    assert choose_sheet([ours], wanted, "in.xlsx") == (0, 2)
    named = Wanted("Needs a person", rules=Rules())
    assert choose_sheet([ours, table], named, "in.xlsx") == (0, 2)


def test_the_likely_header_is_in_a_visible_sheet_of_somebody_else_if_there_is_one() -> None:
    ours = sheet(("bulk-sync: rows that need a person",), HEADER, *DATA, name="Needs a person")
    hidden = replace(sheet(HEADER, *DATA, name="Codes"), is_hidden=True)
    table = sheet(("Mail", "Answer"), ("a@x.com", "maybe"), name="R")
    for sheets, expected in (([ours, hidden, table], "R"), ([hidden], "Codes"), ([sheet()], "")):
        found = likely(sheets, Wanted(rules=Rules()))
        assert ("" if found is None else found.first.sheet) == expected


def test_a_warning_names_the_other_sheets_and_which_are_lists(
    caplog: pytest.LogCaptureFixture,
) -> None:
    months = [sheet(TITLE, HEADER, *DATA, name=name) for name in ("October", "November")]
    sheets = [*months, sheet(("Costs",), ("7",), name="Costs"), sheet(name="Empty")]
    assert choose_sheet(sheets, Wanted(rules=Rules(), sheet="November"), "in.xlsx") == (1, 2)
    assert not caplog.messages
    assert choose_sheet(sheets[1:], Wanted(rules=Rules()), "in.xlsx") == (0, 2)
    assert choose_sheet(
        [sheet(HEADER, *DATA, name="May"), *sheets], Wanted(rules=Rules()), "a"
    ) == (0, 1)
    alone, several = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "only the sheet 'November' was read. There is data on others too: 'Costs'. To" in alone
    assert "too: 'October', 'November', 'Costs'. Lists of requests seem to be on" in several
    assert "on 'October', 'November' too. To read another one, name it with --sheet;" in several


UNKNOWN = ("Customer", "Received", "Decision")
ROWS = (("a@x.com", "11/03/2026", "Yes"), ("b@x.com", "11/14/2026", "ja"), ("Total", "2", ""))


@pytest.mark.parametrize(
    ("rows", "rules", "options"),
    [
        (
            (TITLE, UNKNOWN, *ROWS),
            Rules(),
            [
                "--key email --key-column Customer --state-column Decision",
                "--key email --key-column Customer --state-column Decision --state-means consent",
            ],
        ),
        (
            (("Profile", "Opt out"), ("@a", "1")),
            Rules(),
            ["--key-column Profile"],
        ),
        (
            (("E-mail", "Consent"), ("a@x.com", "yes")),
            Rules(),
            ["--state-means consent", "--state-means opt-out"],
        ),
        (
            (("E-mail", "Consent"), ("a@x.com", "perhaps")),
            Rules(),
            ["--state-means consent", "--state-means opt-out"],
        ),
        ((("E-mail", "Name"), ("a@x.com", "Ann")), Rules(), ["--state true"]),
        (
            (("PKey", "Opt out", "Do not sell"), ("@a", "1", "0")),
            Rules(),
            ["--state-column Opt out", "--state-column Do not sell"],
        ),
        (
            (("PKey", "opt out"), ("@a", "1")),
            Rules(words=StateWords(StateMeans.CONSENT)),
            ["--state-column opt out"],
        ),
        (
            (("E-mail", "Type"), ("a@x.com", "Opt out"), ("b@x.com", "Access")),
            Rules(),
            ["--state-column Type --true-values Opt out"],
        ),
        (
            (("Subject", "Type"), ("a@x.com", "Opt out"), ("b@x.com", "Opt out")),
            Rules(),
            ["--key email --key-column Subject --state-column Type --true-values Opt out"],
        ),
        (
            (("Email", "Your e-mail", "Stop?"), ("anonymous", "a@x.com", "yes")),
            Rules(),
            [
                "--key email --key-column Your e-mail --state-column Stop?",
                "--key email --key-column Your e-mail --state-column Stop? --state-means consent",
            ],
        ),
        (
            (("PKey", "Type"), ("@a", "Opt out"), ("@b", "Opted in")),
            Rules(),
            ["--state-column Type --true-values Opt out --false-values Opted in"],
        ),
        (
            (("No.", "Profile", "Opt out"), ("1", "@a", "1"), ("2", "@b", "1")),
            Rules(),
            ["--key-column Profile"],
        ),
        ((("Email", "Email", "Opt out"), ("a@x.com", "b@x.com", "no")), Rules(), []),
        (DATA, Rules(), []),
    ],
    ids=[
        "no known name", "PKeys", "yes allows", "yes allows, and is in no cell",
        "keys alone", "two states", "consent", "words",
        "known words below the header", "a survey that knows no one", "words for both",
        "a header that is also a word for no", "two of one name", "no header",
    ],
)  # fmt: skip
def test_the_named_options_find_the_table(
    rows: Sequence[Sequence[str]], rules: Rules, options: list[str]
) -> None:
    assert options_of(problem_of(sheet(*rows), rules=rules)) == options


def test_the_first_rows_are_shown_but_not_in_the_message_itself() -> None:
    problem = problem_of(
        sheet(("Privacy team",), name="Cover"), sheet(TITLE, UNKNOWN, *ROWS, name="R")
    )
    shown = "\n".join(problem.overview)
    assert "  row 3   a@x.com | 11/03/2026 | Yes" in problem.overview
    for line in (
        "Customer  e-mail addresses, such as a@x.com",
        "Received  dates",
        "Decision  yes or no",
    ):
        assert line in shown
    assert "'Customer', 'Received', 'Decision'" in str(problem)
    assert "a@x.com" not in str(problem)


@pytest.mark.parametrize("state", ["Yes", "Opt out"])
def test_a_row_of_data_is_never_quoted_in_a_message(state: str) -> None:
    problem = problem_of(sheet(("a@x.com", state), ("b@x.com", state)))
    assert "row 1 looks like data" in str(problem)
    assert "@" not in str(problem)
    assert "  Column 1  e-mail addresses, such as a@x.com" in problem.overview


@pytest.mark.parametrize("person", ["a@x.com", f"@{'k' * 88}"])
@pytest.mark.parametrize("row", [None, 1])
def test_the_first_person_of_a_list_is_no_header_whatever_columns_are_named(
    person: str, row: int | None
) -> None:
    named = Rules(key_column=person, state_column="Yes")
    rows = sheet((person, "Yes"), ("b@x.com", "Yes"))
    assert "row 1 looks like data" in str(problem_of(rows, rules=named, row=row))
    alone = Rules(key_column=person, state=True)
    assert "row 1 looks like data" in str(problem_of(sheet((person,)), rules=alone, row=row))


CELL = st.text(
    st.characters(codec="ascii", categories=["L", "N"], exclude_characters="@"), max_size=5
)
TITLES = st.lists(st.lists(CELL, max_size=3), max_size=18)
TABLE = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6).filter(
    lambda table: any(map(any, table))
)
QUICK = examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_text(rows: Sequence[Sequence[str]], separator: str, wanted: Wanted) -> pd.DataFrame:
    content = io.StringIO()
    csv.writer(content, delimiter=separator, lineterminator="\n").writerows(rows)
    return read_whole("-", wanted, stdin=content.getvalue().encode())


def read_book(path: Path, rows: Sequence[Sequence[str]], wanted: Wanted) -> pd.DataFrame:
    office.xlsx(path, {"S": "".join(office.row(at, *row) for at, row in enumerate(rows, 1))})

    def choose(sheets: Sequence[Sheet]) -> tuple[int, int]:
        first = [FirstRows(dict(each.first_rows()), each.name) for each in sheets]
        return choose_sheet([each for each in first if each.rows], wanted, str(path))

    parsed = workbook.parse(path, choose)
    own = list(HEADER)  # the last column holds the cells beside the table
    names = [columns.ROW, *own, ""]
    frames = [batch.rename_columns(names).to_pandas() for batch in parsed.batches]
    frame: pd.DataFrame = pd.concat(frames or [pd.DataFrame(columns=names)], ignore_index=True)
    return frame.reindex(columns=[*own, columns.ROW])


def shifted(table: Sequence[Sequence[str]], rows: int) -> list[list[object]]:
    return [[*cells, at] for at, cells in enumerate(table, rows + 2) if any(cells)]


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("Requests, November, 2026\n\nE-mail;Opt out\na@x.com;yes\n", 3),
        ("Requests; November\nE-mail,Opt out\na@x.com,yes\n", 2),
        ("Title\tof\tall\nE-mail|Opt out\na@x.com|yes\n", 2),
        ('"Requests\nof November",,\n,,\nE-mail,Opt out,\na@x.com,yes,\n', 3),
        ('5" disks; "quoted" words\r\rE-mail;Opt out\ra@x.com;yes\r', 3),
        ('"Requests" of November\nE-mail;Opt out\na@x.com;yes\n', 2),
        ("sep=|\nTitle\nE-mail|Opt out\na@x.com|yes\n", 3),
        (",,\n\n;;\nTitle\nE-mail\tOpt out\na@x.com\tyes", 5),
    ],
    ids=[
        "commas in a title", "semicolons in a title", "tabs in a title", "a title of two lines",
        "quotes in a title", "a quote that ends in a title", "separator named", "blank lines above",
    ],
)  # fmt: skip
def test_title_rows_do_not_decide_the_separator_of_a_text(content: str, row: int) -> None:
    frame = read_whole("-", Wanted(rules=Rules()), stdin=content.encode())
    assert frame.to_dict("list") == {
        "E-mail": ["a@x.com"],
        "Opt out": ["yes"],
        columns.ROW: [row + 1],
    }


@QUICK
@given(titles=TITLES, table=TABLE, separator=st.sampled_from(",;\t|"))
def test_a_text_below_title_rows_is_read_as_without_them(
    titles: list[list[str]], table: list[tuple[str, str, str]], separator: str
) -> None:
    wanted = Wanted(rules=Rules())
    frame = read_text([*titles, HEADER, *table], separator, wanted)
    assert frame.to_numpy().tolist() == shifted(table, len(titles))
    named = Wanted(header_row=len(titles) + 1, rules=Rules())
    assert read_text([*titles, HEADER, *table], separator, named).equals(frame)


@QUICK
@given(titles=TITLES, table=TABLE)
def test_a_workbook_below_title_rows_is_read_as_without_them(
    tmp_path: Path, titles: list[list[str]], table: list[tuple[str, str, str]]
) -> None:
    wanted = Wanted(rules=Rules())
    frame = read_book(tmp_path / "in.xlsx", [*titles, HEADER, *table], wanted)
    assert frame.to_numpy().tolist() == shifted(table, len(titles))
    named = Wanted(header_row=len(titles) + 1, rules=Rules())
    assert read_book(tmp_path / "in.xlsx", [*titles, HEADER, *table], named).equals(frame)
