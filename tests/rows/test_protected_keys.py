"""Lists of people whom no run may change: their keys, with the places of these in the list."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from bulk_sync.errors import UsageProblem
from bulk_sync.rows import columns
from bulk_sync.rows.protected_keys import ProtectedKeys, read_list


def listed(folder: Path, content: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the PKeys and the addresses of a list, each with its row there."""
    path = folder / "vip.csv"
    path.write_text(content)
    found = read_list(path)
    return _rows(found.exactly), _rows(found.addresses)


def _rows(places: Mapping[str, str]) -> dict[str, str]:
    return {key: place.removesuffix(" of vip.csv") for key, place in places.items()}


@pytest.mark.parametrize(
    ("content", "pkeys", "addresses"),
    [
        ("PKey\n@a\n@b\n", {"@a": "row 2", "@b": "row 3"}, {}),
        ("@a\n@b\n", {"@a": "row 1", "@b": "row 2"}, {}),
        ("\n\n@a\n\n@b\n", {"@a": "row 3", "@b": "row 5"}, {}),
        ("Who\n'@a\n\nJo@X.com\n", {"Who": "row 1", "@a": "row 2"}, {"jo@x.com": "row 4"}),
        ("<Jo@X.com>\n@a\n", {"@a": "row 2"}, {"jo@x.com": "row 1"}),
        ("PKey,Reason,e-mail\n@a,lawsuit,\n,,jo@x.com\n", {"@a": "row 2"}, {"jo@x.com": "row 3"}),
        ("PKey,\n@a,\n", {"@a": "row 2"}, {}),
        ("@a,\n@b,\n", {"@a": "row 1", "@b": "row 2"}, {}),
    ],
    ids=[
        "a header", "no header", "blank lines", "a header of its own", "an address of Outlook",
        "two columns of keys", "an empty column", "an empty column and no header",
    ],
)  # fmt: skip
def test_each_key_of_a_list_has_its_row(
    content: str, pkeys: dict[str, str], addresses: dict[str, str], tmp_path: Path
) -> None:
    assert listed(tmp_path, content) == (pkeys, addresses)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("PKey\n\n", "(no data rows|holds no key, so it would protect nobody)"),
        ("Name,Reason\nJo,lawsuit\n", "has 2 columns, and none is called PKey or email"),
        ("PKey\n@a\n1.2E+15\n", "row 3: The key .* So it would protect nobody"),
        ("email\njo@x..com\n", "row 2: 'jo@x..com' is no e-mail address"),
    ],
    ids=["no content", "no key", "no column of keys", "a damaged PKey", "a damaged address"],
)
def test_a_list_that_would_protect_nobody_is_refused(
    content: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageProblem, match=f"--protect.*{says}.*Nothing was sent"):
        listed(tmp_path, content)


def test_the_place_in_the_first_list_counts() -> None:
    first = ProtectedKeys({"@a": "row 1 of a"}, {"jo@x.com": "row 2 of a"})
    other = ProtectedKeys({"@a": "row 3 of b", "@b": "row 4 of b"}, {"jo@x.com": "row 5 of b"})
    both = first | other
    assert both.exactly == {"@a": "row 1 of a", "@b": "row 4 of b"}
    assert both.addresses == {"jo@x.com": "row 2 of a"}


LISTED = ProtectedKeys({"@a": "row 1 of vip.csv"}, {"jo@x.com": "row 2 of vip.csv"})
IS_LISTED = "Protected by row {} of vip.csv: no run may change this person."
ALIKE = "This row is about the same key or profile as a protected one, so no run may change it."


@pytest.mark.parametrize(
    ("keys", "counts_as", "more", "sentences"),
    [
        (["@a", "@b", "JO@x.com"], [0, 1, 2], {}, {0: IS_LISTED.format(1), 2: IS_LISTED.format(2)}),
        (["@b", "@a", "@b"], [0, 0, 2], {}, {0: ALIKE, 1: IS_LISTED.format(1)}),
        (
            ["@b", "@c", "@d"], [0, 0, 2], {"E-mail": ["", "Jo@x.com", ""]},
            {0: ALIKE, 1: IS_LISTED.format(2)},
        ),
        (
            ["x", "y", "z"], [0, 1, 2],
            {columns.PROFILE: ["@a", "@p", "@q"], columns.OWNER: [1, 1, 2]},
            {0: IS_LISTED.format(1), 1: ALIKE},
        ),
        (["@b", "@c", "@d"], [0, 1, 2], {columns.PROFILE: ["jo@x.com", "", ""]}, {}),
        (["@b", "@c", "@d"], [0, 1, 2], {"Note": ["@a", "", ""]}, {}),
    ],
    ids=[
        "by key", "repeats", "by an address beside the key", "by the profile of a row",
        "an address is no profile", "a note is no key",
    ],
)  # fmt: skip
def test_rows_of_protected_people_have_a_sentence(
    keys: list[str],
    counts_as: list[int],
    more: dict[str, list[object]],
    sentences: dict[int, str],
) -> None:
    texts = dict.fromkeys([columns.KEY, *more.keys() - {columns.OWNER}], "str")
    rows = pd.DataFrame({columns.KEY: keys, columns.COUNTS_AS: counts_as, **more}).astype(texts)
    assert LISTED.sentences(rows) == sentences
    assert ProtectedKeys().sentences(rows) == {}
