"""Kinds of positions: what an integer counts; two kinds are not to be mixed up.

    rows of the input --check--> open rows, one key each --expand--> rows of profiles --> writes
    RowIndex                     KeyIndex                            ProfileIndex

All begin at 0. A row's number in a spreadsheet begins at 1, with the header.
"""

from typing import NewType

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]
"""Positions of one kind."""

RowIndex = NewType("RowIndex", int)
"""Position of a row of the input in its frame."""

KeyIndex = NewType("KeyIndex", int)
"""Position of a key among those to be read, in the order of ``comparison.open_rows``."""

ProfileIndex = NewType("ProfileIndex", int)
"""Position of a row of ``expand.expand``, which is about one profile."""
