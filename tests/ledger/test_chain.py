"""The chain: every change is found at the first changed line."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.ledger.chain import NOTHING, Head, link, walk

Line = tuple[object, ...]


def chain(contents: Sequence[object]) -> list[Line]:
    lines: list[Line] = []
    digest = NOTHING
    for position, content in enumerate(contents, 1):
        digest = link(digest, [position, content])
        lines.append((position, content, digest))
    return lines


CELLS = st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=3), st.booleans())
CHAINS = st.lists(CELLS, min_size=2, max_size=8).map(chain)


def head(lines: list[Line]) -> Head:
    return Head(len(lines), str(lines[-1][-1]))


@given(CHAINS)
def test_a_chain_fits_with_each_of_its_former_ends(lines: list[Line]) -> None:
    heads = [Head(at, str(digest)) for at, _, digest in lines]  # type: ignore[arg-type]
    assert walk(lines, heads) == (head(lines), None)


def test_a_line_of_an_older_schema_keeps_its_hash() -> None:
    cells = [7, "intent", "run", 1_795_572_000_000, "@k", None, 9, 0, 1, *[None] * 6]
    body = b'[7,"intent","run",1795572000000,"@k",null,9,0,1,null,null,null,null,null,null]'
    expected = sha256(NOTHING.encode() + b"\n" + body).hexdigest()
    assert link(NOTHING, cells) == link(NOTHING, [*cells, None, None]) == expected
    ways = ([*cells, 0, None], [*cells, None, 0], [*cells, 0], cells[:14])
    assert len({expected, *(link(NOTHING, each) for each in ways)}) == 4  # two of them are alike


@given(CHAINS, st.data(), CELLS)
def test_an_edited_line_is_named(lines: list[Line], data: st.DataObject, cell: object) -> None:
    at = data.draw(st.integers(0, len(lines) - 1))
    position, content, digest = lines[at]
    if (type(cell), cell) == (type(content), content):
        cell = [cell]
    lines[at] = (position, cell, digest)
    _, misfit = walk(lines)
    assert misfit is not None
    assert misfit.position == at + 1


@given(CHAINS, st.data())
def test_a_line_that_is_gone_is_named(lines: list[Line], data: st.DataObject) -> None:
    end = head(lines)
    at = data.draw(st.integers(0, len(lines) - 1))
    del lines[at]
    _, misfit = walk(lines, [end])
    assert misfit is not None
    assert misfit.position == at + 1


@given(CHAINS, st.data())
def test_a_cut_off_end_is_found_by_a_recorded_head(lines: list[Line], data: st.DataObject) -> None:
    end = head(lines)
    left = data.draw(st.integers(0, len(lines) - 1))
    _, misfit = walk(lines[:left], [end])
    assert misfit is not None
    assert misfit.position == left + 1
    assert "cut off" in misfit.problem


@given(CHAINS, CELLS)
def test_a_line_put_in_is_found(lines: list[Line], cell: object) -> None:
    forged = (2, cell, link(str(lines[0][-1]), [2, cell]))
    moved = [(int(str(at)) + 1, content, digest) for at, content, digest in lines[1:]]
    _, misfit = walk([lines[0], forged, *moved])
    assert misfit is not None
    assert misfit.position in {2, 3}


@given(CHAINS, CELLS)
def test_a_rewritten_chain_is_found_by_a_recorded_head(lines: list[Line], cell: object) -> None:
    anew = chain([[cell], *(content for _, content, _ in lines[1:])])
    _, misfit = walk(anew, [head(lines)])
    assert misfit is not None


def test_a_head_is_read_back_as_it_is_written() -> None:
    end = Head(1204, "9f" * 32)
    assert Head.parse(str(end)) == end
    for text in ("", "12", "12:9f", f"x:{'9f' * 32}", f"1:{'9g' * 32}"):
        with pytest.raises(ValueError, match=r"."):
            Head.parse(text)
