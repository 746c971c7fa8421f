"""Rows whose keys are no PKeys: parted into one row per profile, and put together for the report.

    judged rows + what was found --parted--> a row per profile --compare, write--> results
    results --joined--> one row per row of the input, with the worst of what became of its profiles

In between every row is about one profile, as if the input had held PKeys, so that comparing,
limits, writing and the ledger know of nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, request_dates
from bulk_sync.rows.check import OnConflict, duplicates
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import NONE, OUTCOME_CODES
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.settings import OnAmbiguous

_Positions = npt.NDArray[np.intp]

_WORST: Final = (
    Outcome.FAILED,
    Outcome.PENDING,
    Outcome.DRIFTED,
    Outcome.REJECTED,
    Outcome.NOT_FOUND,
    Outcome.WOULD_UPDATE,
    Outcome.UPDATED,
    Outcome.WOULD_CREATE,
    Outcome.CREATED,
    Outcome.UNCHANGED,
    Outcome.SKIPPED,
    Outcome.DUPLICATE,
)
"""What becomes of a row's profiles, the worst first: the row has that outcome."""

_OVERRULED: Final = _WORST.index(Outcome.WOULD_UPDATE) - 0.5
"""Where among them a profile stands that another row wants in the other state, and gets so."""

_RANKS: Final = np.argsort([OUTCOME_CODES[each] for each in _WORST]).astype(float)


def parted(
    checked: pd.DataFrame,
    finding: Steps,
    *,
    on_ambiguous: OnAmbiguous | None,
    on_conflict: OnConflict,
) -> tuple[pd.DataFrame, Steps]:
    """Make a row of every profile that was found, and tell its state.

    Args:
        checked: what ``check.rows`` returned.
        finding: the profiles of its open rows, in their order.
        on_ambiguous: what becomes of a row with several profiles; see ``Keys``.
        on_conflict: what becomes of a profile that two rows want in two states.

    Returns:
        Rows as ``check.rows`` returns them, in the input's order, with PROFILE, PROFILES and OWNER;
        and the states of those that are open, in their order, as a look-up by PKey would tell them.
    """
    found = _found(checked, finding)
    counts = np.ones(len(checked), np.int64)
    profiles = np.zeros(len(checked), np.int64)
    taken = _taken(checked, found, on_ambiguous)
    for at, matches in found.items():
        profiles[at] = len(matches)
        counts[at] = len(matches) if taken[at] else 1
    owner = np.repeat(np.arange(len(checked)), counts)
    first = np.cumsum(counts) - counts

    rows = checked if len(owner) == len(checked) else checked.iloc[owner].reset_index(drop=True)
    rows = rows.copy(deep=False)
    rows[columns.OWNER] = owner
    rows[columns.PROFILES] = profiles[checked[columns.COUNTS_AS].to_numpy()[owner]]
    pkeys = rows[columns.KEY].to_numpy(object, copy=True)
    match_of: dict[int, Match] = {}
    for at, matches in found.items():
        for number, match in enumerate(matches if taken[at] else ()):
            pkeys[first[at] + number] = match.pkey
            match_of[int(first[at]) + number] = match
    rows[columns.PROFILE] = pd.Series(pd.array(pkeys, dtype="str"))
    rows = _judged(rows, np.array(sorted(match_of), np.intp), on_conflict)
    return rows, _states(rows, checked, finding, match_of)


def joined(rows: pd.DataFrame) -> pd.DataFrame:
    """Put the rows of one row of the input together again.

    Args:
        rows: a plan, or results, of rows as ``parted`` made them; others are left as they are.

    Returns:
        One row per row of the input: the worst outcome with its reason and sentence; a state where
        all profiles have it, else the one that is not desired; most attempts and the last time.
    """
    if columns.OWNER not in rows:
        return rows
    owner = rows[columns.OWNER].to_numpy()
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    worst = _worst(rows)
    one = rows.iloc[worst.at].reset_index(drop=True)
    for name in (columns.OUTCOME, columns.REASON, columns.DETAIL):
        one[name] = rows[name].iloc[worst.by].reset_index(drop=True)
    if len(starts) < len(rows):
        one = _summed_up(rows, one, starts)
    is_new = columns.have_outcome(one, [Outcome.CREATED])
    one[columns.PROFILES] = np.where(is_new, 1, one[columns.PROFILES].to_numpy())
    one[columns.COUNTS_AS] = owner[rows[columns.COUNTS_AS].to_numpy()[worst.at]]
    one[columns.PROFILES] = one[columns.PROFILES].to_numpy()[one[columns.COUNTS_AS]]
    return comparison.repeat(one.drop(columns=[name for name in columns.MATCHED if name in one]))


@dataclass(frozen=True, slots=True)
class _Worst:
    """What became of n rows of the input.

    Attributes:
        at: position of the profile that came off worst.
        by: position of the row that says so: the same, or one of another row of the input that
            counts for this profile.
    """

    at: _Positions
    by: _Positions


def outcomes(rows: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Tell the ``OUTCOME_CODES`` of the rows of the input."""
    codes = columns.outcome_codes(rows[columns.OUTCOME])
    return codes if columns.OWNER not in rows else codes[_worst(rows).by]


def _worst(rows: pd.DataFrame) -> _Worst:
    owner, codes = rows[columns.OWNER].to_numpy(), columns.outcome_codes(rows[columns.OUTCOME])
    counts_as = rows[columns.COUNTS_AS].to_numpy()
    desired = columns.state_codes(rows[columns.DESIRED])
    # A row is a duplicate if all of its profiles are others' already. If only some are, what became
    # of those is told where they count.
    is_repeat = counts_as != np.arange(len(rows))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    is_partly = ~np.logical_and.reduceat(is_repeat, starts) if len(rows) else is_repeat
    agrees = desired == desired[counts_as]
    by = np.where(is_repeat & is_partly[owner] & agrees, counts_as, np.arange(len(rows)))
    rank = _RANKS[codes[by]]
    rank[is_repeat & is_partly[owner] & ~agrees] = _OVERRULED
    order = np.lexsort((np.arange(len(rows)), rank, owner))
    at: _Positions = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    return _Worst(at, by[at])


def _found(checked: pd.DataFrame, finding: Steps) -> dict[int, tuple[Match, ...]]:
    """Tell the profiles by position in the rows, instead of in the order of the work."""
    positions = comparison.open_rows(checked)
    found = finding.found or {}
    return {int(positions[at]): found[at] for at in sorted(found)}


def _taken(
    checked: pd.DataFrame,
    found: Mapping[int, tuple[Match, ...]],
    on_ambiguous: OnAmbiguous | None,
) -> Mapping[int, bool]:
    """Tell for each row whether its profiles are taken: one always, several by the rule."""
    desired = columns.state_codes(checked[columns.DESIRED])
    all_of = {
        None: desired == 1,
        OnAmbiguous.ALL: np.ones(len(checked), np.bool_),
        OnAmbiguous.REJECT: np.zeros(len(checked), np.bool_),
    }[on_ambiguous]
    return {at: len(matches) == 1 or bool(all_of[at]) for at, matches in found.items()}


def _judged(rows: pd.DataFrame, with_profile: _Positions, on_conflict: OnConflict) -> pd.DataFrame:
    """Let one row count where several stand for one profile."""
    verdicts = Verdicts(
        columns.outcome_codes(rows[columns.OUTCOME]), columns.reason_codes(rows[columns.REASON]), {}
    )
    same = _shared(rows, with_profile, on_conflict, verdicts)
    rows[columns.OUTCOME] = columns.outcomes(verdicts.outcome)
    rows[columns.REASON] = columns.reasons(verdicts.reason)
    rows[columns.DETAIL] = columns.with_details(rows[columns.DETAIL], verdicts.details)
    rows[columns.COUNTS_AS] = _counts_as(rows, same)
    return _dated(rows, same, columns.state_codes(rows[columns.DESIRED]))


def _shared(
    rows: pd.DataFrame, with_profile: _Positions, on_conflict: OnConflict, verdicts: Verdicts
) -> npt.NDArray[np.int64]:
    """Settle rows that stand for one profile, although their keys differ.

    With two states all rows concerned are rejected, for which is the last word nobody can tell;
    unless the opt-out is to win.

    Returns:
        int64: the position of the row that counts for this one.
    """
    same = np.arange(len(rows))
    owner = rows[columns.OWNER].to_numpy()
    desired = columns.state_codes(rows[columns.DESIRED])
    places = duplicates.Places.of(rows)
    groups = _groups(rows, with_profile)
    refused: dict[int, int] = {}  # owners, and a row that contradicts each
    if on_conflict is not OnConflict.OPT_OUT:
        refused = _contradicted(groups, owner, desired)
        _refuse(rows, refused, places, verdicts)
    for group in groups:
        left = [at for at in group if int(owner[at]) not in refused]
        wins = max(desired[left].tolist(), default=1)
        counting = next((at for at in left if desired[at] == wins), -1)
        for at in left:
            if at == counting:
                continue
            same[at] = counting
            place = places.name(counting)
            if desired[at] == wins:
                sentence = f"Same profile and state as {place}, which counts."
                verdicts.settle(at, Outcome.DUPLICATE, None, sentence)
            else:
                sentence = f"{place.capitalize()} opts this profile out, and counts."
                verdicts.settle(at, Outcome.DUPLICATE, Reason.CONFLICT, sentence)
    return same


def _groups(rows: pd.DataFrame, with_profile: _Positions) -> list[list[int]]:
    """Tell which rows stand for one profile, where several do."""
    codes, _ = pd.factorize(rows[columns.PROFILE].iloc[with_profile])
    is_shared = np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, np.bool_)
    groups: dict[int, list[int]] = {}
    for code, at in zip(codes[is_shared].tolist(), with_profile[is_shared].tolist(), strict=True):
        groups.setdefault(code, []).append(at)
    return list(groups.values())


def _contradicted(
    groups: Sequence[Sequence[int]],
    owner: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
) -> dict[int, int]:
    """Tell which rows of the input say another state of a profile than others, and which others."""
    found = {}
    for group in groups:
        for at in group:
            others = (other for other in group if desired[other] != desired[at])
            if (other := next(others, None)) is not None:
                found[int(owner[at])] = other
    return found


def _refuse(
    rows: pd.DataFrame, refused: Mapping[int, int], places: duplicates.Places, verdicts: Verdicts
) -> None:
    """Reject the rows of the input that are contradicted, and those that repeat their keys."""
    owner, by_key = rows[columns.OWNER].to_numpy(), rows[columns.COUNTS_AS].to_numpy()
    for at in np.flatnonzero(np.isin(owner, list(refused))).tolist():
        place = places.name(refused[int(owner[at])]).capitalize()
        sentence = f"{place} stands for the same profile and says the other state."
        verdicts.reject(at, Reason.CONFLICT, sentence)
    for at in np.flatnonzero((by_key != owner) & np.isin(by_key, list(refused))).tolist():
        verdicts.outcome[at] = NONE
        verdicts.reject(at, Reason.CONFLICT, "The row that counts for this one is rejected.")


def _dated(
    rows: pd.DataFrame, same: npt.NDArray[np.int64], desired: npt.NDArray[np.int8]
) -> pd.DataFrame:
    """Let the dates of rows that stand for one profile count for the one that counts."""
    if columns.REQUESTED not in rows:
        return rows
    last = columns.LATEST if columns.LATEST in rows else columns.UNJUDGED
    names = (columns.REQUESTED, last, columns.RECEIVED, columns.PRECISION)
    asked = request_dates.merged(
        request_dates.Asked(*(rows[name].to_numpy() for name in names)), same, desired
    )
    for name, values in zip(names, asked, strict=True):
        rows[name] = np.asarray(values)
    return rows


def _counts_as(rows: pd.DataFrame, same: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Let a row that repeats another's key point at the first profile of that one."""
    owner = rows[columns.OWNER].to_numpy()
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    by_key = rows[columns.COUNTS_AS].to_numpy()  # positions in the input
    repeats_key = by_key != owner
    return np.where(repeats_key, starts[by_key], same)


def _states(
    rows: pd.DataFrame, checked: pd.DataFrame, finding: Steps, match_of: Mapping[int, Match]
) -> Steps:
    """Tell the states of the open rows, or what went wrong with finding their profiles."""
    at_of = np.full(len(checked), NONE, np.int64)
    at_of[comparison.open_rows(checked)] = np.arange(len(finding.state))
    positions, profiles = comparison.open_rows(rows), rows[columns.PROFILES].to_numpy()
    of = at_of[rows[columns.OWNER].to_numpy()[positions]]
    steps = Steps.of(len(positions), stamped=columns.LATEST in rows)
    steps.attempts[:] = finding.attempts[of]
    steps.at_ms[:] = finding.at_ms[of]
    for number, (position, at) in enumerate(zip(positions.tolist(), of.tolist(), strict=True)):
        match = match_of.get(position)
        if match is None:
            if at in finding.problems:
                steps.problems[number] = finding.problems[at]
            elif profiles[position] > 1:
                steps.problems[number] = _ambiguous(int(profiles[position]))
            continue
        steps.state[number] = match.state
        if steps.changed_ms is not None:
            steps.changed_ms[number] = match.changed_ms
        if match.state == UNREAD:
            steps.problems[number] = RowFailed(
                Reason.STATE_UNKNOWN,
                "The profile shows no true or false; its state is unknown, so nothing was written.",
            )
    return steps


def _ambiguous(count: int) -> RowFailed:
    return RowFailed(
        Reason.AMBIGUOUS,
        f"{count} profiles have this key, so none was taken; --on-ambiguous all takes all of them.",
        outcome=Outcome.REJECTED,
    )


def _summed_up(rows: pd.DataFrame, one: pd.DataFrame, starts: _Positions) -> pd.DataFrame:
    """Sum up what became of rows with several profiles."""
    desired = columns.state_codes(rows[columns.DESIRED])
    for name in (columns.BEFORE, columns.AFTER):
        codes = columns.state_codes(rows[name])
        against = (codes != UNREAD) & (desired != UNREAD) & (codes != desired)
        any_against = np.logical_or.reduceat(against, starts)
        any_unknown = np.logical_or.reduceat(codes == UNREAD, starts)
        wanted = desired[starts]
        summed = np.where(any_unknown, UNREAD, np.where(wanted == UNREAD, codes[starts], wanted))
        summed = np.where(any_against, 1 - wanted, summed).astype(np.int8)
        one[name] = columns.states(summed)
    one[columns.ATTEMPTS] = np.maximum.reduceat(rows[columns.ATTEMPTS].to_numpy(), starts)
    at_ms = columns.times_ms(rows[columns.AT])
    one[columns.AT] = columns.times(np.maximum.reduceat(at_ms, starts))
    sizes = np.diff(starts, append=len(rows))
    outcome = rows[columns.OUTCOME].astype(object).to_numpy()
    sentences = {}
    for at in np.flatnonzero(sizes > 1).tolist():
        became = outcome[starts[at] : starts[at] + sizes[at]].tolist()
        counted = ", ".join(f"{n} {each}" for each in _WORST if (n := became.count(each)))
        told = f"{sizes[at]} profiles: {counted}."
        sentences[at] = f"{told} {one[columns.DETAIL].iat[at]}".rstrip()
    one[columns.DETAIL] = columns.with_details(one[columns.DETAIL], sentences)
    return one
