"""When two addresses are the same, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.rows import emails


@pytest.mark.parametrize(
    ("found", "exact", "ignore"),
    [
        ("jo@x.com", True, True),
        ("jo@X.COM", True, True),
        ("Jo@x.com", False, True),
        ("jo@x.com.au", False, False),
        ("xjo@x.com", False, False),
        ("jo@x.co", False, False),
        (" jo@x.com", False, False),
        ("jo", False, False),
        ("", False, False),
        (None, False, False),
        (7, False, False),
    ],
)
def test_the_same_address(found: object, exact: bool, ignore: bool) -> None:
    assert emails.same(found, "jo@x.com", ignore_case=False) is exact
    assert emails.same(found, "jo@x.com", ignore_case=True) is ignore


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("jo@x.com", True),
        ("a+b c@x.com", True),
        ("jürgen@münchen.example", True),
        ('"j o"@x.com', True),
        ("o'brien@x.com", True),
        ("=jo@x.com", True),
        ("jo", False),
        ("jo@", False),
        ("@x.com", False),
        ("jo@x .com", False),
        ("a@x.com b@x.com", False),
        ("a@x.com,b@x.com", False),
        ("a@x.com;b@x.com", False),
        ("Jo <jo@x.com>", False),
        ("mailto:jo@x.com", False),
    ],
)
def test_what_is_one_address(text: str, is_one: bool) -> None:
    assert emails.is_one(text) is is_one


@given(text=st.emails() | st.text(), ignore_case=st.booleans())
def test_every_spelling_is_the_same_address(text: str, ignore_case: bool) -> None:
    spellings = emails.spellings(text, ignore_case=ignore_case)
    assert spellings[0] == text
    assert len(set(spellings)) == len(spellings)
    for spelling in spellings:
        same = emails.identity(spelling, ignore_case=ignore_case)
        assert same == emails.identity(text, ignore_case=ignore_case)
