"""What is said of a file without a table: what is there, and the options that would name it."""

from collections.abc import Sequence

import pytest

from bulk_sync.errors import InputProblem
from bulk_sync.rows.check import Rules, StateWords
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.rows.read.location import locate
from bulk_sync.settings import KeyKind, Keys

HEADER = ("E-mail", "Name", "Opt out?")
DATA = (("a@x.com", "Ann", "Yes"), ("b@x.com", "Bob", "No"))
TITLE = ("Opt-out requests, November 2026",)
TWO_KEYS = (("Who", "Mail to", "Choice"), ("@a", "a@x.com", "yes"), ("@b", "b@x.com", "no"))
OWN_WORDS = StateWords.parse(None, "dns", None)


def sheet(*rows: Sequence[str], name: str | None = None, is_hidden: bool = False) -> FirstRows:
    return FirstRows({at: cells for at, cells in enumerate(rows, 1) if any(cells)}, name, is_hidden)


def problem_of(
    *sheets: FirstRows,
    rules: Rules | None = None,
    row: int | None = None,
    listed: Sequence[FirstRows] = (),
) -> InputProblem:
    with pytest.raises(InputProblem) as refused:
        locate(sheets, Wanted(header_row=row, rules=rules or Rules()), "in.xlsx", listed)
    return refused.value


def of_column(name: str, *cells: str) -> tuple[Sequence[str], ...]:
    """Return a table with PKeys and one other column."""
    return ("PKey", name), *((f"@{at}", cell) for at, cell in enumerate(cells))


MOST_LIKE = "row 2 looks most like a header."
NO_STATES = "No column for the states (ccpaOptOut) was found;"
NO_KEYS = "No column for the keys (PKey, or email) was found;"
LIKE_DATA = "no row with the names of the columns was found; row 1 looks like data. Write the names"


@pytest.mark.parametrize(
    ("rows", "row", "says"),
    [
        ((TITLE, *of_column("Region", "West")), None, f"{MOST_LIKE} {NO_STATES}"),
        (of_column("Region", "West"), None, NO_STATES),
        (of_column("Region", "West"), 1, NO_STATES),
        ((TITLE, *of_column("Region", "West")), 2, f"row 2 is no header. {NO_STATES}"),
        ((TITLE, HEADER, *DATA), 1, "row 1 is not the header (--header-row), but row 2 is one."),
        ((("2026-11-03", "West"), ("2026-11-04", "East")), None, LIKE_DATA),
        ((("Ann", "12"), ("Bob", "13")), None, LIKE_DATA),
        ((("Ann", "12"), ("Bob", "x")), None, f"{MOST_LIKE} {NO_KEYS}"),
        ((("Opt out", "2026-11-03"), ("Yes", "2026-11-04")), None, NO_KEYS),
        (
            (*[TITLE] * 20, HEADER, *DATA), None,
            "row 21 could be the header, but it is not among the first 20 rows. If it is, name it",
        ),
        ((("One",), ("Two", "words"), ("2026-11-03", "a", "b")), None, MOST_LIKE),
        ((("Three", "more", "words"), ("PKey", "x")), None, f"{MOST_LIKE} {NO_STATES}"),
        (
            (TITLE, *[HEADER] * 6), None,
            "more than one row could be the header: row 2, row 3, row 4, row 5. Choose one with",
        ),
    ],
    ids=[
        "below a title", "in the first row", "in the row named", "another row named",
        "a header in another row than last month", "dates in all rows", "numbers in all rows",
        "a number only there", "a known name", "too far down", "most words", "a known name counts",
        "several headers",
    ],
)  # fmt: skip
def test_the_message_says_why_there_is_no_header(
    rows: Sequence[Sequence[str]], row: int | None, says: str
) -> None:
    assert str(problem_of(sheet(*rows), row=row)).startswith(f"in.xlsx: {says}")


CONSENT = "--state-column Consent"
EITHER = [
    "If yes in 'Choice' forbids the sale, type: {} --state-column Choice",
    "If yes in 'Choice' allows the sale, type: {} --state-column Choice --state-means consent",
]


def either(*keys: str) -> list[str]:
    return [line.format(each).replace(":  ", ": ") for each in keys for line in EITHER]


@pytest.mark.parametrize(
    ("rows", "rules", "remedies"),
    [
        (
            of_column("Choice", "A", "B", "A"), Rules(),
            [
                f"If {forbids!r} in 'Choice' forbids the sale, and {allows!r} allows it, type: "
                f"--state-column Choice --true-values {forbids} --false-values {allows}"
                for forbids, allows in ("AB", "BA")
            ],
        ),
        (of_column("Id", "A", "B"), Rules(), ["If every row forbids the sale, type: --state true"]),
        (of_column("Choice", *"ABCA"), Rules(), []),
        (of_column("Choice", *"ABCDA"), Rules(), []),
        (
            of_column("Note", *"ABCDEA"), Rules(),
            ["If every row forbids the sale, type: --state true"],
        ),
        (of_column("Note", *"ABCDE"), Rules(words=OWN_WORDS), []),
        (of_column("Choice", "yes", "dns"), Rules(words=OWN_WORDS), either("")),
        (of_column("Choice", "yes", "no", "perhaps"), Rules(), either("")),
        (
            of_column("Choice", "yes", "perhaps"), Rules(),
            ["If every row forbids the sale, type: --state true"],
        ),
        (
            (("PKey", "Consent", "Opt out?", "Do not sell"), ("@a", "yes", "no", "no")), Rules(),
            [
                "If yes in 'Consent' allows the sale, type: --state-means consent",
                f"If yes in 'Consent' forbids the sale, type: {CONSENT} --state-means opt-out",
                ": --state-column Opt out?",
                ": --state-column Do not sell",
            ],
        ),
        (TWO_KEYS, Rules(), either("--key-column Who", "--key email --key-column Mail to")),
        (
            TWO_KEYS, Rules(keys=Keys(KeyKind.EMAIL), tells_kind=False),
            either("--key-column Mail to"),
        ),
        (TWO_KEYS, Rules(keys=Keys(KeyKind.PKEY), tells_kind=False), either("--key-column Who")),
        (
            (TITLE, *[HEADER] * 6), Rules(),
            [f"If row {row} is the header, type: --header-row {row}" for row in range(2, 6)],
        ),
        ((*[TITLE] * 20, HEADER, *DATA), Rules(), [": --header-row 21"]),
    ],
    ids=[
        "two words", "two words in two rows", "three words", "four words", "five words",
        "words were named", "a word named for a state", "most are states", "half are states",
        "three columns of states", "two columns of keys", "addresses", "PKeys", "several headers",
        "too far down",
    ],
)  # fmt: skip
def test_each_remedy_has_its_condition_and_its_options(
    rows: Sequence[Sequence[str]], rules: Rules, remedies: list[str]
) -> None:
    problem = problem_of(sheet(*rows), rules=rules)
    assert [f"{each.when}: {' '.join(each.words)}" for each in problem.remedies] == remedies


def test_the_place_of_a_header_takes_as_few_options_as_will_do() -> None:
    several = [sheet(TITLE, HEADER, HEADER, name="R"), sheet(HEADER, *DATA, name="S")]
    problem = problem_of(*several, sheet(TITLE, HEADER, HEADER, name="T"))
    assert [" ".join(each.words) for each in problem.remedies] == [
        "--header-row 2", "--header-row 3", "--sheet S", "--sheet T --header-row 2",
    ]  # fmt: skip


def test_the_overview_shows_the_sheets_the_first_rows_and_the_columns() -> None:
    names = [f"n{number}" for number in range(40)]
    cells = ["x" * 32, "y" * 33, "a\tb\x07c", "d", "e", "f", "g", "h"]
    listed = [sheet(TITLE, name="R"), sheet(name="E"), sheet(TITLE, name="H", is_hidden=True)]
    table = sheet(names, cells, ("z",), ("z",), ("last",), name="R")
    overview = problem_of(table, listed=listed).overview
    assert list(overview[:7]) == [
        "Sheets: 'R', 'E' (empty), 'H' (hidden)",
        "First rows of sheet 'R':",
        "  row 1   n0 | n1 | n2 | n3 | n4 | n5 | n6 | n7 | ...",
        f"  row 2   {'x' * 32} | {'y' * 29}... | a b c | d | e | f | g | h",
        "  row 3   z",
        "  row 4   z",
        "Columns, if row 1 is the header:",
    ]
    assert overview[7] == f"  n0   text, such as {'x' * 32}"
    assert overview[15] == "  n8   empty"
    assert (len(overview), overview[-1]) == (7 + 30, "  n29  empty")


def test_the_overview_of_data_without_names_counts_the_columns() -> None:
    overview = problem_of(sheet(("2026-11-03", "West", "x"), ("2026-11-04", "East"))).overview
    assert list(overview[-4:]) == [
        "Columns:",
        "  Column 1  dates, such as 2026-11-03",
        "  Column 2  text, such as West",
        "  Column 3  text, such as x",
    ]
