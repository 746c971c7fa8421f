"""New PKeys for old ones: profiles are found by another column, and nothing is written.

rows --find--> one profile: placed, with its PKey | several, or none: for a person
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync import report
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.errors import Exit, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report.destination import LocalFile
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.columns import OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Match, Steps
from bulk_sync.rows.same_name import plain
from bulk_sync.rows.totals import Totals, by_outcome
from bulk_sync.runs import day_budget, validation
from bulk_sync.runs.execution import cost_of
from bulk_sync.runs.job import Input, Job
from bulk_sync.runs.remaining_cost import check_budget
from bulk_sync.runs.review import Cost, Screen
from bulk_sync.settings import KeyKind, OnAmbiguous, Writing
from bulk_sync.signals import Interrupts

_PKEY: Final = "PKey"
_OLD: Final = "oldPKey"
_SUFFIXES: Final = (".csv", ".parquet", ".xlsx")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What became of a file of old keys.

    Attributes:
        rows: every row of the input, with what became of it.
        totals: their counts; ``unchanged`` are those that were placed.
        profiles: how many profiles these stand for.
        out: the file with the new PKeys.
        todo: the file of the rows that were not; None if there are none.
        cost: what it took.
        cause: why it ended early; None if it did not.
    """

    rows: pd.DataFrame
    totals: Totals
    profiles: int
    out: Path
    todo: Path | None
    cost: Cost
    cause: StopRun | None

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        if self.cause is not None:
            return self.cause.exit
        return Exit.DONE if self.totals.complete else Exit.ROWS_LEFT


def map_keys(job: Job, given: Input, screen: Screen, out: Path) -> Mapped:
    """Find the PKeys that this instance knows for the rows of a file.

    Args:
        job: how to work.
        given: what to read; its keys are no PKeys.
        screen: is told how far it is.
        out: where the rows that were placed go; the suffix decides the format.

    Raises:
        StopRun: it could not begin, or the files not be written.
    """
    began = time.monotonic()
    if given.rules.keys.kind is KeyKind.PKEY:
        raise UsageProblem(
            "`map` finds new PKeys by another column: give --key email, custom or filter."
        )
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageProblem(
            f"--out {out}: the result is to be an input again, so give it one of the suffixes "
            f"{', '.join(_SUFFIXES)}."
        )
    todo = out.with_name(f"{out.stem}.todo.csv")
    part = out.with_name(f"{out.stem}.part{out.suffix}")  # over no result that is complete
    part_todo = part.with_name(f"{part.stem}.todo.csv")
    files = [LocalFile(path) for path in (out, todo, part, part_todo)]
    report.check(files, validation.files(given), "--out")
    check_budget(job.pace, job.connection, Writing())
    with Interrupts() as interrupts, day_budget.reading(job) as book:
        rows, _, keys = validation.judged(given)
        finding = Steps.of(len(comparison.open_rows(rows)))
        budget = None if book is None else day_budget.budget_of(book, job)
        with Session(job.connection, job.pace, screen.tell, budget=budget) as session:
            wanted = Texts(rows[columns.KEY], comparison.open_rows(rows))
            resolver = Resolver(keys, job.connection.attribute, reads_states=False)
            session.read(wanted, finding, job.reading, resolver)
        interrupts.defer()
        found = _found(rows, finding, keys.on_ambiguous)
        told = _told(rows, finding, found)
        mapped = _with_pkeys(rows, found)
        if session.cause is not None:
            out, todo = part, part_todo
        report.write(mapped, LocalFile(out), title={})
        left = report.write_todo(told, LocalFile(todo))
    codes = columns.outcome_codes(told[columns.OUTCOME])
    return Mapped(
        rows=told,
        totals=Totals(len(told), by_outcome(codes), opt_ins=0, opt_outs=0),
        profiles=len(mapped),
        out=out,
        todo=todo if left else None,
        cost=cost_of(session, began),
        cause=session.cause,
    )


def _found(
    rows: pd.DataFrame, finding: Steps, on_ambiguous: OnAmbiguous | None
) -> dict[int, Sequence[Match]]:
    """Tell by row the profiles that it stands for, rows that repeat a key included."""
    by_position = dict(
        zip(comparison.open_rows(rows).tolist(), range(len(finding.state)), strict=True)
    )
    takes_all = on_ambiguous is OnAmbiguous.ALL
    found: dict[int, Sequence[Match]] = {}
    for at, counting in enumerate(rows[columns.COUNTS_AS].tolist()):
        number = by_position.get(counting)
        matches = () if number is None else finding.found.get(number, ())
        if len(matches) == 1 or (takes_all and matches):
            found[at] = matches
    return found


def _told(rows: pd.DataFrame, finding: Steps, found: dict[int, Sequence[Match]]) -> pd.DataFrame:
    """Say what became of every row."""
    places = {at: number for number, at in enumerate(comparison.open_rows(rows).tolist())}
    outcome = columns.outcome_codes(rows[columns.OUTCOME])
    reason = columns.reason_codes(rows[columns.REASON])
    counts_as: npt.NDArray[np.int64] = rows[columns.COUNTS_AS].to_numpy()
    sentences = {}
    for at, counting in enumerate(counts_as.tolist()):
        number = places.get(counting)
        if at in found:
            outcome[at], sentences[at] = OUTCOME_CODES[Outcome.UNCHANGED], ""
        elif number is not None:
            code, why, sentences[at] = _why_not(finding, number)
            outcome[at], reason[at] = OUTCOME_CODES[code], REASON_CODES[why]
    told = rows.copy(deep=False)
    told[columns.OUTCOME] = columns.outcomes(outcome)
    told[columns.REASON] = columns.reasons(reason)
    told[columns.DETAIL] = columns.with_details(rows[columns.DETAIL], sentences)
    return told


def _why_not(finding: Steps, number: int) -> tuple[Outcome, Reason, str]:
    """Say why a row was not placed."""
    problem = finding.problems.get(number)
    if problem is not None:
        return problem.outcome, problem.reason, problem.detail
    matches = finding.found.get(number, ())
    if matches:
        detail = f"{len(matches)} profiles have this key; --on-ambiguous all takes all of them."
        return Outcome.REJECTED, Reason.AMBIGUOUS, detail
    return Outcome.PENDING, Reason.STOPPED, "Not looked for: the command stopped before."


def _with_pkeys(rows: pd.DataFrame, found: dict[int, Sequence[Match]]) -> pd.DataFrame:
    """Give the rows that were placed their new PKeys; one row per profile."""
    own = [name for name in rows.columns if name not in columns.OURS]
    at = np.repeat(list(found), [len(matches) for matches in found.values()]).astype(np.intp)
    placed = rows[own].iloc[at].reset_index(drop=True)
    for name in own:
        if plain(name) == plain(_PKEY):
            placed = placed.rename(columns={name: _free(list(placed.columns))})
    pkeys = [match.pkey for matches in found.values() for match in matches]
    placed.insert(0, _PKEY, pd.Series(pkeys, dtype="str"))
    return placed


def _free(own: Sequence[str]) -> str:
    """Name the column of the old keys like none that is there."""
    name = _OLD
    while name in own:
        name += "_"
    return name
