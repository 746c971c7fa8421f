"""Small inputs that are worked on as large ones: in slices of a few rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bulk_sync import memory
from bulk_sync.runs import validation


@contextmanager
def in_slices(size: int) -> Iterator[None]:
    """Read inputs of more than so many bytes of text in slices of about that size."""
    share = memory.default_bytes() // size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "_WHOLE", share)
        patch.setattr(validation, "_SLICES", share)
        yield
