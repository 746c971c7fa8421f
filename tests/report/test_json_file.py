"""JSON reports, read back with Python's own parser."""

import json
from pathlib import Path

import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from report_frames import AT, expected, nasty_results, results, write

from bulk_sync.rows import columns
from bulk_sync.rows.results import UNREAD


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.json"


def test_a_row_is_written_as_the_contract_requires(path: Path) -> None:
    frame = results(1, {"PKey": ["@a"]}, {columns.AFTER: [UNREAD]})
    write(frame, path)
    assert path.read_text() == (
        '[\n{"PKey":"@a","sync_row":2,"sync_key":"@key0","sync_desired":true,"sync_before":false,'
        '"sync_after":null,"sync_outcome":"updated","sync_reason":null,"sync_detail":"",'
        f'"sync_attempts":1,"sync_at":"{AT}"}}\n]\n'
    )


@given(frame=nasty_results())
@examples(25)
def test_every_value_is_read_back_in_column_order(path: Path, frame: pd.DataFrame) -> None:
    write(frame, path)
    rows = json.loads(path.read_bytes())
    assert rows == expected(frame)
    assert [list(row) for row in rows] == [list(row) for row in expected(frame)]


def test_each_row_stands_on_a_line_of_its_own(path: Path) -> None:
    write(results(3, {"note": ["a\nb", "c", "d"]}), path)
    start, *rows, end, nothing = path.read_text().split("\n")
    assert (start, end, nothing) == ("[", "]", "")
    assert [json.loads(row.removesuffix(","))["sync_row"] for row in rows] == [2, 3, 4]
