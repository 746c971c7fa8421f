"""Reads one sheet of a workbook: each cell as the text that the spreadsheet would show in full.

Numbers are plain digits up to the 15 that a spreadsheet keeps; a longer one is shown damaged, as
the spreadsheet does, for its last digits are lost.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

import pandas as pd
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read import formats
from bulk_sync.rows.read.cells import Cells, from_records
from bulk_sync.rows.read.content import explained

_Cell = int | float | str | bool | time | date | datetime | timedelta

_KEPT: Final = 10**15
"""From here on a spreadsheet no longer keeps every digit of a number."""

_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
"""The name, in an old Office container, of the stream that holds a protected new workbook."""


def cells(path: Path, sheet: str | None) -> Cells:
    """Read one sheet.

    Args:
        path: the workbook.
        sheet: the sheet's name; None takes the first.

    Raises:
        InputProblem: it is no workbook, protected, damaged, has no such sheet, or it is empty.
    """
    with explained(str(path)):
        content = path.read_bytes()
    try:
        with CalamineWorkbook.from_path(path) as book:
            table = _sheet(book, path, sheet)
            return _table(table, path)
    except (CalamineError, PasswordError) as problem:
        raise _refusal(path, content, problem) from problem
