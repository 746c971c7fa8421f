"""Which run resumes, retries, undoes, applies or supersedes which, by the ledger alone.

    position in the ledger   1          5          9           13          17
                             run A      run X      retry B     undo C      undo D
                             list.csv   other.csv  parent A    parent A    parent C

    A <--- B   B sends rows of A's file once more: X is later than B, although B began after X
    A <--- C   C puts A's writes back, except where X has written since
    C <--- D   D puts C's writes back: A stands again, and C counts for nothing

=============  ================================  =====================  ============================
command        recorded as                       how often              its rows count as of
=============  ================================  =====================  ============================
run INPUT      a run                             any number of times    its own first line
resume RUN     nothing new: the same run         until it is finished   its own first line
apply PLAN     a run with the plan's SHA-256     once for each plan     its own first line
retry RUN      a run with the parent RUN         once, unless undone    the parent's first line
undo RUN       a run with the parent RUN         once, unless undone    the parent's first line
undo --out     a plan with the parent RUN;       once for each plan,    the parent's first line
               its apply is an undo of RUN       and as undo RUN
=============  ================================  =====================  ============================

The undo of an undo counts as of the first line of the first run. A run is later if it began after
that line, in the same organization and for the same attribute, is no ancestor, and was not refused.
``precedence.py`` decides what a later run means for a row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.ledger import Begun, Kind, Run
from bulk_sync.runs.history.past_runs import NothingLeft
from bulk_sync.settings import Place
from bulk_sync.storage import lock


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a run stands among the others.

    Attributes:
        since: its rows count as of this position in the ledger; None if no run can be later.
        family: the run and its ancestors.
        undone: the run to be undone, if this is an undo, or the retry of one.
        plan: SHA-256 of the plan with its rows, if it tries those of an applied one again.
    """

    since: int | None = None
    family: frozenset[str] = frozenset()
    undone: str | None = None
    plan: str | None = None

    def later(self, runs: Iterable[Run], begun: Begun) -> list[Run]:
        """Return the runs later than this one, which began so."""
        return [run for run in self.given_since(runs, begun) if not was_turned_away(run)]

    def given_since(self, runs: Iterable[Run], begun: Begun) -> list[Run]:
        """Return later runs, and those that were refused: their lists are known all the same."""
        if self.since is None:
            return []
        return [
            run
            for run in runs
            if run.position > self.since
            and run.run_id not in self.family
            and same_place(run.begun, begun)
            and run.begun.attribute == begun.attribute
        ]


def trace(runs: Sequence[Run], run_id: str) -> Lineage:
    """Return the lineage of a run, among all runs of the ledger."""
    by_id = {run.run_id: run for run in runs}
    run, family, undone = by_id[run_id], {run_id}, None
    while run.begun.parent is not None:
        is_undo = run.begun.kind is Kind.UNDO
        run = by_id[run.begun.parent]
        family.add(run.run_id)
        undone = undone or (run.run_id if is_undo else None)
        if is_undo and run.begun.kind is not Kind.UNDO:
            break
    plan = None if undone else run.begun.plan_sha256
    return Lineage(run.position, frozenset(family), undone, plan)


def undone(runs: Sequence[Run], *, also_begun: bool = False) -> Mapping[str, str]:
    """Return the undo of each undone run among some; an undo may be undone itself.

    With ``also_begun`` an unfinished undo counts too.
    """
    undo_of = {
        run.begun.parent: run.run_id
        for run in runs
        if run.begun.kind is Kind.UNDO and run.begun.parent and _counts(run, also_begun=also_begun)
    }

    def is_undone(run_id: str) -> bool:
        return run_id in undo_of and not is_undone(undo_of[run_id])

    return {run.run_id: undo_of[run.run_id] for run in runs if is_undone(run.run_id)}


def find_undo(runs: Sequence[Run], run_id: str) -> tuple[str, str] | None:
    """Return the undo, finished or not, of a run or an ancestor, and what it undoes; else None."""
    family, undo_of = trace(runs, run_id).family, undone(runs, also_begun=True)
    found = ((undo_of[each], each) for each in sorted(family) if each in undo_of)
    return next((pair for pair in found if pair[0] not in family), None)


def apply_of(runs: Sequence[Run], plan_sha256: str) -> Run | None:
    """Return the newest run to have applied a plan, finished or not."""
    for run in reversed(runs):
        if run.begun.plan_sha256 == plan_sha256 and _counts(run, also_begun=True):
            return run
    return None


def reader(runs: Sequence[Run], run_id: str, plan_sha256: str | None) -> Run | None:
    """Return the run that read the states of a plan; if there is no plan, a run itself."""
    for run in reversed(runs):
        is_plan = run.begun.kind is Kind.PLAN and run.plan_sha256 == plan_sha256
        if is_plan if plan_sha256 else run.run_id == run_id:
            return run
    return None


def applied_plans(runs: Iterable[Run]) -> set[str]:
    """Return the SHA-256 of every plan that a run has applied, finished or not."""
    return {run.begun.plan_sha256 or "" for run in runs if _counts(run, also_begun=True)}


def check_first(runs: Sequence[Run], kind: Kind, parent: str) -> None:
    """Check for an earlier retry, or undo, of a run.

    Raise NothingLeft if one is done, and UsageProblem if one was interrupted, or was put back.
    """
    for run in reversed(runs):
        if run.begun.kind is not kind or run.begun.parent != parent:
            continue
        if not run.is_finished:
            raise UsageProblem(
                f"Run {run.run_id}, the {kind} of {parent}, was interrupted. Finish it first: "
                f"bulk-sync resume {run.run_id}"
            )
        if run.is_done:
            check_stands(runs, run, f"The {kind} of {parent}")
            raise NothingLeft(f"The {kind} of {parent} was done before.", run)


def check_stands(runs: Sequence[Run], run: Run, what: str) -> None:
    """Raise UsageProblem if a run was undone."""
    undo = undone(runs, also_begun=True).get(run.run_id)
    if undo is not None:
        raise UsageProblem(
            f"{what} was done before, in full or in part, and run {undo} has put it back. To have "
            f"its changes again, undo that run: bulk-sync undo {undo}"
        )


def of_job(runs: Iterable[Run], name: str, place: Place) -> list[Run]:
    """Return the runs that carried out a file of a job in one instance."""
    return [
        run
        for run in runs
        if run.begun.kind in {Kind.RUN, Kind.APPLY}
        and run.begun.job == name
        and same_place(run.begun, place)
    ]


def work_of(begun: Begun) -> tuple[object, ...]:
    """Return what a run is to do; runs with equal ones would do it twice."""
    what = begun.parent or begun.plan_sha256 or begun.input_sha256
    return begun.kind, what, begun.attribute, lock.name(begun)


def list_of(run: Run) -> tuple[str, object]:
    """Return what a run read, and what it read as what."""
    return run.begun.input_sha256, run.begun.settings.get("read_as")


def same_place(one: Place, other: Place) -> bool:
    """Return whether both are about one instance, however its endpoint is spelled."""
    return lock.name(one) == lock.name(other)


def was_refused(run: Run) -> bool:
    """Return whether a limit, a person or its options stopped a run."""
    return run.ended is not None and run.ended.exit in {Exit.REFUSED, Exit.USAGE}


def was_turned_away(run: Run) -> bool:
    """Return whether a run was refused before it wrote."""
    return was_refused(run) and not run.changes  # opt-outs may have been written early


def _counts(run: Run, *, also_begun: bool) -> bool:
    return run.is_done or (also_begun and not run.is_finished)
