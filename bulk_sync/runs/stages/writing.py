"""Writes a plan to Campaign, each change recorded in the ledger before it is sent."""

import logging
from collections.abc import Mapping
from typing import Final

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.engines.decide import READ_FIRST, Care
from bulk_sync.engines.journal import now_ms
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.write import Writes
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, comparison, request_order
from bulk_sync.rows.request_order import RequestDate
from bulk_sync.runs.history import lineage, overtaken, precedence
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.stages.execution import Execution, StageEnd, early_end
from bulk_sync.runs.terms.job import Job
from bulk_sync.runs.terms.protection import Protection

log = logging.getLogger(__name__)

_STALE_MS: Final = 3_600_000
"""Opt-outs are read again before they are lifted for a file that was given longer ago.

So they are for a reviewed plan, as ``apply`` reads them."""


def write(execution: Execution, planned: pd.DataFrame, recording: Recording) -> StageEnd:
    """Send the remaining writes, and return the results."""
    if not recording.keys:
        return StageEnd(planned, None)
    run, session = execution.run, execution.session
    writes = _writes(run, execution.job, planned, recording)
    session.write(writes, recording)
    recording.leave_in_doubt(at for at in recording.steps.open() if writes.may_have_arrived(at))
    results = comparison.settle(planned, recording.steps)
    if session.cause is None:
        return StageEnd(results, None)
    if recording.unrecorded:
        log.warning(
            "%s confirmed by Campaign, but could not be recorded in the ledger. Before anything "
            "else is written, this is read again.",
            count(recording.unrecorded, "change was", "changes were"),
        )
    was_sent = writes.has_sent or recording.has_begun
    return early_end(results, session.cause, run.rest, was_sent=was_sent)


def recorded(run: RunContext, planned: pd.DataFrame) -> Recording:
    """Return the writes of a plan, with their results by the ledger."""
    early = run.checkpoint.early()
    return Recording(run.ledger, run.run_id, planned, comparison.writes(planned), early)


def _writes(run: RunContext, job: Job, planned: pd.DataFrame, recording: Recording) -> Writes:
    """Return the writes with the reasons for care: dates, and what other runs have done."""
    guarded, opt_ins, is_resumed = job.writing.guarded, recording.opt_ins, not run.is_read_now
    requests, is_stale, newer = _requests(planned), False, dict[int, str]()
    last_writes = precedence.last_writes(run.ledger, job.record.state, job.connection, run.run_id)
    since = precedence.superseded(run, recording, requests, last_writes)
    uncertain, known_ms = precedence.put_back(run, recording)
    # A write that a later run had to make again had not arrived: the state is that run's.
    in_doubt = recording.in_doubt - since.rewritten
    if columns.UNJUDGED not in planned:
        undated = {at: recording.keys[at] for at in opt_ins if at not in requests}
        newer = overtaken.overtaken(run, job.record.state, planned, undated)
        given_ms = _given_ms(run, planned)
        is_stale = given_ms < now_ms() - _STALE_MS or run.lineage.plan is not None
        judged = opt_ins if is_stale or guarded else in_doubt.intersection(opt_ins)  # read anyway
        known_ms = dict.fromkeys(judged, given_ms) | known_ms
    if not guarded:
        overruled = since.overruled if is_resumed else ()  # else all was compared just now
        read_first = {*overruled, *(opt_ins if is_stale or is_resumed else ())}
        requests = {at: requests[at] for at in read_first if at in requests}
    protected = _protected(job.protection, planned)
    written = precedence.own_writes(last_writes, recording.keys, requests)

    def care(at: int) -> Care:
        key, body, request = recording.keys[at], recording.bodies.get(at), requests.get(at)
        return Care(
            reads_first=guarded if body is None else is_resumed,
            in_doubt=at in in_doubt,
            acted_ms=recording.acted_ms.get(at),
            forbidden=protected.get(at, since.forbidden.get(at)),
            forbidden_by=Reason.PROTECTED if at in protected else Reason.NEWER_RUN,
            overtaken=newer.get(at),
            uncertain=at in uncertain,
            request=request,
            own=written.get((key, not recording.desired[at])),
            known_ms=None if request else known_ms.get(at),
            body=body,
        )

    careful = {*in_doubt, *protected, *since.forbidden, *newer, *uncertain, *recording.bodies}
    careful |= {*requests, *known_ms}
    return Writes(
        keys=recording.keys,
        desired=recording.desired,
        steps=recording.steps,
        verify=job.writing.verify,
        cares={at: care(at) for at in sorted(careful)},
        usual=READ_FIRST if guarded else None,
        resolver=Resolver(job.matching.keys, job.connection.attribute, is_wary=True),
    )


def _protected(protection: Protection, planned: pd.DataFrame) -> dict[int, str]:
    """Return the writes of protected people that an earlier process intended, with sentences."""
    if not protection.files:
        return {}
    sentences = protection.read().sentences(planned)
    positions = enumerate(comparison.writes(planned).tolist())
    return {at: sentences[row] for at, row in positions if row in sentences}


def _given_ms(run: RunContext, planned: pd.DataFrame) -> int:
    """Return when a file was given at the latest, in ms.

    That is when its run began, or its plan to read; the run of a retry is the first one, or its
    plan. Return ``AT_ANY_TIME`` if the clock was set back since: then it is not known how long ago
    that was.
    """
    if run.begun.kind is Kind.RETRY:
        family = [run.ledger.run(each) for each in run.lineage.family]
        plan = lineage.reader(run.ledger.runs(), run.run_id, run.lineage.plan)
        times_ms = [each.begun_ms for each in (*family, plan) if each is not None]
    else:  # a run that was stopped early may have begun long before it read a state
        read_ms = columns.times_ms(planned[columns.AT])
        times_ms = [run.ledger.run(run.run_id).begun_ms, *read_ms[read_ms > 0].tolist()]
    is_set_back = max(times_ms) > now_ms() + request_order.TOLERANCE_MS
    return request_order.AT_ANY_TIME if is_set_back else min(times_ms)


def _requests(planned: pd.DataFrame) -> Mapping[int, RequestDate]:
    """Return the dates of the requests, by write, if dates are judged; undated ones are left out.

    A choice may have been made in Campaign since the plan. ``apply`` reads again what it writes. A
    resumed run reads a profile before an opt-in, and before overruling a later run.
    """
    if columns.LATEST not in planned:
        return {}
    found = enumerate(request_order.requests(planned, comparison.writes(planned)))
    return {at: request for at, request in found if request is not None}
