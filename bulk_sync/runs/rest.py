"""The rows of an input larger than memory that need no work, beside the frame of its run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import NO_ROWS, Totals
from bulk_sync.runs.tally import Tally


@dataclass(frozen=True, slots=True)
class Rest:
    """The rows of an input larger than memory that need no work: Campaign holds what they ask for.

    They are ``unchanged``, or a ``duplicate`` of such a row, and have no reason. The other rows are
    the frame of the run, which may be empty.

    Attributes:
        totals: counts of these rows.
        tally: further counts of them.
        with_results: returns all rows of the input in their order, given the results of the others
            (one row per row of the input).
    """

    totals: Totals
    tally: Tally
    with_results: Callable[[pd.DataFrame], Slices]


NOTHING: Final = Rest(NO_ROWS, Tally(), Slices.of)
"""Of an input that fits into memory: all its rows are the frame."""
