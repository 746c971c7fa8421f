"""What of an input was read as what: where its table is, and the meaning of its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bulk_sync.rows.certain_dates import Dates
from bulk_sync.rows.check.header import Found
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.date_texts import Order
from bulk_sync.rows.listing import first_few, row_of_sheet
from bulk_sync.settings import KeyKind

FACTS: Final = ("read_as", "dates")
"""What runs are recorded with, by the names of their settings."""

_NAMED_FILES: Final = 3
_KINDS: Final = {KeyKind.CUSTOM: " (custom keys)", KeyKind.FILTER: " (values for a filter)"}


@dataclass(frozen=True, slots=True)
class TablePlace:
    """The place of the table in one file.

    Attributes:
        file: the file's name as it was given.
        sheet: the sheet of a workbook; None in other files.
        header_row: the number of the header's row; None in Parquet.
        positions: by the names in the frame, the columns in the file, from 0.
    """

    file: str
    sheet: str | None = None
    header_row: int | None = None
    positions: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        """Return the place without the file, such as ``row 4 of sheet 'Requests'``."""
        return row_of_sheet(self.header_row, self.sheet)


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of an input, and the meaning of their columns.

    Attributes:
        places: where the table of each file is.
        columns: the names of the columns of keys, states and dates, and the kind of the keys.
        rules: how the columns were looked for.
        dates_read_as: how the request dates were read, in words; "" if there is nothing to say.
        date_order: of the numbers in them.
    """

    places: Sequence[TablePlace]
    columns: Found
    rules: Rules
    dates_read_as: str = ""
    date_order: Order = field(default_factory=Order)

    @property
    def dates(self) -> Dates | None:
        """Return the column of request dates and how it was read; None if there is none."""
        return None if self.columns.date is None else Dates(self.columns.date, *self.date_order)

    @property
    def sheet(self) -> str | None:
        """Return the sheet of the only workbook; None for any other input."""
        return self.places[0].sheet if len(self.places) == 1 else None

    @property
    def header_row(self) -> int | None:
        """Return the header's row in the only file; None for several files, or Parquet."""
        return self.places[0].header_row if len(self.places) == 1 else None

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return ``FACTS``."""
        return dict(zip(FACTS, (str(self), self.dates and list(self.dates)), strict=True))

    def __str__(self) -> str:
        """Return what was read as what, as one sentence without a full stop."""
        found, rules = self.columns, self.rules
        parts = [*self._headers(), f"keys: {found.key!r}{_KINDS.get(found.keys.kind, '')}"]
        if found.state is not None:
            parts.append(f"states: {found.state!r}, {rules.words}")
        elif rules.state is not None:
            parts.append(f"every row {'forbids' if rules.state else 'allows'} the sale")
        if found.date is not None:
            how = f", {self.dates_read_as}" if self.dates_read_as else ""
            parts.append(f"request dates: {found.date!r}{how}")
        elif found.unused:
            parts.append(f"no request dates: {', '.join(map(repr, found.unused))} not used")
        sentence = "; ".join(parts)
        return sentence[0].upper() + sentence[1:]

    def _headers(self) -> list[str]:
        places = [place for place in self.places if place.header_row is not None]
        if not places:
            return []
        if len({str(place) for place in places}) == 1:
            several = f", in each of {len(places)} files" * (len(places) > 1)
            return [f"Header in {places[0]}{several}"]
        named = [f"{place} of {place.file}" for place in places]
        return [f"Headers in {first_few(named, _NAMED_FILES)}"]
