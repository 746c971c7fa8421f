"""The meaning of each answer in section 3 of the API facts."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_sync.campaign.responses import (
    AddressRefused,
    FieldRefused,
    Forbidden,
    Response,
    TokenRefused,
    access_denied,
    document,
    problem,
    summary,
    wait_s,
)
from bulk_sync.errors import RetryLater, RowFailed, UsageProblem
from bulk_sync.outcomes import Outcome, Reason

OOPS = b'{"code":500,"message":"Oops. Something went wrong. Check your URI and try again."}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, b'{"error_code":"401013","message":"Oauth token is not valid"}', TokenRefused, ""),
        (403, b"You do not have the rights needed", Forbidden, "http_403"),
        (500, OOPS, AddressRefused, "http_500"),
        (502, OOPS, AddressRefused, "http_502"),
        (404, b"<html>Not Found</html>", AddressRefused, "http_404"),
        (429, b'{"error_code":"429050","message":"Too many requests"}', RetryLater, "http_429"),
        (500, b"RST-360011 An error has occurred", RetryLater, "http_500"),
        (502, b"<html>Bad Gateway</html>", RetryLater, "http_502"),
        (503, b"", RetryLater, "http_503"),
        (504, b"", RetryLater, "http_504"),
        (599, b"", RetryLater, "http_5xx"),
        (408, b"", RetryLater, "timeout"),
        (425, b"", RetryLater, "timeout"),
        (400, b"Bad Request", RowFailed, "http_400"),
        (418, b"", RowFailed, "http_4xx"),
        (500, b"XTK-170036 Unable to parse expression '@id = @x'.", RowFailed, "invalid_key"),
        (500, b"'@gibberish' is not a valid constant", RowFailed, "invalid_key"),
        (404, b"Unable to decrypt PKey. (PKey=@jksad)", RowFailed, "invalid_key"),
        (404, b"RST-360011 Unable to find document with path", RowFailed, "not_found"),
        (404, b"", RowFailed, "not_found"),
        (500, b"PGS-220000 PostgreSQL error: duplicate key", RowFailed, "http_500"),
        (500, b"The value 'x' is not valid for the enumeration", RowFailed, "http_500"),
        (
            500,
            b"RST-360011 'x' property is not valid for the 'profile' resource.",
            FieldRefused,
            "http_500",
        ),
        (500, b"Cannot update the 'age' property that is read-only", FieldRefused, "http_500"),
        (407, b"", UsageProblem, ""),
    ],
)
def test_an_answer_is_judged_by_its_text_before_its_status(
    status: int, body: bytes, kind: type[Exception], reason: str
) -> None:
    error = problem(Response(status, body))
    assert type(error) is kind
    assert str(getattr(error, "reason", "")) == reason


@pytest.mark.parametrize(
    ("status", "body", "last_word"),
    [
        (403, b'{"error_code":"403023","message":"Profile is not valid"}', Forbidden),
        (403, b"<html><title>403 Forbidden</title></html>", Forbidden),
        (403, b"", Forbidden),
        (302, b"", RowFailed),
        (307, b"<html>Moved</html>", RowFailed),
    ],
    ids=["json", "a page", "nothing", "302", "307"],
)
def test_an_answer_of_a_restarting_gateway_counts_only_if_it_stays(
    status: int, body: bytes, last_word: type[RowFailed]
) -> None:
    later = problem(Response(status, body))
    assert isinstance(later, RetryLater)
    assert (later.refused, later.wait_s) == (status == 403, None)
    assert type(later.last_word) is last_word
    assert later.last_word.passing


@pytest.mark.parametrize(
    "body",
    [
        b"You do not have the rights needed",
        b'{"error_code":"403","message":"You do not have the rights needed"}',
        b"RST-360011 An error has occurred",
    ],
)
def test_a_403_of_campaign_itself_is_not_retried(body: bytes) -> None:
    refused = problem(Response(403, body))
    assert isinstance(refused, Forbidden)
    assert not refused.passing


def test_an_unknown_key_means_not_found() -> None:
    for body in (b"Unable to find document", b"XTK-170036"):
        error = problem(Response(404, body))
        assert isinstance(error, RowFailed)
        assert error.outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    ("status", "asks_s", "is_refused", "sent_at"),
    [
        (429, 7.0, True, 12.0),
        (503, 7.0, False, None),
        (500, 7.0, False, None),
        (408, None, False, None),
    ],
    ids=str,
)
def test_a_server_may_ask_to_wait(
    status: int, asks_s: float | None, *, is_refused: bool, sent_at: float | None
) -> None:
    later = problem(Response(status, b"", retry_after="7", sent_at=12.0))
    assert isinstance(later, RetryLater)
    assert (later.wait_s, later.refused, later.sent_at) == (asks_s, is_refused, sent_at)


@pytest.mark.parametrize(
    ("status", "location", "names"),
    [
        (300, "https://b.example/x", "300, a redirect to https://b.example/x,"),
        (399, None, "nowhere"),
    ],
    ids=["with an address", "without"],
)
def test_a_redirect_names_its_address(status: int, location: str | None, names: str) -> None:
    later = problem(Response(status, b"", location=location))
    assert isinstance(later, RetryLater)
    assert later.reason is Reason.REDIRECT
    assert names in later.detail


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b" \r\n", "with an empty body"),
        (b"  <html>Welcome</html>", "with no JSON: Welcome"),
        (b'{"PKey": "@ada', "with no JSON"),
    ],
    ids=["nothing", "a page", "a part of a profile"],
)
def test_what_is_no_json_is_quoted_if_it_is_a_page(body: bytes, what: str) -> None:
    with pytest.raises(RetryLater) as raised:
        document(Response(200, body))
    assert raised.value.detail == f"Campaign answered 200 {what}"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'"Ad\xe9"', "Ad\ufffd"),
        (b'"Ada\tB"', "Ada\tB"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\u00e9"', "é"),
    ],
    ids=["a byte of Latin-1", "a tab", "half an emoji", "an escape"],
)
def test_names_with_unreadable_characters_are_read(body: bytes, name: str) -> None:
    assert document(Response(200, body)) == name


@pytest.mark.parametrize("body", [b"", b"{", b'{"PKey": "@a', b"<html></html>", b"\xff\xfe"])
def test_a_response_that_is_not_json_is_retried(body: bytes) -> None:
    with pytest.raises(RetryLater, match="Campaign answered 200"):
        document(Response(200, body))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            b'{"error_code":"401013","message":"Oauth token is not valid"}',
            "401013 Oauth token is not valid",
        ),
        (b"first\r\n\x1b[31msecond\t third", "first [31msecond third"),
        (b"<html><script>x()</script><b>Bad&nbsp;Gateway</b></html>", "Bad Gateway"),
        (b'{"code":502,"message":"Bad gateway"}', "Bad gateway"),
        (b'{"error":"x","error_message":"y"}', "x y"),
        (b"{}", "{}"),
        (b"", "no text"),
        (b"[1]", "[1]"),
    ],
)
def test_a_text_of_campaign_becomes_one_clean_line(body: bytes, line: str) -> None:
    assert summary(Response(502, body)) == line


@pytest.mark.parametrize(("given", "shown"), [(300, "x" * 300), (301, f"{'x' * 299}…")])
def test_a_text_is_cut_if_it_is_too_long(given: int, shown: str) -> None:
    assert summary(Response(500, b"x" * given)) == shown


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("0", 0.0), ("7", 7.0), (" 1.5 ", 1.5), (None, None), ("soon", None), ("-3", None)],
)
def test_a_wait_is_given_in_seconds(retry_after: str | None, seconds: float | None) -> None:
    assert wait_s(Response(503, b"", retry_after)) == seconds


def test_a_wait_until_a_time_is_measured_by_the_server_s_clock() -> None:
    there = datetime(2020, 1, 1, tzinfo=UTC)  # a server whose clock is years behind
    until = format_datetime(there + timedelta(seconds=30), usegmt=True)
    assert wait_s(Response(503, b"", until, format_datetime(there, usegmt=True))) == 30.0


def test_a_time_without_a_zone_is_one_of_utc() -> None:
    until, now = "Wed, 01 Jan 2020 00:00:30 -0000", "Wed, 01 Jan 2020 00:00:00 GMT"
    assert wait_s(Response(503, b"", until, now)) == 30.0


def test_refused_credentials_and_addresses_name_what_to_check() -> None:
    forbidden = access_denied(Forbidden("Campaign answered 403: no.", by_gateway=True))
    assert "403: no. Check --api-key" in str(forbidden)
    unknown = access_denied(AddressRefused(Reason.HTTP_500, "Campaign answered 500: Oops."))
    assert "Oops. Campaign's gateway does not know this address" in str(unknown)


def test_a_time_in_the_past_is_no_wait() -> None:
    past = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    assert wait_s(Response(503, b"", past)) == 0.0


STAMPS = st.from_regex(
    r"\w{3}, [0-9]{1,3} \w{3} [0-9]{1,25} [0-9:]{1,9} ?[+-]?[0-9]{0,25}", fullmatch=True
)


@given(st.text() | STAMPS, st.text() | STAMPS)
@example("Mon, 01 Jan 2026 00:00:00 +99999999999999", "")
@example("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "")
@example("9" * 400, "")
def test_any_retry_after_is_a_wait_or_none(retry_after: str, date: str) -> None:
    waits_s = wait_s(Response(503, b"", retry_after, date))
    assert waits_s is None or waits_s >= 0


def test_the_description_of_an_error_is_quoted() -> None:
    body = b'{"error":"invalid_client","error_description":"invalid client_secret parameter"}'
    assert summary(Response(400, body)) == "invalid_client invalid client_secret parameter"
