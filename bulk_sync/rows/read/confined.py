"""Reads workbooks and Parquet files through a process with limits on its memory and time.

``rows/parse`` describes that process.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np
import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read.cells import Cells, joined
from bulk_sync.rows.read.content import explained
from bulk_sync.rows.read.first_rows import FirstRows

log = logging.getLogger(__name__)

_MOST: Final = 32 << 20
_MOST_TIMES: Final = 128
"""The texts of a file may take so many bytes, and so many times its size more. Columns of few
values pack best: a million rows of sequential keys, a state, a date and a channel take 71 MB as
text, and 1 to 3 MB as Parquet."""

_MOST_FIRST_ROWS: Final = 64 << 20
"""How many bytes the first rows of all sheets may take."""

Choose = Callable[[Sequence[FirstRows]], tuple[int, int]]
"""Chooses by the first rows of all sheets: the position of one, and the number of its header's row.
Raises InputProblem if none will do."""

_COMMAND: Final = (sys.executable, "-P", "-m", "bulk_sync.rows.parse")


class _Died(Exception):
    """The process wrote too much, or not to the end: the file does not show how it ended."""


def cells(path: Path, parser: str, sheet: str | None, choose: Choose | None) -> Cells:
    """Read one file; see ``parts``."""
    return joined(list(parts(path, parser, sheet, choose)))


def parts(
    path: Path, parser: str, sheet: str | None, choose: Choose | None
) -> Generator[Cells, None, None]:
    """Yield the table of one file: a part without rows, as soon as its names are known, and others.

    The process ends with the generator.

    Args:
        path: the file.
        parser: the module of ``rows/parse`` for its format.
        sheet: the name of the only sheet whose first rows are needed; None needs those of all.
        choose: chooses the sheet and its header; None for a file without sheets.

    Raises:
        InputProblem: it cannot be read, or takes more than a file of its size needs.
    """
    with explained(str(path)):
        size = path.stat().st_size
        with path.open("rb"):
            pass
    request = {"path": str(path), "sheet": sheet, "parser": parser}
    has_died = False
    with explained("The folder for temporary files"), TemporaryFile() as stderr:
        try:
            yield from _parsed(request, stderr, _MOST + _MOST_TIMES * size, choose)
        except _Died:
            has_died = True
        stderr.seek(0)
        *output, last = stderr.read().decode(errors="replace").split("\n")
    outcome = json.loads(last) if last.startswith("{") else {}
    if "problem" in outcome:
        raise InputProblem(outcome["problem"])
    if has_died or not outcome:
        log.debug("The parser of %s died: %s", path, "\n".join([*output, last])[-2000:])
        raise InputProblem(
            f"{path} is damaged, or takes more memory or time to read than a file of its size "
            "needs, so it was not read. Save or export it again, or as CSV."
        )
    for note in outcome["notes"]:
        log.warning("%s", note)


def _cells(table: pa.Table) -> Cells:
    header = json.loads(table.schema.metadata[b"header"])
    numbers = table.column(0).to_numpy().astype(np.int64, copy=False)
    return Cells(header["names"], table.columns[1:], numbers, header["sheet"], header["row"])


def environment() -> dict[str, str]:
    """Return the environment of such a process: secrets are not for files from strangers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BULK_SYNC_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _parsed(
    request: Mapping[str, object], stderr: IO[bytes], most: int, choose: Choose | None
) -> Generator[Cells, None, None]:
    """Run the process, and yield what it writes; raise _Died if it is too much, or not all."""
    with subprocess.Popen(  # noqa: S603 - this program
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment()
    ) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise _Died
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            if choose is not None:
                sheets = _sheets(process.stdout)
                process.stdin.write(json.dumps(choose(sheets)).encode() + b"\n")
            process.stdin.close()
            taken = 0
            with pa.ipc.open_stream(process.stdout) as stream:
                yield _cells(stream.schema.empty_table())
                for batch in stream:
                    taken += batch.nbytes
                    if taken > most:
                        raise _Died
                    yield _cells(pa.Table.from_batches([batch]))
            process.wait()
        except (pa.ArrowInvalid, OSError) as error:
            raise _Died from error
        finally:
            process.kill()


def _sheets(stdout: IO[bytes]) -> list[FirstRows]:
    line = stdout.readline(_MOST_FIRST_ROWS)
    if not line.endswith(b"\n"):
        raise _Died
    return [FirstRows(dict(rows), name, is_hidden) for name, is_hidden, rows in json.loads(line)]
