"""Writes the report of many rows as a workbook, ours or the bare cells; prints the seconds."""

import io
import sys
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import xlsxwriter

sys.path.insert(0, str(Path(__file__).parent.parent))

from report_frames import results

from bulk_sync.report import xlsx_file
from bulk_sync.report.facts import Facts, Subject
from bulk_sync.report.table import Results
from bulk_sync.rows import columns

UPDATED, NOT_FOUND = 0.04, 0.02
FACTS = Facts(Subject.RESULT, "20261124T031750Z-7f3a9c", datetime(2026, 11, 24, 3, 17, tzinfo=UTC))


def report(rows: int) -> Results:
    """Build results like those of a night: a few changes, fewer unknown keys."""
    luck = np.random.default_rng(1).random(rows)
    outcomes = np.where(
        luck < NOT_FOUND,
        "not_found",
        np.where(luck < NOT_FOUND + UPDATED, "updated", "unchanged"),
    ).tolist()
    unknown = [each == "not_found" for each in outcomes]
    keys = [f"@{number * 7919:x}{'Qx7-_' * 17}{number:06d}" for number in range(rows)]
    own = {
        "PKey": keys,
        "ccpaOptOut": ["true"] * rows,
        "requestDate": ["2026-11-01"] * rows,
        "requestChannel": ["web form"] * rows,
    }
    ours = {
        columns.KEY: keys,
        columns.OUTCOME: outcomes,
        columns.REASON: ["not_found" if each else None for each in unknown],
        columns.DETAIL: [
            "Campaign knows no profile by this key. Campaign answered 404." if each else ""
            for each in unknown
        ],
        columns.DUE: ["2026-11-23"] * rows,
    }
    return Results.from_frame(results(rows, own, ours))


def bare(found: Results, file: io.BytesIO) -> None:
    """Write the cells and nothing else."""
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        sheet, row = book.add_worksheet(), count()
        for batch in found.values():
            for values in zip(*(column.to_pylist() for column in batch.values()), strict=True):
                at = next(row)
                for column, value in enumerate(values):
                    if isinstance(value, str):
                        if value:
                            sheet.write_string(at, column, value)
                    elif isinstance(value, bool):
                        sheet.write_boolean(at, column, value)
                    elif value is not None:
                        sheet.write_number(at, column, value)


if __name__ == "__main__":
    way, rows = sys.argv[1], report(int(sys.argv[2]))
    began = time.process_time()
    if way == "ours":
        xlsx_file.write(rows, io.BytesIO(), FACTS)
    else:
        bare(rows, io.BytesIO())
    print(time.process_time() - began)
