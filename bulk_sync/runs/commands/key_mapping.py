"""Finds new PKeys for old ones by another column; nothing is written to Campaign.

rows --find--> one profile: placed, with its PKey | several, or none: for a person
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bulk_sync import report
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.errors import Exit, RowFailed, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import todo_file
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.facts import Facts, Source, Subject
from bulk_sync.report.table import Results
from bulk_sync.rows import certain_dates, columns, comparison, expand
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.positions import RowIndex
from bulk_sync.rows.results import Match, Steps
from bulk_sync.rows.same_name import plain
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals, by_outcome
from bulk_sync.runs.stages import validation
from bulk_sync.runs.stages.execution import cost_of
from bulk_sync.runs.stages.review import Cost, Screen, exit_of
from bulk_sync.runs.terms import day_budget
from bulk_sync.runs.terms.job import Input, Job
from bulk_sync.runs.terms.remaining_cost import check_budget
from bulk_sync.settings import KeyKind, OnAmbiguous, Writing
from bulk_sync.signals import Interrupts

_PKEY: Final = "PKey"
_OLD: Final = "oldPKey"
_SUFFIXES: Final = (".csv", ".parquet", ".xlsx")
_MAPPED: Final = ".mapped."
"""In the name that a file gets by default; no other program gives it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Result for a file of old keys.

    Attributes:
        rows: every row of the input, with its outcome.
        totals: their counts; ``unchanged`` are those placed.
        profiles: profiles of these.
        out: the file with the new PKeys.
        todo: the file of the other rows; None if there are none.
        cause: why it ended early; None if it did not.
    """

    rows: pd.DataFrame
    totals: Totals
    profiles: int
    out: Path
    todo: Destination | None
    cost: Cost
    cause: StopRun | None

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        return exit_of(self.totals, self.cause)


def map_keys(job: Job, given: Input, screen: Screen, out: Path) -> Mapped:
    """Find the PKeys of this instance for the rows of a file whose keys are no PKeys.

    The placed rows go to ``out``; its suffix decides the format.

    Raises:
        StopRun: it could not begin, or a file could not be written.
    """
    part = out.with_name(f"{out.stem}.part{out.suffix}")  # never over a complete result
    _check(job, given, out, part)
    with (
        Interrupts() as interrupts,
        day_budget.reading(job) as book,
        validation.judged(given, screen.show_progress) as checked,
    ):
        rows, keys = checked.rows.joined(), checked.layout.columns.keys
        screen.announce(checked)
        finding = Steps.blank(len(comparison.open_rows(rows)))
        budget = None if book is None else day_budget.budget_of(book, job)
        with Session(job.connection, job.pace, screen.show_progress, budget=budget) as session:
            wanted = Texts(rows[columns.KEY], comparison.open_rows(rows))
            others = expand.other_spellings(rows)
            resolver = Resolver(
                keys, job.connection.attribute, reads_states=False, other_spellings=others
            )
            session.read(wanted, finding, job.reading, resolver)
        interrupts.defer()
        found = expand.matches_by_row(rows, finding)
        placed = _placed(rows, found, keys.on_ambiguous)
        judged = _judged(rows, finding, found, placed)
        dates, today = checked.layout.dates, datetime.now(UTC).date()
        mapped = _with_pkeys(certain_dates.rewritten(rows, dates, today), placed)
        out = out if session.cause is None else part
        facts = Facts(Subject.MAP, "", datetime.now().astimezone())
        report.write(Results.from_frame(mapped), LocalFile(out), facts)
        source = Source(given.source, dates=dates)
        todo = todo_file.write(Slices.of(judged), source, LocalFile(out.with_suffix("")))
    codes = columns.outcome_codes(judged[columns.OUTCOME])
    return Mapped(
        rows=judged,
        totals=Totals(len(judged), by_outcome(codes)),
        profiles=len(mapped),
        out=out,
        todo=todo,
        cost=cost_of(session, job.record.seconds),
        cause=session.cause,
    )


def _check(job: Job, given: Input, out: Path, part: Path) -> None:
    """Raise StopRun if there is nothing to find, or a file or a budget would not do."""
    if given.rules.keys.kind is KeyKind.PKEY:
        raise UsageProblem(
            "`map` finds new PKeys by another column: give --key email, custom or filter."
        )
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageProblem(
            f"--out {out}: the result is to be an input again, so give it one of the suffixes "
            f"{', '.join(_SUFFIXES)}."
        )
    inputs, files = validation.files(given), [LocalFile(out), LocalFile(part)]
    todo = [path.with_suffix(suffix) for path in (out, part) for suffix in todo_file.SUFFIXES]
    report.check_writable([*files, *map(LocalFile, todo)], inputs, "--out")
    own = [each for each in files if _MAPPED not in each.name or each.name.endswith(".xlsx")]
    report.check_replaceable(own, inputs, "--out")
    for path in (out, part):
        todo_file.check(LocalFile(path.with_suffix("")))
    check_budget(job.pace, job.connection, Writing())


def _placed(
    rows: pd.DataFrame, found: Mapping[RowIndex, Sequence[Match]], on_ambiguous: OnAmbiguous | None
) -> dict[int, Sequence[Match]]:
    """Return the placed rows with their profiles, rows with a repeated key included."""
    takes_all = on_ambiguous is OnAmbiguous.ALL
    counts_as = enumerate(rows[columns.COUNTS_AS].tolist())
    matches = {row: found[counting] for row, counting in counts_as if counting in found}
    return {row: group for row, group in matches.items() if takes_all or len(group) == 1}


def _judged(
    rows: pd.DataFrame,
    finding: Steps,
    found: Mapping[RowIndex, Sequence[Match]],
    placed: Mapping[int, Sequence[Match]],
) -> pd.DataFrame:
    key_of = {row: key for key, row in enumerate(comparison.open_rows(rows).tolist())}
    verdicts = Verdicts.from_rows(rows)
    for row, counting in enumerate(rows[columns.COUNTS_AS].tolist()):
        if row in placed:
            verdicts.overrule(row, Outcome.UNCHANGED, None, "")
        elif counting in key_of:
            ambiguous = (
                expand.ambiguous(len(found[counting])) if counting in found else _NOT_LOOKED_FOR
            )
            problem = finding.problems.get(key_of[counting], ambiguous)
            verdicts.overrule(row, problem.outcome, problem.reason, problem.detail)
    return verdicts.applied(rows)


_NOT_LOOKED_FOR: Final = RowFailed(
    Reason.STOPPED, "Not looked for: the command stopped before.", outcome=Outcome.PENDING
)


def _with_pkeys(rows: pd.DataFrame, placed: Mapping[int, Sequence[Match]]) -> pd.DataFrame:
    own = [name for name in rows.columns if name not in columns.OURS]
    at = np.repeat(list(placed), [len(matches) for matches in placed.values()]).astype(np.intp)
    mapped = rows[own].iloc[at].reset_index(drop=True)
    for name in own:
        if plain(name) == plain(_PKEY):
            mapped = mapped.rename(columns={name: _unused_name(list(mapped.columns))})
    pkeys = [match.pkey for matches in placed.values() for match in matches]
    mapped.insert(0, _PKEY, pd.Series(pkeys, dtype="str"))
    return mapped


def _unused_name(own: Sequence[str]) -> str:
    name = _OLD
    while name in own:
        name += "_"
    return name
