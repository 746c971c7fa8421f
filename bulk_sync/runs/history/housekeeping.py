"""Removes from the state folder what may go: a little when a run begins, all of it by ``tidy``.

``leftovers.py`` decides what that is. What belongs to a run goes only while its organization is
locked: a run that begins meanwhile finds everything, or nothing.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bulk_sync.errors import AnotherRun, StoppedEarly
from bulk_sync.ledger import Ledger, Run
from bulk_sync.runs.history import leftovers
from bulk_sync.runs.history.exclusion import alone
from bulk_sync.runs.history.leftovers import Leftover, RetentionRules
from bulk_sync.runs.history.past_runs import known
from bulk_sync.settings import Place, State
from bulk_sync.storage import lock

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tidied:
    """What ``tidy`` did.

    Attributes:
        gone: what was removed; of a preview, what would be.
        stuck: what could not be removed.
        at_work: the organizations with a run at work, whose things were left alone.
        unknown: checkpoints of runs that the ledger does not know.
    """

    gone: list[Leftover] = field(default_factory=list)
    stuck: list[Leftover] = field(default_factory=list)
    at_work: list[str] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)

    def take(self, found: Iterable[Leftover], *, is_preview: bool) -> None:
        """Remove what was found, unless this is a preview."""
        for each in found:
            is_gone = is_preview or each.remove()
            (self.gone if is_gone else self.stuck).append(each)


def tidy(state: State, rules: RetentionRules, *, is_preview: bool) -> Tidied:
    """Remove everything that may go from the state folder, and checkpoints from the bucket.

    Raises:
        UsageProblem: there is no ledger, or it does not hold what it held before.
        StoppedEarly: the bucket of ``--state-url`` cannot be listed.
    """
    tidied, folder = Tidied(), state.folder
    with known(state) as book:
        book.check_anchor()
        runs = book.runs()
    for place in {lock.name(run.begun): run.begun for run in runs}.values():
        if not _of_runs(state, _of_place(runs, place), rules):
            continue
        try:
            with alone(state, lock.name(place), "`bulk-sync tidy`") as book:
                found = _of_runs(state, _of_place(book.runs(), place), rules)
                tidied.take(found, is_preview=is_preview)
        except AnotherRun:
            tidied.at_work.append(place.organization)
    with known(state) as book:
        runs = book.runs()
    by_id = {run.run_id: run for run in runs}
    found = leftovers.of_runs(folder, {}, lambda run_id: run_id not in by_id, rules)
    tidied.take([*found, *leftovers.of_no_run(folder, runs, rules)], is_preview=is_preview)
    tidied.unknown = leftovers.unknown(folder, by_id)
    return tidied


def tidy_up(book: Ledger, state: State, place: Place) -> None:
    """Remove what may go of the runs on an organization, which no other process works on."""
    rules = RetentionRules(datetime.now(UTC))
    runs = book.runs()
    mine = _of_place(runs, place)
    others = {run.run_id for run in runs} - mine.keys()
    found = leftovers.of_runs(state.folder, mine, lambda run_id: run_id not in others, rules)
    try:
        found += leftovers.of_bucket(state.url, mine, rules)
    except StoppedEarly as problem:
        log.warning("%s", problem)
    for each in found:
        log.info("%s: removed, since it is a %s", each.path, each.reason)
        each.remove()


def _of_runs(state: State, runs: Mapping[str, Run], rules: RetentionRules) -> list[Leftover]:
    here = leftovers.of_runs(state.folder, runs, runs.__contains__, rules)
    return here + leftovers.of_bucket(state.url, runs, rules)


def _of_place(runs: Iterable[Run], place: Place) -> dict[str, Run]:
    name = lock.name(place)
    return {run.run_id: run for run in runs if lock.name(run.begun) == name}
