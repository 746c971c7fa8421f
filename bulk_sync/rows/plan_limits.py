"""Compares a whole plan with its limits, before anything is written.

Limits count changes. Oddities are about the input as a whole, compared with earlier ones of the
same job: a file that was cut off, keys of another instance, an inverted column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.errors import Refused
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.listing import first_few
from bulk_sync.rows.totals import NO_ROWS, Totals
from bulk_sync.settings import Limits, Oddity

MIGRATED: Final = (
    "those of Campaign Standard do not work after a migration to v8: `bulk-sync map` finds the new "
    "ones by another column, and --key email, custom or filter:NAME:PARAM needs none."
)
"""What to do about PKeys of another time (manual/campaign-api.md, section 6)."""

_OPT_INS: Final = "opt-ins"

_NAMED_ROWS: Final = 5
"""How many rows a refusal names."""

FEWEST: Final = 20
"""Fewer rows than this are never odd as a whole."""

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


def refusal(
    planned: pd.DataFrame, limits: Limits, past: Sequence[Past] = (), rest: Totals = NO_ROWS
) -> Refused | None:
    """Return the refusal of a plan, with all limits that it passes; None if it may be written.

    Args:
        planned: the plan, as ``comparison.compare`` returns it.
        limits: what may pass.
        past: finished runs of the same job, the newest first.
        rest: counts of rows of the input that are not in the plan, because they need no work.
    """
    odd = _odd(planned, limits, past, rest)
    passed = dict(_passed(planned, limits, rest))
    if limits.hold_opt_ins:
        passed.pop(_OPT_INS, None)
    found = [*([] if odd is None else [odd]), *passed.values()]
    if not found:
        return None
    sentences = " Besides, ".join(str(each) for each in found)
    option = " ".join(each.option for each in found)
    return Refused(f"Nothing was written: {sentences}", option)


def held_opt_ins(planned: pd.DataFrame, limits: Limits, rest: Totals = NO_ROWS) -> Refused | None:
    """Return why the opt-ins of a plan without a refusal wait; None if they may be written."""
    return dict(_passed(planned, limits, rest)).get(_OPT_INS) if limits.hold_opt_ins else None


def without_opt_ins(planned: pd.DataFrame) -> pd.DataFrame:
    """Return a plan with its opt-ins ``pending``, because of the limit."""
    verdicts = Verdicts.from_rows(planned)
    sentence = "Held back: a person decides about these opt-ins."
    for at in comparison.opt_ins(planned).tolist():
        verdicts.overrule(at, Outcome.PENDING, Reason.LIMIT, sentence)
    return comparison.as_read(verdicts.applied(planned))


def passes_however(
    planned: pd.DataFrame, limits: Limits, past: Sequence[Past] = (), rest: Totals = NO_ROWS
) -> bool:
    """Return whether a plan may be written whatever the states of its ``pending`` rows are."""
    if refusal(planned, limits, past, rest) is not None:
        return False
    unread = columns.have_outcome(planned, [Outcome.PENDING])
    desired = columns.desired(planned)
    outcome = columns.outcome_codes(planned[columns.OUTCOME])
    worst = planned.copy(deep=False)
    for each in (Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE):
        outcome[unread] = columns.OUTCOME_CODES[each]
        worst[columns.OUTCOME] = columns.outcomes(outcome)
        if refusal(worst, limits, past, rest) is not None:
            return False
    # Whether the states are inverted depends on which rows turn out to be changes.
    changed, more = len(comparison.changes(planned)), int(np.count_nonzero(unread))
    compared = changed + more + _unchanged(planned, rest)
    lifted = len(comparison.opt_ins(planned)) + int(np.count_nonzero(unread & (desired == 0)))
    return (
        compared < FEWEST
        or changed + more < _NEARLY_ALL * compared
        or lifted < _BOTH_WAYS * changed
        or lifted == 0
        or Oddity.INVERTED in limits.allowed
    )


def _passed(planned: pd.DataFrame, limits: Limits, rest: Totals) -> Iterator[tuple[str, Refused]]:
    """Yield a refusal for each limit on a count that a plan passes, by the end of its option."""
    rows = columns.input_rows(planned) + rest.rows
    created = np.flatnonzero(columns.have_outcome(planned, [Outcome.WOULD_CREATE]))
    max_changes, max_creates = (
        None if bound is None else bound.most(rows)
        for bound in (limits.max_changes, limits.max_creates)
    )
    for positions, most, what, option in (
        (comparison.opt_ins(planned), limits.opt_ins(rows), "opt-in{} (true to false)", _OPT_INS),
        (comparison.writes(planned), max_changes, "change{}", "changes"),
        (created, max_creates, "profile{} to be created", "creates"),
    ):
        count = len(positions)
        if most is not None and count > most:
            yield (
                option,
                Refused(
                    f"{count} {what.format('' if count == 1 else 's')} of {rows} "
                    f"{'row' if rows == 1 else 'rows'} ({100 * count / rows:.3g}%) "
                    f"{'is' if count == 1 else 'are'} more than the "
                    f"limit of {most} ({_first(planned, positions)}). If that is right, let them "
                    f"pass with --max-{option} {count}.",
                    f"--max-{option} {count}",
                ),
            )


def _odd(
    planned: pd.DataFrame, limits: Limits, past: Sequence[Past], rest: Totals
) -> Refused | None:
    """Find the first oddity; one explains the others."""
    for oddity, sentence in (
        (Oddity.FEWER_ROWS, _fewer_rows(columns.input_rows(planned) + rest.rows, past)),
        (Oddity.UNKNOWN_KEYS, _unknown_keys(planned, rest)),
        (Oddity.INVERTED, _inverted(planned, past, rest)),
    ):
        if sentence is not None and oddity not in limits.allowed:
            return _let_pass(sentence, oddity)
    return None


def _let_pass(sentence: str, oddity: Oddity) -> Refused:
    option = f"--allow {oddity}"
    return Refused(f"{sentence} If that is right, let it pass with {option}.", option)


def cut_off(rows: int, limits: Limits, past: Sequence[Past]) -> Refused | None:
    """Return the refusal of an input with too few rows, before any state is read."""
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
        f"the input has {rows} {'row' if rows == 1 else 'rows'}, {share:.3g}% of the {smallest} "
        f"that the smallest of the last finished runs of this job had ({len(past)} compared): "
        "was it cut off?"
    )


def _unknown_keys(planned: pd.DataFrame, rest: Totals) -> str | None:
    missing = np.flatnonzero(columns.have_outcome(planned, [Outcome.NOT_FOUND]))
    known = columns.have_outcome(planned, _KNOWN).any() or rest.rows > 0
    if columns.PROFILES in planned:
        known |= (planned[columns.PROFILES] > 0).any()
    if known or len(missing) < FEWEST:
        return None
    why = f"? PKeys of stage are not those of production, and {MIGRATED}"
    if columns.PROFILES in planned:
        why = ", and is it the right column?"
    return (
        f"none of the {len(missing)} keys looked up (100%) is known to Campaign "
        f"({_first(planned, missing)}): are they of this very instance{why}"
    )


def _inverted(planned: pd.DataFrame, past: Sequence[Past], rest: Totals) -> str | None:
    changed = comparison.changes(planned)
    compared = len(changed) + _unchanged(planned, rest)
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


def _unchanged(planned: pd.DataFrame, rest: Totals) -> int:
    here = int(columns.have_outcome(planned, [Outcome.UNCHANGED]).sum())
    return here + rest.outcomes.get(Outcome.UNCHANGED, 0)


def _first(planned: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    # A row of several profiles stands here once for each.
    rows = list(dict.fromkeys(planned[columns.ROW].to_numpy()[np.sort(positions)].tolist()))
    return f"{'row' if len(rows) == 1 else 'rows'} {first_few(rows, _NAMED_ROWS)}"
