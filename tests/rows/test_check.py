"""Every input rule, held against single rows and against many at random."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns
from bulk_sync.rows.check import BlankState, OnConflict, Rules


def raw(rows: list[tuple[str, str]], names: tuple[str, str] = ("PKey", "ccpaOptOut")) -> Any:
    frame = pd.DataFrame(rows, columns=list(names), dtype="str")
    return frame.assign(**{columns.ROW: range(2, len(frame) + 2)})


def verdicts(rows: list[tuple[str, str]], **rules: Any) -> list[tuple[str, str]]:
    checked = check.rows(raw(rows), Rules(**rules))
    outcomes = checked[columns.OUTCOME].astype(object).fillna("")
    reasons = checked[columns.REASON].astype(object).fillna("")
    return list(zip(outcomes, reasons, strict=True))


OPEN = ("", "")


@pytest.mark.parametrize(
    "key", ["007", "NA", "null", "nan", "1e5", "TRUE", "None", "May", "a b", "ä/ö?#%+", "..", "-1"]
)
def test_a_key_is_text_to_the_letter(key: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.KEY].tolist() == [key]
    assert checked[columns.OUTCOME].isna().all()


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("  @a ", "@a"),
        ("\u00a0@a\u00a0", "@a"),
        ("\u2003@a\t", "@a"),
        ("'@a", "@a"),
        ("''a", "'a"),
        ('="@a"', "@a"),
        (' ="@a" ', "@a"),
        ('="a""b"', 'a"b'),
        ('="007"', "007"),
        ('="', '="'),
        ('"@a"', '"@a"'),
    ],
)
def test_what_spreadsheets_force_on_a_key_is_taken_off(cell: str, key: str) -> None:
    assert check.rows(raw([(cell, "true")]), Rules())[columns.KEY].tolist() == [key]


@pytest.mark.parametrize(
    ("key", "reason", "says"),
    [
        ("", "empty_key", "empty"),
        (" \u00a0", "empty_key", "empty"),
        ("'", "empty_key", "empty"),
        ('=""', "empty_key", "empty"),
        ("1.23457E+15", "bad_key", "long number"),
        ("1,23457E+15", "bad_key", "long number"),
        ("#NAME?", "bad_key", "error value"),
        ("#N/A", "bad_key", "error value"),
        ("#WERT!", "bad_key", "error value"),
        ("#¿NOMBRE?", "bad_key", "error value"),
        ("########", "bad_key", "too narrow"),
        ("12/05/2026", "bad_key", "date"),
        ("2026-05-12 00:00:00", "bad_key", "date"),
        ("12.05.2026", "bad_key", "date"),
        ("5-Dec", "bad_key", "date"),
        ("Dec-26", "bad_key", "date"),
        ("@a\nb", "bad_key", "line break"),
        ("@a\x07", "bad_key", "control"),
        ("@a\x9f", "bad_key", "control"),
    ],
)
def test_a_damaged_key_is_rejected_with_what_happened(key: str, reason: str, says: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.REASON].tolist() == [reason]
    assert says in str(checked[columns.DETAIL].iat[0])


@pytest.mark.parametrize(
    "state",
    [
        "true",
        "T",
        "Yes",
        "y",
        "1",
        "ON",
        " true\u00a0",
        "VRAI",
        "wahr",
        "Verdadero",
        "VERO",
        "ИСТИНА",
    ],
)
def test_true_has_many_spellings(state: str) -> None:
    assert check.rows(raw([("@a", state)]), Rules())[columns.DESIRED].tolist() == [True]


@pytest.mark.parametrize(
    "state", ["false", "F", "No", "n", "0", "off", "FAUX", "Falsch", "FALSO", "onwaar", "YANLIŞ"]
)
def test_false_has_many_spellings(state: str) -> None:
    assert check.rows(raw([("@a", state)]), Rules())[columns.DESIRED].tolist() == [False]


@pytest.mark.parametrize(
    "state", ["maybe", "2", "1.0", "-", "opt-out", "null", "tru", "ja", "'true"]
)
def test_any_other_state_is_rejected_and_not_guessed(state: str) -> None:
    assert verdicts([("@a", state)]) == [("rejected", "bad_state")]


def test_a_blank_state_is_rejected_or_skipped_as_told() -> None:
    rows = [("@a", ""), ("@b", " \u00a0")]
    assert verdicts(rows) == [("rejected", "blank_state")] * 2
    assert verdicts(rows, blank_state=BlankState.SKIP) == [("skipped", "blank_state")] * 2


def test_a_row_with_two_faults_tells_both() -> None:
    checked = check.rows(raw([("", "maybe")]), Rules())
    assert checked[columns.REASON].tolist() == ["empty_key"]
    assert "empty" in str(checked[columns.DETAIL].iat[0])
    assert "maybe" in str(checked[columns.DETAIL].iat[0])


def test_the_second_row_of_a_pair_is_the_duplicate() -> None:
    rows = [("@a", "true"), ("@a", "yes"), (" @a", "1")]
    assert verdicts(rows) == [OPEN, ("duplicate", ""), ("duplicate", "")]
    assert check.rows(raw(rows), Rules())[columns.COUNTS_AS].tolist() == [0, 0, 0]


CONFLICT = [("@a", "true"), ("@a", "false"), ("@a", "true"), ("@b", "false")]


@pytest.mark.parametrize(
    ("on_conflict", "expected"),
    [
        (OnConflict.REJECT, [("rejected", "conflict")] * 3 + [OPEN]),
        (OnConflict.OPT_OUT, [OPEN, ("duplicate", "conflict"), ("duplicate", ""), OPEN]),
        (OnConflict.LAST, [OPEN, ("duplicate", "conflict"), ("duplicate", ""), OPEN]),
    ],
)
def test_two_states_of_one_key_are_settled_as_told(
    on_conflict: OnConflict, expected: list[tuple[str, str]]
) -> None:
    assert verdicts(CONFLICT, on_conflict=on_conflict) == expected


def test_the_last_state_wins_even_if_it_is_the_dangerous_one() -> None:
    rows = [("@a", "true"), ("@a", "false")]
    assert verdicts(rows, on_conflict=OnConflict.LAST) == [("duplicate", "conflict"), OPEN]
    assert verdicts(rows, on_conflict=OnConflict.OPT_OUT) == [OPEN, ("duplicate", "conflict")]


def test_keys_that_differ_in_case_are_two_keys() -> None:
    assert verdicts([("@a", "true"), ("@A", "false")]) == [OPEN, OPEN]


@pytest.mark.parametrize(
    ("names", "key", "state"),
    [
        (("PKey", "ccpaOptOut"), "PKey", "ccpaOptOut"),
        ((" P_KEY ", "CCPA opt-out"), " P_KEY ", "CCPA opt-out"),
        (("pkey", "CcpaOptout"), "pkey", "CcpaOptout"),
    ],
)
def test_columns_are_found_by_name_case_and_punctuation_aside(
    names: tuple[str, str], key: str, state: str
) -> None:
    found = check.find_columns(names, Rules())
    assert (found.key, found.state) == (key, state)


def test_a_state_column_may_bear_the_attribute_s_name() -> None:
    found = check.find_columns(["PKey", "cus_OptOut"], Rules(attribute="cusOptOut"))
    assert found.state == "cus_OptOut"


@pytest.mark.parametrize(
    ("names", "rules", "says"),
    [
        (["id", "ccpaOptOut"], Rules(), "'id', 'ccpaOptOut'"),
        (["PKey", "P Key", "ccpaOptOut"], Rules(), "'PKey', 'P Key'"),
        (["PKey"], Rules(), "--state-column"),
        (["PKey", "ccpaOptOut"], Rules(key_column="nope"), "'nope'"),
        (["PKey", "ccpaOptOut"], Rules(state=True), "--state is for"),
        (["PKey", "ccpaOptOut"], Rules(state_column="PKey"), "both keys and states"),
        ([], Rules(), "none"),
    ],
    ids=[
        "no key",
        "two keys",
        "no state",
        "unknown name",
        "state twice",
        "one for both",
        "no column",
    ],
)
def test_a_missing_or_ambiguous_column_is_named(names: list[str], rules: Rules, says: str) -> None:
    with pytest.raises(InputProblem, match=says):
        check.find_columns(names, rules)


def test_columns_of_an_earlier_report_make_room_for_the_new_one() -> None:
    frame = raw([("@a", "true")]).assign(sync_reason="timeout", sync_detail="", note="kept")
    checked = check.rows(frame, Rules())
    assert checked[columns.REASON].isna().all()
    assert checked["note"].tolist() == ["kept"]


def test_one_state_serves_a_file_of_keys() -> None:
    frame = raw([("@a", "x"), ("@b", "y")], ("PKey", "note"))
    assert check.rows(frame, Rules(state=False))[columns.DESIRED].tolist() == [False, False]


KEYS = st.sampled_from(["@a", "@b", "@c", " @a", "'@b", "", "#NAME?"])
STATES = st.sampled_from(["true", "false", "VRAI", "0", "maybe", ""])


@given(
    rows=st.lists(st.tuples(KEYS, STATES), max_size=12),
    on_conflict=st.sampled_from(list(OnConflict)),
    blank=st.sampled_from(list(BlankState)),
)
@settings(max_examples=150)
def test_at_most_one_row_of_a_key_is_looked_up_and_it_is_the_one_the_rules_name(
    rows: list[tuple[str, str]], on_conflict: OnConflict, blank: BlankState
) -> None:
    checked = check.rows(raw(rows), Rules(on_conflict=on_conflict, blank_state=blank))
    wanted: dict[str, list[bool]] = defaultdict(list)
    for key, state in zip(checked[columns.KEY], checked[columns.DESIRED], strict=True):
        if key.startswith("@") and state is not pd.NA:
            wanted[key].append(bool(state))
    expected = {}
    for key, states in wanted.items():
        if len(set(states)) == 1 or on_conflict is OnConflict.LAST:
            expected[key] = states[-1]
        elif on_conflict is OnConflict.OPT_OUT:
            expected[key] = True
    is_open = checked[columns.OUTCOME].isna()
    opened = checked[is_open]
    assert dict(zip(opened[columns.KEY], opened[columns.DESIRED], strict=True)) == expected
    assert opened[columns.KEY].is_unique
    repeats = checked[checked[columns.OUTCOME] == "duplicate"]
    assert is_open[repeats[columns.COUNTS_AS]].all()
    assert (checked[columns.DETAIL] != "")[~is_open].all()


def test_a_conflict_names_the_first_row_that_says_the_other_state() -> None:
    checked = check.rows(raw([("@a", "true"), *[("@a", "false")] * 2, ("@a", "true")]), Rules())
    named = checked[columns.DETAIL].str.extract(r"(row \d+) says the other")[0].tolist()
    assert named == ["row 3", "row 2", "row 2", "row 3"]


def test_different_keys_with_the_same_hash_stay_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_hashes", lambda keys: np.zeros(len(keys), np.int64))
    rows = [("@a", "true"), ("@b", "false"), ("@a", "true")]
    assert verdicts(rows) == [OPEN, OPEN, ("duplicate", "")]
