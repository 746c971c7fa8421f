"""Keys that no run may change: the rows of these people are rejected.

list --cleaned like the keys of an input--> keys, addresses
plan --by key, PKey, own columns of PKeys and addresses--> rows of protected people: rejected
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, read
from bulk_sync.rows.check import keys
from bulk_sync.rows.check.header import may_hold_keys
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import REASON_CODES
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import KeyKind

_ADDRESS: Final = r"^[^@].*@"

_ALIKE: Final = (
    "This row is about the same key or profile as a protected one, so no run may change it."
)


@dataclass(frozen=True, slots=True)
class ProtectedKeys:
    """The keys of some lists, each with its place there.

    Attributes:
        exactly: PKeys and other keys, to the letter.
        addresses: e-mail addresses; capitals never count.
    """

    exactly: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: "ProtectedKeys") -> "ProtectedKeys":
        """Return the keys of both; the place of a key in the first ones counts."""
        return ProtectedKeys(
            {**other.exactly, **self.exactly}, {**other.addresses, **self.addresses}
        )

    def sentences(self, rows: pd.DataFrame) -> dict[int, str]:
        """Return the positions of protected rows, and a sentence about each.

        Args:
            rows: with KEY and COUNTS_AS, and with PROFILE and OWNER if keys are no PKeys.
        """
        places = self._places(rows)
        if not places:
            return {}
        hits = np.zeros(len(rows), np.bool_)
        hits[list(places)] = True
        return _sentences(places, _with_alike(rows, hits))

    def rejected(self, planned: pd.DataFrame, written: Collection[str] = ()) -> pd.DataFrame:
        """Return a plan with the rows of protected people rejected.

        Args:
            planned: the plan.
            written: profiles written by the run before: these rows are left.
        """
        sentences = self.sentences(planned)
        if sentences and written:
            is_written = columns.profiles(planned).isin(list(written)).to_numpy(np.bool_)
            sentences = {at: each for at, each in sentences.items() if not is_written[at]}
        return _with_verdicts(planned, sentences)

    def rejected_in(self, checked: Slices) -> Slices:
        """Return results of ``comparison.without_states`` with rows of protected people rejected.

        Memory: 8 bytes for each protected row.
        """
        if checked.only is not None:
            return checked.map(self.rejected)
        protected = self.counting(checked)
        if not len(protected):
            return checked

        def rejected(rows: pd.DataFrame) -> pd.DataFrame:
            is_alike = np.isin(rows[columns.COUNTS_AS].to_numpy(), protected)
            return _with_verdicts(rows, _sentences(self._places(rows), is_alike))

        return checked.map(rejected)

    def counting(self, checked: Slices) -> npt.NDArray[np.int64]:
        """Return the positions of the rows counting for those of protected people."""
        if not self.exactly and not self.addresses:
            return np.zeros(0, np.int64)
        counting = [
            rows[columns.COUNTS_AS].to_numpy()[list(self._places(rows))] for rows in checked.read()
        ]
        return np.unique(np.concatenate(counting))

    def _places(self, rows: pd.DataFrame) -> dict[int, str]:
        """Return the positions of the rows that hold a protected key, and its place."""
        own = [name for name in rows if name not in columns.OURS and may_hold_keys(str(name))]
        ours = [name for name in (columns.KEY, columns.PROFILE) if name in rows]
        found: dict[int, str] = {}
        for name in (*ours, *own):
            texts = keys.bare(pa.chunked_array(rows[name]))
            found |= dict(_hits(texts, self.exactly))
            if self.addresses and name != columns.PROFILE:
                found |= dict(_hits(keys.identities(texts, ignore_case=True), self.addresses))
        return found


def read_list(path: Path) -> ProtectedKeys:
    """Read a list of keys: a file with one column, or with columns called PKey or email.

    A header is not needed. One that is no such name is taken for a key that no profile has.

    Raises:
        UsageProblem: it cannot be read, is empty, or holds a damaged key.
    """
    try:
        cells = read.table(path)
    except InputProblem as problem:
        raise UsageProblem(f"--protect: {problem} Nothing was sent.") from problem
    found = ProtectedKeys()
    for texts, numbers in _columns(cells, path):
        found |= _keys(texts, numbers, path)
    if not (found.exactly or found.addresses):
        raise UsageProblem(
            f"--protect {path} holds no key, so it would protect nobody. See that its export "
            "finished. Nothing was sent."
        )
    return found


def _columns(cells: Cells, path: Path) -> Iterator[tuple[pa.ChunkedArray, npt.NDArray[np.int64]]]:
    filled = [
        at
        for at, name in enumerate(cells.names)
        if name.strip() or pc.any(pc.not_equal(cells.texts[at], "")).as_py()
    ]
    named = [at for at in filled if may_hold_keys(cells.names[at])]
    if not named and len(filled) > 1:
        raise UsageProblem(
            f"--protect {path} has {len(filled)} columns, and none is called PKey or email. Keep "
            "only the column of keys, or give it one of these names. Nothing was sent."
        )
    for at in named or filled:
        texts, numbers = cells.texts[at], cells.numbers
        if not named:
            first = pa.chunked_array([[cells.names[at]]], texts.type)
            texts = pa.chunked_array([*first.chunks, *texts.chunks])
            numbers = np.concatenate([[cells.header_row or 1], numbers])
        yield texts, numbers


def _keys(texts: pa.ChunkedArray, numbers: npt.NDArray[np.int64], path: Path) -> ProtectedKeys:
    """Return the keys of one column; raise UsageProblem if one is damaged."""
    is_address = pc.match_substring_regex(keys.bare(texts), _ADDRESS)
    found: dict[KeyKind, dict[str, str]] = {}
    for kind, chosen in ((KeyKind.EMAIL, is_address), (KeyKind.PKEY, pc.invert(is_address))):
        rows = numbers[chosen.to_numpy()].tolist()
        verdicts = Verdicts.blank(len(rows))
        column = pd.Series(pd.array(texts.filter(chosen), dtype="str"))
        used = keys.cleaned(column, kind, verdicts)
        for at, sentence in sorted(verdicts.details.items()):
            if verdicts.reason[at] != REASON_CODES[Reason.EMPTY_KEY]:
                raise UsageProblem(
                    f"--protect {path}, row {rows[at]}: {sentence} So it would protect nobody. "
                    "Nothing was sent."
                )
        if kind is KeyKind.EMAIL:
            used = keys.identities(used, ignore_case=True)
        found[kind] = {
            key: f"row {row} of {read.legible(path.name)}"
            for key, row in zip(used.to_pylist(), rows, strict=True)
            if key
        }
    return ProtectedKeys(found[KeyKind.PKEY], found[KeyKind.EMAIL])


def _hits(texts: pa.ChunkedArray, places: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    listed = pc.is_in(texts, pa.array(list(places), texts.type))
    for at in np.flatnonzero(listed.to_numpy()).tolist():
        yield at, places[texts[at].as_py()]


def _sentences(places: Mapping[int, str], alike: npt.NDArray[np.bool_]) -> dict[int, str]:
    """Return a sentence about each protected row, by position; ``places`` are of those listed."""
    listed = {
        at: f"Protected by {place}: no run may change this person." for at, place in places.items()
    }
    return {at: listed.get(at, _ALIKE) for at in np.flatnonzero(alike).tolist()}


def _with_verdicts(rows: pd.DataFrame, sentences: Mapping[int, str]) -> pd.DataFrame:
    """Return rows with those rejected that have a sentence, unless they are left anyway."""
    verdicts = Verdicts.from_rows(rows)
    stays = columns.have_outcome(rows, [Outcome.REJECTED, Outcome.SKIPPED])
    for at, sentence in sentences.items():
        if not stays[at]:
            verdicts.overrule(at, Outcome.REJECTED, Reason.PROTECTED, sentence)
    return verdicts.applied(rows) if verdicts.details else rows


def _with_alike(rows: pd.DataFrame, hits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return some rows with all others about the same keys or profiles."""
    counts_as = rows[columns.COUNTS_AS].to_numpy()
    owner = rows[columns.OWNER].to_numpy() if columns.OWNER in rows else np.arange(len(rows))
    while True:
        of_owner, of_root = np.zeros((2, len(rows)), np.bool_)
        of_owner[owner[hits]] = True
        of_root[counts_as[hits]] = True
        wider = hits | of_owner[owner] | of_root[counts_as]
        if (wider == hits).all():
            return hits
        hits = wider
