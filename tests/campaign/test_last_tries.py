"""How often a request is tried, and what is raised after the last try."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from test_retries import CONNECTION
from virtual_time import too_many, virtually

from bulk_sync.amounts import count
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.responses import Mismatch, Unproven
from bulk_sync.campaign.retries import Retries
from bulk_sync.errors import BulkSyncError, Interrupted, RetryLater, RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

BUSY = RetryLater(Reason.HTTP_503, "busy")
GONE = RetryLater(Reason.CONNECTION, "gone", unreachable=True)
REFUSED = RetryLater(Reason.CONNECTION, "gone", unreachable=True, refused=True)


@dataclass
class Request:
    """A request that meets some errors, one each try, and then succeeds.

    Attributes:
        is_reachable: whether the server answers other requests.
        responds: whether other requests get responses meanwhile.
        stops_at: the try during which the run is stopped.
    """

    errors: Sequence[BulkSyncError]
    pace: Pace = field(default_factory=Pace)
    is_reachable: bool = True
    responds: bool = False
    stops_at: int | None = None
    tries: int = 0
    asked: int = 0
    held_s: float = 0.0
    seconds: float = 0.0

    def outcome(self, explain: Callable[[RowFailed], None] | None = None) -> int | BulkSyncError:
        """Return the number of tries that are counted, or what is raised."""

        async def worked() -> int | BulkSyncError:
            stop, clock = Stop(), asyncio.get_running_loop().time
            pacer, began = Pacer(self.pace, stop, clock), clock()

            async def once() -> None:
                self.tries += 1
                self.held_s = pacer.held_for_s
                retries.responses += self.responds
                if self.tries == self.stops_at:
                    stop.ask(Interrupted("Stopped."))
                if self.tries <= len(self.errors):
                    raise self.errors[self.tries - 1]

            async def is_reachable() -> bool:
                self.asked += 1
                return self.is_reachable

            retries = Retries(self.pace, pacer, stop, Redaction(CONNECTION), is_reachable)
            try:
                _, counted = await retries.run(once, explain)
            except BulkSyncError as error:
                return error
            finally:
                self.seconds = clock() - began
            return counted

        return virtually(worked())


def failure(request: Request) -> RowFailed:
    failed = request.outcome()
    assert isinstance(failed, RowFailed)
    return failed


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_row_fails_after_all_retries_and_may_succeed_later(retries: int) -> None:
    failed = failure(Request([BUSY] * 9, Pace(retries=retries)))
    assert (failed.reason, failed.attempts, failed.passing) == (Reason.HTTP_503, retries + 1, True)
    assert failed.detail == f"busy. Tried {count(retries + 1, 'time')}."


def test_the_full_stop_of_campaigns_own_sentence_is_not_repeated() -> None:
    busy = RetryLater(Reason.HTTP_500, "Campaign answered 500: contact your administrator.")
    expected = "Campaign answered 500: contact your administrator. Tried 2 times."
    assert failure(Request([busy] * 9, Pace(retries=1))).detail == expected


def test_an_error_may_have_a_last_word_of_its_own() -> None:
    last_word = RowFailed(Reason.HTTP_403, "Forbidden.")
    later = RetryLater(Reason.HTTP_403, "forbidden", refused=True, last_word=last_word)
    assert Request([later] * 9, Pace(retries=2)).outcome() is last_word
    assert last_word.attempts == 3


@pytest.mark.parametrize(
    ("retries", "misses", "tries", "detail"),
    [
        (5, 2, 3, ""),
        (5, 3, 3, "another profile, 3 times, each on another connection."),
        (1, 2, 2, "another profile. Tried 2 times."),
        (0, 1, 1, "another profile. Tried 1 time."),
    ],
    ids=["twice", "three times", "no retry is left", "no retries"],
)
def test_a_response_about_another_profile_is_asked_for_at_once(
    retries: int, misses: int, tries: int, detail: str
) -> None:
    request = Request([Mismatch()] * misses, Pace(retries=retries))
    outcome = request.outcome()
    assert (request.tries, request.seconds) == (tries, 0.0)
    if isinstance(outcome, RowFailed):
        assert outcome.detail.endswith(detail)
        assert (outcome.reason, outcome.attempts) == (Reason.WRONG_PROFILE, tries)
    else:
        assert (outcome, detail) == (tries, "")


def test_an_unproven_response_is_asked_for_again_whatever_the_retries() -> None:
    request = Request([Unproven("content")], Pace(retries=0))
    assert (request.outcome(), request.tries, request.seconds) == (2, 2, 0.0)


@pytest.mark.parametrize(
    ("error", "is_reachable", "responds", "tries", "asked"),
    [
        (GONE, False, False, 10, 8),
        (GONE, True, False, 2, 1),
        (GONE, False, True, 2, 0),
        (REFUSED, True, False, 10, 0),
        (BUSY, False, False, 2, 0),
    ],
    ids=["no server", "a server for others", "responses to others", "no connection", "a response"],
)
def test_a_server_that_is_gone_is_waited_for_beyond_the_retries(
    error: RetryLater, *, is_reachable: bool, responds: bool, tries: int, asked: int
) -> None:
    request = Request([error] * 9, Pace(retries=1), is_reachable, responds)
    outcome = request.outcome()
    assert (request.tries, request.asked) == (tries, asked)
    if tries == 10:
        assert outcome == 10
    else:
        assert isinstance(outcome, RowFailed)


@pytest.mark.parametrize(("gone", "lines"), [(2, 0), (3, 1), (9, 1)], ids=str)
def test_the_log_names_a_silent_server_after_three_tries_and_not_each_time(
    gone: int, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    Request([REFUSED] * gone).outcome()
    assert [record.message.partition(".")[0] for record in caplog.records] == ["gone"] * lines
    caplog.clear()
    Request([BUSY] * 5, Pace(retries=9)).outcome()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("wait_s", "patience_s", "asks"),
    [(100.0, 60.0, " and asks to wait 100 s more"), (None, 0.0, ""), (0.0, 0.0, "")],
    ids=["a long wait", "no patience", "no patience for a wait of no time"],
)
def test_a_wait_beyond_the_patience_stops_the_run(
    wait_s: float | None, patience_s: float, asks: str
) -> None:
    later = RetryLater(Reason.HTTP_503, "busy", wait_s=wait_s)
    stopped = Request([later] * 9, Pace(patience_s=patience_s)).outcome()
    assert isinstance(stopped, StoppedEarly)
    assert str(stopped) == (
        f"busy; Campaign was not available for 0 s{asks}, and the patience is {patience_s:g} s "
        "(--patience)."
    )


@pytest.mark.parametrize("error", [BUSY, GONE, too_many(5.0)], ids=["503", "gone", "429"])
def test_a_stopped_run_makes_no_further_try(error: RetryLater) -> None:
    failed = failure(Request([error] * 9, stops_at=2))
    assert (failed.reason, failed.outcome) == (Reason.STOPPED, Outcome.PENDING)
    assert failed.detail == f"{error.detail}. The run was stopped before another try."


def test_a_429_holds_every_request_and_costs_no_try() -> None:
    request = Request([too_many(5.0)] * 3, Pace(retries=0))
    assert request.outcome() == 1
    assert (request.tries, request.held_s, request.seconds) == (4, 5.0, 0.0)


def test_a_failed_row_is_explained_once_with_its_tries() -> None:
    explained: list[RowFailed] = []
    refused = RowFailed(Reason.HTTP_400, "Bad.")
    assert Request([BUSY, BUSY, refused]).outcome(explained.append) is refused
    assert (explained, refused.attempts) == ([refused], 3)
    many = RowFailed(Reason.HTTP_400, "Bad.", attempts=7)
    assert Request([BUSY, many]).outcome() is many
    assert many.attempts == 7
