"""Reads workbooks and Parquet files through a process with limits on its memory and time.

``rows/parse`` describes that process.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np
import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import explained

log = logging.getLogger(__name__)

_MOST: Final = 32 << 20
_MOST_TIMES: Final = 128
"""The texts of a file may take so many bytes, and so many times its size more. Columns of few
values pack best: a million rows of sequential keys, a state, a date and a channel take 71 MB as
text, and 1 to 3 MB as Parquet."""

_COMMAND: Final = (sys.executable, "-P", "-m", "bulk_sync.rows.parse")


def cells(path: Path, sheet: str | None, parser: str) -> Cells:
    """Read one file.

    Args:
        path: the file.
        sheet: of a workbook, the sheet's name; None takes the first visible one with data.
        parser: the module of ``rows/parse`` for its format.

    Raises:
        InputProblem: it cannot be read, or takes more than a file of its size needs.
    """
    with explained(str(path)):
        size = path.stat().st_size
        with path.open("rb"):
            pass
    request = {"path": str(path), "sheet": sheet, "parser": parser}
    with explained("The folder for temporary files"), TemporaryFile() as stderr:
        table = _table(request, stderr, _MOST + _MOST_TIMES * size)
        stderr.seek(0)
        *output, last = stderr.read().decode(errors="replace").split("\n")
    outcome = json.loads(last) if last.startswith("{") else {}
    if "problem" in outcome:
        raise InputProblem(outcome["problem"])
    if table is None or not outcome:
        log.debug("The parser of %s died: %s", path, "\n".join([*output, last])[-2000:])
        raise InputProblem(
            f"{path} is damaged, or takes more memory or time to read than a file of its size "
            "needs, so it was not read. Save or export it again, or as CSV."
        )
    for note in outcome["notes"]:
        log.warning("%s", note)
    header = json.loads(table.schema.metadata[b"header"])
    numbers = table.column(0).to_numpy().astype(np.int64, copy=False)
    return Cells(header["names"], table.columns[1:], numbers, header["sheet"], header["row"])


def _table(request: Mapping[str, object], stderr: IO[bytes], most: int) -> pa.Table | None:
    """Run the process; return None if it writes too much, or not to the end."""
    # Secrets are not for a parser of files from strangers.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BULK_SYNC_")}
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(  # noqa: S603 - this program
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**kept, "PYTHONPATH": path},
    ) as process:
        try:
            return _received(process, json.dumps(request).encode(), most)
        except (pa.ArrowInvalid, OSError):  # it died: the file does not show how it ended
            return None
        finally:
            process.kill()


def _received(process: "subprocess.Popen[bytes]", request: bytes, most: int) -> pa.Table | None:
    if process.stdin is None or process.stdout is None:
        return None
    process.stdin.write(request)
    process.stdin.close()
    batches, taken = [], 0
    with pa.ipc.open_stream(process.stdout) as stream:
        for batch in stream:
            taken += batch.nbytes
            if taken > most:
                return None
            batches.append(batch)
        table = pa.Table.from_batches(batches, stream.schema)
    process.wait()
    return table
