"""The rows of a checked file with a problem: by reason, in pages of 50, whatever their number.

They are those that cannot be used, then those whose date is doubtful.

    rows.parquet --outcome, reason--> positions by reason --a page--> its row groups --> 50 rows

Memory: eight bytes for each such row, and the row groups of one page.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import wording
from bulk_sync.report.marked import problems
from bulk_sync.rows import columns, request_dates
from bulk_sync.web.row_pages import PAGE_ROWS

_READ_ROWS: Final = 65_536
_CACHED: Final = 8
_MOST_KINDS: Final = 12
"""Those of a file; further ones stand together, by reason."""
_PLACE: Final = r", as character \d+ of \d+"
_QUOTED: Final = r"""\B'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*" """.strip()
_CHARACTERS: Final = 200


class ProblemKind(NamedTuple):
    """Rows with one problem.

    Attributes:
        name: in addresses: the reason, with a number if it has several kinds.
        reason: as the reports have it; None if the rows are used, but their date is doubtful.
        title: what is wrong.
        at: positions of the rows.
    """

    name: str
    reason: Reason | None
    title: str
    at: npt.NDArray[np.int64]


class ProblemRow(NamedTuple):
    """A row with a problem.

    Attributes:
        number: as a spreadsheet shows it.
        cells: by column, the text, and its mark as a sign and a word; "" without one.
        detail: what is wrong here.
    """

    number: int
    cells: Sequence[tuple[str, str]]
    detail: str


class ProblemPage(NamedTuple):
    """A page of rows with one problem; ``number`` counts from 0."""

    kind: ProblemKind
    number: int
    pages: int
    rows: Sequence[ProblemRow]


@lru_cache(_CACHED)
def kinds(path: Path) -> Sequence[ProblemKind]:
    """Return the problems of a checked file: rows to correct, then others, by their number."""
    found: dict[tuple[str, str], list[npt.NDArray[np.int64]]] = {}
    names, begin = [columns.OUTCOME, columns.REASON, columns.DETAIL], 0
    with pq.ParquetFile(path, memory_map=True) as file:
        for batch in file.iter_batches(_READ_ROWS, columns=names):
            at = np.flatnonzero(_have_problem(batch).to_numpy(zero_copy_only=False))
            bad = batch.take(pa.array(at))
            titles = _titles(bad)
            for title in pc.unique(titles).to_pylist():
                same = pc.equal(titles, title).to_numpy(zero_copy_only=False)
                found.setdefault(tuple(title.split("\0")), []).append(at[same] + begin)
            begin += batch.num_rows
    rejected = sorted(filter(itemgetter(0), found), key=lambda kind: -sum(map(len, found[kind])))
    for reason, wrong in rejected[_MOST_KINDS:]:
        rare = found.pop((reason, wrong))
        found.setdefault((reason, ""), []).extend(rare)
    joined = {key: np.sort(np.concatenate(parts)) for key, parts in found.items()}
    ordered = sorted(joined.items(), key=lambda item: (not item[0][0], -len(item[1])))
    return tuple(_named(ordered))


def page(path: Path, kind: ProblemKind, number: int, found: Mapping[str, Any]) -> ProblemPage:
    """Return a page of rows with one problem, counted from 0; the nearest if there is none."""
    pages = -(-len(kind.at) // PAGE_ROWS)
    number = min(max(number, 0), pages - 1)
    at = kind.at[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]
    names = shown_columns(found)
    rows = []
    for cells in _taken(path, at, names):
        marks = _marks(kind, cells, found)
        texts = [(_short(cells[name]), marks.get(name, "")) for name in names]
        rows.append(ProblemRow(cells[columns.ROW], texts, cells[columns.DETAIL] or ""))
    return ProblemPage(kind, number, pages, rows)


def shown_columns(found: Mapping[str, Any]) -> list[str]:
    """Return the columns to show: of keys, states and dates."""
    names = (found["key_column"], found["state_column"], found["date_column"])
    return [name for name in names if name is not None]


def _have_problem(batch: pa.RecordBatch) -> pa.Array:
    """Return which rows cannot be used, or are used although their date is doubtful."""
    outcomes, details = (
        pc.fill_null(batch[name].cast(pa.string()), "")
        for name in (columns.OUTCOME, columns.DETAIL)
    )
    is_rejected = pc.equal(outcomes, str(Outcome.REJECTED))
    return pc.or_(is_rejected, request_dates.names_doubt(details))


def _marks(
    kind: ProblemKind, cells: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str | None, str]:
    if kind.reason is None:
        return {found["date_column"]: "? doubtful"}
    key, state = found["key_column"], found["state_column"]
    is_unread = cells[columns.DESIRED] is None
    bad = problems.bad_cells(kind.reason, has_state=state is not None, is_unread=is_unread)
    return {
        name: "✗ wrong" if str(cells[name] or "").strip() else "✗ empty"
        for name, is_bad in zip((key, state), bad, strict=True)
        if is_bad
    }


def _titles(bad: pa.RecordBatch) -> pa.Array:
    """Return for each row the reason, and what is wrong with damaged keys and doubtful dates."""
    reasons, details = bad[columns.REASON].cast(pa.string()), bad[columns.DETAIL].cast(pa.string())
    details = pc.replace_substring_regex(pc.fill_null(details, ""), f"{_QUOTED}|{_PLACE}", "")
    first = pc.list_element(pc.split_pattern(details, ". ", max_splits=1), 0)
    reasons = pc.fill_null(reasons, "")
    is_told = pc.is_in(reasons, pa.array([str(Reason.BAD_KEY), ""]))
    wrong = pc.if_else(is_told, first, "")
    return pc.binary_join_element_wise(reasons, pc.fill_null(wrong, ""), "\0")


def _named(
    ordered: Sequence[tuple[tuple[str, ...], npt.NDArray[np.int64]]],
) -> Iterator[ProblemKind]:
    several: dict[str, int] = {}
    for (reason_text, wrong), at in ordered:
        reason = Reason(reason_text) if reason_text else None
        word = reason_text or "date"
        count = several[word] = several.get(word, 0) + 1
        name = word if count == 1 else f"{word}.{count}"
        title = _sentence(wrong) or wording.REASONS[Reason(reason_text)]
        yield ProblemKind(name, reason, title[0].upper() + title[1:], at)


def _sentence(wrong: str) -> str:
    """Return what is wrong with a key, without the key."""
    plain = re.sub(r"\s+", " ", wrong).strip(" .")
    return f"the key {plain}" if plain.startswith(("is ", "holds ")) else plain


def _taken(
    path: Path, at: npt.NDArray[np.int64], names: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    wanted = list(dict.fromkeys([*names, columns.ROW, columns.DESIRED, columns.DETAIL]))
    with pq.ParquetFile(path, memory_map=True) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = np.searchsorted(ends, at, side="right")
        for group in dict.fromkeys(groups.tolist()):
            inside = at[groups == group] - (ends[group] - sizes[group])
            yield from file.read_row_group(group, columns=wanted).take(pa.array(inside)).to_pylist()


def _short(text: object) -> str:
    shown = str(text)
    return shown if len(shown) <= _CHARACTERS else f"{shown[:_CHARACTERS]}…"
