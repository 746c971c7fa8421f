"""Opt-ins without request dates of a plan, an undo or a resumed run, and other runs since.

Campaign may show no time of a change. What this tool knows by itself:

=============================================  ====================================  ==============
another run has since                          if the opt-out stands, it is          lifted
=============================================  ====================================  ==============
opted the profile out, or perhaps              that run's                            no
lifted the opt-out                             a newer choice in Campaign            no
found it in place, by a newer file, or has     what the newer file wants             no
yet to look
found it in place, by an older file, if this   what the older file wants             no
is an undo
read the very list that is to be undone        as wrong as the list                  yes
worked on other profiles, or was put back                                            yes
=============================================  ====================================  ==============

For an undo the first two lines stand in ``precedence.py``. So does the rule that a resumed run
lifts no opt-out if a newer file was carried out; here stands what the files of refused runs want.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from bulk_sync.engines.journal import now_ms
from bulk_sync.ledger import Kind, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison
from bulk_sync.runs.history import lineage, past_rows
from bulk_sync.runs.history.lineage import Lineage
from bulk_sync.runs.history.past_rows import PastRow
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.history.written_since import ANSWER_MS, Change, Reading, written_since
from bulk_sync.runs.kept.identity import Identity, IdentityColumns, one_spelling
from bulk_sync.settings import State

log = logging.getLogger(__name__)

_HOLDS: Final = {Outcome.UNCHANGED, Outcome.UPDATED}
"""Outcomes of a row whose request holds in Campaign."""

_OPEN: Final = {Outcome.FAILED, Outcome.PENDING}
"""Outcomes of a row whose request is still to be carried out."""

_ANEW: Final = (
    "so the opt-out was not lifted. To lift it all the same, run this row again from a file."
)


def overtaken(
    run: RunContext, state: State, planned: pd.DataFrame, opt_ins: Mapping[int, str]
) -> dict[int, str]:
    """Return the opt-ins of a plan, an undo or a run that waited that other runs have overtaken.

    Args:
        run: the run that lifts the opt-outs.
        state: where the rows of other runs are kept.
        planned: its plan.
        opt_ins: PKeys of opt-ins without a request date, by position.

    Returns:
        A sentence for the report by position.
    """
    if not opt_ins:
        return {}
    plan, keys = run.begun.plan_sha256 or run.lineage.plan, _keys(run, planned, opt_ins)
    if run.lineage.undone is not None:
        others = _other_lists(run, run.lineage.undone)
        sentences = _asked_for(run, state, others, keys, run.lineage.since or 0)
    elif plan is not None:
        sentences = _since_plan(run, state, planned, plan, keys)
    else:
        refused = filter(lineage.was_turned_away, _later(run, run.lineage.since))
        sentences = _asked_for(run, state, list(refused), keys)
    return {at: sentences[pkey] for at, pkey in opt_ins.items() if pkey in sentences}


def _keys(
    run: RunContext, planned: pd.DataFrame, opt_ins: Mapping[int, str]
) -> Mapping[str, set[str]]:
    """Return the PKeys of opt-ins by each key of their rows, addresses in one spelling for all."""
    found: dict[str, set[str]] = {pkey: {pkey} for pkey in opt_ins.values()}
    rows = comparison.writes(planned)[list(opt_ins)]
    where = IdentityColumns.find(run.begun, planned.columns)
    for name in (columns.KEY, *where.emails):
        for key, pkey in zip(planned[name].iloc[rows], opt_ins.values(), strict=True):
            if isinstance(key, str) and key:
                found.setdefault(one_spelling(key), set()).add(pkey)
    return found


def _other_lists(run: RunContext, undone: str) -> list[Run]:
    """Return the runs at work since the run to be undone, but those of its own list.

    An older list counts too: it may have found an opt-out of the run in place. So does another
    sheet of its workbook.
    """
    wrong, since = run.ledger.run(undone), run.lineage.since or 0
    while wrong.begun.parent is not None:
        wrong = run.ledger.run(wrong.begun.parent)
    return [
        each
        for each in _with_requests(run)
        if lineage.list_of(each) != lineage.list_of(wrong)
        and (not each.is_finished or each.end > since)
    ]


def _since_plan(
    run: RunContext,
    state: State,
    planned: pd.DataFrame,
    plan: str,
    keys: Mapping[str, set[str]],
) -> dict[str, str]:
    runs = run.ledger.runs()
    reader = lineage.reader(runs, run.run_id, plan)
    read_ms = columns.times_ms(planned[columns.AT])
    since_ms = int(read_ms[read_ms > 0].min(initial=now_ms()))
    if run.lineage.plan is not None and reader is not None:  # these states were read just now
        since_ms = min(since_ms, reader.begun_ms)
    if reader is None:
        since = max((each.position for each in runs if each.begun_ms < since_ms), default=0)
    else:
        since = reader.position
    sentences = _asked_for(run, state, _later(run, since), keys)
    pkeys = sorted(set().union(*keys.values()))
    for pkey, changes in written_since(run, Reading(since_ms - ANSWER_MS, reader), pkeys).items():
        for change in changes:
            if change.write.intent.desired or not change.write.is_doubtful:
                sentences[pkey] = _sentence(change)
    return sentences


def _later(run: RunContext, since: int | None) -> list[Run]:
    """Return the runs with requests given since a position in the ledger, refused or not.

    None: a run that has just begun, so there are none.
    """
    if since is None:
        return []
    runs = run.ledger.runs()
    return [
        each
        for each in _with_requests(run)
        if each.position > since and (lineage.trace(runs, each.run_id).since or 0) > since
    ]


def _with_requests(run: RunContext) -> list[Run]:
    """Return all other runs with requests, but those that were put back."""
    others = Lineage(0, run.lineage.family).given_since(run.ledger.runs(), run.begun)
    put_back = lineage.undone(others)
    kinds = {Kind.RUN, Kind.APPLY, Kind.RETRY}
    return [each for each in others if each.begun.kind in kinds and each.run_id not in put_back]


def _asked_for(
    run: RunContext,
    state: State,
    others: Sequence[Run],
    keys: Mapping[str, set[str]],
    since: int = 0,
) -> dict[str, str]:
    """Return the profiles with opt-outs that other runs ask for, with sentences.

    What a run from before a position in the ledger has not done yet does not count. A row that was
    not looked up yet is known by its address alone.
    """
    people = Identity.of_keys(keys)
    known = list(past_rows.find(run.ledger, state, others))
    ids = {rows.run.run_id for rows in known}
    for other in others:
        if other.begun.rows and other.run_id not in ids:
            log.warning(
                "The rows of run %s are not kept here. If its file asks for opt-outs that this run "
                "lifts, they are lifted all the same.",
                other.run_id,
            )
    return {
        pkey: f"The file of run {row.run.run_id} asks for this opt-out, too, {_ANEW}"
        for rows in known
        for row in rows.search(people)
        if row.cells[columns.DESIRED]
        for key in _keys_that_count(row, since)
        for pkey in keys.get(key, ())
    }


def _keys_that_count(row: PastRow, since: int) -> set[str]:
    """Return the keys for which an opt-out counts: of several profiles, perhaps of some alone."""
    if _counts(row, since):
        return row.pkeys or {*map(one_spelling, row.other_keys)}
    return set(row.cells.get(columns.UNCHANGED_PKEYS) or ())


def _counts(row: PastRow, since: int) -> bool:
    """Return whether a request counts: it found the opt-out, or is still to be carried out."""
    outcome = row.cells[columns.OUTCOME]
    if outcome == Outcome.DRIFTED:  # others had set it since the plan
        return bool(row.cells[columns.AFTER])
    return outcome in _HOLDS or (outcome in _OPEN and row.run.position > since)


def _sentence(change: Change) -> str:
    run_id, write = change.write.run_id, change.write
    if not write.intent.desired:
        return (
            f"Run {run_id} has lifted this opt-out since the plan was made, and it was chosen "
            f"again since then, {_ANEW}"
        )
    has = "may have" if write.is_doubtful else "has"
    return f"Run {run_id} {has} opted this profile out since the plan was made, {_ANEW}"
