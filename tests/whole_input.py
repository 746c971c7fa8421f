"""Inputs read as one slice."""

from io import BytesIO
from typing import Final

import pandas as pd

from bulk_sync.rows import read

_ANY: Final = read.Wanted()


def read_whole(source: str, wanted: read.Wanted = _ANY, stdin: bytes = b"") -> pd.DataFrame:
    """Return all rows of an input."""
    (frame,) = read.slices(source, wanted, stdin=BytesIO(stdin)).frames
    return frame
