"""Our own credentials do not appear in quoted texts."""

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.responses import Response
from bulk_sync.errors import AccessDenied, BulkSyncError, RetryLater, RowFailed
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Credentials, Secret


def redaction(secrets: Iterable[str] = ()) -> Redaction:
    connection = Connection(
        "http://127.0.0.1:9", "acme", Credentials("demo-key", Secret("token-of-the-start"))
    )
    made = Redaction(connection)
    for secret in secrets:
        made.add(secret)
    return made


@given(st.permutations(["token-one", "token-one-and-more", "one-time", "a/b c d/e"]))
def test_a_secret_that_begins_with_another_is_removed_whole(secrets: list[str]) -> None:
    text = redaction(secrets).text_of(
        ValueError("token-one-and-more, a%2Fb%20c%20d%2Fe, token-of-the-start")
    )
    assert text == "***, ***, ***"


@pytest.mark.parametrize(
    "error",
    [
        RetryLater(Reason.CONNECTION, "Sent token-of-the-start."),
        RowFailed(Reason.HTTP_400, "Sent token-of-the-start."),
        AccessDenied("Sent token-of-the-start."),
    ],
    ids=["passing", "a row", "a stop"],
)
def test_no_error_contains_a_secret(error: BulkSyncError) -> None:
    redaction().error(error)
    assert "token" not in f"{error} {error.args} {getattr(error, 'detail', '')}"
    assert "***" in str(error)


def test_long_secrets_are_removed_from_an_answer_and_it_stays_valid() -> None:
    answer = Response(
        403, b'{"error_code":"403010","it":"token-of-the-start"}', location="?1=token-of-the-start"
    )
    found = redaction(["1"]).response(answer)
    assert found.body == b'{"error_code":"403010","it":"***"}'
    assert found.location == "?1=***"


PROSE = (
    "Stopped by SIGTERM. Campaign answered 503 at https://mc.adobe.io:443/acme: a token is gone."
)


@pytest.mark.parametrize("secret", ["S", "t", "token", "503", "443", "acme", "a", "Stopped"])
def test_a_secret_of_a_few_letters_leaves_prose_as_it_is(secret: str) -> None:
    found = redaction([secret])
    assert found.text_of(ValueError(PROSE)) == PROSE
    failed = RowFailed(Reason.HTTP_503, PROSE)
    found.error(failed)
    assert (failed.detail, str(failed)) == (PROSE, PROSE)


@pytest.mark.parametrize("secret", ["s", "503", "pa55", "a+b/c="])
@pytest.mark.parametrize(
    "dump",
    [
        "Authorization: Bearer {}",
        "b'authorization: bearer {}\\r\\n'",
        "{{'Authorization': 'Bearer {}'}}",
        "POST client_secret={}&scope=x",
        '{{"access_token":"{}","expires_in":3600}}',
        '{{"client_secret": "{}"}}',
        "https://x.example/?token={}",
        "https://x.example/?a=b&code={}#top",
        "https://user:{}@x.example/",
        "password={}, and so on",
    ],
)
def test_no_secret_is_shown_whole_in_a_header_or_a_url(dump: str, secret: str) -> None:
    for spelled in {secret, quote(secret, safe="")}:
        text = redaction([secret]).text_of(ValueError(dump.format(spelled)))
        assert text == dump.format("***")


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=7))
def test_no_short_secret_is_taken_out_of_a_sentence(secret: str) -> None:
    found = f"Campaign has refused {secret} and {secret}s; the row {secret} failed."
    assert redaction([secret]).text_of(ValueError(found)) == found
