"""Checks an input that is larger than memory, slice by slice.

    raw slices --each by itself--> parts on disk --all keys--> rows that repeat a key --+--> slices
                                                 --all dates--> their order ------------'

A part has rows, each judged by itself, their keys, and their dates. What needs all rows is kept
beside them, in the order of the rows, and put in its place whenever a slice is read.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.background import prefetch
from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, parquet_rows, request_dates
from bulk_sync.rows.check import Checked, duplicates, keys, row_by_row, second_table
from bulk_sync.rows.check.duplicates import Places, Repeats
from bulk_sync.rows.check.row_by_row import JudgedRows
from bulk_sync.rows.check.rules import OnConflict, Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.on_disk import KEYS, TIMES, Store
from bulk_sync.rows.request_dates import DateColumn, RequestTimes
from bulk_sync.rows.request_order import UNDATED
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import EmailCase, KeyKind

_ROWS, _KEYS, _DATES = "rows", "keys", "dates"
_SETTLED, _TIMES, _COMBINED = "settled", "times", "combined"
_PLACE: Final = KEYS.field("place").type

_VERDICT: Final = pa.schema(
    {
        "position": pa.int64(),
        "counts_as": pa.int64(),
        "is_same": pa.bool_(),
        "outcome": pa.int8(),
        "reason": pa.int8(),
        "detail": pa.large_string(),
    }
)
"""What is said of a row that repeats a key; ``is_same``: it counts for a row with its state."""


def check(frames: Iterable[pd.DataFrame], rules: Rules, store: Store) -> Checked:
    """Check every row, as ``check.check`` does; the store is needed as long as the rows are read.

    Raises:
        InputProblem: as for ``check.rows``.
        StoppedEarly: the disk is full, or the memory too small.

    Memory: a few times the largest slice, and that of the store.
    """
    slices = iter(frames)
    first = next(slices)
    checking = _Checking(first, rules, store)
    for raw, following in pairwise(chain([first], slices, [None])):
        if raw is not None:
            is_end = following is None or _file_of(following) != _file_of(raw)
            checking.add(raw, is_end=is_end)
    return checking.settle()


class _Checking:
    """The state of a check between slices; the first one shows the columns of all."""

    def __init__(self, first: pd.DataFrame, rules: Rules, store: Store) -> None:
        self._rules, self._store = rules, store
        self._found = found = row_by_row.find(first.columns, rules)
        self._files = first[columns.FILE].cat.categories if columns.FILE in first else None
        self._originals = [name for name in columns.ORIGINAL if name in first]
        self._starts = [0]  # of the parts, and of the next one
        self._file, self._above = _file_of(first), 0
        self._second_tables: dict[bool, tuple[int, InputProblem]] = {}
        self._last_usable = -1
        self._dates: DateColumn | None = None
        if found.date is not None:
            self._dates = DateColumn(found.date, datetime.now(UTC).date(), rules.date_order)

    def add(self, raw: pd.DataFrame, *, is_end: bool) -> None:
        """Judge each row of a slice by itself, and keep it; ``is_end``: its file has no more."""
        start = self._starts[-1]
        if _file_of(raw) != self._file:
            self._file, self._above = _file_of(raw), 0
        judged = row_by_row.judge(raw, self._found, self._rules, self._above if is_end else None)
        self._above += len(raw)
        problems = second_table.problems(raw, self._found, self._rules, judged.verdicts)
        for at, is_sure, problem in problems:
            self._second_tables.setdefault(is_sure, (start + at, problem))
        usable = start + judged.verdicts.open
        self._last_usable = int(usable.max(initial=self._last_usable))
        self._keep(raw, judged)
        self._starts.append(start + len(raw))

    def settle(self) -> Checked:
        """Decide what needs all rows, once all slices were added.

        Raise InputProblem if a second table begins below.
        """
        for is_sure, (at, problem) in sorted(
            self._second_tables.items(), key=lambda each: each[1][0]
        ):
            if is_sure or at < self._last_usable:
                raise problem
        is_strict = self._rules.on_conflict is OnConflict.REJECT
        repeats = self._store.repeats(conflicts_first=is_strict)
        self._store.save(_SETTLED, _VERDICT, map(self._settled, repeats))
        rows, dates = Slices(self._starts[-1], lambda: prefetch(self._slices())), self._dates
        if dates is None:
            return Checked(rows, self._found)
        self._store.save(_TIMES, TIMES, self._repeated_times(dates))
        self._store.save(_COMBINED, TIMES, self._store.combined())
        dates.warn()
        return Checked(rows, self._found, dates.read_as, dates.order)

    def _keep(self, raw: pd.DataFrame, judged: JudgedRows) -> None:
        """Keep a part; keys by which rows are compared are not kept twice."""
        start, number = self._starts[-1], len(self._starts) - 1
        rows = parquet_rows.table(row_by_row.frame(raw, judged))
        if judged.identities.equals(judged.keys):
            rows = rows.drop_columns([columns.KEY])
        self._store.keep(_ROWS, number, rows)
        alike, how = pa.nulls(len(raw), pa.large_string()), self._found.keys
        if how.kind is KeyKind.EMAIL and how.email_case is not EmailCase.IGNORE:
            alike = pc.utf8_lower(judged.identities)
        compared = {
            "position": np.arange(start, start + len(raw)),
            "identity": judged.identities,
            "alike": alike,
            "is_open": judged.verdicts.outcome == columns.NONE,
            "forbids": judged.desired == 1,
            "place": _packed_places(raw),
        }
        self._store.keep(_KEYS, number, pa.table(compared, KEYS))
        if self._dates is not None:
            texts = row_by_row.dates(raw[self._found.date], judged.verdicts)
            self._dates.learn(texts)
            dates = {"date": pa.chunked_array(texts), "desired": judged.desired}
            self._store.keep(_DATES, number, pa.table(dates))

    def _part(self, number: int) -> pd.DataFrame:
        rows = self._store.part(_ROWS, number)
        if columns.KEY not in rows.column_names:
            (identities,) = self._store.part(_KEYS, number, ["identity"])
            after = rows.schema.get_field_index(columns.DESIRED)
            rows = rows.add_column(after, columns.KEY, identities)
        frame = parquet_rows.whole(rows)
        if self._files is not None:
            frame[columns.FILE] = frame[columns.FILE].cat.set_categories(self._files)
        return frame

    def _times(
        self, dates: DateColumn, number: int, name_row: Callable[[int], str] | None = None
    ) -> tuple[RequestTimes, npt.NDArray[np.int8]]:
        """Return the times of a part's rows, each by itself, and their states."""
        part = self._store.part(_DATES, number)
        texts, desired = pd.Series(pd.array(part["date"], dtype="str")), part["desired"].to_numpy()
        return request_dates.times_of(dates.read(texts, name_row), desired), desired

    def _unpacked(self, places: pa.StructArray) -> Places:
        number, file, *originals = places.flatten()
        rows = pd.DataFrame({columns.ROW: number.to_numpy()})
        if self._files is not None:
            rows[columns.FILE] = pd.Categorical.from_codes(file.to_numpy(), self._files)
        for name, texts in zip(columns.ORIGINAL, originals, strict=True):
            if name in self._originals:
                rows[name] = pd.array(texts, dtype="str")
        return Places(rows)

    def _naming(self, repeats: pa.RecordBatch) -> Callable[[int], str]:
        """Return a function that names the other rows of repeats by their positions."""
        others = ("first_forbids", "first_allows", "other")
        positions = np.concatenate([repeats[each].to_numpy() for each in others])
        places = pa.concat_arrays([repeats[f"{each}_place"] for each in others])
        is_there = positions >= 0
        named = self._unpacked(places.filter(pa.array(is_there)))
        rows = {at: row for row, at in enumerate(positions[is_there].tolist())}
        return lambda at: named.name(rows[at])

    def _settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        name_row = self._naming(batch)
        positions, other, forbids, first_forbids = (
            batch[name].to_numpy(zero_copy_only=False)
            for name in ("position", "other", "forbids", "first_forbids")
        )
        verdicts = Verdicts.blank(len(positions))
        at = np.flatnonzero(other < 0)
        facts = (batch[name].to_numpy(zero_copy_only=False)[at] for name in Repeats._fields[1:])
        counts_as = positions.copy()
        counts_as[at] = duplicates.settle(
            Repeats(at, *facts), self._rules.on_conflict, name_row, verdicts, positions[at]
        )
        for row in np.flatnonzero(other >= 0).tolist():
            keys.refuse_doubtful_opt_in(row, name_row(int(other[row])), verdicts)
        is_same = (counts_as == positions) | ((counts_as == first_forbids) == forbids)
        said = {
            "position": positions,
            "counts_as": counts_as,
            "is_same": is_same,
            "outcome": verdicts.outcome,
            "reason": verdicts.reason,
            "detail": pa.array(columns.details(len(positions), verdicts.details)),
        }
        return pa.RecordBatch.from_pydict(said, _VERDICT)

    def _repeated_times(self, dates: DateColumn) -> Iterator[pa.Table]:
        """Read all dates once, for the log, and yield those of rows that repeat a key."""
        settled = self._store.saved(_SETTLED)
        for number, (start, end) in enumerate(pairwise(self._starts)):
            (places,) = self._store.part(_KEYS, number, ["place"])
            name_row = self._unpacked(places.combine_chunks()).name
            times, desired = self._times(dates, number, name_row)
            said = settled.until(end)
            said = said.filter(said["is_same"])
            at = said["position"].to_numpy() - start
            found = RequestTimes(*(each[at] for each in times))
            found.latest[(desired[at] != 1) & (found.latest == UNDATED)] = -UNDATED  # before all
            yield pa.table({"position": said["counts_as"], **found._asdict()})

    def _slices(self) -> Iterator[pd.DataFrame]:
        settled, dates = self._store.saved(_SETTLED), self._dates
        combined = None if dates is None else self._store.saved(_COMBINED)
        for number, (start, end) in enumerate(pairwise(self._starts)):
            frame, said = self._part(number), settled.until(end)
            at = said["position"].to_numpy() - start
            verdicts = Verdicts.from_rows(frame)
            verdicts.outcome[at] = said["outcome"].to_numpy()
            verdicts.reason[at] = said["reason"].to_numpy()
            details = zip(at.tolist(), said["detail"].to_pylist(), strict=True)
            verdicts.details.update((row, text) for row, text in details if text)
            counts_as = np.arange(start, end)
            counts_as[at] = said["counts_as"].to_numpy()
            rows = verdicts.applied(frame).assign(**{columns.COUNTS_AS: counts_as})
            if dates is not None and combined is not None:
                times, _ = self._times(dates, number)
                _replace(times, combined.until(end), start)
                rows = row_by_row.dated(rows, times, self._rules)
            yield rows


def _file_of(raw: pd.DataFrame) -> int:
    """Return the number of a slice's file; -1 if the input is one file."""
    return int(raw[columns.FILE].cat.codes.to_numpy()[0]) if columns.FILE in raw else -1


def _packed_places(raw: pd.DataFrame) -> pa.StructArray:
    none = pa.nulls(len(raw), pa.large_string())
    originals = [
        pa.chunked_array(raw[name]).combine_chunks() if name in raw else none
        for name in columns.ORIGINAL
    ]
    numbers = pa.array(raw[columns.ROW]), pa.array(np.full(len(raw), _file_of(raw), np.int32))
    return pa.StructArray.from_arrays([*numbers, *originals], fields=list(_PLACE))


def _replace(times: RequestTimes, combined: pa.Table, start: int) -> None:
    """Put the combined times of repeated requests in place of those of one row."""
    at = combined["position"].to_numpy() - start
    for name, values in times._asdict().items():
        values[at] = combined[name].to_numpy()
    times.latest[times.latest == -UNDATED] = UNDATED
