"""The two ways of reading text, compared with each other and with the csv module."""

import csv
import io
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns

HEADER = ["PKey", "ccpaOptOut", "note", "day"]
CELL = st.text(st.sampled_from("ab@\"',;\t|\n\r é\u00a0\u2028\x0b\x1f😀"), max_size=6)


def read_text(text: str | bytes) -> tuple[list[tuple[str, ...]], list[int]]:
    content = text.encode() if isinstance(text, str) else text
    frame = read_whole("-", stdin=content)
    row_numbers = frame.pop(columns.ROW).tolist()
    return list(frame.itertuples(index=False, name=None)), row_numbers


def test_of_two_separators_the_one_with_more_cells_wins() -> None:
    assert read_text("PKey;a,state,n\n@a;1,true,2\n") == ([("@a;1", "true", "2")], [2])
    assert read_text("PKey;state;n,b\n@a;true;2,1\n") == ([("@a", "true", "2,1")], [2])


@pytest.mark.parametrize(
    ("name", "names"),
    [("in.tsv", ["PKey", "state,a,b"]), ("in.txt", ["PKey\tstate", "a", "b"])],
    ids=["tsv", "txt"],
)
def test_in_a_tsv_the_tab_wins(name: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text("PKey\tstate,a,b\n@a\ttrue,1,2\n")
    assert list(read_whole(str(tmp_path / name)).columns) == [*names, columns.ROW]


def quoted(record: tuple[str, ...]) -> str:
    return ";".join('"' + cell.replace('"', '""') + '"' for cell in record)


@examples(200)
@given(body=st.text(st.sampled_from('a",\n\r'), min_size=1, max_size=14))
def test_a_body_is_read_as_the_strict_csv_module_reads_it_or_refused(body: str) -> None:
    try:
        records = list(filter(None, csv.reader(io.StringIO(body, newline=""), strict=True)))
    except csv.Error:
        records = []
    records = list(filter(any, records))
    if {len(record) for record in records} == {2}:
        assert read_text("PKey,state\n" + body)[0] == [tuple(record) for record in records]
    else:
        with pytest.raises(InputProblem):
            read_text("PKey,state\n" + body)


@examples(80)
@given(
    table=st.integers(1, 4)
    .flatmap(lambda width: st.lists(st.tuples(*[CELL] * width), min_size=1, max_size=8))
    .filter(lambda table: any(map(any, table))),
    blanks=st.lists(st.integers(0, 2), min_size=9, max_size=9),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_empty_lines_are_no_rows_but_keep_their_numbers(
    table: list[tuple[str, ...]], blanks: list[int], end: str
) -> None:
    text, expected, number = "", [], 0
    for record, above in zip([tuple(HEADER[: len(table[0])]), *table], blanks, strict=False):
        text += end * above + quoted(record) + end
        number += above + 1
        expected.append(number)
    whole = [(record, at) for record, at in zip(table, expected[1:], strict=True) if any(record)]
    assert read_text(text) == tuple(map(list, zip(*whole, strict=True)))


def test_many_blocks_are_read_alike_with_and_without_a_blank_line() -> None:
    records = [f'"@{at}","note ""{at}""\n{at}"\n' for at in range(120_000)]
    even, numbers = read_text("PKey,note\n" + "".join(records))
    exact, shifted = read_text("PKey,note\n" + "".join(records[:-1]) + "\n" + records[-1])
    assert exact == even
    assert shifted == [*numbers[:-1], numbers[-1] + 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("k\na,b;c\n", [("a,b;c",)], id="one column has no separator"),
        pytest.param("k\na\x01\x02b\n", [("a\x01\x02b",)], id="nor is it a control character"),
        pytest.param("k;a,b\n1;2,3\n4;5\n", [("1", "2,3"), ("4", "5")], id="what fits all lines"),
        pytest.param("k,s,,\na,b,,\n", [("a", "b")], id="nameless columns without content"),
        pytest.param("Key,key\n1,2\n", [("1", "2")], id="names that differ by case"),
        pytest.param("PAR1,BZhours\n1,2\n", [("1", "2")], id="names that begin as other formats"),
        pytest.param('k,s\nx"y,1\n', [('x"y', "1")], id="a quote inside a cell"),
        pytest.param(b"k,name\na,Ren\xe9", [("a", "René")], id="Windows-1252 up to the end"),
        pytest.param(b"k,name\na,\xc9tat \x80\n", [("a", "État €")], id="Windows-1252"),
        pytest.param("sync_row,k\n9,a\n", [("a",)], id="row numbers of an earlier report"),
    ],
)
def test_text_as_people_save_it_is_read(text: str | bytes, expected: list[tuple[str, ...]]) -> None:
    assert read_text(text)[0] == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("sep=;\n", "is empty", id="a separator and nothing else"),
        pytest.param(",,\n,,\n", "is empty", id="nothing but separators"),
        pytest.param("a,b\n" + "1\n" * 9, r"9 lines .*line 4 \(1\) and 6 more", id="many ragged"),
        pytest.param('a,b\n"1\n\n2",x\n3\n', r"line 5 \(1\)", id="ragged below a long record"),
        pytest.param('a,b\n1,"x\ny","x,\n2', "opens in line 3", id="unclosed in a long record"),
        pytest.param('a,b\n1,"x\n2,3\n4,"y\n', "opens in line 2", id="two unclosed quotes"),
        pytest.param('a,b\n"x"y,1\n', "opens in line 2", id="text behind a closing quote"),
        pytest.param('a,b\n1,2\n3,"' + "x\n" * 70_000, "opens in line 3", id="all swallowed"),
        pytest.param('"', r"header \(line 1\) has a quote", id="a quote and nothing else"),
        pytest.param('a,"b\n1,2\n', r"header \(line 1\) has a quote", id="unclosed in the header"),
        pytest.param("a,b\r\n1,2\r\n".encode("utf-16-le"), "UTF-16 without", id="UTF-16, no mark"),
        pytest.param(b"a,b\n1,2\n3,4\n" + bytes(5) + b",5\n", "may be damaged", id="a quarter NUL"),
        pytest.param(b"a,b\n1,2\n3,4\n" + bytes(6) + b",5\n", "UTF-16 without", id="more NUL"),
        pytest.param(
            "a,b\né,1\n2,".encode() + b"\xe9\n",
            "UTF-8, but the byte 0xE9 .*line 3",
            id="one Latin-1 byte in UTF-8",
        ),
        pytest.param(
            b"a,b\n1,\xe9\n" + "é,2\n".encode(),
            "byte 0xE9 at offset 6, in line 2",
            id="a Latin-1 byte before UTF-8",
        ),
        pytest.param("a,b\né,1\n2,é".encode()[:-1], "byte 0xC3 .*line 3", id="cut inside an é"),
        pytest.param("a,b\n1,é".encode()[:-1], "byte 0xC3", id="cut inside the only é"),
        pytest.param("a,b\n1,€".encode()[:-1], "byte 0xE2", id="cut inside the only €"),
        pytest.param(("é" * 600_000).encode() + b"\xe9", "offset 1200000", id="far into the file"),
        pytest.param("a,b\né,1\n".encode() + b"\xed\xa0\x80,2\n", "byte 0xED", id="a surrogate"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,\xe9\n", "mark of UTF-8.*line 2", id="a mark that lies"),
        pytest.param("a,b\n1,2".encode("utf-16")[:-1], "mark of UTF-16-LE", id="half a character"),
    ],
)
def test_text_that_would_lose_rows_is_refused(content: str | bytes, says: str) -> None:
    with pytest.raises(InputProblem, match=says):
        read_text(content)


def test_a_cell_unlike_a_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"PKey,ccpaOptOut\n@a,yes\n{'x' * (1 << 24)}x,yes,\n")
    with pytest.raises(InputProblem, match="a cell in line 3 has more than 16,777,216 characters"):
        read_whole(str(path))
