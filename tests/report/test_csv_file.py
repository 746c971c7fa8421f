"""CSV reports, read back with Python's own reader."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from report_frames import (
    AT,
    OUR_COLUMNS,
    TEXT,
    as_text,
    expected,
    nasty_results,
    report_columns,
    results,
    text,
    write,
)

from bulk_sync.rows import check, columns


def read_back(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.csv"


def test_a_row_is_written_as_the_contract_requires(path: Path) -> None:
    frame = results(1, {"PKey": ["@a"], "note": ['5", blue'], "x": ["plain"]})
    write(frame, path)
    assert path.read_bytes().decode() == (
        f"PKey,note,x,{','.join(OUR_COLUMNS)}\n"
        f'@a,"5"", blue",plain,2,@key0,true,false,true,updated,,,1,{AT}\n'
    )


@given(frame=nasty_results())
@examples(30)
def test_every_value_is_read_back_except_apostrophes_before_formulas(
    path: Path, frame: pd.DataFrame
) -> None:
    write(frame, path)
    header, *rows = read_back(path)
    wanted = expected(frame)
    assert header == report_columns(frame)
    assert len(rows) == len(wanted)
    for row, values in zip(rows, wanted, strict=True):
        got = dict(zip(header, row, strict=True))
        got[columns.KEY] = got[columns.KEY].removeprefix("'")
        if got[columns.DETAIL] != values[columns.DETAIL]:
            got[columns.DETAIL] = got[columns.DETAIL].removeprefix("'")
        assert got == {name: as_text(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("key", "written"),
    [
        pytest.param("@aB9_-z", "@aB9_-z", id="plain-pkey"),
        pytest.param("@", "@", id="at-sign-alone"),
        pytest.param("plain", "plain", id="no-pkey"),
        pytest.param("a=b", "a=b", id="equals-inside"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="call"),
        pytest.param("@a b", "'@a b", id="at-sign-and-blank"),
        pytest.param("@é", "'@é", id="at-sign-and-accent"),
        pytest.param("@ab\n", "'@ab\n", id="at-sign-and-line-break"),
        pytest.param("=1+1", "'=1+1", id="equals"),
        pytest.param('="@a"', '\'="@a"', id="wrapped-as-formula"),
        pytest.param("+49", "'+49", id="plus"),
        pytest.param("-5", "'-5", id="minus"),
        pytest.param("\tx", "'\tx", id="tab"),
        pytest.param("\rx", "'\rx", id="carriage-return"),
        pytest.param("'a", "''a", id="apostrophe"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_key_that_could_start_a_formula_is_guarded_and_a_plain_pkey_is_not(
    path: Path, key: str, written: str
) -> None:
    write(results(1, ours={columns.KEY: [key]}), path)
    header, row = read_back(path)
    assert row[header.index(columns.KEY)] == written


@pytest.mark.parametrize("name", [columns.DETAIL, columns.FILE])
@pytest.mark.parametrize(
    ("output", "written"),
    [
        pytest.param("=cmd", "'=cmd", id="equals"),
        pytest.param("@plain", "'@plain", id="at-sign"),
        pytest.param("+1", "'+1", id="plus"),
        pytest.param("-1", "'-1", id="minus"),
        pytest.param("\t=1", "'\t=1", id="tab"),
        pytest.param("\r=1", "'\r=1", id="carriage-return"),
        pytest.param("'a' is no state", "'a' is no state", id="apostrophe"),
        pytest.param("fine = good", "fine = good", id="harmless"),
    ],
)
def test_foreign_text_in_our_columns_starts_no_formula(
    path: Path, name: str, output: str, written: str
) -> None:
    write(results(1, ours={name: [output]}), path)
    header, row = read_back(path)
    assert row[header.index(name)] == written


@given(written=st.lists(TEXT, min_size=1, max_size=5))
@examples(25)
def test_a_key_is_the_same_when_the_report_is_the_next_input(
    path: Path, written: list[str]
) -> None:
    keys = judged_keys("PKey", written)
    write(results(len(keys), ours={columns.KEY: keys}), path)
    header, *rows = read_back(path)
    at = header.index(columns.KEY)
    assert judged_keys(columns.KEY, [row[at] for row in rows]) == keys


def judged_keys(name: str, cells: list[str]) -> list[str]:
    raw = pd.DataFrame({name: text(cells), columns.ROW: range(2, len(cells) + 2)})
    return check.rows(raw, check.Rules(key_column=name, state=True))[columns.KEY].tolist()


def test_the_inputs_own_columns_stay_unchanged(path: Path) -> None:
    own = ["=cmd", "'@a", "@b", " x ", "-"]
    write(results(5, {"PKey": own}), path)
    assert [row[0] for row in read_back(path)[1:]] == own


def test_rows_beyond_one_batch_keep_their_order(path: Path) -> None:
    count = 70_000
    write(results(count, {"n": [str(n) for n in range(count)]}), path)
    assert [row[0] for row in read_back(path)[1:]] == [str(n) for n in range(count)]
