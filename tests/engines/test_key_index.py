"""The rows of the keys of a page, also of keys with the same hash."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.engines.scan import HashIndex
from bulk_sync.rows.lazy_texts import Texts

KEYS = st.text("abä", max_size=5)


def few_hashes(key: str) -> int:
    """Return one of five hashes; the least and the greatest one are among them."""
    return (-(2**63), -1, 0, 2**62, 2**63 - 1)[len(key) % 5]


@pytest.mark.parametrize("hashed", [hash, few_hashes])
@given(st.dictionaries(KEYS, st.booleans()), st.lists(KEYS))
def test_a_key_is_found_at_the_same_row_as_by_a_linear_search(
    hashed: Callable[[str], int], sought: dict[str, bool], others: list[str]
) -> None:
    keys = list(sought)
    positions = [at for at, key in enumerate(keys) if sought[key]]
    listed = [*others, *keys]
    index = HashIndex(Texts.wrap(keys), np.array(positions, np.intp), hashed)
    assert index.find(listed).tolist() == [
        next((at for at in positions if keys[at] == each), -1) for each in listed
    ]
