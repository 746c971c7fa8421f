"""An error that does not show its request counts only if it comes again."""

import pytest

from bulk_sync.campaign.mismatches import Mismatches
from bulk_sync.campaign.responses import Request, Response, Unproven
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
