"""The rules for an input: the names of its columns, and the fate of doubtful rows."""

from dataclasses import dataclass, field
from enum import StrEnum

from bulk_sync.rows.check.state_words import StateWords
from bulk_sync.settings import DateOrder, Keys


class BlankState(StrEnum):
    """The meaning of an empty state cell."""

    REJECT = "reject"
    SKIP = "skip"


class OnConflict(StrEnum):
    """The fate of one key with two states."""

    REJECT = "reject"
    OPT_OUT = "opt-out"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for an input.

    Attributes:
        attribute: the attribute's name in Campaign; a state column may have it too.
        key_column: name of the key column; None finds it.
        state_column: name of the state column; None finds it.
        date_column: name of the column of request dates; None finds it, if there is one.
        date_order: the order of day and month in them, if it is stated.
        state: the one state of a file with keys alone.
        words: the words for states, and what yes means.
        blank_state: the meaning of an empty state cell.
        on_conflict: the fate of one key with two states.
        ignore_dates: a choice in Campaign is changed even if it is newer than the request.
        keys: the kind of the keys.
        tells_kind: the name of their column decides on it: PKeys, or addresses.
        needs_state: rows must have a state at all.
    """

    attribute: str = "ccpaOptOut"
    key_column: str | None = None
    state_column: str | None = None
    date_column: str | None = None
    date_order: DateOrder | None = None
    state: bool | None = None
    words: StateWords = field(default_factory=StateWords)
    blank_state: BlankState = BlankState.REJECT
    on_conflict: OnConflict = OnConflict.REJECT
    ignore_dates: bool = False
    keys: Keys = field(default_factory=Keys)
    tells_kind: bool = True
    needs_state: bool = True
