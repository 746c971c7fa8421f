"""The writes of a plan in need of care: all the facts for ``engines/decide.py``.

    flight     a process died while the write was in flight
    forbidden  the person is protected by now, or a later run has worked on the profile
    uncertain  the write to be undone may not have arrived
    asked      dated rows: the date, and what this tool has written since; opt-ins without a date:
               when they were asked for, and what other runs have done since

A run sends its writes without another look if it compared the states just now.
"""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from bulk_sync.engines.decide import Asked, Care, Flight, Forbidden
from bulk_sync.engines.journal import now_ms
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, comparison, request_order
from bulk_sync.rows.request_order import RequestDate
from bulk_sync.runs.history import lineage, overtaken, precedence
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.terms.job import Job
from bulk_sync.runs.terms.protection import Protection

_STALE_MS: Final = 3_600_000
"""Opt-outs are read again before they are lifted for a file that was given longer ago.

So they are for a reviewed plan, as ``apply`` reads them."""


def cares(
    run: RunContext, job: Job, planned: pd.DataFrame, recording: Recording
) -> dict[int, Care]:
    """Return the care of the writes in need of any, by position."""
    guarded, opt_ins, is_resumed = job.writing.guarded, recording.opt_ins, not run.is_read_now
    dates, given_ms, newer = _dates(planned), _given_ms(run, planned), dict[int, str]()
    is_stale = given_ms < now_ms() - _STALE_MS or run.lineage.plan is not None
    last_writes = precedence.last_writes(run.ledger, job.record.state, job.connection, run.run_id)
    since = precedence.superseded(run, recording, dates, last_writes)
    forbidden = {at: Forbidden(sentence) for at, sentence in since.forbidden.items()}
    forbidden |= _protected(job.protection, planned)
    uncertain, known_ms = precedence.put_back(run, recording)
    # A write that a later run had to make again had not arrived: the state is that run's.
    in_doubt = recording.in_doubt - since.rewritten
    if columns.UNJUDGED in planned:
        is_stale = False
    else:
        looked_at = opt_ins if is_stale or guarded else in_doubt.intersection(opt_ins)
        known_ms = dict.fromkeys(looked_at, given_ms) | known_ms
        undated = {at: recording.keys[at] for at in opt_ins if at not in dates}
        newer = overtaken.overtaken(run, job.record.state, planned, undated)
    if not guarded:
        overruled = since.overruled if is_resumed else ()  # else all was compared just now
        read_first = {*overruled, *(opt_ins if is_stale or is_resumed else ())}
        dates = {at: dates[at] for at in read_first if at in dates}
    asked = {at: Asked(None, None, known_ms.get(at), newer.get(at)) for at in {*known_ms, *newer}}
    written = precedence.own_writes(last_writes, recording.keys, dates)
    for at, date in dates.items():
        asked[at] = Asked(date, written.get((recording.keys[at], not recording.desired[at])))
    careful = {*in_doubt, *forbidden, *uncertain, *asked, *recording.bodies}
    return {
        at: Care(
            reads_first=is_resumed if at in recording.bodies else guarded,
            flight=Flight(at in in_doubt, recording.acted_ms.get(at)),
            forbidden=forbidden.get(at),
            uncertain=at in uncertain,
            asked=asked.get(at, Asked()),
            body=recording.bodies.get(at),
        )
        for at in sorted(careful)
    }


def _protected(protection: Protection, planned: pd.DataFrame) -> dict[int, Forbidden]:
    """Return the writes of protected people that an earlier process intended."""
    if not protection.files:
        return {}
    sentences = protection.read().sentences(planned)
    positions = enumerate(comparison.writes(planned).tolist())
    return {
        at: Forbidden(sentences[row], Reason.PROTECTED) for at, row in positions if row in sentences
    }


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


def _dates(planned: pd.DataFrame) -> Mapping[int, RequestDate]:
    """Return the dates of the requests, by write, if dates are judged; undated ones are left out.

    A choice may have been made in Campaign since the plan. ``apply`` reads again what it writes. A
    resumed run reads a profile before an opt-in, and before overruling a later run.
    """
    if columns.LATEST not in planned:
        return {}
    found = enumerate(request_order.requests(planned, comparison.writes(planned)))
    return {at: request for at, request in found if request is not None}
