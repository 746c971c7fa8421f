"""The columns of keys and states, found by their names."""

import pytest

from bulk_sync.errors import InputProblem
from bulk_sync.rows.check import Rules, header
from bulk_sync.rows.check.state_words import StateMeans, StateWords


@pytest.mark.parametrize(
    ("names", "key", "state"),
    [
        (("PKey", "ccpaOptOut"), "PKey", "ccpaOptOut"),
        ((" P_KEY ", "CCPA opt-out"), " P_KEY ", "CCPA opt-out"),
        (("pkey", "CcpaOptout"), "pkey", "CcpaOptout"),
        (("PKey", "Opt out"), "PKey", "Opt out"),
        (("PKey", "opt-out?"), "PKey", "opt-out?"),
        (("PKey", "Opted out"), "PKey", "Opted out"),
        (("PKey", "DO NOT SELL"), "PKey", "DO NOT SELL"),
        (("PKey", "Do not sell my data"), "PKey", "Do not sell my data"),
        (("PKey", "Do Not Sell / Share"), "PKey", "Do Not Sell / Share"),
        (
            ("PKey", "Do not sell or share my personal info (Y/N)"),
            "PKey",
            "Do not sell or share my personal info (Y/N)",
        ),
        (("PKey", "Opted out of sale/sharing"), "PKey", "Opted out of sale/sharing"),
        (("PKey", "consent", "opt_out"), "PKey", "opt_out"),
        (("E-mail", "Opt out"), "E-mail", "Opt out"),
        (("Customer e-mail", "Opt out"), "Customer e-mail", "Opt out"),
        (("Customer e-mail", "Opt out", "E-mail"), "E-mail", "Opt out"),
    ],
)
def test_columns_are_found_by_name_without_case_and_punctuation(
    names: tuple[str, ...], key: str, state: str
) -> None:
    found = header.find_columns(names, Rules())
    assert (found.key, found.state) == (key, state)


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        ("Opt-Out Request", True),
        ("Opt-out requested (yes or no)", True),
        ("Opt-out preference", True),
        ("Is opted out", True),
        ("CCPA Do Not Sell", True),
        ("Don't sell my info", True),
        ("Do not sell flag", True),
        ("Opt out of the sale", True),
        ("Opt-out request date", False),
        ("Opt-out request ID", False),
        ("Opt-out reason", False),
        ("Opt out of e-mails", False),
        ("Do not call", False),
    ],
)
def test_names_whose_yes_forbids_the_sale_are_found(name: str, is_found: bool) -> None:
    assert header.forbids(name, Rules()) is is_found


def test_a_state_column_may_have_the_name_of_the_attribute() -> None:
    found = header.find_columns(["PKey", "cus_OptOut"], Rules(attribute="cusOptOut"))
    assert found.state == "cus_OptOut"


@pytest.mark.parametrize(
    ("names", "rules", "says"),
    [
        (["id", "ccpaOptOut"], Rules(), "'id', 'ccpaOptOut'"),
        (["PKey", "P Key", "ccpaOptOut"], Rules(), "'PKey', 'P Key'"),
        (["PKey", "ccpaOptOut", "Opt out"], Rules(), "'ccpaOptOut', 'Opt out'"),
        (["PKey"], Rules(), "--state-column"),
        (["PKey", "consent"], Rules(), "'PKey', 'consent'"),
        (["PKey", "May sell"], Rules(), "'PKey', 'May sell'"),
        (["PKey", "May we sell?"], Rules(state_column="May we sell?"), "--state-means consent"),
        (["PKey", "Do not sell"], Rules(state=True), "--state is for"),
        (["PKey", "ccpaOptOut"], Rules(key_column="nope"), "'nope'"),
        (["PKey", "ccpaOptOut"], Rules(state=True), "--state is for"),
        (["PKey", "ccpaOptOut"], Rules(state_column="PKey"), "both keys and states"),
        ([], Rules(), "none"),
    ],
    ids=[
        "no key",
        "two keys",
        "two states",
        "no state",
        "a yes that allows the sale",
        "a yes that allows the sale, in other words",
        "a yes that allows the sale, by its name alone",
        "states beside --state",
        "unknown name",
        "state twice",
        "one for both",
        "no column",
    ],
)
def test_a_missing_or_ambiguous_column_is_named(names: list[str], rules: Rules, says: str) -> None:
    with pytest.raises(InputProblem, match=says):
        header.find_columns(names, rules)


@pytest.mark.parametrize(
    ("name", "means", "hint"),
    [
        ("May sell", None, "By its name, a yes in 'May sell' allows the sale, so it is not used"),
        ("Do not sell", StateMeans.CONSENT, "By its name, a yes in 'Do not sell' forbids the sale"),
        ("Region", None, r"Region'?\.?$"),
    ],
)
def test_a_column_unused_because_of_the_meaning_of_its_yes_is_named_with_the_option(
    name: str, means: StateMeans | None, hint: str
) -> None:
    with pytest.raises(InputProblem, match=hint):
        header.find_columns(["PKey", name], Rules(words=StateWords(means=means)))


CONSENT, OPT_OUT = StateWords(means=StateMeans.CONSENT), StateWords(means=StateMeans.OPT_OUT)


@pytest.mark.parametrize(
    ("names", "rules", "state", "date", "unused"),
    [
        (["PKey", "Opt out", "Received"], Rules(), "Opt out", "Received", ()),
        (["PKey", "Opt out", "Received", "Submitted"], Rules(), "Opt out", None, ()),
        (["PKey", "Opt out", "Date"], Rules(), "Opt out", None, ("Date",)),
        (["PKey", "Date", "Datum"], Rules(state_column="Date"), "Date", None, ("Datum",)),
        (["PKey", "Date"], Rules(needs_state=False), None, None, ()),
        (["PKey", "Received"], Rules(state=True), None, "Received", ()),
        (["PKey", "Consent"], Rules(words=OPT_OUT), "Consent", None, ()),
        (["PKey", "Consent", "Opt out"], Rules(words=OPT_OUT), "Opt out", None, ()),
        (["PKey", "Consent", "Opt out"], Rules(words=CONSENT), "Consent", None, ()),
        (["sync_key", "PKey", "sync_at", "Opt out"], Rules(), "Opt out", None, ()),
    ],
    ids=[
        "a date", "two dates", "a doubtful date", "the states are called so", "no states needed",
        "one state for all", "consent as an opt-out", "an opt-out beside it", "consent as such",
        "a report",
    ],
)  # fmt: skip
def test_the_columns_of_states_and_request_dates(
    names: list[str],
    rules: Rules,
    state: str | None,
    date: str | None,
    unused: tuple[str, ...],
) -> None:
    found = header.find_columns(names, rules)
    assert (found.key, found.state, found.date, found.unused) == ("PKey", state, date, unused)


def test_a_report_without_columns_of_the_input_is_searched_too() -> None:
    found = header.find_columns(
        ["sync_key", "sync_desired"], Rules("ccpaOptOut", "sync_key", "sync_desired")
    )
    assert (found.key, found.state) == ("sync_key", "sync_desired")


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("P-Key", True), ("E-Mail", True), ("Your e-mail", True), ("Opt out", True),
        ("May sell", True), ("Received (UTC)", True), ("Who", True), ("CHOICE", True),
        ("when", True), ("Region", False), ("Date", False), ("", False),
    ],
)  # fmt: skip
def test_a_name_is_known_by_itself_or_by_an_option(name: str, is_known: bool) -> None:
    rules = Rules(key_column="who", state_column="choice", date_column="When")
    assert header.is_known(name, rules) is is_known
    assert header.is_known(name, Rules()) is (is_known and name not in {"Who", "CHOICE", "when"})
