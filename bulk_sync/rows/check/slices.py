"""Checks an input that is larger than memory, slice by slice.

    raw slices --each by itself--> parts on disk --all keys--> rows that repeat a key --+--> slices
                                                 --all dates--> their order ------------'

The parts hold the raw rows, and what is said of each by itself. What needs all rows is kept beside
them, in the order of the rows, and put in its place whenever a slice is read.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_sync.background import prefetch
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import Checked, duplicates, keys, row_by_row, second_table
from bulk_sync.rows.check.duplicates import Places, Repeats
from bulk_sync.rows.check.parts import Part, Parts, file_of
from bulk_sync.rows.check.row_by_row import JudgedRows
from bulk_sync.rows.check.rules import OnConflict, Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.on_disk import TIMES, Cursor, Store
from bulk_sync.rows.request_dates import DateColumn, RequestTimes
from bulk_sync.rows.request_order import UNDATED
from bulk_sync.rows.slices import Slices

_SETTLED, _TIMES, _COMBINED = "settled", "times", "combined"

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
            is_end = following is None or file_of(following) != file_of(raw)
            checking.add(raw, is_end=is_end)
    return checking.settle()


class _Checking:
    """The state of a check between slices."""

    def __init__(self, first: pd.DataFrame, rules: Rules, store: Store) -> None:
        self._rules, self._store = rules, store
        self._found = found = row_by_row.find(first.columns, rules)
        self._parts = Parts(store, found, first)
        self._headers: dict[bool, tuple[Part, second_table.SecondHeader]] = {}
        self._last_usable = -1
        self._dates: DateColumn | None = None
        if found.date is not None:
            self._dates = DateColumn(found.date, datetime.now(UTC).date(), rules.date_order)

    def add(self, raw: pd.DataFrame, *, is_end: bool) -> None:
        """Judge each row of a slice by itself, and keep it on disk."""
        part = self._parts.add(raw, is_end=is_end)
        judged = row_by_row.judge(raw, self._found, self._rules, part.above)
        self._parts.keep(part, raw, judged)
        self._look_for_headers(part, raw, judged)
        usable = part.start + judged.verdicts.open
        self._last_usable = int(usable.max(initial=self._last_usable))
        if self._dates is not None:
            self._dates.learn(row_by_row.dates(raw[self._found.date], judged.verdicts))

    def settle(self) -> Checked:
        """Decide what needs all rows, once all slices were added.

        Raise InputProblem if a second table begins below.
        """
        in_order = sorted(self._headers.values(), key=lambda each: each[0].start + each[1].at)
        for part, header in in_order:
            if header.is_sure or part.start + header.at < self._last_usable:
                raw = self._parts.raw(part)
                places = Places(raw)
                second_table.refuse(header, self._found, places.name(header.at))
        with self._store.writer(_SETTLED, _VERDICT) as file:
            is_strict = self._rules.on_conflict is OnConflict.REJECT
            for batch in self._store.repeats(conflicts_first=is_strict):
                file.write_batch(self._settled(batch))
        rows = Slices(self._parts.rows, lambda: prefetch(self._slices()))
        if self._dates is None:
            return Checked(rows, self._found)
        self._read_dates(self._dates)
        return Checked(rows, self._found, self._dates.read_as, self._dates.order)

    def _look_for_headers(self, part: Part, raw: pd.DataFrame, judged: JudgedRows) -> None:
        """Remember the first row that looks like the header of a second table, of each kind."""
        for header in second_table.headers(raw, self._found, self._rules, judged.verdicts):
            self._headers.setdefault(header.is_sure, (part, header))

    def _settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names: dict[int, str] = {}
        for name in ("first_forbids", "first_allows", "other"):
            positions, places = batch[name].to_numpy(), batch[f"{name}_place"]
            names |= self._parts.names(positions, places)
        positions, other, forbids, first_forbids = (
            batch[name].to_numpy(zero_copy_only=False)
            for name in ("position", "other", "forbids", "first_forbids")
        )
        verdicts = Verdicts.blank(len(positions))
        at = np.flatnonzero(other < 0)
        facts = (batch[name].to_numpy(zero_copy_only=False)[at] for name in Repeats._fields[1:])
        counts_as = positions.copy()
        counts_as[at] = duplicates.settle(
            Repeats(at, *facts),
            self._rules.on_conflict,
            names.__getitem__,
            verdicts,
            positions[at],
        )
        for row in np.flatnonzero(other >= 0).tolist():
            keys.refuse_doubtful_opt_in(row, names[int(other[row])], verdicts)
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

    def _read_dates(self, dates: DateColumn) -> None:
        """Read all dates once, for the log, and combine those of rows that repeat a key."""
        settled = Cursor(self._store.batches(_SETTLED), _VERDICT)
        parts = prefetch(self._parts.read())
        with self._store.writer(_TIMES, TIMES) as file, closing(parts):
            for part, raw, judged in parts:
                places = Places(raw)
                texts = row_by_row.dates(raw[self._found.date], judged.verdicts)
                times = request_dates.times_of(dates.read(texts, places.name), judged.desired)
                said = settled.until(part.end)
                said = said.filter(said["is_same"])
                at = said["position"].to_numpy() - part.start
                latest = times.latest[at]
                latest[(judged.desired[at] != 1) & (latest == UNDATED)] = -UNDATED
                found = {
                    "position": said["counts_as"],
                    "first": times.first[at],
                    "latest": latest,
                    "day": times.day[at],
                    "precision": times.precision[at],
                }
                file.write_table(pa.table(found, TIMES))
        with self._store.writer(_COMBINED, TIMES) as file:
            for batch in self._store.combined():
                file.write_batch(batch.cast(TIMES))
        dates.warn()

    def _slices(self) -> Iterator[pd.DataFrame]:
        settled = Cursor(self._store.batches(_SETTLED), _VERDICT)
        combined = None
        if self._dates is not None:
            combined = Cursor(self._store.batches(_COMBINED), TIMES)
        for part, raw, judged in self._parts.read():
            counts_as = np.arange(part.start, part.end)
            said = settled.until(part.end)
            at = said["position"].to_numpy() - part.start
            judged.verdicts.outcome[at] = said["outcome"].to_numpy()
            judged.verdicts.reason[at] = said["reason"].to_numpy()
            details = zip(at.tolist(), said["detail"].to_pylist(), strict=True)
            judged.verdicts.details.update((row, text) for row, text in details if text)
            counts_as[at] = said["counts_as"].to_numpy()
            frame = row_by_row.frame(raw, judged, counts_as)
            if self._dates is not None and combined is not None:
                texts = row_by_row.dates(raw[self._found.date], judged.verdicts)
                times = request_dates.times_of(self._dates.read(texts), judged.desired)
                _replace(times, combined.until(part.end), part.start)
                frame = row_by_row.dated(frame, times, self._rules)
            yield frame


def _replace(times: RequestTimes, combined: pa.Table, start: int) -> None:
    """Put the combined times of repeated requests in place of those of one row."""
    at = combined["position"].to_numpy() - start
    latest = combined["latest"].to_numpy()
    times.latest[at] = np.where(latest == -UNDATED, UNDATED, latest)
    for name in ("first", "day", "precision"):
        getattr(times, name)[at] = combined[name].to_numpy()
