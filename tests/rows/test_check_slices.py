"""Inputs checked slice by slice, compared with the same inputs checked whole."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from checked_rows import raw
from examples import examples
from hypothesis import HealthCheck, given
from raw_inputs import MEMORY, RULES, SIZES, raw_rows

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns, read
from bulk_sync.rows.check import OnConflict, Rules, slices
from bulk_sync.rows.check.footer import LEAST_ROWS
from bulk_sync.rows.on_disk import Store
from bulk_sync.rows.slices import Slices


def cut(raw: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Yield rows in slices; no slice has two files, and the end of each file is in one slice."""
    files = [raw] if columns.FILE not in raw else [
        part for _, part in raw.groupby(columns.FILE, observed=True)
    ]  # fmt: skip
    for part in files:
        start = 0
        while len(part) - start > size + LEAST_ROWS:
            yield part.iloc[start : start + size].reset_index(drop=True)
            start += size
        yield part.iloc[start:].reset_index(drop=True)


def check_input(raw: pd.DataFrame, rules: Rules, size: int | None) -> check.Checked | str:
    """Return checked rows with their messages, or the error."""
    try:
        if size is None:
            return check.check(raw, rules)
        with TemporaryDirectory() as folder, Store(Path(folder), MEMORY) as store:
            found = slices.check(cut(raw, size), rules, store)
            rows, again = found.rows.joined(), found.rows.joined()
            pd.testing.assert_frame_equal(rows, again)
            return found._replace(rows=Slices.of(rows))
    except InputProblem as problem:
        return str(problem)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log messages since the last call."""
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


@pytest.mark.parametrize("size", SIZES)
@examples(5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=raw_rows(), rules=RULES)
def test_slices_have_the_verdicts_of_the_whole(
    raw: pd.DataFrame, rules: Rules, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    warnings_of(caplog)
    whole = check_input(raw.copy(), rules, None)
    warnings = warnings_of(caplog)
    sliced = check_input(raw.copy(), rules, size)
    if isinstance(whole, str) or isinstance(sliced, str):
        assert whole == sliced
        return
    assert warnings_of(caplog) == warnings
    pd.testing.assert_frame_equal(whole.rows.joined(), sliced.rows.joined())
    assert whole[1:] == sliced[1:]


def test_a_large_todo_file_keeps_the_places_of_its_rows(tmp_path: Path) -> None:
    lines = ["PKey,ccpaOptOut,original_row", *(f"@{at},yes,{at + 2}" for at in range(200))]
    path = tmp_path / "in.todo.csv"
    path.write_text("\n".join([*lines, "@0,yes,300"]))
    frames = read.slices(str(path), most_bytes=900, folder=tmp_path).frames
    with TemporaryDirectory() as folder, Store(Path(folder), MEMORY) as store:
        found = slices.check(frames, Rules(), store).rows.joined()
    assert "row 2 (row 2 of the original file)" in list(found[columns.DETAIL])[-1]


def test_names_below_the_last_usable_row_are_no_second_table(tmp_path: Path) -> None:
    lines = ["PKey,ccpaOptOut", *(f"@{at},yes" for at in range(200)), "Remarks,consent"]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines))
    frames = read.slices(str(path), most_bytes=900, folder=tmp_path).frames
    with TemporaryDirectory() as folder, Store(Path(folder), MEMORY) as store:
        found = slices.check(frames, Rules(), store).rows.joined()
    assert (len(found), list(found[columns.REASON])[-1]) == (201, "bad_state")


@pytest.mark.parametrize("size", [None, 10])
def test_the_rows_above_a_total_are_those_of_its_file(size: int | None) -> None:
    counts = {"a.csv": 100, "b.csv": 120}
    rows = [
        row
        for name, count in counts.items()
        for row in [*((f"@{name}{at}", "yes") for at in range(count)), (str(count), "")]
    ]
    files = [name for name, count in counts.items() for _ in range(count + 1)]
    found = check_input(raw(rows).assign(**{columns.FILE: pd.Categorical(files)}), Rules(), size)
    assert isinstance(found, check.Checked)
    judged = found.rows.joined()
    assert judged[judged[columns.REASON] == "not_data"].index.tolist() == [100, 221]


HEADERS = (("PKey", "consent"), ("Customer", "may sell"))


@pytest.mark.parametrize("size", [None, 1, 10])
@pytest.mark.parametrize("headers", [HEADERS, HEADERS[::-1]], ids=["sure", "likely"])
def test_of_several_further_tables_the_first_is_named(
    headers: tuple[tuple[str, str], ...], size: int | None
) -> None:
    rows = [("@a", "yes"), headers[0], ("@b", "yes"), headers[1]]
    rows += [(f"@{at}", "yes") for at in range(LEAST_ROWS + 20)]
    found = check_input(raw(rows), Rules(), size)
    assert isinstance(found, str)
    assert found.startswith("Row 3 looks like the header of a second table")
    assert f"is called {headers[0][1]!r}" in found


CAPITALS = {"b": "p@x.com", "B": "P@x.com"}


@pytest.mark.parametrize(
    ("rows", "on_conflict", "expected"),
    [
        ("b+ b- B+", "reject", "conflict conflict -"),
        ("B+ b- b+", "reject", "- conflict conflict"),
        ("b+ B+ b- B-", "reject", "conflict conflict conflict conflict"),
        ("b- B+", "reject", "conflict -"),
        ("b+ b- B+", "last", "- conflict -"),
        ("b+ b- B+", "opt-out", "- conflict -"),
    ],
)
@pytest.mark.parametrize("size", [None, 1])
def test_an_address_with_two_states_is_a_conflict_whatever_other_capitals_say(
    rows: str, on_conflict: str, expected: str, size: int | None
) -> None:
    given = [(CAPITALS[row[0]], {"+": "yes", "-": "no"}[row[1]]) for row in rows.split()]
    rules = Rules(on_conflict=OnConflict(on_conflict))
    found = check_input(raw(given, ("email", "ccpaOptOut")), rules, size)
    assert isinstance(found, check.Checked)
    reasons = found.rows.joined()[columns.REASON].astype(object).fillna("-")
    assert list(reasons) == expected.split()
