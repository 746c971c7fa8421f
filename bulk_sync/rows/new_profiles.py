"""Plans new profiles, for rows with an unknown address.

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
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import Creating, KeyKind, Keys

_NAMES: Final = ("firstName", "lastName")
"""Fields of a new profile besides its address, as in the seed of this tool."""


def fields(names: Iterable[str], how: Creating, keys: Keys) -> Mapping[str, str]:
    """Return the columns for the fields of a new profile, by field.

    Raises:
        UsageProblem: the keys are no addresses.
        InputProblem: a column is missing, or ambiguous; the message lists the columns.
    """
    if keys.kind is not KeyKind.EMAIL:
        raise UsageProblem(
            "--create makes profiles by their e-mail address, so it needs --key email."
        )
    own, named = [name for name in names if name not in columns.OURS], dict(how.fields)
    found = {
        field: _column(own, named.get(field, field), field, is_named=field in named)
        for field in dict.fromkeys((*_NAMES, *named))
    }
    return {**found, "email": keys.field}


def planned(rows: pd.DataFrame, how: Creating, keys: Keys, attribute: str) -> pd.DataFrame:
    """Plan a profile for every expanded and compared row with an unknown address.

    Returns:
        The same rows with CREATE; those to be created are ``would_create``. A row without the
        needed fields, or with the address of another row in other capitals, has a sentence instead.
    """
    verdicts = Verdicts.from_rows(rows)
    is_missing = verdicts.outcome == OUTCOME_CODES[Outcome.NOT_FOUND]
    is_missing &= verdicts.reason == REASON_CODES[Reason.NOT_FOUND]
    desired = columns.desired(rows)
    bodies: dict[int, str] = {}
    taken: dict[str, int] = {}
    numbers = rows[columns.ROW].to_numpy()
    for at, values in _people(rows, np.flatnonzero(is_missing), fields(rows.columns, how, keys)):
        lacking = [name for name in _NAMES if not values[name]]
        person = emails.identity(values["email"], ignore_case=True)
        if lacking:
            sentence = (
                "No profile has this address, and the row does not hold what a new one needs: "
                f"{' and '.join(lacking)}."
            )
            verdicts.overrule(at, Outcome.NOT_FOUND, Reason.INCOMPLETE, sentence)
        elif person in taken:
            sentence = (
                f"Row {numbers[taken[person]]} has this address in other capitals, and is created; "
                "let them count as one with --email-case ignore."
            )
            verdicts.overrule(at, Outcome.REJECTED, Reason.AMBIGUOUS, sentence)
        else:
            taken[person] = at
            verdicts.overrule(at, Outcome.WOULD_CREATE, None, "")
            given = {field: text for field, text in values.items() if text}
            bodies[at] = orjson.dumps({**given, attribute: bool(desired[at])}).decode()
    made = verdicts.applied(rows)
    made[columns.CREATE] = columns.details(len(rows), bodies)
    return made


def _people(
    rows: pd.DataFrame, positions: npt.NDArray[np.intp], source: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str]]]:
    cells = {field: Texts(rows[name], positions)[:] for field, name in source.items()}
    cells["email"] = Texts(rows[columns.KEY], positions)[:]  # cleaned
    for number, at in enumerate(positions.tolist()):
        yield at, {field: texts[number].strip() for field, texts in cells.items()}


def _column(own: Sequence[str], column: str, field: str, *, is_named: bool) -> str:
    if is_named and column in own:
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
