"""Texts of a column, read one by one."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.rows import lazy_texts
from bulk_sync.rows.lazy_texts import Texts


def column(chunks: list[list[str]]) -> pd.Series:
    return pd.Series(pd.array(pa.chunked_array(chunks, pa.large_string()), dtype="str"))


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
@given(chunks=st.lists(st.lists(st.text("aä", max_size=2), max_size=4), max_size=5), seed=st.data())
@examples(20)
def test_texts_are_returned_in_the_requested_order(
    batch: int, chunks: list[list[str]], seed: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy_texts, "_BATCH", batch)
        whole = column(chunks)
        wanted = seed.draw(st.lists(st.sampled_from(range(len(whole))))) if len(whole) else []
        expected = [str(whole.iat[at]) for at in wanted]
        found = Texts(whole, np.array(wanted, np.intp))
        assert len(found) == len(expected)
        assert list(found) == expected
        assert [found[at] for at in range(len(found))] == expected
        assert [found[at] for at in reversed(range(len(found)))] == expected[::-1]
        assert found[1:3] == expected[1:3]
        places = seed.draw(st.lists(st.sampled_from(range(len(found))))) if expected else []
        others = [seed.draw(st.sampled_from([expected[at], "a"])) for at in places]
        same = [expected[at] == other for at, other in zip(places, others, strict=True)]
        assert found.equal(np.array(places, np.intp), others).tolist() == same


def test_a_negative_position_counts_from_the_end() -> None:
    assert Texts(column([["@a"], ["@b"]]), np.array([1, 0]))[-1] == "@a"


@pytest.mark.parametrize("at", [2, -3])
def test_a_position_beyond_the_ends_is_an_error(at: int) -> None:
    with pytest.raises(IndexError):
        Texts(column([["@a", "@b"]]), np.array([0, 1]))[at]


def test_two_batches_are_cached_for_reads_across_their_border(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lazy_texts, "_BATCH", 2)
    found = Texts(column([["@a", "@b", "@c", "@d"]]), np.arange(4))
    first, third = found[0], found[2]
    assert found[0] is first
    assert found[2] is third
