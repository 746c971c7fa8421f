"""Notes of people below a list are rejected as such, and nothing else is."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from checked_rows import raw
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import Rules, row_by_row
from bulk_sync.rows.parse.cell_text import UNCALCULATED

Cells = tuple[str, ...]
EMAIL = ("Name", "E-mail", "Opt out?")
DATA = [(f"Person {n}", f"p{n}@example.com", "Yes") for n in range(7)]


def frame(rows: Sequence[Cells], names: Cells = EMAIL) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(names), dtype="str")
    return table.assign(**{columns.ROW: range(2, len(table) + 2)})


def reasons(table: pd.DataFrame, **rules: Any) -> list[str]:
    checked = check.rows(table, Rules(**rules))
    return list(checked[columns.REASON].astype(object).fillna(""))


@pytest.mark.parametrize(
    ("footer", "says"),
    [
        ([("Total", "", "")], "a total"),
        ([("Total", "", "7")], "a total"),
        ([("Total", "7", "")], "a total"),
        ([("", "Total requests: 7", "")], "a total"),
        ([("", "Total", "1")], "a total"),
        ([("Grand total:", "", "0")], "a total"),
        ([("Total requests: 7", "", "1")], "a total"),
        ([("Total of the month", "", "7 yes")], "a total"),
        ([("Summe", "", "7")], "a total"),
        ([("", "7", "")], "the rows above"),
        ([("", "7", "7 yes")], "the rows above"),
        ([("", "7 requests", "6 yes, 1 no")], "the rows above"),
        ([("Total", UNCALCULATED, UNCALCULATED)], "a total"),
        ([("", "Opt-outs:", "7")], "a note"),
        ([("", "", "7")], "a total"),
        ([("", "Contact: privacy@example.com", "")], "a note"),
        ([("Prepared by Jane Doe", "", "")], "a note"),
        ([("Prepared by:", "", "jane@example.com")], "a note"),
        ([("Jane Doe", "", "12")], "a note"),
        ([("", "Prepared by Jane Doe", "")], "a note"),
        ([("Prepared by", "jane@example.com", "")], "a request"),  # an address is a key
        ([("Signed by", "", "Jane Doe")], "a note"),
        ([("", "", "Legend: Yes = opted out")], "a note"),
        ([("", "Jane Doe, Privacy Office", "")], "a note"),
        ([("* as of today", "", "")], "a note"),
        ([("", "Yes = opted out", "No = may be sold")], "a note"),
        ([("", "No", "may be sold")], "a note"),
        ([("", "No", "1")], "a note"),
    ],
)
def test_a_row_below_the_list_is_no_request(footer: list[Cells], says: str) -> None:
    checked = check.rows(frame([*DATA, *footer]), Rules())
    is_note = says != "a request"
    assert list(checked[columns.REASON])[-1] == ("not_data" if is_note else "blank_state")
    assert checked[columns.OUTCOME][:7].isna().all()
    assert checked[columns.DESIRED].isna().tolist() == [False] * 7 + [True]
    if is_note:
        (sentence,) = checked[columns.DETAIL][7:]
        assert says in sentence
        assert sentence.startswith("This row looks like ")
        assert sentence.endswith("if it is a request, write its key.")


def test_each_of_several_rows_below_the_list_is_judged() -> None:
    footer = [("", "7", ""), ("", "Legend:", ""), ("", "", "Yes"), ("Prepared by Jane", "", "")]
    assert reasons(frame([*DATA, *footer]))[7:] == ["not_data", "not_data", "empty_key", "not_data"]
    wrong = [("", "9", ""), ("Total", "", "7")]
    assert reasons(frame([*DATA, *wrong]))[7:] == ["bad_key", "not_data"]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (("", "", "Yes"), "empty_key"),  # its state can be read: a request without its key
        (("Jane Doe", "", "no"), "empty_key"),
        (("", "8", ""), "bad_key"),  # not the number of rows
        (("", "7", "Yes"), "bad_key"),
        (("", UNCALCULATED, ""), "bad_key"),
        (("", "mailto: jane@example.com", ""), "bad_key"),
        (("", "No", "yes"), "bad_key"),
        (("", "1", "1"), "bad_key"),
        (("", "Jane Doe", "opted=out"), "bad_key"),
        (("", "Jane Doe", "not yet"), "bad_key"),
        (("", "Jane Doe", "perhaps"), "bad_key"),
        (("", "@opt-outs:", ""), "bad_key"),
        (("", "jane.doe", ""), "bad_key"),
        (("Total Wine & More", "jane@example.com", ""), "blank_state"),
        (("Total Wine & More", "12345", ""), "bad_key"),
        (("Total Wine & More", "", "1"), "empty_key"),
        (("Signed by Jane", "", "no"), "empty_key"),
        (("Total", "jane@example.com", "Yes"), ""),
    ],
)
def test_a_request_at_the_end_is_no_note(last: Cells, reason: str) -> None:
    assert reasons(frame([*DATA, last]))[-1] == reason


def test_a_row_without_a_key_in_the_middle_lacks_its_key() -> None:
    rows = [*DATA[:3], ("Total", "", ""), ("", "", ""), *DATA[3:]]
    assert reasons(frame(rows))[3:5] == ["empty_key"] * 2


def test_a_row_with_many_cells_lacks_its_key() -> None:
    names = ("Name", "E-mail", "Opt out?", "Request date", "Store")
    rows = [(*row, "2026-11-03", "Main") for row in DATA]
    lost, has_address = ("Jane", "", "", "2026-11-04", "Main"), ("j@x.org", "", "", "", "")
    for last in (lost, has_address):
        assert reasons(frame([*rows, last], names))[-1] == "empty_key"
    total = ("Total", "", "7", "2026-11-04", "Main")
    assert reasons(frame([*rows, total], names))[-1] == "not_data"


@pytest.mark.parametrize(
    "key", ["3", "007", "count-3", "sum12", "TOTAL3", "note-3", "total_3", "a b", "May"]
)
def test_the_last_key_of_a_file_of_keys_is_a_key(key: str) -> None:
    for others in ("@", "", "K-"):
        keys = raw([(f"{others}1", ""), (f"{others}2", ""), (key, "")], ("PKey", "note"))
        assert reasons(keys, state=True) == [""] * 3


def test_a_count_below_keys_that_are_numbers_may_be_a_key() -> None:
    assert reasons(raw([("7", "yes"), ("8", "yes"), ("2", "")])) == ["", "", "blank_state"]
    assert reasons(raw([("@7", "yes"), ("@8", "yes"), ("2", "")])) == ["", "", "not_data"]


def test_a_large_count_may_have_separators() -> None:
    rows = [(f"@{n}", "yes") for n in range(1_200)]
    for count in ("1200", "1,200", "1.200", "1 200", "1'200"):
        assert reasons(raw([*rows, (count, "")]))[-1] == "not_data"


@pytest.mark.parametrize(
    ("count", "reason"),
    [("59", "bad_key"), ("60", "not_data"), ("61", "not_data"), ("62", "bad_key")],
)
def test_a_count_may_include_the_notes_above_it(count: str, reason: str) -> None:
    data = [("Jane", f"p{number}@example.com", "yes") for number in range(60)]
    rows = [*data, ("", "Legend:", ""), ("", count, "")]
    assert reasons(frame(rows))[60:] == ["not_data", reason]


def test_a_total_below_a_file_of_keys_is_no_key() -> None:
    rows = raw([("@a", ""), ("@b", ""), ("Total: 2", ""), ("", "")], ("PKey", "note"))
    assert reasons(rows, state=True) == ["", "", "not_data", "not_data"]
    assert check.rows(rows, Rules(state=True))[columns.DESIRED].isna().tolist()[2:] == [True] * 2


@pytest.mark.parametrize(("rows", "reason"), [(50, "not_data"), (51, "empty_key")])
def test_many_rows_without_a_key_are_no_footer(rows: int, reason: str) -> None:
    table = frame([*DATA, *[("Prepared by Jane Doe", "", "")] * rows])
    assert reasons(table) == [""] * len(DATA) + [reason] * rows


def test_each_file_of_a_folder_has_its_own_end() -> None:
    rows = frame([*DATA[:2], ("", "2", ""), *DATA[2:], ("", "5", "")])
    rows[columns.FILE] = pd.Categorical.from_codes([0] * 3 + [1] * 6, pd.Index(["a.csv", "b.csv"]))
    assert [at for at, reason in enumerate(reasons(rows)) if reason == "not_data"] == [2, 8]


def test_a_count_includes_the_rows_of_its_file_in_slices_above() -> None:
    rows = frame([*DATA[:2], ("", "102", ""), *DATA[2:], ("", "5", "")])
    rows[columns.FILE] = pd.Categorical.from_codes([0] * 3 + [1] * 6, pd.Index(["a.csv", "b.csv"]))
    rules = Rules()
    for above, aside in ((100, [2, 8]), (99, [8])):
        judged = row_by_row.judge(rows, row_by_row.find(rows.columns, rules), rules, above)
        assert sorted(judged.verdicts.aside) == aside


def test_a_column_without_keys_is_no_footer() -> None:
    assert set(reasons(frame([("Jane", "", "")] * 5))) == {"empty_key"}
    assert set(reasons(frame([*DATA, *[("Jane", "", "")] * 60]))[7:]) == {"empty_key"}


def test_a_date_below_the_list_is_no_date_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    rows = [(key, state, "2026-11-03") for _, key, state in DATA]
    checked = check.rows(
        frame([*rows, ("", "", "Total: 7")], ("E-mail", "Opt out?", "Request date")), Rules()
    )
    assert checked[columns.REASON].tolist()[-1] == "not_data"
    assert not caplog.records


@given(
    st.lists(st.tuples(*[st.sampled_from(["", "7", "Total", "a@x.org", "yes", "no", "x y"])] * 3))
)
def test_no_row_with_an_address_and_a_state_is_taken_for_a_note(rows: list[Cells]) -> None:
    if not rows:
        return
    for (_, key, state), reason in zip(rows, reasons(frame(rows)), strict=True):
        if key == "a@x.org" or (state in {"yes", "no"} and key != "Total"):
            assert reason != "not_data"
