"""Results as Arrow: the report's columns in their order, in batches that bound the memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.rows import columns
from bulk_sync.rows.comparison import CHANGED, WRITTEN
from bulk_sync.rows.slices import Slices

TEXT: Final = pa.large_string()
"""The type of every text: pandas' own, so that nothing is copied."""

SHEET_ROWS: Final = 1_048_575
SHEET_COLUMNS: Final = 16_384
"""How many rows below its header, and columns, a sheet of a workbook can hold."""

_BATCH_ROWS: Final = 16_384
"""Rows between two signs of progress; larger batches are not quicker."""


def own_columns(names: Iterable[str]) -> list[str]:
    """Return those names of columns that are the input's own."""
    return [name for name in names if name not in columns.OURS]


def report_columns(results: pd.DataFrame) -> list[str]:
    """Return the names of a report's columns: the input's own, then ours."""
    return [*own_columns(results.columns), *(name for name in columns.REPORT if name in results)]


@dataclass(frozen=True, slots=True)
class Results:
    """Rows to be written, in batches that can be read again and again; never held whole.

    Text is large_string, OUTCOME, REASON and FILE are dictionaries, ROW and ATTEMPTS int64, states
    bool, AT is timestamp[ms, UTC]; missing is null.

    Attributes:
        schema: the columns, in the order to write them.
        count: how many rows there are.
        read: starts a pass over all rows.
    """

    schema: pa.Schema
    count: int
    read: Callable[[], Iterable[pa.RecordBatch]]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, names: Sequence[str] | None = None) -> "Results":
        """Read from a frame, copying one batch at most; ``names`` are by default a report's."""
        chosen = report_columns(frame) if names is None else list(names)
        table = pa.Table.from_pandas(frame, columns=chosen, preserve_index=False)
        table = table.replace_schema_metadata(None)

        def read() -> Iterator[pa.RecordBatch]:
            # One by one: with all batches held, the memory between them is not used again.
            # Combined: the row groups of Parquet do not depend on how the rows came together.
            for at in range(0, table.num_rows, _BATCH_ROWS):
                yield from table.slice(at, _BATCH_ROWS).combine_chunks().to_batches()

        return cls(table.schema, table.num_rows, read)

    @classmethod
    def from_slices(cls, rows: Slices) -> "Results":
        """Read from slices, which become batches anew in every pass."""
        if rows.only is not None:
            return cls.from_frame(rows.only)

        def read() -> Iterator[pa.RecordBatch]:
            for frame in rows.read():
                yield from cls.from_frame(frame).read()

        return cls(cls.from_frame(rows.first).schema, rows.count, read)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.schema.names)

    def watched(self, progress: Callable[[int], object]) -> "Results":
        """Return the same rows; ``progress`` is called with the number of rows done so far."""

        def read() -> Iterator[pa.RecordBatch]:
            done = 0
            for batch in self.read():
                yield batch
                done += batch.num_rows
                progress(done)

        return Results(self.schema, self.count, read)

    def explained(self, why: str) -> "Results":
        """Return the same rows; the first one left undone says why in full."""

        def read() -> Iterator[pa.RecordBatch]:
            is_told = False
            for batch in self.read():
                is_left = pc.starts_with(batch[columns.DETAIL], columns.NOT_DONE)
                at = -1 if is_told else pc.index(is_left, pa.scalar(True)).as_py()  # noqa: FBT003
                is_told = is_told or at >= 0
                yield batch if at < 0 else _with_detail(batch, at, why)

        return Results(self.schema, self.count, read) if why else self

    def values(self) -> Iterator[dict[str, pa.Array]]:
        """Yield batches of columns with text, numbers, booleans and nulls only."""
        return map(values_of, self.read())

    def texts(self) -> Iterator[dict[str, pa.Array]]:
        """Yield batches of columns with text only: ``true``, ``17``; missing is empty."""
        return map(as_texts, self.values())


def _with_detail(batch: pa.RecordBatch, at: int, why: str) -> pa.RecordBatch:
    name = columns.DETAIL
    detail = batch[name]
    told = f"{detail[at].as_py() or ''} {why}".strip()
    cell = pa.array([told], detail.type)
    parts = [detail.slice(0, at), cell, detail.slice(at + 1)]
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, batch.schema.field(place), pa.concat_arrays(parts))


def values_of(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Turn a batch into columns with text, numbers, booleans and nulls only."""
    return dict(zip(batch.schema.names, map(_plain, batch.columns), strict=True))


def as_texts(values: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Turn columns of plain values into text: ``true``, ``17``; missing is empty."""
    return {name: pc.fill_null(column.cast(TEXT), "") for name, column in values.items()}


def masks(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    """Yield which rows need a person, are opt-ins, are other changes, or nothing of it."""
    outcome = batch[columns.OUTCOME].cast(TEXT)
    person = pc.is_in(outcome, pa.array(NEEDS_A_PERSON, TEXT))
    changed = pc.is_in(outcome, pa.array(CHANGED, TEXT))
    allows = pc.fill_null(pc.invert(batch[columns.DESIRED]), False)  # noqa: FBT003 - Arrow's
    opt_in = pc.and_(pc.is_in(outcome, pa.array(WRITTEN, TEXT)), allows)
    yield from (person, opt_in, pc.and_not(changed, opt_in), pc.invert(pc.or_(person, changed)))


def join(parts: Sequence[pa.Array | str], separator: str = "") -> pa.Array:
    """Join texts row by row; a plain string is the same in every row."""
    arrays = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*arrays, pa.scalar(separator, TEXT))


def text_bytes(lines: pa.Array) -> memoryview:
    """Return all texts of a non-empty array, end to end, as UTF-8."""
    offsets = memoryview(lines.buffers()[1]).cast("q")
    start, end = offsets[lines.offset], offsets[lines.offset + len(lines)]
    return memoryview(lines.buffers()[2])[start:end]


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return column.cast(TEXT)
    if pa.types.is_timestamp(column.type):
        # Without its zone, which is UTC: with one, Arrow would look for a time zone database.
        # Casting takes a tenth of the time of ``strftime``.
        written = column.cast(pa.timestamp("ms")).cast(TEXT)
        return join([pc.replace_substring(written, " ", "T"), "Z"])
    return column
