"""Our own credentials are in nothing that is quoted."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.campaign.answers import Answer
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.errors import AccessDenied, BulkSyncError, RetryLater, RowFailed
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Secret


def redaction(secrets: Iterable[str] = ()) -> Redaction:
    connection = Connection("http://127.0.0.1:9", "acme", "demo-key", Secret("token-of-the-start"))
    made = Redaction(connection)
    for secret in secrets:
        made.add(secret)
    return made


@given(st.permutations(["token-one", "token-one-and-more", "one", "a/b c"]))
def test_of_a_secret_that_begins_with_another_nothing_is_left(secrets: list[str]) -> None:
    said = redaction(secrets).said(ValueError("token-one-and-more, a%2Fb%20c, token-of-the-start"))
    assert said == "***, ***, ***"


@pytest.mark.parametrize(
    "error",
    [
        RetryLater(Reason.CONNECTION, "Sent token-of-the-start."),
        RowFailed(Reason.HTTP_400, "Sent token-of-the-start."),
        AccessDenied("Sent token-of-the-start."),
    ],
    ids=["passing", "a row", "a stop"],
)
def test_no_error_has_one(error: BulkSyncError) -> None:
    redaction().error(error)
    assert "token" not in f"{error} {error.args} {getattr(error, 'detail', '')}"
    assert "***" in str(error)


def test_an_answer_loses_the_long_ones_and_is_still_understood() -> None:
    answer = Answer(
        403, b'{"error_code":"403010","it":"token-of-the-start"}', location="?1=token-of-the-start"
    )
    told = redaction(["1"]).answer(answer)
    assert told.body == b'{"error_code":"403010","it":"***"}'
    assert told.location == "?1=***"
