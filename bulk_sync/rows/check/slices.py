"""Checks an input that is larger than memory, slice by slice.

    raw slices --each by itself--> parts on disk --all keys--> rows that repeat a key --+--> slices
                                                 --all dates--> their order ------------'

The parts hold the raw rows, and what is said of each by itself. What needs all rows is kept beside
them, in the order of the rows, and put in its place whenever a slice is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import Found, duplicates, each, keys, second_table, states
from bulk_sync.rows.check.duplicates import Places, Repeats
from bulk_sync.rows.check.each import Judged
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import NONE, REASON_CODES
from bulk_sync.rows.date_texts import Order
from bulk_sync.rows.on_disk import KEYS, TIMES, Store
from bulk_sync.rows.request_dates import RequestTimes
from bulk_sync.rows.request_order import UNDATED
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import EmailCase, KeyKind

_RAW, _JUDGED, _SETTLED, _KEYS = "raw", "judged", "settled", "keys"
_TIMES, _COMBINED = "times", "combined"
"""The kinds of parts."""

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


_PLACE: Final = KEYS.field("place").type


class CheckedSlices(NamedTuple):
    """As ``check.Checked``, of slices."""

    rows: Slices
    found: Found
    dates_read_as: str = ""
    date_order: Order = Order()


class _Part(NamedTuple):
    """A slice on disk.

    Attributes:
        number: from 0.
        start: position of its first row.
        rows: how many it has.
        file: number of its file; -1 if the input is one file.
        above: how many rows of its file are above it; None if others are below.
    """

    number: int
    start: int
    rows: int
    file: int
    above: int | None

    @property
    def end(self) -> int:
        """Return the position behind its last row."""
        return self.start + self.rows


def check(frames: Iterable[pd.DataFrame], rules: Rules, store: Store) -> CheckedSlices:
    """Check every row, as ``check.check`` does.

    Args:
        frames: the raw rows, as ``read.slices`` returns them.
        rules: the rules for the input.
        store: where the parts go; it is needed as long as the rows are read.

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
            is_end = following is None or _file(following) != _file(raw)
            checking.add(raw, is_end=is_end)
    checking.settle()
    return checking.result()


def _file(raw: pd.DataFrame) -> int:
    """Return the number of a slice's file; -1 if the input is one file."""
    return int(raw[columns.FILE].cat.codes.to_numpy()[0]) if columns.FILE in raw else -1


class _Checking:
    """The state of a check between slices."""

    def __init__(self, first: pd.DataFrame, rules: Rules, store: Store) -> None:
        self._rules, self._store = rules, store
        self._found = each.find(first.columns, rules)
        self._own = first.columns
        self._files = first[columns.FILE].cat.categories if columns.FILE in first else None
        self._parts: list[_Part] = []
        self._unknown: frozenset[str] = frozenset()
        self._has_originals = True
        self._headers: dict[bool, tuple[int, second_table.Header, Mapping[bool, str]]] = {}
        self._last_usable = -1
        self._dates: request_dates.Reading | None = None
        if self._found.date is not None:
            today, order = datetime.now(UTC).date(), rules.date_order
            self._dates = request_dates.Reading(self._found.date, today, order)

    @property
    def _explains_words(self) -> bool:
        return len(self._unknown) <= states.MOST_WORDS

    def add(self, raw: pd.DataFrame, *, is_end: bool) -> None:
        """Judge a slice, and keep it on disk."""
        file, start = _file(raw), self._total
        above = sum(part.rows for part in self._parts if part.file == file)
        part = _Part(len(self._parts), start, len(raw), file, above if is_end else None)
        self._parts.append(part)
        raw = raw.drop(columns=columns.FILE) if file >= 0 else raw
        self._store.keep(_RAW, part.number, pa.Table.from_pandas(raw, preserve_index=False))
        explained = self._explains_words
        judged = self._judge(part, raw)
        if explained and not self._explains_words:  # it is the wrong column: say so of all rows
            for each_part in self._parts:
                judged = self._judge(each_part, self._raw(each_part))
        self._look_for_headers(part, raw, judged)
        self._has_originals &= duplicates.are_rows_of_files(raw)
        usable = judged.verdicts.open
        self._last_usable = start + int(usable[-1]) if len(usable) else self._last_usable
        if self._dates is not None:
            self._dates.learn(each.dates(raw[self._found.date], judged.verdicts))

    def settle(self) -> None:
        """Decide what needs all rows, once all slices were added.

        Raises:
            InputProblem: a second table begins below.
        """
        self._has_originals = self._has_originals and not self._store.has_same_originals()
        self._refuse_second_table()
        with self._store.writer(_SETTLED, _VERDICT) as file:
            for batch in self._store.repeats():
                file.write_batch(self._settled(batch))
        if self._dates is not None:
            self._read_dates(self._dates)

    def result(self) -> CheckedSlices:
        """Return the checked rows."""
        slices = Slices(self._total, self._slices)
        if self._dates is None:
            return CheckedSlices(slices, self._found)
        return CheckedSlices(slices, self._found, self._dates.read_as, self._dates.order)

    @property
    def _total(self) -> int:
        return self._parts[-1].end if self._parts else 0

    def _judge(self, part: _Part, raw: pd.DataFrame) -> Judged:
        """Judge the rows of a part by themselves, and keep what is said of them."""
        judged = each.judge(
            raw,
            self._found,
            self._rules,
            above=part.above,
            explains_words=self._explains_words,
        )
        if self._explains_words:
            self._unknown |= judged.unknown
        if not self._explains_words:
            judged = each.judge(
                raw, self._found, self._rules, above=part.above, explains_words=False
            )
        verdicts = judged.verdicts
        said = {
            "key": judged.keys,
            "desired": judged.desired,
            "outcome": verdicts.outcome,
            "reason": verdicts.reason,
            "detail": pa.chunked_array(columns.details(len(raw), verdicts.details)),
        }
        self._store.keep(_JUDGED, part.number, pa.table(said))
        self._store.keep(_KEYS, part.number, self._keys(part, raw, judged))
        return judged

    def _keys(self, part: _Part, raw: pd.DataFrame, judged: Judged) -> pa.Table:
        is_open = judged.verdicts.outcome == NONE
        alike, how = judged.identities, self._found.keys
        if how.kind is KeyKind.EMAIL and how.email_case is not EmailCase.IGNORE:
            alike = pc.utf8_lower(alike)
        none = pa.nulls(len(raw), pa.large_string())
        originals = (pa.array(raw[name]) if name in raw else none for name in columns.ORIGINAL)
        numbers = pa.array(raw[columns.ROW]), pa.array(np.full(part.rows, part.file, np.int32))
        told = {
            "position": np.arange(part.start, part.end),
            "identity": judged.identities,
            "alike": alike,
            "is_open": is_open,
            "forbids": judged.desired == 1,
            "place": pa.StructArray.from_arrays(
                [*numbers, *originals], fields=list(KEYS.field("place").type)
            ),
        }
        return pa.table(told, KEYS)

    def _look_for_headers(self, part: _Part, raw: pd.DataFrame, judged: Judged) -> None:
        """Remember the first row that looks like the header of a second table, of each kind."""
        for header in second_table.headers(raw, self._found, self._rules, judged.verdicts):
            if header.is_sure not in self._headers:
                names = {
                    has_originals: self._places(part, raw, has_originals=has_originals).name(
                        header.at
                    )
                    for has_originals in (False, True)
                }
                self._headers[header.is_sure] = part.start + header.at, header, names

    def _refuse_second_table(self) -> None:
        for at, header, names in sorted(self._headers.values(), key=lambda found: found[0]):
            if header.is_sure or at < self._last_usable:
                second_table.refuse(header, self._found, names[self._has_originals])

    def _places(self, part: _Part, raw: pd.DataFrame, *, has_originals: bool) -> Places:
        return Places.from_rows(self._with_file(part, raw), has_originals=has_originals)

    def _with_file(self, part: _Part, raw: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a part with FILE, if the input is several files."""
        if self._files is None:
            return raw
        file = pd.Categorical.from_codes(np.full(len(raw), part.file), self._files)
        return raw.assign(**{columns.FILE: file})

    def _raw(self, part: _Part) -> pd.DataFrame:
        frame: pd.DataFrame = self._store.part(_RAW, part.number).to_pandas()
        return frame

    def _settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the verdicts on some rows that repeat a key."""
        found = {name: column.to_numpy(zero_copy_only=False) for name, column in _plain(batch)}
        positions, other = found["position"], found["other"]
        names = self._names(batch)
        verdicts = Verdicts.blank(len(positions))
        at = np.flatnonzero(other < 0)
        repeats = Repeats(at, *(found[name][at] for name in Repeats._fields[1:]))
        counts_as = positions.copy()
        on_conflict = self._rules.on_conflict
        counts_as[at] = duplicates.settle(
            repeats, on_conflict, names.__getitem__, verdicts, positions[at]
        )
        for row in np.flatnonzero(other >= 0).tolist():
            keys.refuse_doubtful_opt_in(row, names[int(other[row])], verdicts)
        forbid_counts = counts_as == found["first_forbids"]
        said = {
            "position": positions,
            "counts_as": counts_as,
            "is_same": (counts_as == positions) | (forbid_counts == found["forbids"]),
            "outcome": verdicts.outcome,
            "reason": verdicts.reason,
            "detail": pa.array(columns.details(len(positions), verdicts.details)),
        }
        return pa.RecordBatch.from_pydict(said, _VERDICT)

    def _names(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the names of the rows that count for others, or contradict them."""
        names: dict[int, str] = {}
        for name in ("first_forbids", "first_allows", "other"):
            positions, first = np.unique(batch[name].to_numpy(), return_index=True)
            chosen = pa.array(first[positions >= 0])
            places = batch[f"{name}_place"].take(chosen)
            number, file, *originals = places.flatten()
            rows = pd.DataFrame({columns.ROW: number.to_numpy()})
            if self._files is not None:
                rows[columns.FILE] = pd.Categorical.from_codes(file.to_numpy(), self._files)
            for original, texts in zip(columns.ORIGINAL, originals, strict=True):
                if original in self._own:
                    rows[original] = pd.array(texts, dtype="str")
            named = Places.from_rows(rows, has_originals=self._has_originals)
            positions = positions[positions >= 0]
            names |= {at: named.name(row) for row, at in enumerate(positions.tolist())}
        return names

    def _read_dates(self, dates: request_dates.Reading) -> None:
        """Read all dates once, for the log, and combine those of rows that repeat a key."""
        settled = _Cursor(self._store.batches(_SETTLED), _VERDICT)
        with self._store.writer(_TIMES, TIMES) as file:
            for part in self._parts:
                raw = self._raw(part)
                judged = self._judged_before(part)
                places = self._places(part, raw, has_originals=self._has_originals)
                requests = dates.read(
                    each.dates(raw[self._found.date], judged.verdicts), places.name
                )
                verdicts = settled.until(part.end)
                verdicts = verdicts.filter(verdicts["is_same"])
                at = verdicts["position"].to_numpy() - part.start
                times = request_dates.times_of(requests, judged.desired)
                latest = times.latest[at]
                latest[(judged.desired[at] != 1) & (latest == UNDATED)] = -UNDATED
                file.write_table(
                    pa.table(
                        {
                            "position": verdicts["counts_as"],
                            "first": times.first[at],
                            "latest": latest,
                            "day": times.day[at],
                            "precision": times.precision[at],
                        },
                        TIMES,
                    )
                )
        with self._store.writer(_COMBINED, TIMES) as file:
            for batch in self._store.combined():
                file.write_batch(batch.cast(TIMES))
        dates.warn()

    def _judged_before(self, part: _Part) -> Judged:
        """Return what was said of each row of a part by itself."""
        said = self._store.part(_JUDGED, part.number)
        outcome, reason, desired = (
            said[name].to_numpy().copy() for name in ("outcome", "reason", "desired")
        )
        has_detail = np.flatnonzero(outcome != NONE)
        texts = said["detail"].take(pa.array(has_detail)).to_pylist()
        aside = set(np.flatnonzero(reason == REASON_CODES[Reason.NOT_DATA]).tolist())
        verdicts = Verdicts(
            outcome, reason, dict(zip(has_detail.tolist(), texts, strict=True)), aside
        )
        return Judged(verdicts, said["key"], said["key"], desired)

    def _slices(self) -> Iterator[pd.DataFrame]:
        settled = _Cursor(self._store.batches(_SETTLED), _VERDICT)
        combined = None
        if self._dates is not None:
            combined = _Cursor(self._store.batches(_COMBINED), TIMES)
        for part in self._parts:
            end = part.end
            judged, raw = self._judged_before(part), self._raw(part)
            counts_as = np.arange(part.start, end)
            said = settled.until(end)
            _put(said, part.start, judged.verdicts, counts_as)
            frame = each.frame(self._with_file(part, raw), judged, counts_as)
            if self._dates is not None and combined is not None:
                requests = self._dates.read(
                    each.dates(raw[self._found.date], judged.verdicts), again=True
                )
                times = request_dates.times_of(requests, judged.desired)
                _replace(times, combined.until(end), part.start)
                frame = each.dated(frame, times, self._rules)
            yield frame


def _plain(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns of a batch with numbers."""
    columns_of = zip(batch.schema, batch.columns, strict=True)
    yield from ((field.name, column) for field, column in columns_of if field.type != _PLACE)


class _Cursor:
    """Rows on disk in the order of ``position``, read a stretch at a time."""

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches, self._schema = batches, schema
        self._left: list[pa.RecordBatch] = []

    def until(self, end: int) -> pa.Table:
        """Return the rows before a position that were not returned yet."""
        while not self._left or self._left[-1]["position"][-1].as_py() < end:
            batch = next(self._batches, None)
            if batch is None:
                break
            if batch.num_rows:
                self._left.append(batch)
        table = pa.Table.from_batches(self._left, self._schema)
        here = int(np.searchsorted(table["position"].to_numpy(), end))
        self._left = table.slice(here).to_batches()
        return table.slice(0, here)


def _put(said: pa.Table, start: int, verdicts: Verdicts, counts_as: npt.NDArray[np.int64]) -> None:
    """Add what is said of rows that repeat a key to the verdicts on a slice."""
    at = said["position"].to_numpy() - start
    verdicts.outcome[at] = said["outcome"].to_numpy()
    verdicts.reason[at] = said["reason"].to_numpy()
    counts_as[at] = said["counts_as"].to_numpy()
    verdicts.details.update(
        (row, text)
        for row, text in zip(at.tolist(), said["detail"].to_pylist(), strict=True)
        if text
    )


def _replace(times: RequestTimes, combined: pa.Table, start: int) -> None:
    """Put the combined times of repeated requests in place of those of one row."""
    at = combined["position"].to_numpy() - start
    times.first[at] = combined["first"].to_numpy()
    times.day[at] = combined["day"].to_numpy()
    times.precision[at] = combined["precision"].to_numpy()
    latest = combined["latest"].to_numpy().copy()
    latest[latest == -UNDATED] = UNDATED
    times.latest[at] = latest
