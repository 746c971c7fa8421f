"""Which answers prove that they are about the requested profile, and which disprove it."""

import pytest

from bulk_sync.campaign import proof
from bulk_sync.campaign.proof import Mention
from bulk_sync.campaign.responses import Mismatch, Response
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Outcome, Reason

HREF = "https://mc.adobe.io/acme/campaign/profileAndServices/profile/"


@pytest.mark.parametrize(
    "profile",
    [
        {"PKey": "@a"},
        {"PKey": "@a", "href": f"{HREF}@b"},
        {"href": f"{HREF}@a"},
        {"PKey": "", "href": f"{HREF}%40a/?x=1"},
    ],
    ids=str,
)
def test_a_profile_shows_its_key(profile: dict[str, object]) -> None:
    proof.check_profile(profile, "@a")


@pytest.mark.parametrize(
    "profile",
    [
        {"PKey": "@b"},
        {"PKey": "@A"},
        {"PKey": 7},
        {"PKey": "@b", "href": f"{HREF}@a"},
        {"href": f"{HREF}@b"},
        {"href": f"{HREF}@aa"},
        {"href": "x"},
    ],
    ids=str,
)
def test_a_profile_that_shows_another_key_is_another(profile: dict[str, object]) -> None:
    with pytest.raises(Mismatch) as refused:
        proof.check_profile(profile, "@a")
    assert refused.value.reason is Reason.WRONG_PROFILE


@pytest.mark.parametrize("profile", [{}, {"PKey": None}, {"href": ""}, {"email": "@a"}], ids=str)
def test_a_profile_without_a_key_proves_nothing(profile: dict[str, object]) -> None:
    with pytest.raises(RetryLater) as refused:
        proof.check_profile(profile, "@a")
    assert refused.value.reason is Reason.BAD_ANSWER


def test_the_option_is_named_for_a_key_that_is_not_a_pkey() -> None:
    with pytest.raises(Mismatch, match="--key custom"):
        proof.check_profile({"PKey": "@b"}, "C-17")


def test_an_answer_of_another_resource_does_not_count_for_a_key_of_dots() -> None:
    proof.check_profile({"PKey": ".."}, "..")
    with pytest.raises(RowFailed) as refused:
        proof.check_profile({"PKey": "@other"}, "..")
    assert refused.value.outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    "answer",
    [{"PKey": "@a", "href": "h"}, {"PKey": "@a", "x": True}, {"content": [{"PKey": "@a"}]}],
)
def test_a_change_is_confirmed_by_an_answer_with_its_key(answer: dict[str, object]) -> None:
    proof.check_change(answer, "x", desired=True, key="@a")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"PKey": "@a", "x": False}, Reason.NOT_STORED),
        ({"PKey": "@a", "x": "true"}, Reason.NOT_STORED),
        ({"PKey": "@a", "x": None}, Reason.NOT_STORED),
        ({"PKey": "@a", "x": 1}, Reason.NOT_STORED),
        ({"PKey": "@other", "href": "h"}, Reason.WRONG_PROFILE),
        ({"PKey": "@other", "x": True}, Reason.WRONG_PROFILE),
        ({"content": [{"PKey": "@a"}, {"PKey": "@b"}]}, Reason.WRONG_PROFILE),
        ({"PKey": None, "href": "h"}, Reason.BAD_ANSWER),
        ({"href": f"{HREF}@a", "x": True}, Reason.BAD_ANSWER),
        ({"x": True}, Reason.BAD_ANSWER),
        ({"href": "h", "error_code": "500", "message": "not stored"}, Reason.BAD_ANSWER),
        ({"PKey": "@a", "x": True, "error_code": "500"}, Reason.BAD_ANSWER),
        ({"PKey": "@a", "x": True, "error": "not stored"}, Reason.BAD_ANSWER),
        ({"PKey": "@a", "x": True, "error_message": "not stored"}, Reason.BAD_ANSWER),
    ],
    ids=str,
)
def test_an_answer_about_something_else_is_no_confirmation(
    answer: dict[str, object], reason: Reason
) -> None:
    with pytest.raises(RetryLater) as refused:
        proof.check_change(answer, "x", desired=True, key="@a")
    assert refused.value.reason is reason


def test_a_creation_is_confirmed_by_an_answer_with_its_address() -> None:
    answer = {"PKey": "@a", "email": "Jo@x.com", "x": True}
    assert proof.check_creation(answer, "x", desired=True, email="jo@X.com") == "@a"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"PKey": "@a", "email": "al@x.com", "x": True}, Reason.WRONG_PROFILE),
        ({"PKey": "@a", "email": "jo@x.com", "x": False}, Reason.NOT_STORED),
        ({"PKey": "@a", "href": "h"}, Reason.BAD_ANSWER),
        ({"PKey": "", "email": "jo@x.com"}, Reason.BAD_ANSWER),
        ({"PKey": "@a", "email": "jo@x.com", "x": True, "error": "no"}, Reason.BAD_ANSWER),
    ],
    ids=str,
)
def test_no_other_answer_confirms_a_creation(answer: dict[str, object], reason: Reason) -> None:
    with pytest.raises(RetryLater) as refused:
        proof.check_creation(answer, "x", desired=True, email="jo@x.com")
    assert refused.value.reason is reason


LONG = "@k1-" + "x" * 40


@pytest.mark.parametrize(
    ("text", "key", "named"),
    [
        ("Unable to find document with path 'Profile' from key '@a:0'", "@a", Mention.THIS),
        ("Unable to find document with path 'Profile' from key '@a:0'", "@b", Mention.ANOTHER),
        ("Unable to decrypt PKey. (PKey=@jksad)", "@jksad", Mention.THIS),
        ("Unable to decrypt PKey. (PKey=@jksad)", "@jksa", Mention.ANOTHER),
        ("'O5i' attribute unknown. XTK-170036 '@id = @O5i'", "@O5i", Mention.THIS),
        ("'O5i' attribute unknown. XTK-170036 '@id = @O5i'", "@O5", Mention.ANOTHER),
        ("'@gibberish' is not a valid constant", "@gibberish", Mention.THIS),
        ("'@gibberish' is not a valid constant", "@other", Mention.ANOTHER),
        ("You do not have the rights to modify the resource of ID '@a'", "@a", Mention.THIS),
        ("You do not have the rights to modify the resource of ID '@a'", "@b", Mention.ANOTHER),
        (f"Gone: {LONG}", LONG, Mention.THIS),
        (f"Gone: {LONG}", "@a", Mention.ANOTHER),
        ("rest/profileAndServices/profile/%40a is gone", "@a", Mention.THIS),
        ("Unable to find document", "@a", Mention.NOTHING),
        ("RST-360011 An error has occurred", "360011", Mention.NOTHING),
        ("'ccpaOptOut' property is not valid for the 'profile' resource.", "@a", Mention.NOTHING),
    ],
)
@pytest.mark.parametrize("form", ["{}", '{{"code": 404, "message": "{}"}}'], ids=["text", "JSON"])
def test_an_error_s_text_names_its_profile(text: str, key: str, named: Mention, form: str) -> None:
    answer = Response(404, form.format(text).encode())
    assert proof.mention(answer, (key,)) is named


@pytest.mark.parametrize(
    ("link", "repeats"),
    [
        ("profileAndServices/profile/byEmail//_count?email=a%40x.com&_lineCount=1", True),
        ("profileAndServices/profile/byEmail//_count?email=b%40x.com&_lineCount=1", False),
        ("profileAndServices/profile//_count?_lineCount=1&_lineStart=%40abc", False),
        (None, False),
    ],
)
def test_a_link_may_repeat_the_parameters_of_the_request(
    link: str | None, *, repeats: bool
) -> None:
    path = "profileAndServices/profile/byEmail?email=a%40x.com&_lineCount=100"
    assert proof.repeats(link, path) is repeats


def test_no_link_proves_a_list_without_a_filter() -> None:
    assert not proof.repeats("profile?_lineCount=1", "profile?_lineCount=1")
