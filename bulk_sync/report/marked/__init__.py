"""A person's own workbook with its bad cells marked, and a first sheet that lists them.

    rows --problems.py--> problems --workbook.py, another process, openpyxl--> marked.xlsx

No value, format or formula changes. Marks and the first sheet of an earlier check are taken off.
"""

import json
import logging
import subprocess
import sys
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas as pd

from bulk_sync.report import table
from bulk_sync.report.facts import Facts
from bulk_sync.report.marked import problems
from bulk_sync.rows import columns
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.read.confined import environment
from bulk_sync.rows.read.sources import origin
from bulk_sync.storage import workbook_seal

log = logging.getLogger(__name__)

MOST_ROWS: Final = 20_000
"""A longer input is better corrected where it comes from."""

_SCRIPT: Final = Path(__file__).with_name("workbook.py")
_NOT_IN_NAMES: Final = str.maketrans(dict.fromkeys("[]:*?/\\'", "_"))
_NAME_CHARACTERS: Final = 31
"""What the name of a sheet cannot hold in an .xlsx, but in an .ods."""


class Unmarkable(Exception):
    """The workbook cannot be marked; the text is the reason, to follow *because*."""


def mark(path: Path, rows: pd.DataFrame, layout: Layout, facts: Facts) -> bytes:
    """Return a workbook with marks, by the results of its check; of an .xls or .ods the list alone.

    Raises:
        Unmarkable: it has too many rows, or openpyxl would change it.
    """
    if len(rows) > MOST_ROWS:
        raise Unmarkable(f"it has more than {MOST_ROWS:,} rows")
    content, sheet, positions = path.read_bytes(), str(layout.sheet), layout.places[0].positions
    if sha256(content).hexdigest() != facts.source.sha256:
        raise Unmarkable("it has changed since it was read")
    alone = list[str]()
    if not _is_xlsx(content):
        sheet = sheet.translate(_NOT_IN_NAMES)[:_NAME_CHARACTERS]
        content = _copy(rows, layout, sheet)
        positions = {name: at for at, name in enumerate(table.own_columns(rows.columns))}
        alone.append(
            "This workbook has the list of yours alone, each row with its number: marks "
            "need an .xlsx. Formats, formulas and other sheets are left behind."
        )
    found = problems.find(rows, layout.columns, positions)
    is_rest = (came := origin(facts.source.input)) is not None and came.is_rest
    title, *head = problems.head(rows, layout, facts, found)
    request = {
        "sheet": sheet,
        "head": [title, *alone, *head],
        "lines": list(problems.lines(found, sheet)),
        "problems": [{**problem._asdict(), "note": problem.note} for problem in found],
        "property": workbook_seal.JOB_OF_REST if is_rest else workbook_seal.JOB,
        "job": facts.source.job,
        "locked": f"The sheet {sheet!r} is protected, as in yours: to correct it, take the "
        "protection off in your spreadsheet program (in Excel: Review, Unprotect Sheet).",
    }
    return _marked(json.dumps(request).encode() + b"\n" + content)


def _is_xlsx(content: bytes) -> bool:
    file = BytesIO(content)
    return zipfile.is_zipfile(file) and "[Content_Types].xml" in zipfile.ZipFile(file).namelist()


def _copy(rows: pd.DataFrame, layout: Layout, sheet: str) -> bytes:
    """Return an .xlsx with the list of another workbook, each row in its place."""
    # Late: the page has the problems without its library.
    from bulk_sync.report import input_sheet  # noqa: PLC0415

    names, header_row = table.own_columns(rows.columns), layout.header_row
    if header_row is None or not input_sheet.fits(rows, names):
        raise Unmarkable("its cells do not fit into an .xlsx")
    numbers = rows[columns.ROW].tolist()
    return bytes(input_sheet.workbook(rows, names, sheet, numbers=numbers, header_row=header_row))


def _marked(request: bytes) -> bytes:
    with TemporaryDirectory() as folder:  # the remains of a failure hold keys
        ran = subprocess.run(  # noqa: S603 - this program
            [sys.executable, "-P", _SCRIPT],
            input=request,
            capture_output=True,
            check=False,
            env={**environment(), "TMPDIR": folder, "OPENPYXL_LXML": "False"},
        )
    if ran.returncode:
        log.debug("The marking process failed: %s", ran.stderr.decode(errors="replace")[-2000:])
        raise Unmarkable(
            "it is built in an unusual way: openpyxl, which marks it, cannot read it, or needs too "
            "much memory or time"
        )
    head, _, marked = ran.stdout.partition(b"\n")
    if problem := json.loads(head)["problem"]:
        raise Unmarkable(problem)
    return marked
