"""Where the keys of a page stand, also of those that share a hash."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.engines.scan import Index


class Colliding(str):
    """A key whose hash many others have."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self) % 3

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True


KEYS = st.builds(Colliding, st.text("ab", max_size=5))


@given(st.dictionaries(KEYS, st.booleans()), st.lists(st.one_of(KEYS, st.none(), st.integers())))
def test_a_key_is_found_where_a_search_through_all_finds_it(
    sought: dict[str, bool], others: list[object]
) -> None:
    keys = list(sought)
    positions = [at for at, key in enumerate(keys) if sought[key]]
    listed = [*others, *keys]
    found = Index(keys, np.array(positions, np.intp)).places(listed)
    assert found == [
        next((at for at in positions if str(keys[at]) == each), None) for each in listed
    ]
