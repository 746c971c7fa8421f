"""An error counts if it is about its request, and not about another profile."""

import pytest

from bulk_sync.campaign.mismatches import Mismatches
from bulk_sync.campaign.responses import Mismatch, Request, Response, Unproven
from bulk_sync.errors import RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.stopping import Stop

NOT_FOUND = RowFailed(Reason.NOT_FOUND, "Campaign knows no profile.", outcome=Outcome.NOT_FOUND)
FIRST = Response(404, b"Nothing here")


@pytest.mark.parametrize(
    ("again", "counts"),
    [(FIRST, False), (Response(404, b"No"), True), (Response(410, b"Nothing here"), True)],
    ids=["the same", "another text", "another status"],
)
def test_an_error_in_doubt_was_another_requests_if_the_next_one_differs(
    again: Response, counts: bool
) -> None:
    stop = Stop()
    mismatches = Mismatches(stop)
    for number in range(3):
        request = Request("GET", f"profile/%40k{number}", None, (f"@k{number}",))
        assert stop.cause is None
        with pytest.raises(Unproven):
            mismatches.check_error(request, FIRST, NOT_FOUND, repeats=True)
        assert request in mismatches.doubted
        mismatches.check_error(request, again, NOT_FOUND, repeats=True)
        assert request not in mismatches.doubted
    assert isinstance(stop.cause, StoppedEarly) is counts


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("repeats", [False, True])
def test_an_error_about_another_profile_is_not_accepted(method: str, repeats: bool) -> None:
    stop = Stop()
    mismatches = Mismatches(stop)
    foreign = Response(404, b"No profile with key '@abcdefghijk'")
    for number in range(3):
        key = f"@bcdefghijk{number}"
        request = Request(method, f"profile/{key}", None, (key,))
        assert stop.cause is None
        with pytest.raises(Mismatch):
            mismatches.check_error(request, foreign, NOT_FOUND, repeats=repeats)
        assert request in mismatches.doubted
        own = Response(404, f"No profile with key '{key}'".encode())
        mismatches.check_error(request, own, NOT_FOUND, repeats=repeats)
        assert request not in mismatches.doubted
    assert isinstance(stop.cause, StoppedEarly)
