"""The cost of a workbook report, beside its bare cells by the same library."""

from collections.abc import Iterator

from calling import program
from measuring import Line, compare

ROWS = 300_000


def lines() -> Iterator[Line]:
    """Yield the cost of a workbook of many rows."""
    words = [*program("write_workbook.py")]
    yield compare(
        f"report of {ROWS:,} rows as a workbook / XlsxWriter, bare cells",
        [*words, "ours", str(ROWS)],
        [*words, "bare", str(ROWS)],
        (1.5, 1000),
        rounds=3,
    )
