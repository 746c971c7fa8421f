"""Which profiles are to be created, and with what: rows whose address no profile has.

planned rows, not found --complete, not twice--> would_create, with the body of the POST
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, emails
from bulk_sync.rows.columns import NONE, OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import Creating, KeyKind, Keys

_NAMES: Final = ("firstName", "lastName")
"""Fields that a profile is created with besides its address, as the seed of this tool shows."""


def fields(names: Iterable[str], how: Creating, keys: Keys) -> Mapping[str, str]:
    """Tell from which columns a profile is created, by the fields that they go into.

    Args:
        names: the input's own columns.
        how: what was asked for.
        keys: what the keys are.

    Raises:
        UsageProblem: the keys are no addresses.
        InputProblem: a column is missing, or two could be meant; the message lists the columns.
    """
    if keys.kind is not KeyKind.EMAIL:
        raise UsageProblem(
            "--create makes profiles by their e-mail address, so it needs --key email."
        )
    own = [name for name in names if name not in columns.OURS]
    asked = dict(how.fields)
    found = {
        field: _column(own, asked.get(field, field), field, is_asked=field in asked)
        for field in dict.fromkeys((*_NAMES, *asked))
    }
    return {**found, "email": keys.field}


def planned(rows: pd.DataFrame, how: Creating, keys: Keys, attribute: str) -> pd.DataFrame:
    """Plan a profile for every row whose address no profile has.

    Args:
        rows: what ``plan.compare`` returned for rows as ``matched.parted`` made them.
        how: what a profile is created with.
        keys: what the keys are.
        attribute: the attribute that holds the state.

    Returns:
        The same rows with CREATE; those to be created are ``would_create``. A row that lacks what
        it takes, or whose address another row has in other capitals, stays as it is and says so.
    """
    outcome = columns.outcome_codes(rows[columns.OUTCOME])
    reason = columns.reason_codes(rows[columns.REASON])
    is_missing = outcome == OUTCOME_CODES[Outcome.NOT_FOUND]
    is_missing &= reason == REASON_CODES[Reason.NOT_FOUND]
    desired = columns.state_codes(rows[columns.DESIRED])
    bodies: dict[int, str] = {}
    sentences: dict[int, str] = {}
    taken: dict[str, int] = {}
    numbers = rows[columns.ROW].to_numpy()
    for at, values in _people(rows, np.flatnonzero(is_missing), fields(rows.columns, how, keys)):
        lacking = [name for name in _NAMES if not values[name]]
        person = emails.identity(values["email"], ignore_case=True)
        if lacking:
            reason[at] = REASON_CODES[Reason.INCOMPLETE]
            sentences[at] = (
                "No profile has this address, and the row does not hold what a new one needs: "
                f"{' and '.join(lacking)}."
            )
        elif person in taken:
            outcome[at] = OUTCOME_CODES[Outcome.REJECTED]
            reason[at] = REASON_CODES[Reason.AMBIGUOUS]
            sentences[at] = (
                f"Row {numbers[taken[person]]} has this address in other capitals, and is created; "
                "let them count as one with --email-case ignore."
            )
        else:
            taken[person] = at
            outcome[at], reason[at] = OUTCOME_CODES[Outcome.WOULD_CREATE], NONE
            sentences[at] = ""
            given = {field: text for field, text in values.items() if text}
            bodies[at] = orjson.dumps({**given, attribute: bool(desired[at])}).decode()
    made = rows.copy(deep=False)
    made[columns.OUTCOME] = columns.outcomes(outcome)
    made[columns.REASON] = columns.reasons(reason)
    made[columns.DETAIL] = columns.with_details(rows[columns.DETAIL], sentences)
    made[columns.CREATE] = columns.details(len(rows), bodies)
    return made


def _people(
    rows: pd.DataFrame, positions: npt.NDArray[np.intp], source: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Tell of some rows what a profile would be created with, by field."""
    cells = {field: rows[name].iloc[positions].tolist() for field, name in source.items()}
    cells["email"] = rows[columns.KEY].iloc[positions].tolist()  # cleaned
    for number, at in enumerate(positions.tolist()):
        yield at, {field: texts[number].strip() for field, texts in cells.items()}


def _column(own: Sequence[str], column: str, field: str, *, is_asked: bool) -> str:
    if is_asked and column in own:
        return column
    fits = [name for name in own if plain(name) == plain(column)]
    if len(fits) == 1:
        return fits[0]
    there = ", ".join(map(repr, own)) or "none"
    what = "More than one column" if fits else "No column"
    raise InputProblem(
        f"--create: {what} could hold {field}. Name it with --create-column {field}=COLUMN. "
        f"Columns: {there}."
    )
