"""How a file is to be understood: what its columns are called, and what settles doubtful rows."""

from dataclasses import dataclass, field
from enum import StrEnum

from bulk_sync.settings import Keys


class BlankState(StrEnum):
    """What an empty state cell means."""

    REJECT = "reject"
    SKIP = "skip"


class OnConflict(StrEnum):
    """What becomes of one key with two states."""

    REJECT = "reject"
    OPT_OUT = "opt-out"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a file is to be understood.

    Attributes:
        attribute: the attribute's name in Campaign, which a state column may bear.
        key_column: name of the key column; None finds it.
        state_column: name of the state column; None finds it.
        date_column: name of the column of request dates; None finds it, if there is one.
        state: the one state of a file that holds only keys.
        needs_state: whether rows are to say a state at all.
        blank_state: what an empty state cell means.
        on_conflict: what becomes of one key with two states.
        keys: what the keys are.
        tells_kind: whether the name of their column tells what they are: PKeys, or addresses.
        ignore_dates: a choice in Campaign that is newer than the request is changed too.
    """

    attribute: str = "ccpaOptOut"
    key_column: str | None = None
    state_column: str | None = None
    date_column: str | None = None
    state: bool | None = None
    blank_state: BlankState = BlankState.REJECT
    on_conflict: OnConflict = OnConflict.REJECT
    ignore_dates: bool = False
    keys: Keys = field(default_factory=Keys)
    tells_kind: bool = True
    needs_state: bool = True
