"""HTML reports, read back with Python's own parser. Browsers: ``tests/browser``."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Final

import pandas as pd
import pytest
from examples import examples
from hypothesis import assume, given
from report_frames import AT_MS, FACTS, as_text, expected, nasty_results, results, write

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import html_file, wording
from bulk_sync.report.facts import Facts, InputCounts, PastRun, Result, RunRequest, Source
from bulk_sync.rows import columns

OURS: Final = ("Row", "Outcome", "Reason", "What happened", "Key", "Wanted", "Before", "After")
PKEYS: Final = [f"@{letter * 50}{'-' * 20}{letter * 15}" for letter in "abc"]

FULL: Final = replace(
    FACTS,
    request=RunRequest("Ada", ("Grace", "Edsger"), "PRIV-7", "by phone"),
    source=Source("in.xlsx", "ab12", "Header in row 4.", "acme", "https://mc", "ccpaOptOut"),
    result=Result(
        sentences=("2 of 4 rows were changed.", "Exit status 3: finished."),
        refusal="The limit of 1 opt-in is passed: see `--max-opt-ins 2`.",
        deadlines=("Opt-outs have 15 business days.", "Carried out too late: 7."),
        all_rows="in.results.csv",
    ),
    counts=InputCounts(
        4,
        {Outcome.UNCHANGED: 1, Outcome.UPDATED: 2, Outcome.FAILED: 1},
        {Reason.HTTP_403: 1},
        ((1, 0, 0), (2, 0, 0), (0, 0, 1)),
        {"overdue": 1, "0 to 3 days": 0},
    ),
    past=[PastRun(f"run-{at}", FACTS.at, 1000 + at, at, at % 2) for at in range(30)],
)


class Page(HTMLParser):
    """A page: its text, its tags, and the cells of its tables by the part of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[list[str]]]] = {}
        self._part = ""
        self._cells: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        match tag:
            case "section":
                self._part = dict(attrs)["aria-labelledby"] or ""
            case "table":
                self.tables.setdefault(self._part, []).append([])
            case "tr":
                self._cells = []
                self.tables[self._part][-1].append(self._cells)
            case "th" | "td" if self._cells is not None:
                self._cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._cells = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cells:
            self._cells[-1] += data

    def rows(self, part: str) -> list[dict[str, str]]:
        """Return the rows of a part by the names of their columns."""
        [[_, names, *rows]] = self.tables.get(part, [[[], []]])
        return [dict(zip(names, row, strict=True)) for row in rows]

    @property
    def all_rows(self) -> list[dict[str, str]]:
        return [row for part in PARTS for row in self.rows(part)]

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


PARTS: Final = ("person", "opt-ins", "changes", "others")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.html"


def page(path: Path, frame: pd.DataFrame, facts: Facts = FACTS) -> Page:
    write(frame, path, facts)
    return Page(path.read_bytes().decode())


def with_symbols(text: str) -> str:
    """Return a text with symbols for the control characters that no browser shows."""
    return re.sub(
        r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]",
        lambda found: chr(0x2421 if found[0] == "\x7f" else 0x2400 + ord(found[0])),
        text,
    )


@given(frame=nasty_results())
@examples(25)
def test_every_value_is_read_back_and_nothing_of_it_is_markup(
    path: Path, frame: pd.DataFrame
) -> None:
    assume(not set(OURS) & set(frame))  # a page has them twice then, as it should
    found = page(path, frame)
    rows = {int(row["Row"]): row for row in found.all_rows}
    assert len(found.all_rows) == len(frame)
    for wanted in expected(frame):
        row = rows[wanted[columns.ROW]]
        assert row["Outcome"].split(" ")[1] == wanted[columns.OUTCOME]
        for label, name in (("Key", columns.KEY), ("What happened", columns.DETAIL)):
            assert row.get(label, "") == with_symbols(wanted[name])
        for label, name in (("Wanted", columns.DESIRED), ("After", columns.AFTER)):
            assert row.get(label, "") == as_text(wanted[name])
        for name in (each for each in wanted if each not in columns.REPORT and each not in OURS):
            repeats = wanted[columns.KEY].strip().lower() in wanted[name].lower()
            assert row.get(name) == with_symbols(wanted[name]) or (name not in row and repeats)
    assert not {"script", "b", "r"} & {tag for tag, _ in found.tags}


def test_the_top_has_the_kind_the_person_and_the_result(path: Path) -> None:
    found = page(path, results(1), FULL)
    top = found.text.partition("In numbers")[0]
    wanted = (
        "Result of opt-out changes",
        "2 of 4 rows were changed.",
        "Exit status 3: finished.",
        "Important: The limit of 1 opt-in is passed: see --max-opt-ins 2.",
        "Carried out too late: 7.",
        *("2026-11-24 03:17 UTC", FACTS.run_id, "Ada", "Grace, Edsger", "PRIV-7", "by phone"),
        *("in.xlsx", "ab12", "Header in row 4.", "acme", "https://mc", "ccpaOptOut"),
    )
    places = [top.find(text, top.find("bulk-sync report")) for text in wanted]
    assert -1 not in places
    assert places == sorted(places)
    for name in ("Prepared by: Ada", "Approved by: Grace", "Approved by: Edsger"):
        assert name in found.text.partition("Signatures")[2]


def test_every_chart_has_its_numbers_as_a_table(path: Path) -> None:
    found = page(path, results(1), FULL)
    outcomes, matrix, reasons, days, runs = found.tables["pictures"]
    assert outcomes == [
        ["Outcome", "Rows", "Share"],
        ["= unchanged", "1", "25.0%"],
        ["✓ updated", "2", "50.0%"],
        ["! failed", "1", "25.0%"],
        ["all rows", "4", ""],
    ]
    assert matrix == [
        ["before", "true after", "false after", "unknown after"],
        ["true", "1", "0", "0"],
        ["false", "2", "0", "0"],
        ["unknown", "0", "0", "1"],
    ]
    assert reasons == [["Reason", "Rows"], ["HTTP 403", "1"]]
    assert days[1:] == [["overdue", "1"], ["0 to 3 days", "0"]]
    assert runs[1] == ["2026-11-24 03:17 UTC", "1,029", "29", "1"]
    assert len(runs) == 31
    charts = [each for each in found.having("svg") if each.get("role") == "img"]
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    assert len(charts) == 5
    assert all(set((each["aria-labelledby"] or "").split()) <= ids for each in charts)


def test_the_first_run_of_a_job_without_dates_and_reasons_has_fewer_charts(path: Path) -> None:
    facts = replace(FULL, past=[], counts=InputCounts(1, {Outcome.UPDATED: 1}))
    assert len(page(path, results(1), facts).tables["pictures"]) == 1


def test_rows_for_a_person_come_first_then_opt_ins_other_changes_and_the_rest(path: Path) -> None:
    """A new profile with the sale allowed is no opt-in: it had no opt-out."""
    outcomes = ["unchanged", "updated", "created", "updated", "failed", "rejected", "duplicate"]
    frame = results(
        7,
        ours={
            columns.OUTCOME: outcomes,
            columns.DESIRED: [1, 1, 0, 0, 1, -1, 1],
            columns.BEFORE: [1, 0, -1, 1, 0, -1, 1],
        },
    )
    found = page(path, frame)
    assert [[int(row["Row"]) for row in found.rows(part)] for part in PARTS] == [
        [6, 7],
        [5],
        [3, 4],
        [2, 8],
    ]
    headings = [attributes.get("id") for attributes in found.having("h2")]
    assert [each for each in headings if each in PARTS] == list(PARTS)
    assert found.having("details") == [{}]


def test_above_five_thousand_rows_the_rest_is_counted_and_its_file_named(path: Path) -> None:
    outcomes = ["unchanged"] * 3000 + ["updated"] * 6000 + ["failed"] * 10
    frame = results(9010, ours={columns.OUTCOME: outcomes})
    found = page(path, frame, FULL)
    assert len(found.rows("person")) == 10
    assert [int(row["Row"]) for row in found.rows("changes")] == list(range(3002, 7992))
    assert found.rows("others") == []
    assert "6,000 rows, of which the first 4,990 are shown" in found.text
    assert "3,000 rows, not shown here." in found.text
    assert "4,010 rows more than shown here" in found.text
    assert "All rows: in.results.csv" in found.text


def test_rows_for_a_person_do_not_exceed_the_limit_of_the_page(path: Path) -> None:
    found = page(path, results(80_000, ours={columns.OUTCOME: ["failed"] * 80_000}))
    assert len(found.rows("person")) == html_file.SHOWN_ROWS == 5_000


def test_a_thousand_rows_take_less_than_300_kilobytes(path: Path) -> None:
    names = ["PKey", "Case", "Name", "Opt out?", "Request date", "Channel"]
    keys = [f"@{number:085}" for number in range(1000)]
    cells = ["C-00001", "Jan-Peter van der Westhuizen", "yes", "2026-11-02", "store"]
    own = {name: [cell] * 1000 for name, cell in zip(names[1:], cells, strict=True)}
    write(results(1000, {"PKey": keys, **own}, {columns.KEY: keys}), path, FULL)
    assert path.stat().st_size <= 300_000


def test_a_long_key_is_shortened_in_the_middle_and_still_there_in_full(path: Path) -> None:
    found = page(path, results(3, ours={columns.KEY: PKEYS}))
    assert [row["Key"] for row in found.rows("changes")] == PKEYS
    text = path.read_text()
    assert f"{PKEYS[0][:12]}<i>{PKEYS[0][12:-8]}</i>{PKEYS[0][-8:]}" in text
    assert "user-select: all" in text


def test_a_long_address_is_shown_whole(path: Path) -> None:
    addresses = [f"{'n' * 30}@example.com", "a" * 28 + "@" + "b" * 60, "x@" + "c" * 65]
    page(path, results(3, ours={columns.KEY: addresses}))
    whole = [f"<td>{address}<" in path.read_text() for address in addresses]
    assert whole == [True, True, False]


@pytest.mark.parametrize(
    ("own", "is_shown"),
    [
        (["'@a", '="@b"', " @C "], False),
        (["@a", "@b", "@c"], False),
        (["@a", "@b", "other"], True),
    ],
    ids=["as-a-spreadsheet-wraps-it", "to-the-letter", "another-column"],
)
def test_the_inputs_key_is_not_repeated(path: Path, own: list[str], is_shown: bool) -> None:
    found = page(
        path, results(3, {"PKey": own, "note": ["x"] * 3}, {columns.KEY: ["@a", "@b", "@c"]})
    )
    assert [("PKey" in row, row["note"]) for row in found.all_rows] == [(is_shown, "x")] * 3


def test_an_unusable_key_is_shown_as_in_the_file(path: Path) -> None:
    keys = {columns.KEY: ["@a", ""], columns.OUTCOME: ["rejected", "rejected"]}
    found = page(path, results(2, {"PKey": ["@a", "1.23457E+15"]}, keys))
    assert [row["PKey"] for row in found.rows("person")] == ["@a", "1.23457E+15"]


def test_every_column_of_ours_has_a_heading_for_people() -> None:
    assert set(wording.HEADINGS) == set(columns.REPORT)


def test_empty_columns_are_left_out_and_a_single_day_is_named_once(path: Path) -> None:
    frame = results(3, ours={columns.AT: [AT_MS, 0, AT_MS + 1000]})
    (row, *_) = page(path, frame).rows("changes")
    assert "What happened" not in row
    assert "Tries" not in row
    assert row["Time (UTC) 2026‑11‑24"] == "03:17:50"  # noqa: RUF001 - hyphens that break no line
    frame.loc[0, columns.ATTEMPTS] = 2
    frame[columns.AT] = columns.times(frame[columns.ATTEMPTS].to_numpy() * AT_MS // 2)
    (row, *_) = page(path, frame).rows("changes")
    assert (row["Tries"], row["Time (UTC)"]) == ("2", "2026-11-24 03:17:50")


def test_the_page_can_be_read_aloud_and_needs_nothing_else(path: Path) -> None:
    found = page(path, results(2, {"own": ["a", "b"]}), FULL)
    assert ("html", {"lang": "en"}) in found.tags
    assert all(each.get("scope") in ("row", "col", "colgroup") for each in found.having("th"))
    regions = [each for each in found.having("div") if each.get("role") == "region"]
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in regions)
    headings = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in found.tags}
    assert not any({"src", "href", "onclick"} & set(attributes) for _, attributes in found.tags)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in found.tags


def test_facts_are_no_markup(path: Path) -> None:
    evil = "</td></dd><script>alert(1)</script>&amp;`<b>`"
    source = Source(*[evil] * 6)
    result = Result((evil,), evil, (evil,), evil)
    facts = replace(
        FULL, request=RunRequest(evil, (evil,), evil, evil), source=source, result=result
    )
    found = page(path, results(1), facts)
    assert not {"script", "b"} & {tag for tag, _ in found.tags}
    assert found.text.count("<script>alert(1)</script>") > 10


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_shown_in_words_and_not_by_colour_alone(path: Path, outcome: Outcome) -> None:
    counts = InputCounts(1, {outcome: 1}, dict.fromkeys(Reason, 1))
    found = page(path, results(1, ours={columns.OUTCOME: [outcome]}), replace(FACTS, counts=counts))
    (row,) = found.all_rows
    sign, _, words = row["Outcome"].partition(" ")
    assert words == outcome.replace("_", " ")
    assert sign
    outcomes, reasons = found.tables["legend"]
    assert outcomes[1][0] == f"{sign} {words}"
    with_symbols = [reason for reason, meaning in reasons[1:] if meaning]
    assert with_symbols == [wording.spoken(reason) for reason in Reason]
    for code, (_, meaning) in zip([outcome, *Reason], outcomes[1:] + reasons[1:], strict=True):
        assert meaning.endswith(f" ({code} in other files)") == ("_" in code)


def test_an_input_without_rows_has_a_page(path: Path) -> None:
    assert "The input has no rows." in page(path, results(0)).text
