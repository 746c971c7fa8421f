"""The one place where a row becomes several profiles, and several profiles one row again.

    rows + current states --expand--> a row per profile --compare, write--> results
    results --collapse--> one row per row of the input, with the worst outcome of its profiles

In between each row is about one profile, as if the input held PKeys. A key that is a PKey has one
profile, itself, so its row stays as it is.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, shared_profiles
from bulk_sync.rows.check import OnConflict
from bulk_sync.rows.columns import NONE, OUTCOME_CODES
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.positions import KeyIndex, Positions, ProfileIndex, RowIndex
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.settings import KeyKind, Keys, OnAmbiguous

_WORST: Final = (
    Outcome.FAILED, Outcome.PENDING, Outcome.DRIFTED, Outcome.REJECTED, Outcome.NOT_FOUND,
    Outcome.WOULD_UPDATE, Outcome.UPDATED, Outcome.WOULD_CREATE, Outcome.CREATED, Outcome.UNCHANGED,
    Outcome.USABLE, Outcome.SKIPPED, Outcome.DUPLICATE,
)  # fmt: skip
"""Outcomes of a row's profiles, the worst first: the row has that outcome."""

_OVERRULED: Final = _WORST.index(Outcome.WOULD_UPDATE) - 0.5
"""Rank of a profile that gets the other state, because another row wants it."""

_RANKS: Final = np.argsort([OUTCOME_CODES[each] for each in _WORST]).astype(float)


def expand(
    checked: pd.DataFrame, current: Steps, keys: Keys, on_conflict: OnConflict
) -> tuple[pd.DataFrame, Steps]:
    """Return a row for each profile, and the states of the open ones in their order.

    Args:
        checked: rows of ``check.rows``.
        current: the current states of its open rows, in their order.
        keys: what the keys are, and what becomes of a row with several profiles.
        on_conflict: what becomes of a profile that two rows want in two states.

    Returns:
        Rows as of ``check.rows``, in the input's order, with PROFILE, PROFILES and OWNER.
    """
    if keys.kind is KeyKind.PKEY:
        return checked, current
    found = matches_by_row(checked, current)
    counts = np.ones(len(checked), np.int64)
    profiles = np.zeros(len(checked), np.int64)
    takes_all = {
        None: columns.desired(checked) == 1,
        OnAmbiguous.ALL: np.ones(len(checked), np.bool_),
        OnAmbiguous.REJECT: np.zeros(len(checked), np.bool_),
    }[keys.on_ambiguous]
    taken = {row: each for row, each in found.items() if len(each) == 1 or takes_all[row]}
    profiles[list(found)] = list(map(len, found.values()))
    counts[list(taken)] = list(map(len, taken.values()))
    owner = np.repeat(np.arange(len(checked)), counts)
    first = np.cumsum(counts) - counts

    rows = checked if len(owner) == len(checked) else checked.iloc[owner].reset_index(drop=True)
    rows = rows.copy(deep=False)
    rows[columns.OWNER] = owner
    rows[columns.PROFILES] = profiles[checked[columns.COUNTS_AS].to_numpy()[owner]]
    pkeys = rows[columns.KEY].to_numpy(object, copy=True)
    match_of: dict[ProfileIndex, Match] = {}
    for row, matches in taken.items():
        for number, match in enumerate(matches, int(first[row])):
            pkeys[number] = match.pkey
            match_of[ProfileIndex(number)] = match
    rows[columns.PROFILE] = pd.Series(pd.array(pkeys, dtype="str"))
    rows = shared_profiles.settled(rows, np.array(sorted(match_of), np.intp), on_conflict)
    return rows, _states(rows, checked, current, match_of)


def other_spellings(checked: pd.DataFrame) -> Mapping[str, list[str]]:
    """Return the other spellings of keys, in the rows that repeat them."""
    counts_as = checked[columns.COUNTS_AS].to_numpy()
    repeats = np.flatnonzero(counts_as != np.arange(len(checked)))
    found = defaultdict[str, list[str]](list)
    keys, others = (Texts(checked[columns.KEY], at) for at in (counts_as[repeats], repeats))
    for key, other in zip(keys, others, strict=True):
        if key != other:
            found[key].append(other)
    return found


def may_share_profiles(rows: pd.DataFrame) -> bool:
    """Return whether rows with different keys may be about one profile."""
    return columns.OWNER in rows


def collapse(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per row of the input, for a plan or results of expanded rows.

    Returns:
        The worst outcome with its reason and sentence; a state if all profiles have it, else the
        one that is not desired; most attempts and the last time. Other rows are left as they are.
    """
    if not may_share_profiles(rows):
        return rows
    owner = rows[columns.OWNER].to_numpy()
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    profile, source = _worst(rows)
    one = rows.iloc[profile].reset_index(drop=True)
    for name in (columns.OUTCOME, columns.REASON, columns.DETAIL):
        one[name] = rows[name].iloc[source].reset_index(drop=True)
    one[columns.COUNTS_AS] = owner[rows[columns.COUNTS_AS].to_numpy()[profile]]
    one = _summed_up(rows, one, starts) if len(starts) < len(rows) else comparison.repeat(one)
    is_new = columns.have_outcome(one, [Outcome.CREATED])
    one[columns.PROFILES] = np.where(is_new, 1, one[columns.PROFILES].to_numpy())
    one[columns.PROFILES] = one[columns.PROFILES].to_numpy()[one[columns.COUNTS_AS]]
    return one.drop(columns=[name for name in columns.MATCHED if name in one])


def outcomes(rows: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Return the ``OUTCOME_CODES`` of the rows of the input."""
    codes = columns.outcome_codes(rows[columns.OUTCOME])
    return codes[_worst(rows)[1]] if may_share_profiles(rows) else codes


def _worst(rows: pd.DataFrame) -> tuple[Positions, Positions]:
    """Return the profile that decides the outcome of each row of the input, and its source.

    That is the row with the outcome, perhaps another one that counts for the profile.
    """
    owner, codes = rows[columns.OWNER].to_numpy(), columns.outcome_codes(rows[columns.OUTCOME])
    counts_as = rows[columns.COUNTS_AS].to_numpy()
    desired = columns.desired(rows)
    # A row is a duplicate if all its profiles count for other rows. If only some do, their outcome
    # is that of the row for which they count.
    is_repeat = counts_as != np.arange(len(rows))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    is_partly = ~np.logical_and.reduceat(is_repeat, starts) if len(rows) else is_repeat
    agrees = desired == desired[counts_as]
    source = np.where(is_repeat & is_partly[owner] & agrees, counts_as, np.arange(len(rows)))
    rank = _RANKS[codes[source]]
    rank[is_repeat & is_partly[owner] & ~agrees] = _OVERRULED
    order = np.lexsort((np.arange(len(rows)), rank, owner))
    profile: Positions = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    return profile, source[profile]


def matches_by_row(checked: pd.DataFrame, current: Steps) -> dict[RowIndex, tuple[Match, ...]]:
    """Return the profiles by position in the input, in its order."""
    positions = comparison.open_rows(checked)
    keys = Texts(checked[columns.KEY], positions)
    found = {RowIndex(int(positions[at])): group for at, group in current.matches(keys)}
    return dict(sorted(found.items()))


def _states(
    rows: pd.DataFrame,
    checked: pd.DataFrame,
    current: Steps,
    match_of: Mapping[ProfileIndex, Match],
) -> Steps:
    key_of = np.full(len(checked), NONE, np.int64)
    key_of[comparison.open_rows(checked)] = np.arange(len(current.state))
    positions, profiles = comparison.open_rows(rows), rows[columns.PROFILES].to_numpy()
    keys = key_of[rows[columns.OWNER].to_numpy()[positions]]
    steps = Steps.blank(len(positions), stamped=columns.LATEST in rows)
    steps.attempts[:] = current.attempts[keys]
    steps.at_ms[:] = current.at_ms[keys]
    for at, (position, key) in enumerate(zip(positions.tolist(), keys.tolist(), strict=True)):
        match = match_of.get(ProfileIndex(position))
        if match is not None:
            steps.state[at] = match.state
            if steps.changed_ms is not None:
                steps.changed_ms[at] = match.changed_ms
        problem = _problem(match, current.problems.get(KeyIndex(key)), int(profiles[position]))
        if problem is not None:
            steps.problems[at] = problem
    return steps


def _problem(match: Match | None, problem: RowFailed | None, profiles: int) -> RowFailed | None:
    """Return what keeps a row from being compared; None if it was not looked up yet."""
    if match is not None and match.state != UNREAD:
        return None
    if match is not None:
        return RowFailed(
            Reason.STATE_UNKNOWN,
            "The profile shows no true or false; its state is unknown, so nothing was written. Set "
            "it once in Campaign.",
        )
    return ambiguous(profiles) if problem is None and profiles > 1 else problem


def ambiguous(count: int) -> RowFailed:
    """Return the problem of a key with several profiles."""
    return RowFailed(
        Reason.AMBIGUOUS,
        f"{count} profiles have this key, so none was taken; --on-ambiguous all takes all of them.",
        outcome=Outcome.REJECTED,
    )


def _summed_up(rows: pd.DataFrame, one: pd.DataFrame, starts: Positions) -> pd.DataFrame:
    """Sum up the outcomes of rows with several profiles; a repeat has those of its row."""
    wanted, counts_as = columns.desired(one), one[columns.COUNTS_AS].to_numpy()
    for name in (columns.BEFORE, columns.AFTER):
        codes = columns.state_codes(rows[name])
        any_unknown, any_true, any_false = (
            np.logical_or.reduceat(codes == state, starts)[counts_as] for state in (UNREAD, 1, 0)
        )
        any_against = np.where(wanted == 1, any_false, (wanted == 0) & any_true)
        summed = np.where(any_unknown | (wanted == UNREAD), UNREAD, wanted)
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
        counts = f"{sizes[at]} profiles: {counted}."
        sentences[at] = f"{counts} {one[columns.DETAIL].iat[at]}".rstrip()
    one[columns.DETAIL] = columns.with_details(one[columns.DETAIL], sentences)
    return one
