"""Reads the states in cells, by the words of ``state_words.py``."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.check.rules import BlankState, Rules
from bulk_sync.rows.check.verdicts import NO_VALUE, Verdicts, quoted
from bulk_sync.rows.parse.cell_text import UNCALCULATED


def read(column: pd.Series, rules: Rules, verdicts: Verdicts) -> npt.NDArray[np.int8]:
    """Read the states, each spelling once.

    Returns:
        int8: 1, 0, or -1 where the cell holds none, and in rows set aside.
    """
    cells = pc.dictionary_encode(pa.chunked_array(column)).unify_dictionaries()
    spellings = cells.chunk(0).dictionary.to_pylist() if cells.num_chunks else []
    known = [rules.words.state(spelling) for spelling in spellings]
    codes = np.concatenate(
        [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in cells.chunks)]
    )
    values = np.array([-1 if state is None else int(state) for state in known], np.int8)
    states = values[codes] if len(values) else np.zeros(0, np.int8)
    states[list(verdicts.aside)] = -1
    unread = [at for at in np.flatnonzero(states < 0).tolist() if at not in verdicts.aside]
    judged = {
        code: _judge(spellings[code], str(column.name), rules)
        for code in np.unique(codes[unread]).tolist()
    }
    for at in unread:
        verdicts.settle(at, *judged[codes[at]])
    return states


def _judge(spelling: str, column: str, rules: Rules) -> tuple[Outcome, Reason, str]:
    """Return the verdict on another spelling than those of states."""
    words = rules.words
    write = f"Write yes ({words.effect('yes')} the sale) or no ({words.effect('no')} it)."
    if spelling == UNCALCULATED:
        return Outcome.REJECTED, Reason.BAD_STATE, f"Column {column!r} has {NO_VALUE}."
    if spelling.strip():
        sentence = f"Column {column!r} has {quoted(spelling)}, which is neither yes nor no. {write}"
        return Outcome.REJECTED, Reason.BAD_STATE, sentence
    empty = f"Column {column!r} is empty in this row"
    if rules.blank_state is BlankState.SKIP:
        sentence = f"{empty}, so the row is left out (--blank-state skip)."
        return Outcome.SKIPPED, Reason.BLANK_STATE, sentence
    return Outcome.REJECTED, Reason.BLANK_STATE, f"{empty}. {write}"
