"""The keys of a person, and the columns of a run's rows with such keys."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.ledger import Begun
from bulk_sync.rows import columns, emails
from bulk_sync.rows.check.header import EMAIL_NAMES, PKEY_NAMES
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind, Keys


def is_address(key: str) -> bool:
    """Return whether a key looks like an e-mail address, valid or not."""
    return "@" in key[1:] and not key.startswith("@")


def one_spelling(key: str) -> str:
    """Return the same text for all spellings of one address; other keys as they are."""
    return emails.identity(key, ignore_case=True) if is_address(key) else key


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys of a person.

    Attributes:
        exactly: PKeys, and other keys, to the letter.
        addresses: e-mail addresses in one spelling for all, capitals aside.
    """

    exactly: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of_keys(cls, keys: Iterable[str]) -> "Identity":
        """Sort keys of any kind, empty ones left out."""
        known = frozenset(key for key in keys if key)
        return cls(known, frozenset(one_spelling(key) for key in known if is_address(key)))


@dataclass(frozen=True, slots=True)
class IdentityColumns:
    """The columns of a run's rows with keys of people.

    Attributes:
        are_pkeys: whether the keys are PKeys.
        emails: own columns of addresses.
        pkeys: own columns of PKeys.
    """

    are_pkeys: bool
    emails: Sequence[str] = ()
    pkeys: Sequence[str] = ()

    @classmethod
    def find(cls, begun: Begun, names: Iterable[object] = ()) -> "IdentityColumns":
        """Find them among the names of the columns of a run's rows."""
        own = [str(name) for name in names if name not in columns.OURS]
        return cls(
            Keys.from_options(begun.settings).kind is KeyKind.PKEY,
            [name for name in own if plain(name) in EMAIL_NAMES],
            [name for name in own if plain(name) in PKEY_NAMES],
        )

    def have_addresses(self, begun: Begun) -> bool:
        """Return whether a person can be found by an address in the rows of a run."""
        keys = Keys.from_options(begun.settings)
        names = (keys.kind, keys.filter, keys.param, keys.field, keys.key_field)
        by_address = not self.are_pkeys and any("email" in plain(name) for name in names)
        return by_address or bool(self.emails)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns to be searched."""
        return list(dict.fromkeys([columns.KEY, columns.PKEYS, *self.emails, *self.pkeys]))

    def matches(self, part: pa.Table, person: Identity) -> pa.Array:
        """Return a mask of a table's rows about a person."""
        hits = _is_in(part[columns.KEY], person.exactly)
        for name in self.pkeys:
            hits = pc.or_(hits, _is_in(part[name], person.exactly))
        if columns.PKEYS in part.column_names and person.exactly:
            hits = pc.or_(hits, _any_is_in(part[columns.PKEYS], person.exactly))
        if person.addresses:
            for name in (columns.KEY, *self.emails):
                hits = pc.or_(hits, _is_in(_folded(part[name]), person.addresses))
        return pc.fill_null(hits, False)  # noqa: FBT003 - Arrow's


def _is_in(column: pa.ChunkedArray, among: frozenset[str]) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array(sorted(among), column.type))


def _any_is_in(column: pa.ChunkedArray, among: frozenset[str]) -> pa.Array:
    whole = column.combine_chunks()
    hits = pc.is_in(whole.flatten(), pa.array(sorted(among), pa.string()))
    found = np.zeros(len(whole), np.bool_)
    found[pc.list_parent_indices(whole).filter(hits).to_numpy()] = True
    return pa.array(found)


def _folded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return addresses in the spelling of ``Identity``, for whole columns."""
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    if pc.all(pc.string_is_ascii(lowered), min_count=0).as_py():
        return lowered
    texts = [
        None if text is None else unicodedata.normalize("NFC", text) for text in lowered.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, column.type)])
