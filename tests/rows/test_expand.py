"""A row per profile and back: nothing is lost, nothing is written twice."""

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome, Reason
from bulk_sync.rows import check, columns, comparison, expand
from bulk_sync.rows.check import OnConflict, Rules
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.settings import KeyKind, Keys, OnAmbiguous

ADDRESSES = st.sampled_from(["a@x.com", "b@x.com", "A@x.com", "c@X.com", "c@x.com", "bad", ""])
ROWS = st.lists(st.tuples(ADDRESSES, st.sampled_from(["true", "false", "", "x"])), max_size=8)
# Few PKeys for many keys: some keys share a profile.
MATCHES = st.lists(st.sampled_from(["@1", "@2", "@3", "@4", "@5"]), max_size=3, unique=True)
FOUND = st.fixed_dictionaries(
    {
        "matches": st.lists(MATCHES, min_size=8, max_size=8),
        "states": st.fixed_dictionaries(
            {f"@{n}": st.sampled_from([1, 0, UNREAD]) for n in range(1, 6)}
        ),
        "unread": st.sets(st.integers(0, 7), max_size=2),
        "writes": st.lists(st.booleans(), min_size=24, max_size=24),
    }
)


def judged(rows: list[tuple[str, str]], on_conflict: OnConflict) -> pd.DataFrame:
    raw = pd.DataFrame(
        {
            "email": pd.Series([email for email, _ in rows], dtype="str"),
            "ccpaOptOut": pd.Series([state for _, state in rows], dtype="str"),
            columns.ROW: np.arange(2, len(rows) + 2),
        }
    )
    return check.rows(raw, Rules(on_conflict=on_conflict))


def steps_of(checked: pd.DataFrame, found: dict[str, object]) -> Steps:
    steps = Steps.blank(len(comparison.open_rows(checked)))
    matches, states, unread = found["matches"], found["states"], found["unread"]
    assert isinstance(matches, list)
    assert isinstance(states, dict)
    assert isinstance(unread, set)
    for at in range(len(steps.state)):
        if at in unread:
            continue
        pkeys = matches[at]
        if pkeys:
            steps.found_at(at, 1, 1000, tuple(Match(pkey, states[pkey], 0) for pkey in pkeys))
        else:
            problem = RowFailed(Reason.NOT_FOUND, "No.", outcome=Outcome.NOT_FOUND)
            steps.failed(at, 1000, problem)
    return steps


@given(
    rows=ROWS,
    found=FOUND,
    on_ambiguous=st.sampled_from([None, *OnAmbiguous]),
    on_conflict=st.sampled_from(list(OnConflict)),
)
def test_every_row_is_reported_once_and_every_profile_written_at_most_once(
    rows: list[tuple[str, str]],
    found: dict[str, object],
    on_ambiguous: OnAmbiguous | None,
    on_conflict: OnConflict,
) -> None:
    checked = judged(rows, on_conflict)
    steps = steps_of(checked, found)
    keys = Keys(KeyKind.EMAIL, on_ambiguous=on_ambiguous)
    expanded, states = expand.expand(checked, steps, keys, on_conflict)
    planned = comparison.compare(expanded, states)
    to_write = comparison.writes(planned)
    pkeys = planned[columns.PROFILE].iloc[to_write].tolist()
    assert max(Counter(pkeys).values(), default=0) <= 1

    writing = Steps.blank(len(to_write))
    done = found["writes"]
    assert isinstance(done, list)
    desired = columns.state_codes(planned[columns.DESIRED])[to_write]
    for at, (ok, state) in enumerate(zip(done, desired.tolist(), strict=False)):
        if ok:
            writing.done(at, 1, 2000, state=bool(state))
        else:
            writing.failed(at, 2000, RowFailed(Reason.HTTP_403, "No."))
    results = comparison.settle(planned, writing)
    totals, collapsed = Totals.count(results), expand.collapse(results)

    assert collapsed["email"].tolist() == [email for email, _ in rows]
    assert collapsed[columns.ROW].tolist() == list(range(2, len(rows) + 2))
    assert totals.rows == sum(totals.outcomes.values()) == len(rows)
    assert Counter(collapsed[columns.OUTCOME].astype(str)) == Counter(dict(totals.outcomes))
    assert [name for name in columns.MATCHED if name in collapsed] == []

    held = {**found["states"]}  # type: ignore[dict-item] # as above
    for at, pkey in enumerate(pkeys):
        if done[at]:
            held[pkey] = int(desired[at])
    open_at = {int(at): n for n, at in enumerate(comparison.open_rows(checked))}
    says_done = {Outcome.UPDATED, Outcome.UNCHANGED}
    wanted = columns.state_codes(collapsed[columns.DESIRED]).tolist()
    for at, outcome in enumerate(collapsed[columns.OUTCOME]):
        matches = steps.found.get(open_at.get(at, -1), ())
        if outcome in says_done:
            # Never reported as done while a profile of the person has the other state.
            assert matches
            assert all(held[each.pkey] == wanted[at] for each in matches)
        if len(matches) > 1 and wanted[at] == 0 and on_ambiguous is None:
            assert outcome in NEEDS_A_PERSON
            assert collapsed[columns.REASON].iat[at] == Reason.AMBIGUOUS


def test_a_repeat_with_the_other_state_shows_the_state_against_it() -> None:
    checked = judged([("a@x.com", "false"), ("a@x.com", "true")], OnConflict.OPT_OUT)
    steps = Steps.blank(1)
    steps.found_at(0, 1, 1000, (Match("@1", 1, 0), Match("@2", 0, 0)))
    rows, states = expand.expand(checked, steps, Keys(KeyKind.EMAIL), OnConflict.OPT_OUT)
    planned = expand.collapse(comparison.compare(rows, states))
    assert planned[columns.BEFORE].tolist() == [True, False]
    assert planned[columns.AFTER].tolist() == [True, False]


def test_a_row_is_not_done_while_a_profile_that_counts_for_another_row_has_failed() -> None:
    checked = judged([("a@x.com", "true"), ("b@x.com", "true")], OnConflict.REJECT)
    steps, writing = Steps.blank(2), Steps.blank(2)
    steps.found_at(0, 1, 1000, (Match("@1", 0, 0),))
    steps.found_at(1, 1, 1000, (Match("@1", 0, 0), Match("@2", 0, 0)))
    rows, states = expand.expand(checked, steps, Keys(KeyKind.EMAIL), OnConflict.REJECT)
    writing.failed(0, 2000, RowFailed(Reason.HTTP_403, "No."))
    writing.done(1, 1, 2000, state=True)
    results = comparison.settle(comparison.compare(rows, states), writing)
    assert expand.collapse(results)[columns.OUTCOME].tolist() == [Outcome.FAILED] * 2
    assert Totals.count(results).outcomes == {Outcome.FAILED: 2}


def test_rows_of_pkeys_stay_unchanged() -> None:
    frame, steps = pd.DataFrame({columns.KEY: ["@a"]}), Steps.blank(1)
    rows, states = expand.expand(frame, steps, Keys(), OnConflict.REJECT)
    assert rows is frame
    assert states is steps
    assert expand.collapse(frame) is frame


def test_a_key_that_is_the_pkey_of_its_profile_has_this_profile() -> None:
    checked = judged([("a@x.com", "true")], OnConflict.REJECT)
    steps = Steps.blank(1, stamped=True)
    steps.found_at(0, 1, 1000, (Match("a@x.com", 0, 5),), key="a@x.com")
    rows, states = expand.expand(checked, steps, Keys(KeyKind.EMAIL), OnConflict.REJECT)
    assert not steps.found
    assert rows[columns.PROFILE].tolist() == ["a@x.com"]
    assert rows[columns.PROFILES].tolist() == [1]
    assert states.state.tolist() == [0]


def test_of_two_keys_of_one_profile_the_opt_out_counts_if_it_is_to_win() -> None:
    checked = judged([("a@x.com", "false"), ("b@x.com", "true")], OnConflict.OPT_OUT)
    steps = Steps.blank(2)
    for at in range(2):
        steps.found_at(at, 1, 1000, (Match("@1", 0, 0),))
    rows, _ = expand.expand(checked, steps, Keys(KeyKind.EMAIL), OnConflict.OPT_OUT)
    assert rows[columns.OUTCOME].astype(object).fillna("").tolist() == [Outcome.DUPLICATE, ""]
    assert rows[columns.REASON][0] == Reason.CONFLICT
    assert rows[columns.DETAIL][0] == "Row 3 opts this profile out, and counts."
    assert rows[columns.COUNTS_AS].tolist() == [1, 1]
