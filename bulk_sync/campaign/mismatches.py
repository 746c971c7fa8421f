"""Counts the answers of one run that were about something else, and ends it when they are many."""

from typing import Final

from bulk_sync.campaign.responses import Answer, Mismatch, Unproven
from bulk_sync.errors import RetryLater, StoppedEarly
from bulk_sync.stopping import Stop

_MOST: Final = 3
"""Requests whose answers were about something else: so many are no accident of one of them."""


Asked = tuple[str, str, bytes | None]
"""A request: its method, path and body.

A profile is read and changed by one path, and all profiles are created by one: what one request was
answered says nothing of another one's answer.
"""


class Mixups:
    """What was answered about something else, or about nobody, by the request.

    Args:
        stop: is asked to end the run when several requests were answered so.

    Attributes:
        doubted: the last answers that were not taken for those of their requests; None for one
            that was about something else.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._mixed_up: set[str] = set()
        self.doubted: dict[Asked, Answer | None] = {}

    def doubt(self, asked: Asked, answer: Answer, why: RetryLater) -> None:
        """Record an answer that was not accepted as that of its request."""
        if isinstance(why, Mismatch):
            self.doubted[asked] = None
            self._mix_up(asked[1], why.detail)
        elif isinstance(why, Unproven):
            self.doubted[asked] = answer

    def settle(self, asked: Asked, answer: Answer) -> None:
        """Record the answer that counts; a doubted one that differs was another request's."""
        doubted = self.doubted.pop(asked, None)
        if doubted is not None and (doubted.status, doubted.body) != (answer.status, answer.body):
            self._mix_up(asked[1], "Campaign's answer was about another profile")

    def _mix_up(self, path: str, detail: str) -> None:
        self._mixed_up.add(path)
        if len(self._mixed_up) >= _MOST:
            self._stop.ask(
                StoppedEarly(
                    f"The answers to {len(self._mixed_up)} requests were about something other "
                    f"than what was asked for; the last one: {detail}. None of them was used. "
                    "Something between this machine and Campaign mixes answers up: a proxy, a "
                    "cache or a load balancer. Have that repaired, then go on with "
                    "`bulk-sync resume`."
                )
            )
