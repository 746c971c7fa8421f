"""Cleans the keys of what spreadsheets force on them, and rejects those that they have damaged."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Reason
from bulk_sync.rows import emails
from bulk_sync.rows.check.repeats import Places
from bulk_sync.rows.check.spellings import CONTROL, DAMAGE
from bulk_sync.rows.check.verdicts import Verdicts, quoted


def cleaned(column: pd.Series, verdicts: Verdicts) -> pa.ChunkedArray:
    """Clean the keys as spreadsheets demand it, and judge them.

    Returns:
        The keys as they are used, large_string.
    """
    keys = _unwrap(_trimmed(pa.chunked_array(column)))
    for at in _hits(pc.equal(keys, "")):
        verdicts.reject(at, Reason.EMPTY_KEY, "The key is empty.")
    # Nearly all keys are printable ASCII, and to see that takes a fraction of what the regex takes.
    if not pc.all(pc.ascii_is_printable(keys)).as_py():
        for at in _hits(pc.match_substring_regex(keys, CONTROL)):
            said = quoted(keys[at].as_py())
            sentence = f"The key {said} holds a control character or a line break."
            verdicts.reject(at, Reason.BAD_KEY, sentence)
    if not _all_at(keys):
        for pattern, what in DAMAGE.items():
            for at in _hits(pc.match_substring_regex(keys, pattern)):
                verdicts.reject(at, Reason.BAD_KEY, f"The key {quoted(keys[at].as_py())} {what}.")
    return keys


_PLAIN_ADDRESS: Final = r"^[^@<>,;:\s]+@[^@<>,;:\s.]([^@<>,;:\s]*[^@<>,;:\s.])?$"
"""RE2: what nearly all addresses are like; the others are looked at one by one."""


def check_emails(keys: pa.ChunkedArray, verdicts: Verdicts) -> None:
    """Reject what is no e-mail address."""
    plain = pc.and_(pc.string_is_ascii(keys), pc.match_substring_regex(keys, _PLAIN_ADDRESS))
    for at in _hits(pc.invert(plain)):
        text = keys[at].as_py()
        if text and not emails.is_one(text):
            sentence = f"{quoted(text)} is no e-mail address, or more than one."
            verdicts.reject(at, Reason.BAD_KEY, sentence)


def identities(keys: pa.ChunkedArray, *, ignore_case: bool) -> pa.ChunkedArray:
    """Tell what all spellings of an address have in common; see ``emails.identity``."""
    small = pc.utf8_lower(keys)
    is_plain = pc.all(pc.string_is_ascii(keys)).as_py()
    if is_plain and (ignore_case or small.equals(keys)):
        return small
    texts = [emails.identity(text, ignore_case=ignore_case) for text in keys.to_pylist()]
    return pa.chunked_array([texts], keys.type)


def refuse_doubtful_opt_ins(
    identities: pa.ChunkedArray, desired: npt.NDArray[np.int8], places: Places, verdicts: Verdicts
) -> None:
    """Reject opt-ins of addresses that another row, in other capitals, opts out.

    By the letter these are two addresses, and hardly ever two people.
    """
    small = pc.utf8_lower(identities)
    if small.equals(identities):
        return
    texts, letters = small.to_pylist(), identities.to_pylist()
    usable = verdicts.open.tolist()
    opted_out: dict[str, dict[str, int]] = {}
    for at in usable:
        if desired[at] == 1:
            opted_out.setdefault(texts[at], {}).setdefault(letters[at], at)
    for at in usable:
        said = opted_out.get(texts[at], {}) if desired[at] == 0 else {}
        other = next((row for spelling, row in said.items() if spelling != letters[at]), None)
        if other is not None:
            sentence = (
                f"{places.name(other).capitalize()} opts this address out, in other capitals. Let "
                "them count as one with --email-case ignore, or correct one of them."
            )
            verdicts.reject(at, Reason.CONFLICT, sentence)


def key(text: str) -> str:
    """Clean one key as those of a file are cleaned: outer blanks, ``'`` and ``="..."``."""
    cells = pa.chunked_array([[text]], pa.large_string())
    bare: str = _unwrap(pc.utf8_trim_whitespace(cells))[0].as_py()
    return bare


def _all_at(keys: pa.ChunkedArray) -> bool:
    """Tell whether all keys begin with ``@``: then nothing was forced on them, and none damaged."""
    all_do: bool = pc.all(pc.starts_with(keys, "@")).as_py()
    return all_do


def _trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off outer blanks; chunks without any are not copied."""
    chunks = []
    for chunk in texts.chunks:
        trimmed = pc.utf8_trim_whitespace(chunk)
        chunks.append(chunk if trimmed.equals(chunk) else trimmed)
    return pa.chunked_array(chunks, texts.type)


def _unwrap(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off what spreadsheets force on text that begins with ``@``: ``'`` and ``="..."``."""
    if _all_at(keys):
        return keys
    apostrophe = pc.starts_with(keys, "'")
    formula = pc.match_substring_regex(keys, r'(?s)^=".*"$')
    if not pc.any(pc.or_(apostrophe, formula)).as_py():
        return keys
    inside = pc.replace_substring(pc.utf8_slice_codeunits(keys, 2, -1), '""', '"')
    after = pc.utf8_slice_codeunits(keys, 1)
    bare = pc.if_else(apostrophe, after, pc.if_else(formula, inside, keys))
    return pc.utf8_trim_whitespace(bare)


def _hits(matches: pa.ChunkedArray) -> list[int]:
    """Turn a boolean column into the positions where it is true."""
    return np.flatnonzero(matches.to_numpy()).tolist()
