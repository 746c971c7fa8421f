"""HTML reports, read back with Python's own parser."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from report_frames import FACTS, as_text, expected, nasty_results, report_columns, results, write

from bulk_sync.outcomes import Outcome
from bulk_sync.report.facts import Counts, Source
from bulk_sync.rows import columns


class Page(HTMLParser):
    """The texts of a page's cells, table by table, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        match tag:
            case "table":
                self.tables.append([])
            case "tr":
                self.tables[-1].append([])
            case "th" | "td":
                self.tables[-1][-1].append("")
                self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.html"


def page(path: Path) -> Page:
    return Page(path.read_bytes().decode())


@given(frame=nasty_results())
@settings(max_examples=60)
def test_every_value_is_read_back_and_nothing_of_it_is_markup(
    path: Path, frame: pd.DataFrame
) -> None:
    write(frame, path)
    shown = page(path)
    header, *rows = shown.tables[-1]
    assert header == report_columns(frame)
    assert rows == [[as_text(value) for value in row.values()] for row in expected(frame)]
    assert not {"script", "b", "r"} & {tag for tag, _ in shown.tags}


def test_facts_and_counts_that_add_up_stand_above_the_rows(path: Path) -> None:
    outcomes = ["updated", "failed", "updated", "unchanged"]
    counted = Counts(4, {Outcome.UNCHANGED: 1, Outcome.UPDATED: 2, Outcome.FAILED: 1})
    facts = replace(FACTS, source=Source(input="<a & b>.csv"), counts=counted)
    write(results(4, ours={columns.OUTCOME: outcomes}), path, facts)
    shown, counts, _ = page(path).tables
    assert shown == [
        ["Date", "2026-11-24 03:17 UTC"],
        ["Run", "20261124T031750Z-7f3a9c"],
        ["Input", "<a & b>.csv"],
    ]
    assert counts == [
        ["outcome", "rows"],
        ["unchanged", "1"],
        ["updated", "2"],
        ["failed", "1"],
        ["all", "4"],
    ]


def test_the_page_can_be_read_aloud_and_needs_nothing_else(path: Path) -> None:
    write(results(2, {"own": ["a", "b"]}), path)
    tags = page(path).tags
    assert ("html", {"lang": "en"}) in tags
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in tags if tag == "th")
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags}
    assert not any({"src", "href", "onclick"} & set(attributes) for _, attributes in tags)


def test_an_outcome_is_shown_in_words_and_not_by_colour_alone(path: Path) -> None:
    write(results(1, ours={columns.OUTCOME: ["failed"]}), path)
    text = path.read_text()
    assert '<tr class="failed">' in text
    assert '<td class="label">failed</td>' in text
