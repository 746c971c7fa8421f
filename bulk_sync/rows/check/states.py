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
        int8: 1, 0, or -1 where the cell holds none.
    """
    cells = pc.dictionary_encode(pa.chunked_array(column)).unify_dictionaries()
    spellings = cells.chunk(0).dictionary.to_pylist() if cells.num_chunks else []
    known = [rules.words.state(spelling) for spelling in spellings]
    codes = np.concatenate(
        [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in cells.chunks)]
    )
    values = np.array([-1 if state is None else int(state) for state in known], np.int8)
    states = values[codes] if len(values) else np.zeros(0, np.int8)
    skip = rules.blank_state is BlankState.SKIP
    for at in np.flatnonzero(states < 0).tolist():
        spelling = spellings[codes[at]]
        if spelling == UNCALCULATED:
            verdicts.reject(at, Reason.BAD_STATE, f"The state is {NO_VALUE}.")
        elif spelling.strip():
            sentence = f"{quoted(spelling)} is no state; write true or false."
            verdicts.reject(at, Reason.BAD_STATE, sentence)
        elif skip:
            sentence = "The state is empty, and --blank-state skip leaves such rows out."
            verdicts.settle(at, Outcome.SKIPPED, Reason.BLANK_STATE, sentence)
        else:
            sentence = "The state is empty; write true or false, or use --blank-state skip."
            verdicts.reject(at, Reason.BLANK_STATE, sentence)
    return states
