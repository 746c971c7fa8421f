"""Cleans keys of the signs that programs put around them, and rejects damaged ones."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.rows import emails
from bulk_sync.rows.characters import INVISIBLE, named
from bulk_sync.rows.characters import kind as kind_of
from bulk_sync.rows.check.duplicates import beginning
from bulk_sync.rows.check.rules import OnConflict
from bulk_sync.rows.check.verdicts import NO_VALUE, Verdicts, quoted
from bulk_sync.rows.parse.cell_text import UNCALCULATED
from bulk_sync.settings import KeyKind

_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATES: Final = (
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?",
    r"\d{1,2}[/.]\d{1,2}[/.]\d{4}(?: \d{1,2}:\d{2}(?::\d{2})?)?",
    r"\d{1,2}/\d{1,2}/\d{2}",
    rf"\d{{1,2}}-{_MONTH}(?:-\d{{2}}(?:\d{{2}})?)?",
    rf"{_MONTH}-\d{{2}}(?:\d{{2}})?",
)
_DAMAGE: Final[dict[str, str]] = {
    r"^[+-]?\d(?:[.,]\d+)?E[+-]\d{2,3}$": (
        "is what a spreadsheet makes of a long number; its digits are lost. Format the key column "
        "as text and paste the keys again"
    ),
    r"^(?:#[¿¡]?[\p{Lu}\d/_]+[?!]|#N/A|#NV|#N/D|#GETTING_DATA|Err:\d{3})$": (
        "is a spreadsheet's error value; it makes #NAME? of text that begins with @. Format the "
        "key column as text and paste the keys again"
    ),
    r"^#{3,}$": (
        "is what a spreadsheet shows for a cell too narrow for its content. Widen the column and "
        "export the file again"
    ),
    rf"^(?:{'|'.join(_DATES)})$": (
        "is a date; a spreadsheet makes one of text that looks like it. Format the key column as "
        "text and paste the keys again"
    ),
}
"""RE2 patterns of keys that a spreadsheet damaged, and the rest of a sentence about each."""


def cleaned(column: pd.Series, kind: KeyKind, verdicts: Verdicts) -> pa.ChunkedArray:
    """Remove the signs of programs around keys, and reject cells without a usable key.

    Returns:
        The clean keys, large_string.
    """
    keys = _unwrapped(_trimmed(pa.chunked_array(column)), kind)
    what = "e-mail address" if kind is KeyKind.EMAIL else "key"
    empty = (
        f"Column {column.name!r} is empty in this row. Write the {what} there, or delete the row."
    )
    for at in _hits(pc.equal(keys, "")):
        verdicts.reject(at, Reason.EMPTY_KEY, empty)
    # Nearly all keys are printable ASCII, and this check takes a fraction of the regex's time.
    if not pc.all(pc.ascii_is_printable(keys)).as_py():
        for at in _hits(pc.match_substring_regex(keys, INVISIBLE)):
            verdicts.reject(at, Reason.BAD_KEY, f"The key {_hidden(keys[at].as_py())}")
    others, odd = _without_at(keys)
    for at in _hits(pc.equal(odd, UNCALCULATED)):
        verdicts.reject(int(others[at]), Reason.BAD_KEY, f"The key is {NO_VALUE}.")
    for pattern, what in _DAMAGE.items():
        for at in _hits(pc.match_substring_regex(odd, pattern)):
            sentence = f"The key {quoted(odd[at].as_py())} {what}."
            verdicts.reject(int(others[at]), Reason.BAD_KEY, sentence)
    if kind is KeyKind.EMAIL:
        _check_emails(keys, verdicts)
    return keys


def bare(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return keys or addresses without blanks and signs around them, checked for nothing."""
    return _unwrapped(_trimmed(texts), KeyKind.EMAIL)


def key(text: str) -> str:
    """Return one key, cleaned like those of a file; as an address if it looks like one.

    Raises:
        UsageProblem: it is empty or holds an invisible character.
    """
    kind = KeyKind.EMAIL if "@" in text.strip("'<=\" ")[1:] else KeyKind.PKEY
    keys = _unwrapped(_trimmed(pa.chunked_array([[text]], pa.large_string())), kind)
    bare: str = keys[0].as_py()
    if not bare:
        raise UsageProblem("KEY is empty; an unset variable, perhaps.")
    if pc.match_substring_regex(keys, INVISIBLE)[0].as_py():
        raise UsageProblem(f"KEY {_hidden(bare)}")
    return bare


def _hidden(text: str) -> str:
    """Return the rest of a sentence about the first invisible character of a key."""
    before = pc.find_substring_regex(text, INVISIBLE).as_py()
    at = len(text.encode()[:before].decode())
    char = text[at]
    return (
        f"{quoted(text)} holds {kind_of(char)}, {named(char)}, as character {at + 1} of "
        f"{len(text)}. Type the key anew, or copy it from where it comes from."
    )


def _check_emails(keys: pa.ChunkedArray, verdicts: Verdicts) -> None:
    plain = pc.and_(
        pc.less_equal(pc.binary_length(keys), emails.PLAIN_BYTES),
        pc.match_substring_regex(keys, emails.PLAIN),
    )
    for at in np.intersect1d(_hits(pc.invert(plain)), verdicts.open).tolist():
        text = keys[at].as_py()
        wrong = emails.problem(text)
        if wrong is not None:
            sentence = f"{quoted(text)} is no e-mail address: {wrong}. Correct it in this row."
            verdicts.reject(at, Reason.BAD_KEY, sentence)


def identities(keys: pa.ChunkedArray, *, ignore_case: bool) -> pa.ChunkedArray:
    """Return the identity of each address; see ``emails.identity``."""
    small = pc.utf8_lower(keys)
    is_plain = pc.all(pc.string_is_ascii(keys)).as_py()
    if is_plain and (ignore_case or small.equals(keys)):
        return small
    texts = [emails.identity(text, ignore_case=ignore_case) for text in keys.to_pylist()]
    return pa.chunked_array([texts], keys.type)


def doubtful_opt_ins(
    identities: pa.ChunkedArray,
    desired: npt.NDArray[np.int8],
    usable: npt.NDArray[np.intp],
    on_conflict: OnConflict,
) -> Iterator[tuple[int, int]]:
    """Find opt-ins of addresses with an opt-out in other capitals.

    By the letter these are two addresses, and hardly ever two people. An opt-in whose own address
    is opted out too is left to ``OnConflict.REJECT``, for both of its rows.

    Yields:
        The positions of each and of the first such opt-out.
    """
    small = pc.utf8_lower(identities)
    if small.equals(identities):
        return
    texts, letters = small.to_pylist(), identities.to_pylist()
    opted_out: dict[str, dict[str, int]] = {}
    for at in usable.tolist():
        if desired[at] == 1:
            opted_out.setdefault(texts[at], {}).setdefault(letters[at], at)
    for at in usable.tolist():
        opt_outs = opted_out.get(texts[at], {}) if desired[at] == 0 else {}
        if on_conflict is OnConflict.REJECT and letters[at] in opt_outs:
            continue
        other = next((row for spelling, row in opt_outs.items() if spelling != letters[at]), None)
        if other is not None:
            yield at, other


def refuse_doubtful_opt_in(at: int, other: str, verdicts: Verdicts) -> None:
    """Reject an opt-in, because of the opt-out in another row, by that row's name."""
    sentence = (
        f"{beginning(other)} opts this address out, in other capitals. Let them count as one with "
        "--email-case ignore, or correct one of them."
    )
    verdicts.reject(at, Reason.CONFLICT, sentence)


def _without_at(keys: pa.ChunkedArray) -> tuple[npt.NDArray[np.intp], pa.ChunkedArray]:
    """Return the keys that a program may have changed, and where they are: no ``@`` begins them."""
    is_odd = pc.invert(pc.starts_with(keys, "@"))
    return np.flatnonzero(is_odd.to_numpy()), keys.filter(is_odd)


def _trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove outer blanks; chunks without any are not copied."""
    chunks = []
    for chunk in texts.chunks:
        trimmed = pc.utf8_trim_whitespace(chunk)
        chunks.append(chunk if trimmed.equals(chunk) else trimmed)
    return pa.chunked_array(chunks, texts.type)


def _unwrapped(keys: pa.ChunkedArray, kind: KeyKind) -> pa.ChunkedArray:
    """Remove the signs that spreadsheets put around keys, and Outlook around addresses."""
    if kind is not KeyKind.EMAIL:
        return _unforced(keys)
    return _without_quotes(_unforced(_without_quotes(keys)))


def _without_quotes(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove ``'...'`` and ``<...>``, or one within the other."""
    for _ in range(2):
        begins = pc.or_(pc.starts_with(keys, "'"), pc.starts_with(keys, "<"))
        if not pc.any(begins).as_py():
            break
        both = pc.match_substring_regex(keys, r"(?s)^(?:'.*'|<.*>)$")
        inside = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(keys, 1, -1))
        keys = pc.if_else(both, inside, keys)
    return keys


def _unforced(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove ``'`` and ``="..."``, which spreadsheets force on text with a leading ``@``."""
    _, odd = _without_at(keys)
    if not pc.any(pc.match_substring_regex(odd, r"""(?s)^(?:'|=".*"$)""")).as_py():
        return keys
    apostrophe = pc.starts_with(keys, "'")
    formula = pc.match_substring_regex(keys, r'(?s)^=".*"$')
    inside = pc.replace_substring(pc.utf8_slice_codeunits(keys, 2, -1), '""', '"')
    after = pc.utf8_slice_codeunits(keys, 1)
    bare = pc.if_else(apostrophe, after, pc.if_else(formula, inside, keys))
    return pc.utf8_trim_whitespace(bare)


def _hits(matches: pa.ChunkedArray) -> list[int]:
    return np.flatnonzero(matches.to_numpy()).tolist()
