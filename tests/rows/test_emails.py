"""Equal addresses, and the faults of texts that are no addresses."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_sync.rows import emails

_DOUBTFUL = "ab1.-_'\"@@@<>()[],;:/\\ \u00a0\u200b\u00fc\uff4a\u043e\u2019"


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
    "text",
    [
        "jo@x.com",
        "a+b@x.org",
        "o'brien@x.com",
        "=jo@x.com",
        "!#$%&'*+-/=?^_`{|}~@x.com",
        '"quoted local"@x.org',
        '"a..b."@x.org',
        '"a"@x.org',
        "jo@localhost",
        "1@2.example",
        "jürgen@münchen.example",
        "ju\u0308rgen@x.com",
        "jo@xn--mnchen-3ya.example",
        "иван.ivanov@пример.рф",
        "用户@例子.广告",
        "user@पारस.भारत",
        "jo@paral·lel.cat",
        f"{'a' * 64}@x.com",
        f"a@{'b' * 63}.com",
        f"a@{'.'.join(['b' * 60] * 4)}.abcdefgh",
    ],
)
def test_an_unusual_address_is_an_address(text: str) -> None:
    assert emails.problem(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no @"),
        ("jo", "no @"),
        ("jo\uff20x.com", "U+FF20 FULLWIDTH COMMERCIAL AT in place of @"),
        ("jo@", "nothing stands after the @"),
        ("@x.com", "nothing stands before the @"),
        ("a+b c@x.com", "the part before the @ holds a blank"),
        ("jo@x .com", "the domain holds a blank"),
        ("jo\u00a0@x.com", "U+00A0 NO-BREAK SPACE"),
        ("a@x.com b@x.com", "more than one @"),
        ("a@x.com,b@x.com", "more than one @"),
        ("a@x.com;b@x.com", "more than one @"),
        ("a@x.com/b@x.com", "more than one @"),
        ("Jo <jo@x.com>", "between < and >"),
        ("'Jo' <jo@x.com>", "between < and >"),
        ("<jo@x.com", "between < and >"),
        ("mailto:jo@x.com", "mailto:"),
        ("MAILTO:jo@x.com", "mailto:"),
        ("(a@b.c)", "the part before the @ holds '('"),
        ("jo(work)@x.com", "the part before the @ holds '('"),
        ("[a@b.c]", "the part before the @ holds '['"),
        ("a@[10.0.0.1]", "the domain holds '['"),
        ("{a@b.c}", "the domain holds '}'"),
        ("a@b.c/", "the domain holds '/'"),
        ("a@b.c,", "the domain holds ','"),
        ("a@b.c;", "the domain holds ';'"),
        ("a@b.c:", "the domain holds ':'"),
        ("a@b.c!", "the domain holds '!'"),
        ("a@b.c?subject=x", "the domain holds '?'"),
        ("a@b.c\\", "the domain holds '\\\\'"),
        ("a@b.c'", 'the domain holds "\'"'),
        ("a@b_c.com", "the domain holds '_'"),
        ("a@b.c.", "the domain ends with a dot"),
        ("a@.b.c", "the domain begins with a dot"),
        ("a@b..c", "the domain holds two dots in a row"),
        (".a@b.c", "the part before the @ begins with a dot"),
        ("a.@b.c", "the part before the @ ends with a dot"),
        ("a..b@b.c", "the part before the @ holds two dots in a row"),
        ("a@-b.c", "-b in its domain begins or ends with a hyphen"),
        ("a@b-.c", "b- in its domain begins or ends with a hyphen"),
        ('"jo@x.com"', "the part before the @ holds '\"'"),
        ('"a"b"@x.com', "holds '\"'"),
        ('""@x.com', "holds '\"'"),
        ('a"b@x.com', "holds '\"'"),
        ("„jo@x.com“", "U+201E DOUBLE LOW-9 QUOTATION MARK"),
        ("o\u2019brien@x.com", "U+2019 RIGHT SINGLE QUOTATION MARK"),
        ("a@b\u2010c.com", "U+2010 HYPHEN"),
        ("a@例。jp", "U+3002 IDEOGRAPHIC FULL STOP"),
        ("\uff4ao@x.com", "U+FF4A FULLWIDTH LATIN SMALL LETTER J"),
        ("ﬁ@x.com", "U+FB01 LATIN SMALL LIGATURE FI"),
        ("j\u043e@x.com", "U+043E CYRILLIC SMALL LETTER O"),
        ("jo@eχample.com", "U+03C7 GREEK SMALL LETTER CHI"),
        (f"{'a' * 65}@x.com", "more than 64 bytes"),
        (f"{'ü' * 33}@x.com", "more than 64 bytes"),
        (f"a@{'b' * 64}.com", "longer than 63"),
        (f"a@{'ü' * 60}.com", "longer than 63"),
        (f"a@{'.'.join(['b' * 60] * 4)}.abcdefghi", "longer than 254"),
    ],
)
def test_the_fault_of_an_address_is_named(text: str, says: str) -> None:
    problem = emails.problem(text)
    assert problem is not None
    assert says in problem


@given(st.emails())
def test_every_plain_address_is_an_address(text: str) -> None:
    assert emails.problem(text) is None


@given(st.text(st.sampled_from(_DOUBTFUL) | st.characters(), max_size=12))
@example("a@b.c")
@example('"a b"@c')
@example("a@\u00b7\u30fb.c")
def test_an_address_has_only_documented_characters(text: str) -> None:
    if emails.problem(text) is not None:
        return
    local, domain = text.split("@")
    assert set(_others(domain)) <= set("-.\u00b7\u30fb\u05f3\u05f4")
    assert all(label.strip("-") == label != "" for label in domain.split("."))
    assert set(_others(local)) <= set("!#$%&'*+-/=?^_`{|}~.\" ")
    if not (local[0] == local[-1] == '"'):
        assert not set(' "').intersection(local)
        assert "" not in local.split(".")


def _others(text: str) -> list[str]:
    """Return the characters other than letters, digits or accents."""
    return [char for char in text if not re.match("[LMN]", unicodedata.category(char))]


@given(st.from_regex(emails.PLAIN))
def test_every_accepted_text_is_an_address(text: str) -> None:
    text = text.removesuffix("\n")
    assert len(text) > emails.PLAIN_BYTES or emails.problem(text) is None


@given(text=st.emails() | st.text(), ignore_case=st.booleans())
def test_every_spelling_is_the_same_address(text: str, ignore_case: bool) -> None:
    spellings = emails.spellings(text, ignore_case=ignore_case)
    assert spellings[0] == text
    assert len(set(spellings)) == len(spellings)
    for spelling in spellings:
        same = emails.identity(spelling, ignore_case=ignore_case)
        assert same == emails.identity(text, ignore_case=ignore_case)
