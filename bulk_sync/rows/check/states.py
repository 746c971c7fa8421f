"""Reads the states in cells. A spelling is listed here, or rejected; nothing is guessed."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.check.rules import BlankState, Rules
from bulk_sync.rows.check.verdicts import NO_VALUE, Verdicts, quoted
from bulk_sync.rows.parse.cell_text import UNCALCULATED

_TRUE: Final = {
    "": "true t yes y 1 on",
    "French": "vrai",
    "German": "wahr",
    "Spanish": "verdadero",
    "Italian": "vero",
    "Portuguese": "verdadeiro",
    "Dutch": "waar",
    "Swedish": "sant",
    "Danish": "sand",
    "Norwegian": "sann",
    "Finnish": "tosi",
    "Polish": "prawda",
    "Czech": "pravda",
    "Hungarian": "igaz",
    "Romanian": "adevărat",
    "Russian": "истина",
    "Turkish": "doğru",
}
_FALSE: Final = {
    "": "false f no n 0 off",
    "French": "faux",
    "German": "falsch",
    "Spanish, Italian, Portuguese": "falso",
    "Dutch": "onwaar",
    "Swedish": "falskt",
    "Danish": "falsk",
    "Norwegian": "usann",
    "Finnish": "epätosi",
    "Polish": "fałsz",
    "Czech": "nepravda",
    "Hungarian": "hamis",
    "Romanian": "fals",
    "Russian": "ложь",
    "Turkish": "yanlış YANLIŞ",  # Python takes its capital for another letter
}
_STATES: Final[dict[str, bool]] = {
    **{word.casefold(): True for words in _TRUE.values() for word in words.split()},
    **{word.casefold(): False for words in _FALSE.values() for word in words.split()},
}
"""All accepted spellings of a state, casefolded: English ones, and those of Excel's languages."""


def read(column: pd.Series, rules: Rules, verdicts: Verdicts) -> npt.NDArray[np.int8]:
    """Read the states, each spelling once.

    Returns:
        int8: 1, 0, or -1 where the cell holds none.
    """
    cells = pc.dictionary_encode(pa.chunked_array(column)).unify_dictionaries()
    spellings = cells.chunk(0).dictionary.to_pylist() if cells.num_chunks else []
    words = [spelling.strip().casefold() for spelling in spellings]
    codes = np.concatenate(
        [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in cells.chunks)]
    )
    values = np.array([int(_STATES.get(word, -1)) for word in words], np.int8)
    states = values[codes] if len(values) else np.zeros(0, np.int8)
    skip = rules.blank_state is BlankState.SKIP
    for at in np.flatnonzero(states < 0).tolist():
        spelling = spellings[codes[at]]
        if spelling == UNCALCULATED:
            verdicts.reject(at, Reason.BAD_STATE, f"The state is {NO_VALUE}.")
        elif words[codes[at]]:
            sentence = f"{quoted(spelling)} is no state; write true or false."
            verdicts.reject(at, Reason.BAD_STATE, sentence)
        elif skip:
            sentence = "The state is empty, and --blank-state skip leaves such rows out."
            verdicts.settle(at, Outcome.SKIPPED, Reason.BLANK_STATE, sentence)
        else:
            sentence = "The state is empty; write true or false, or use --blank-state skip."
            verdicts.reject(at, Reason.BLANK_STATE, sentence)
    return states
