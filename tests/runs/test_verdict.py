"""The counts, output and files of `validate` are the same however its rows are sliced."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync import report
from bulk_sync.cli.commands import validate as shown
from bulk_sync.errors import Exit
from bulk_sync.report import todo_file
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.facts import Facts
from bulk_sync.report.formats import SUFFIXES
from bulk_sync.report.table import Results
from bulk_sync.rows import check, columns, comparison, due_dates, request_dates
from bulk_sync.rows.check import Rules
from bulk_sync.rows.layout import Layout, TablePlace
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.commands import judging
from bulk_sync.runs.commands.judging import Validated, Verdict
from bulk_sync.runs.stages.validation import Judged
from bulk_sync.runs.terms.input_files import LocalInput
from bulk_sync.settings import KeyKind, Keys

PROTECTED = ProtectedKeys({"@c": "row 1 of vip.csv"}, {"vip@example.com": "row 2 of vip.csv"})
PKEYS, ADDRESSES = ["@a", "@b", "@c", "c", ""], ["a@example.com", "b@example.com", "x", "-"]
STATES = ["yes", "no", "perhaps", "Perhaps.", "opted out", "", "a sentence " * 5]
DATES = ["2026-11-03", "3/4/2026", "13/4/2026", "soon", ""]
FORMATS = {suffix.removesuffix(".gz"): suffix for suffix in SUFFIXES}.values()
"""Each format once, packed if it can be."""
OWN = ["", "=1+1", "a,b", '"', "vip@example.com", "a@example.com"]


class Case(NamedTuple):
    """A checked input, and the borders of its slices."""

    rows: pd.DataFrame
    layout: Layout
    source: str
    cuts: list[int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    is_email, are_files = draw(st.booleans()), draw(st.booleans())
    kind, keys = (KeyKind.EMAIL, ADDRESSES) if is_email else (KeyKind.PKEY, PKEYS)
    cells = st.tuples(*map(st.sampled_from, (keys, STATES, DATES, OWN)))
    table = draw(st.lists(cells, min_size=1, max_size=24))
    names = ["Customer key" if kind is KeyKind.PKEY else "Customer", "opt out requested"]
    raw = pd.DataFrame(table, columns=[*names, "Date received", "E-mail"], dtype="str")
    raw[columns.ROW] = range(2, len(raw) + 2)
    suffix = draw(st.sampled_from([".csv", ".xlsx"]))
    if are_files:
        files = [f"a{suffix}", f"b{suffix}"]
        first = draw(st.integers(1, len(raw)))
        given_ = [files[at >= first] for at in range(len(raw))]
        raw[columns.FILE] = pd.Categorical(given_, categories=files)
    rules = Rules(keys=Keys(kind), key_column=names[0], state_column=names[1])
    checked = check.check(raw, rules)
    place = TablePlace("in", header_row=1)
    layout = Layout([place], checked.found, rules, checked.dates_read_as, checked.date_order)
    cuts = draw(st.lists(st.integers(1, len(raw)), max_size=6))
    return Case(checked.rows.joined(), layout, f"in{suffix}", cuts)


def cut(frame: pd.DataFrame, at: list[int]) -> Slices:
    edges = sorted({0, *at, len(frame)})
    parts = [frame.iloc[start:end].reset_index(drop=True) for start, end in pairwise(edges)]
    return Slices(len(frame), lambda: iter(parts))


def judged(rows: Slices, layout: Layout) -> Slices:
    """Return the rows of the report of ``validate``."""
    rows = PROTECTED.rejected_in(rows.map(comparison.without_states))
    return rows.map(
        lambda each: due_dates.with_due(request_dates.with_doubts(each, layout.columns.date))
    )


def in_both_ways(case: Case) -> tuple[Slices, Slices]:
    """Return the judged rows as one slice, and as several; each is judged once."""
    whole, parts = Slices.of(case.rows), cut(case.rows, case.cuts)
    frames = list(judged(parts, case.layout).read())
    return judged(whole, case.layout), Slices(parts.count, lambda: iter(frames))


@given(cases())
@examples(20)
def test_slices_have_the_verdicts_of_the_whole(case: Case) -> None:
    whole, parts = in_both_ways(case)
    pd.testing.assert_frame_equal(parts.joined(), whole.joined())
    found, added = (replace(counted(case, rows), at_ms=1) for rows in (whole, parts))
    assert facts_of(case, whole, added) == facts_of(case, whole, found)
    for status in Exit.DONE, Exit.ROWS_LEFT:
        one, other = (Validated(case.layout, each) for each in (found, added))
        assert shown.lines(other, case.source) == shown.lines(one, case.source)
        assert shown.as_json(other, "", status) == shown.as_json(one, "", status)
    assert list(added.totals.outcomes) == list(found.totals.outcomes)
    assert (added.is_usable, added.may_stay) == (found.is_usable, found.may_stay)
    pd.testing.assert_frame_equal(added.rejected.first, found.rejected.first)


def counted(case: Case, rows: Slices) -> Verdict:
    return Verdict.count(rows, case.layout, has_deadlines=True)


def facts_of(case: Case, rows: Slices, verdict: Verdict) -> Facts:
    return judging.facts_of(
        case.source, Judged(rows, "ab", case.layout, LocalInput(case.source)), verdict
    )


def content(path: Path) -> object:
    """Return the contents of a file, without the time of writing of a workbook."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix != ".xlsx":
        return path.read_bytes()
    with zipfile.ZipFile(BytesIO(path.read_bytes())) as book:
        return {
            name: book.read(name) for name in book.namelist() if not name.startswith("docProps")
        }


def with_facts(case: Case) -> tuple[Slices, Slices, Facts]:
    """Return the judged rows in both ways, and the facts of their report."""
    whole, parts = in_both_ways(case)
    return whole, parts, facts_of(case, whole, counted(case, whole))


def same_files(
    rows: tuple[Slices, Slices, Facts], write: Callable[[Slices, Facts, Path], Path | None]
) -> bool:
    """Return whether a file written from slices is the same as from the whole."""
    whole, parts, facts = rows
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        paths = [write(whole, facts, Path(one)), write(parts, facts, Path(other))]
        first, second = (path and (path.name, content(path)) for path in paths)
    return first == second


@given(cases())
@examples(8)
def test_reports_of_slices_are_the_same_in_every_format(case: Case) -> None:
    both_rows = with_facts(case)
    for suffix in FORMATS:

        def write(rows: Slices, facts: Facts, folder: Path, suffix: str = suffix) -> Path:
            progress: list[tuple[int, int]] = []
            path = folder / f"report{suffix}"
            results = Results.from_slices(rows)
            report.write(
                results, LocalFile(path), facts, lambda _, *how_far: progress.append(how_far)
            )
            assert progress[-1] == (rows.count, rows.count)
            return path

        assert same_files(both_rows, write), suffix


@given(cases())
@examples(12)
def test_the_todo_file_of_slices_is_the_same(case: Case) -> None:
    def write(rows: Slices, facts: Facts, folder: Path) -> Path | None:
        written = todo_file.write(rows, facts.source, LocalFile(folder / "in.RUN"))
        return None if written is None else Path(str(written))

    assert same_files(with_facts(case), write)


def test_a_row_is_protected_by_an_address_in_another_slice() -> None:
    """A repeated key has the address in one row only, before or after the row that counts."""
    table = [("@a", "yes", ""), ("@b", "yes", ""), ("@a", "yes", "vip@example.com")]
    raw = pd.DataFrame(table, columns=["PKey", "ccpaOptOut", "E-mail"], dtype="str")
    checked = check.check(raw.assign(**{columns.ROW: range(2, 5)}), Rules()).rows.joined()
    slices = cut(checked, [1, 2]).map(comparison.without_states)
    rows = PROTECTED.rejected_in(slices).joined()
    assert rows[columns.OUTCOME].tolist() == ["rejected", "usable", "rejected"]
