"""The rows of a plan or of a run in pages of 50, whatever their number.

    rows as Parquet --once, in batches--> FOLDER/person.arrow, opt-ins.arrow, changes.arrow
                                          FOLDER/counts.json

The folder appears whole or not at all. Memory: one batch of rows, to make it and to read it; to
make that of a plan, also 20 bytes a row.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup
from pyarrow import ipc

from bulk_sync.report import html_file
from bulk_sync.report import table as tables
from bulk_sync.report.table import Results
from bulk_sync.rows import columns, comparison, due_dates
from bulk_sync.runs.kept.tally import Tally
from bulk_sync.storage import atomic
from bulk_sync.web import choices

PAGE_ROWS: Final = 50

_READ_ROWS: Final = 16_384
_PAGES_TOGETHER: Final = 20
"""Pages that are packed together: a page is found without reading those before it."""

_FORESEEN_BY: Final = (columns.OUTCOME, columns.DESIRED, columns.AFTER, columns.COUNTS_AS)
_NOT_OF_A_PLAN: Final = (columns.DESIRED, columns.ATTEMPTS, columns.AT)
"""What a plan does not show: a change is shown as the states before and after."""


class Section(StrEnum):
    """Rows that are shown together; its value names their file."""

    PERSON = "person"
    OPT_INS = "opt-ins"
    CHANGES = "changes"


class RowPage(NamedTuple):
    """A page of rows.

    Attributes:
        number: of the page, from 0.
        first: the number of its first row, from 1.
        rows: how many there are on all pages.
        head: groups of columns, and their names.
        body: the rows as HTML.
    """

    number: int
    pages: int
    first: int
    last: int
    rows: int
    head: Mapping[str, Sequence[str]]
    body: Markup


@dataclass(frozen=True, slots=True)
class RowPages:
    """The pages of some rows.

    Attributes:
        counts: rows by section.
        tally: counts of all rows.
    """

    folder: Path
    counts: Mapping[Section, int]
    tally: Tally

    @classmethod
    def open(cls, source: Path, folder: Path, ended_on: date, *, is_plan: bool) -> Self:
        """Return the pages of the rows of a plan, or of a run; make them if they are not there.

        Raises:
            OSError, pa.ArrowException: the rows cannot be read, or the pages not be written.
        """
        if not folder.is_dir():
            atomic.make_folder(folder.parent)
            with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
                fresh = Path(aside) / "fresh"
                fresh.mkdir(mode=0o700)
                _write(source, fresh, ended_on, is_plan=is_plan)
                _move(fresh, folder)
        facts = orjson.loads((folder / "counts.json").read_bytes())
        counts = {section: facts["sections"][section] for section in Section}
        return cls(folder, counts, Tally.loads(facts["tally"]))

    def pages(self, section: Section) -> int:
        """Return how many pages a section has."""
        return -(-self.counts[section] // PAGE_ROWS)

    def page(self, section: Section, number: int) -> RowPage | None:
        """Return a page, counted from 0; the nearest if there is no such page; None without any."""
        rows, pages = self.counts[section], self.pages(section)
        if not pages:
            return None
        number = min(max(number, 0), pages - 1)
        with ipc.open_file(self.folder / f"{section}.arrow") as file:
            batch = file.get_batch(number // _PAGES_TOGETHER)
        batch = _in_words(batch.slice(number % _PAGES_TOGETHER * PAGE_ROWS, PAGE_ROWS))
        first = number * PAGE_ROWS + 1
        last = first + batch.num_rows - 1
        return RowPage(number, pages, first, last, rows, *html_file.table_of(batch))


def _write(source: Path, folder: Path, ended_on: date, *, is_plan: bool) -> None:
    tally, counts = Tally(), dict.fromkeys(Section, 0)
    writers: dict[Section, _Writer] = {}
    after = None
    if is_plan:
        after = comparison.foreseen(pq.read_table(source, columns=list(_FORESEEN_BY)).to_pandas())
    with ExitStack() as files, pq.ParquetFile(source, buffer_size=1 << 20) as file:
        for part in file.iter_batches(_READ_ROWS):
            rows = pa.Table.from_batches([part]).to_pandas()
            if after is not None:
                here, after = after.iloc[: len(rows)], after.iloc[len(rows) :]
                rows[columns.AFTER] = here.array
            tally += Tally.count(rows, ended_on)
            for batch in Results.from_frame(due_dates.with_due(rows)).read():
                masks = tables.masks(batch)
                plain = _plain(batch, is_plan=is_plan)
                for section, mask in zip(Section, masks, strict=False):
                    found = plain.filter(mask)
                    if found.num_rows:
                        counts[section] += found.num_rows
                        if section not in writers:
                            path = folder / f"{section}.arrow"
                            new = files.enter_context(atomic.replacing(path))
                            writers[section] = _Writer(new, found.schema)
                        writers[section].add(found)
        for writer in writers.values():
            writer.close()
    facts = {"sections": {str(each): number for each, number in counts.items()}}
    with atomic.replacing(folder / "counts.json") as file:
        file.write(orjson.dumps({**facts, "tally": tally.dumps()}))


def _plain(batch: pa.RecordBatch, *, is_plan: bool) -> pa.RecordBatch:
    """Return a batch without dictionaries, which differ between batches."""
    values = tables.values_of(batch)
    if is_plan:
        values = {name: each for name, each in values.items() if name not in _NOT_OF_A_PLAN}
    return pa.RecordBatch.from_pydict(values)


def _in_words(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose sentences name fields of the page in place of options."""
    if columns.DETAIL not in batch.schema.names:
        return batch
    at = batch.schema.get_field_index(columns.DETAIL)
    field = batch.schema.field(at)
    texts = [text and choices.in_words(text) for text in batch.column(at).to_pylist()]
    return batch.set_column(at, field, pa.array(texts, field.type))


class _Writer:
    """Writes batches of the same number of rows, whatever it is given."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        options = ipc.IpcWriteOptions(compression="zstd")
        self._schema = schema
        self._writer = ipc.new_file(file, schema, options=options)
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows, and write them as soon as a batch is full."""
        self._held.append(batch.cast(self._schema))
        self._rows += batch.num_rows
        size = PAGE_ROWS * _PAGES_TOGETHER
        if self._rows >= size:
            whole = pa.concat_batches(self._held)
            full = whole.num_rows - whole.num_rows % size
            for at in range(0, full, size):
                self._writer.write_batch(whole.slice(at, size))
            rest = whole.slice(full)
            self._held, self._rows = [rest], rest.num_rows

    def close(self) -> None:
        """Write the rest."""
        if self._rows:
            self._writer.write_batch(pa.concat_batches(self._held))
        self._writer.close()


def _move(fresh: Path, folder: Path) -> None:
    """Give a folder its name, unless another thread or process was quicker."""
    try:
        fresh.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def number_of(text: str) -> int:
    """Return the number of a page, from 0, as an address has it; -1 if it is none."""
    return int(text) - 1 if text.isascii() and text.isdigit() and len(text) < 9 else -1
