"""The process for parsing one file; ``read/confined.py`` starts it.

    in:   the file                      the sheet, its header
    out:             the first rows of each sheet           the table, as a stream of Arrow

The second lines are for workbooks alone. The last line of standard error is the outcome. Without
it, the process died.
"""

import json
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse import Parsed, confine
from bulk_sync.rows.parse.sheets import Sheet

_BYTES: Final = 224 << 20
_BYTES_EACH: Final = 40
_BYTES_EACH_OF_ODS: Final = 250
"""Memory for a file: 116 MB are Python and Arrow, the rest are a few pieces and batches; and for
each packed byte of the file its texts. Those of an .ods pack best."""

_SECONDS: Final = 5
_BYTES_A_SECOND: Final = 10 << 20
"""CPU time for a file, and for so much memory of its cells. A million cells, for which there are
200 MB, take 3 s."""


def main() -> None:
    """Parse the file named on standard input."""
    request = json.loads(sys.stdin.readline())
    path = Path(request["path"])
    is_ods = path.suffix.lower() == ".ods"
    texts = path.stat().st_size * (_BYTES_EACH_OF_ODS if is_ods else _BYTES_EACH)
    confine(_BYTES + texts, _SECONDS + texts // _BYTES_A_SECOND)
    outcome: dict[str, object]
    try:
        parser = import_module(f"bulk_sync.rows.parse.{request['parser']}")
        parsed = parser.parse(path, partial(_choose, request["sheet"]))
        _write(parsed)
        outcome = {"notes": parsed.notes}
    except InputProblem as problem:
        outcome = {"problem": str(problem)}
    sys.stderr.write(f"\n{json.dumps(outcome)}")


def _choose(name: str | None, sheets: Sequence[Sheet]) -> list[int]:
    """Write the first rows of the sheets, or of a named one, and read which one to parse."""
    listed = [
        (each.name, each.is_hidden, each.first_rows() if name in {None, each.name} else [])
        for each in sheets
    ]
    sys.stdout.buffer.write(json.dumps(listed).encode() + b"\n")
    sys.stdout.buffer.flush()
    chosen: list[int] = json.loads(sys.stdin.readline())
    return chosen


def _write(parsed: Parsed) -> None:
    columns = [pa.field(str(at + 1), pa.large_string()) for at in range(len(parsed.names))]
    header = {"names": parsed.names, "sheet": parsed.sheet, "row": parsed.header_row}
    schema = pa.schema([pa.field("0", pa.int64()), *columns], {"header": json.dumps(header)})
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
        for each in parsed.batches:
            stream.write_batch(each)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
