"""Every path of the page, with the right that it needs; there is no other list.

A path without a line here does not exist. Without a session, only ``Right.NONE`` is answered.
"""

from typing import Final, NamedTuple

from aiohttp.typedefs import Handler

from bulk_sync.web.identity import Right
from bulk_sync.web.pages import ledger, people, plans, runs, sign_in, start, static, uploads


class Route(NamedTuple):
    """A path, with what answers it; ``lasts`` if that takes as long as a run, or as a browser."""

    method: str
    path: str
    right: Right
    handler: Handler
    lasts: bool = False


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/healthz", Right.NONE, static.healthz),
    Route("GET", "/static/{name}", Right.NONE, static.file),
    Route("GET", "/sign-in", Right.NONE, sign_in.form),
    Route("POST", "/sign-in", Right.NONE, sign_in.sign_in),
    Route("POST", "/sign-out", Right.READ, sign_in.sign_out),
    Route("GET", "/", Right.READ, start.show),
    Route("GET", "/uploads/new", Right.PREPARE, uploads.new),
    Route("POST", "/uploads/new", Right.PREPARE, uploads.receive, lasts=True),
    Route("GET", "/uploads/template", Right.READ, uploads.template),
    Route("GET", "/uploads/{id}", Right.READ, uploads.show),
    Route("GET", "/uploads/{id}/events", Right.READ, uploads.events, lasts=True),
    Route("POST", "/uploads/{id}/check", Right.PREPARE, uploads.check),
    Route("POST", "/uploads/{id}/compare", Right.PREPARE, uploads.compare),
    Route("POST", "/uploads/{id}/discard", Right.PREPARE, uploads.discard),
    Route("GET", "/uploads/{id}/rows-to-correct", Right.READ, uploads.rows_to_correct),
    Route("GET", "/plans/{id}", Right.READ, plans.show),
    Route("POST", "/plans/{id}/ask", Right.PREPARE, plans.ask),
    Route("POST", "/plans/{id}/seen", Right.READ, plans.seen),
    Route("POST", "/plans/{id}/approve", Right.APPROVE, plans.approve),
    Route("POST", "/plans/{id}/apply", Right.RESUME, plans.apply),
    Route("POST", "/plans/{id}/send-back", Right.APPROVE, plans.send_back),
    Route("POST", "/plans/{id}/withdraw", Right.PREPARE, plans.withdraw),
    Route("POST", "/plans/{id}/again", Right.PREPARE, plans.plan_again),
    Route("POST", "/plans/{id}/raise", Right.RAISE, plans.raise_limit),
    Route("POST", "/plans/{id}/stop", Right.PREPARE, plans.stop),
    Route("GET", "/plans/{id}/events", Right.READ, plans.events, lasts=True),
    Route("GET", "/runs/{id}", Right.READ, runs.show),
    Route("GET", "/runs/{id}/events", Right.READ, runs.events, lasts=True),
    Route("GET", "/runs/{id}/report/{kind}", Right.READ, runs.report),
    Route("POST", "/runs/{id}/stop", Right.PREPARE, runs.stop),
    Route("POST", "/runs/{id}/resume", Right.RESUME, runs.resume),
    Route("POST", "/runs/{id}/retry", Right.PREPARE, runs.retry),
    Route("POST", "/runs/{id}/undo", Right.PREPARE, runs.undo),
    Route("GET", "/people", Right.READ, people.form),
    Route("POST", "/people", Right.READ, people.search),
    Route("GET", "/ledger", Right.READ, ledger.show),
    Route("POST", "/ledger", Right.READ, ledger.verify),
)
