"""Finds the positions of listed keys among millions, without an object for each."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.positions import Positions


class HashIndex:
    """Positions of n keys.

    Memory: 16 bytes a key, and 24 more while it is made.

    Args:
        keys: the keys, each once.
        positions: those looked for.
        hash_of: hashes a key into 64 bits.
    """

    def __init__(
        self, keys: Texts, positions: Positions, hash_of: Callable[[str], int] = hash
    ) -> None:
        self._keys = keys
        self._hash_of = hash_of
        hashes = self._hashes_of(keys)[positions]
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._positions = positions[order]

    def find(self, listed: Sequence[str]) -> Positions:
        """Return the position of each listed key; -1 for those not looked for.

        Hashes name the candidates, and their texts decide. Keys with the same hash are all
        compared.
        """
        hashes = self._hashes_of(listed)
        entry = self._entries(hashes)
        found = np.full(len(listed), -1)
        left = np.arange(len(listed))
        while True:
            left = left[entry[left] < len(self._hashes)]
            left = left[self._hashes[entry[left]] == hashes[left]]
            if not len(left):
                return found
            candidates = self._positions[entry[left]]
            is_all = len(left) == len(listed)
            texts = listed if is_all else [listed[each] for each in left.tolist()]
            is_same = self._keys.equal(candidates, texts)
            found[left[is_same]] = candidates[is_same]
            entry[left] += 1

    def _hashes_of(self, keys: Sequence[str]) -> npt.NDArray[np.uint64]:
        return np.fromiter(map(self._hash_of, keys), np.int64, len(keys)).view(np.uint64)

    def _entries(self, hashes: npt.NDArray[np.uint64]) -> Positions:
        """Return the first entry at or above each hash; in order, for a third of the time."""
        order = np.argsort(hashes)
        entry = np.empty(len(hashes), np.intp)
        entry[order] = np.searchsorted(self._hashes, hashes[order])
        return entry
