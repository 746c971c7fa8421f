"""Accepts a response only for its own request, and ends the run if responses are mixed up."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from bulk_sync.campaign import proof
from bulk_sync.campaign.proof import Mention
from bulk_sync.campaign.responses import Mismatch, Request, Response, Unproven
from bulk_sync.errors import RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome
from bulk_sync.stopping import Stop

T = TypeVar("T")

_MOST: Final = 3
"""So many requests with responses about something else are no accident of one of them."""


class Mismatches:
    """The unaccepted responses, by request.

    Attributes:
        doubted: the last response to each request in doubt; None if it was about something else.
            Such a request is sent again, on a connection of its own.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._mixed_up: set[str] = set()
        self.doubted: dict[Request, Response | None] = {}

    def accept(
        self, request: Request, response: Response, parse: Callable[[Response], T], *, repeats: bool
    ) -> T:
        """Return the content of a good response.

        It ``repeats`` if it is the same as the one before it on its connection.

        Raises:
            Mismatch: it is about another request.
            Unproven: it does not show its request, and came for the first time.
            RetryLater: it is of no use.
        """
        try:
            result = parse(response)
        except Mismatch as mismatch:
            self._doubt(request, mismatch)
            raise
        except Unproven as unproven:
            result = cast("T", unproven.meaning)
            is_in_doubt = repeats or not unproven.if_repeated
            if is_in_doubt and request not in self.doubted:
                self.doubted[request] = response
                raise Unproven(result) from unproven
        if self.doubted:
            self._settle(request, response)
        return result

    def check_error(
        self, request: Request, response: Response, error: RowFailed, *, repeats: bool
    ) -> None:
        """Check whether an error is about its request.

        Raises:
            Mismatch: it is about another request.
            Unproven: it does not show its request, and came for the first time.
        """
        mention = proof.mention(response, request.about)
        if mention is Mention.ANOTHER:
            mismatch = Mismatch()
            self._doubt(request, mismatch)
            raise mismatch
        if request in self.doubted:
            self._settle(request, response)
            return
        is_claim = error.outcome is Outcome.NOT_FOUND or request.method != "GET"
        if mention is Mention.NOTHING and repeats and is_claim:
            self.doubted[request] = response
            raise Unproven(error)

    def _doubt(self, request: Request, mismatch: Mismatch) -> None:
        self.doubted[request] = None
        self._count(request, mismatch)

    def _settle(self, request: Request, response: Response) -> None:
        """Accept a response; an earlier one in doubt was another request's if it differs."""
        doubted = self.doubted.pop(request, None)
        if doubted is not None and doubted[:2] != response[:2]:  # status and body
            self._count(request, Mismatch())

    def _count(self, request: Request, mismatch: Mismatch) -> None:
        self._mixed_up.add(request.path)
        if len(self._mixed_up) >= _MOST:
            self._stop.ask(
                StoppedEarly(
                    f"{len(self._mixed_up)} requests got the answer to another request; the last "
                    f"one: {mismatch.detail}. None of these answers was used. Something between "
                    "this machine and Campaign mixes answers up: a proxy, a cache or a load "
                    "balancer. Have it repaired, then continue with `bulk-sync resume`."
                )
            )
