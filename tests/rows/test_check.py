"""All input rules together, for single rows and for random ones."""

from collections import defaultdict
from contextlib import nullcontext

import pandas as pd
import pytest
from checked_rows import raw
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns
from bulk_sync.rows.check import BlankState, OnConflict, Rules
from bulk_sync.rows.check.state_words import StateWords
from bulk_sync.settings import KeyKind, Keys


def test_a_row_with_two_faults_names_both() -> None:
    checked = check.rows(raw([("", "maybe")]), Rules())
    assert checked[columns.REASON].tolist() == ["empty_key"]
    assert "empty" in str(checked[columns.DETAIL].iat[0])
    assert "maybe" in str(checked[columns.DETAIL].iat[0])


def test_columns_of_an_earlier_report_are_replaced() -> None:
    frame = raw([("@a", "true")]).assign(sync_reason="timeout", sync_detail="", note="kept")
    checked = check.rows(frame, Rules())
    assert checked[columns.REASON].isna().all()
    assert checked["note"].tolist() == ["kept"]


KEYS = st.sampled_from(["@a", "@b", "@c", " @a", "'@b", "", "#NAME?"])
STATES = st.sampled_from(["true", "false", "VRAI", "0", "maybe", ""])


@given(
    rows=st.lists(st.tuples(KEYS, STATES), max_size=12),
    on_conflict=st.sampled_from(list(OnConflict)),
    blank=st.sampled_from(list(BlankState)),
)
@examples(60)
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


@pytest.mark.parametrize(
    ("header", "is_refused"),
    [
        (("E-mail", "Opt back in?"), True),
        (("Email", "OK to sell?"), True),
        (("PKey", "Consent"), True),
        (("email", "Opt out?"), False),
        (("E-mail", "Opted out"), False),
        (("E-mail", ""), False),
        (("Withdrawn", "Opt back in?"), False),
        (("Customer ID", "Consent"), True),
        (("Contact", "May we sell?"), True),
        (("Contact", "Do not sell"), False),
        (("c@example.com", "Opted in"), False),
        (("Customer 7", "Opted in"), False),
        (("", "Consent"), False),
    ],
)
def test_a_second_table_whose_yes_may_mean_something_else_is_refused(
    header: tuple[str, str], is_refused: bool
) -> None:
    lines = [("a@example.com", "yes"), header, ("b@example.com", "no")]
    raw = pd.DataFrame(lines, columns=["email", "opt out?"], dtype="str")
    raw[columns.ROW] = range(2, 5)
    with pytest.raises(InputProblem, match="Row 3 looks like") if is_refused else nullcontext():
        assert check.rows(raw, Rules())[columns.OUTCOME].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("key_column", "lines"),
    [
        ("email", [("a@example.com", "yes"), ("Legend", "Opt in = no")]),
        ("CRM id", [("ana", "yes"), ("ben", "Opted in"), ("cleo", "no")]),
    ],
    ids=["below all requests", "keys that may be any text"],
)
def test_a_row_with_words_for_a_state_need_be_no_second_table(
    key_column: str, lines: list[tuple[str, str]]
) -> None:
    raw = pd.DataFrame(lines, columns=[key_column, "opt out?"], dtype="str")
    raw[columns.ROW] = range(2, len(raw) + 2)
    kind = KeyKind.EMAIL if key_column == "email" else KeyKind.CUSTOM
    rules = Rules(key_column=key_column, keys=Keys(kind), tells_kind=False)
    assert check.rows(raw, rules)[columns.OUTCOME].tolist()[1] == "rejected"


@pytest.mark.parametrize("word", ["Consented", "opted out"])
def test_a_state_in_words_of_the_user_is_no_header_beside_a_damaged_key(word: str) -> None:
    lines = [("a@example.com", "opted out"), ("Jo Miller", word), ("b@example.com", "consented")]
    raw = pd.DataFrame(lines, columns=["email", "status"], dtype="str")
    raw[columns.ROW] = range(2, 5)
    rules = Rules(state_column="status", words=StateWords.parse(None, "opted out", "consented"))
    assert check.rows(raw, rules)[columns.REASON].astype("str").tolist()[1] == "bad_key"


@pytest.mark.parametrize(
    ("question", "is_header"),
    [
        ("Wants sale?", True),
        ("SALE OF\nMY DATA?", True),
        ("Do they agree to sharing?", True),
        ("Opt-out?", False),
        ("Whom to ask?", False),
        ("no sale", False),
    ],
)
def test_a_question_about_sales_is_the_header_of_a_second_table(
    question: str, *, is_header: bool
) -> None:
    lines = [("a@example.com", "yes"), ("Address", question), ("b@example.com", "no")]
    raw = pd.DataFrame(lines, columns=["email", "opt out?"], dtype="str")
    raw[columns.ROW] = range(2, 5)
    says = "Row 3 looks like the header of a second table"
    with pytest.raises(InputProblem, match=says) if is_header else nullcontext():
        assert check.rows(raw, Rules())[columns.REASON].astype("str").tolist()[1] == "bad_key"


def test_the_header_of_a_second_table_may_have_the_name_of_the_keys_above_it() -> None:
    lines = [("7", "yes"), ("CRM ID", "May we sell?"), ("8", "no")]
    raw = pd.DataFrame(lines, columns=["CRM id", "opt out?"], dtype="str")
    raw[columns.ROW] = range(2, 5)
    rules = Rules(key_column="CRM id", keys=Keys(KeyKind.CUSTOM), tells_kind=False)
    with pytest.raises(InputProblem, match="Row 3 looks like the header of a second table"):
        check.rows(raw, rules)
