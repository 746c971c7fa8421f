"""Holds a whole plan against its limits, before anything is written: may it pass unseen?

Limits count changes. Oddities look at the input as a whole, beside what earlier inputs of the same
job were like: a file that was cut off, keys of another instance, an inverted column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.errors import Refused
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison
from bulk_sync.settings import Limits, Oddity

MIGRATED: Final = (
    "those of Campaign Standard do not work after a migration to v8: `bulk-sync map` finds the new "
    "ones by another column, and --key email, custom or filter:NAME:PARAM needs none."
)
"""What to do about PKeys of another time (manual/campaign-api.md, section 6)."""

_NAMED_ROWS: Final = 5
"""How many of the rows concerned a refusal names."""

FEWEST: Final = 20
"""Of fewer rows than this nothing can be said as a whole."""

_KNOWN: Final = (
    Outcome.UNCHANGED, Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE, Outcome.DRIFTED
)  # fmt: skip
_CUT_OFF: Final = 0.5
_NEARLY_ALL: Final = 0.9
_BOTH_WAYS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Past:
    """A finished run of the same job: rows of its input, and how many of them were changed."""

    rows: int
    changes: int


def refusal(planned: pd.DataFrame, limits: Limits, past: Sequence[Past] = ()) -> Refused | None:
    """Tell whether a plan may be written.

    Args:
        planned: what ``plan.compare`` returned.
        limits: what may pass.
        past: finished runs of the same job, the newest first.

    Returns:
        What a run must end with instead of writing, with every limit that is passed in one
        message; None if it may be written.
    """
    found = [
        each
        for each in (
            _odd(planned, limits, past),
            _too_many_opt_ins(planned, limits),
            _too_many_changes(planned, limits),
            _too_many_creates(planned, limits),
        )
        if each is not None
    ]
    if not found:
        return None
    sentences = " Besides, ".join(str(each) for each in found)
    return Refused(f"Nothing was written: {sentences}", " ".join(each.option for each in found))


def passes_however(planned: pd.DataFrame, limits: Limits, past: Sequence[Past] = ()) -> bool:
    """Return whether a plan may be written however the rows turn out that were not read yet.

    Args:
        planned: what ``plan.compare`` returned; rows that were not read are ``pending``.
        limits: what may pass.
        past: finished runs of the same job, the newest first.
    """
    if refusal(planned, limits, past) is not None:
        return False
    unread = columns.have_outcome(planned, [Outcome.PENDING])
    desired = columns.state_codes(planned[columns.DESIRED])
    outcome = columns.outcome_codes(planned[columns.OUTCOME])
    before = columns.state_codes(planned[columns.BEFORE])
    before[unread] = 1 - desired[unread]
    worst = planned.copy(deep=False)
    worst[columns.BEFORE] = columns.states(before)
    for each in (Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE):
        outcome[unread] = columns.OUTCOME_CODES[each]
        worst[columns.OUTCOME] = columns.outcomes(outcome)
        if refusal(worst, limits, past) is not None:
            return False
    # Whether the states are inverted depends on which rows turn out to be changes.
    changed, more = len(comparison.changes(planned)), int(np.count_nonzero(unread))
    compared = changed + more + int((planned[columns.OUTCOME] == Outcome.UNCHANGED).sum())
    lifted = len(comparison.opt_ins(planned)) + int(np.count_nonzero(unread & (desired == 0)))
    return (
        compared < FEWEST
        or changed + more < _NEARLY_ALL * compared
        or lifted < _BOTH_WAYS * changed
        or lifted == 0
        or Oddity.INVERTED in limits.allowed
    )


def _too_many_opt_ins(planned: pd.DataFrame, limits: Limits) -> Refused | None:
    lifted, most = comparison.opt_ins(planned), limits.opt_ins(columns.input_rows(planned))
    if len(lifted) <= most:
        return None
    return _refused(planned, lifted, "opt-ins (true to false)", most, "--max-opt-ins")


def _too_many_changes(planned: pd.DataFrame, limits: Limits) -> Refused | None:
    if limits.max_changes is None:
        return None
    changed, most = comparison.writes(planned), limits.max_changes.of(columns.input_rows(planned))
    if len(changed) <= most:
        return None
    return _refused(planned, changed, "changes", most, "--max-changes")


def _too_many_creates(planned: pd.DataFrame, limits: Limits) -> Refused | None:
    if limits.max_creates is None:
        return None
    made = np.flatnonzero(columns.have_outcome(planned, [Outcome.WOULD_CREATE]))
    most = limits.max_creates.of(columns.input_rows(planned))
    if len(made) <= most:
        return None
    return _refused(planned, made, "profiles to be created", most, "--max-creates")


def _refused(
    planned: pd.DataFrame, positions: npt.NDArray[np.intp], what: str, most: int, option: str
) -> Refused:
    count, rows = len(positions), columns.input_rows(planned)
    return Refused(
        f"{count} {what} of {rows} rows ({100 * count / rows:.3g}%) are more than "
        f"the limit of {most} ({_first(planned, positions)}). If that is right, let them pass "
        f"with {option} {count}.",
        f"{option} {count}",
    )


def _odd(planned: pd.DataFrame, limits: Limits, past: Sequence[Past]) -> Refused | None:
    """Find the first oddity; one explains the others."""
    for oddity, sentence in (
        (Oddity.FEWER_ROWS, _fewer_rows(columns.input_rows(planned), past)),
        (Oddity.UNKNOWN_KEYS, _unknown_keys(planned)),
        (Oddity.INVERTED, _inverted(planned, past)),
    ):
        if sentence is not None and oddity not in limits.allowed:
            return _let_pass(sentence, oddity)
    return None


def _let_pass(sentence: str, oddity: Oddity) -> Refused:
    option = f"--allow {oddity}"
    return Refused(f"{sentence} If that is right, let it pass with {option}.", option)


def cut_off(rows: int, limits: Limits, past: Sequence[Past]) -> Refused | None:
    """Tell whether an input has so few rows that it need not even be read on."""
    sentence = _fewer_rows(rows, past)
    if sentence is None or Oddity.FEWER_ROWS in limits.allowed:
        return None
    refused = _let_pass(sentence, Oddity.FEWER_ROWS)
    return Refused(f"Nothing was written: {refused}", refused.option)


def _fewer_rows(rows: int, past: Sequence[Past]) -> str | None:
    smallest = min((run.rows for run in past), default=0)
    if smallest < FEWEST or rows >= _CUT_OFF * smallest:
        return None
    share = 100 * rows / smallest
    return (
        f"the input has {rows} rows, {share:.3g}% of the {smallest} that the smallest of "
        f"the last finished runs of this job had ({len(past)} compared): was it cut off?"
    )


def _unknown_keys(planned: pd.DataFrame) -> str | None:
    missing = np.flatnonzero(planned[columns.OUTCOME] == Outcome.NOT_FOUND)
    known = planned[columns.OUTCOME].isin(_KNOWN).any()
    if columns.PROFILES in planned:
        known |= (planned[columns.PROFILES] > 0).any()
    if known or len(missing) < FEWEST:
        return None
    if columns.PROFILES in planned:
        return (
            f"none of the {len(missing)} keys looked up (100%) is known to Campaign "
            f"({_first(planned, missing)}): are they of this very instance, and is it the right "
            "column?"
        )
    return (
        f"none of the {len(missing)} keys looked up (100%) is known to Campaign "
        f"({_first(planned, missing)}): are they of this very instance? PKeys of stage are not "
        f"those of production, and {MIGRATED}"
    )


def _inverted(planned: pd.DataFrame, past: Sequence[Past]) -> str | None:
    changed = comparison.changes(planned)
    compared = len(changed) + int((planned[columns.OUTCOME] == Outcome.UNCHANGED).sum())
    lifted = len(comparison.opt_ins(planned))
    fewer = min(lifted, len(changed) - lifted)
    if compared < FEWEST or len(changed) < _NEARLY_ALL * compared:
        return None
    if fewer < _BOTH_WAYS * len(changed):
        return None  # a list of nothing but opt-outs, say
    if past and past[0].changes >= _NEARLY_ALL * past[0].rows:
        return None  # a job whose files hold what is to be changed, and nothing else
    return (
        f"{len(changed)} of {compared} desired states ({100 * len(changed) / compared:.3g}%) are "
        f"the inverse of the current ones ({_first(planned, changed)}): does the column say who "
        "may be sold, instead of who has opted out?"
    )


def _first(planned: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    # A row of several profiles stands here once for each.
    rows = list(dict.fromkeys(planned[columns.ROW].to_numpy()[np.sort(positions)].tolist()))
    named, more = rows[:_NAMED_ROWS], ", ..." if len(rows) > _NAMED_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(map(str, named))}{more}"
