"""Inputs read in slices, compared with the same inputs read whole."""

import bz2
import gzip
import logging
import lzma
import os
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem, Remedy, UsageProblem
from bulk_sync.remote.download import Copy, Download
from bulk_sync.rows import columns, read
from bulk_sync.rows.check import Rules
from bulk_sync.rows.read.cells import LAST_ROWS
from bulk_sync.rows.read.content import BLOCK_BYTES
from bulk_sync.runs.terms.input_files import LocalInput, RemoteInput

SIZES = (1, 7, 64, 1000)


class Refused(NamedTuple):
    """The error of an unreadable input."""

    message: str
    overview: Sequence[str]
    remedies: Sequence[Remedy]


Read = tuple[pd.DataFrame, Sequence[object]] | Refused


def read_in_one(source: Path, wanted: read.Wanted) -> Read:
    try:
        frames, places = read.slices(str(source), wanted)
        (frame,) = frames
    except InputProblem as problem:
        return Refused(str(problem), problem.overview, problem.remedies)
    return frame, [(place, place.positions) for place in places]


def read_sliced(source: Path, wanted: read.Wanted, most_bytes: int) -> Read:
    """Read an input in slices, check their rules, and join them."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            frames, places = read.slices(
                str(source), wanted, most_bytes=most_bytes, folder=Path(folder)
            )
            found = list(frames)
        except InputProblem as problem:
            return Refused(str(problem), problem.overview, problem.remedies)
        assert not list(Path(folder).iterdir())
    assert all(frame.index.equals(pd.RangeIndex(len(frame))) for frame in found)
    assert all(len(frame) for frame in found)
    check_files(found)
    return pd.concat(found, ignore_index=True), [(place, place.positions) for place in places]


def check_files(frames: Sequence[pd.DataFrame]) -> None:
    """Check that no slice has rows of two files, and that the last one is long enough."""
    if len(frames) == 1:
        return
    if columns.FILE in frames[0]:
        assert all(frame[columns.FILE].nunique() == 1 for frame in frames)
        sizes = (
            pd.DataFrame(
                {
                    "file": [frame[columns.FILE].iloc[0] for frame in frames],
                    "rows": [len(frame) for frame in frames],
                }
            )
            .groupby("file", sort=False)["rows"]
            .agg(["sum", "last"])
        )
        assert (sizes["last"] >= sizes["sum"].clip(upper=LAST_ROWS)).all()
    else:
        assert len(frames[-1]) >= min(LAST_ROWS, sum(map(len, frames)))


def are_equal(one: Read, other: Read) -> bool:
    if isinstance(one, Refused) or isinstance(other, Refused):
        return one == other
    pd.testing.assert_frame_equal(one[0], other[0])
    return one[1] == other[1]


CELL = st.text(st.sampled_from("ab@\"',;\t\n\r é\x01€"), max_size=5)
END = st.sampled_from(["\n", "\r\n", "\r"])
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252")


def csv_line(record: Sequence[str], separator: str, *, always: bool) -> str:
    def cell(text: str) -> str:
        bare = not always and not set(text) & set('"\r\n,;\t|')
        return text if bare else '"' + text.replace('"', '""') + '"'

    return separator.join(map(cell, record))


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Draw files as programs write them, with edits by people."""
    width = draw(st.integers(1, 4))
    separator = draw(st.sampled_from(",;\t"))
    always = draw(st.booleans())
    end = draw(END)
    names = draw(
        st.permutations(["PKey", "ccpaOptOut", "", "PKey"]).map(lambda names: names[:width])
    )
    records = draw(st.lists(st.tuples(*[CELL] * width), max_size=90))
    lines = [csv_line(record, separator, always=always) for record in [names, *records]]
    for at, odd in draw(
        st.lists(
            st.tuples(
                st.integers(0, 90),
                st.sampled_from(["", ",", ",,,", 'x"y', '"x', '"x"y', "a,b,c,d,e", " "]),
            ),
            max_size=2,
        )
    ):
        lines.insert(at, odd)
    if draw(st.booleans()):
        lines.insert(0, draw(st.sampled_from(["Requests of May", "sep=" + separator, ""])))
    text = end.join(lines) + end * draw(st.integers(0, 2))
    return encoded(text, draw(st.sampled_from(ENCODINGS)))


def encoded(text: str, encoding: str) -> bytes:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    return mark + text.encode(encoding, "replace")


@examples(150)
@given(
    content=texts(),
    rules=st.sampled_from([None, Rules(state=True)]),
    header_row=st.none() | st.integers(1, 3),
    most_bytes=st.sampled_from(SIZES),
)
def test_a_text_in_slices_is_the_text_read_whole(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    rules: Rules | None,
    header_row: int | None,
    most_bytes: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "in.csv"
    path.write_bytes(content)
    wanted = read.Wanted(header_row=header_row, rules=rules)
    assert are_equal(read_sliced(path, wanted, most_bytes), read_in_one(path, wanted))


@examples(150)
@given(
    body=st.text(st.sampled_from('a",\n\r'), max_size=40),
    most_bytes=st.sampled_from(SIZES),
)
def test_any_body_in_slices_is_read_or_refused_as_a_whole(
    tmp_path_factory: pytest.TempPathFactory, body: str, most_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "in.csv"
    path.write_text("PKey,state\n" + body, newline="")
    assert are_equal(read_sliced(path, read.Wanted(), most_bytes), read_in_one(path, read.Wanted()))


@examples(80)
@given(
    content=st.binary(max_size=40),
    head=st.sampled_from([b"", b"PKey,state\n", b"\xef\xbb\xbf", b"\xff\xfe"]),
    most_bytes=st.sampled_from(SIZES),
)
def test_any_bytes_in_slices_are_read_or_refused_as_a_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes, most_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "in.csv"
    path.write_bytes(head + content)
    assert are_equal(read_sliced(path, read.Wanted(), most_bytes), read_in_one(path, read.Wanted()))


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}
MANY = ["PKey,ccpaOptOut,", *(f"@{at},{at % 2},{'x' * (at == 150)}" for at in range(200))]
LIST = "\n".join(MANY)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("most_bytes", [64, 1000])
def test_a_packed_text_in_slices_is_the_text_read_whole(
    tmp_path: Path, suffix: str, encoding: str, most_bytes: int
) -> None:
    path = tmp_path / f"in.csv{suffix}"
    packed = PACK[suffix](encoded(LIST.replace("x", "é"), encoding))
    path.write_bytes(packed)
    found = read_sliced(path, read.Wanted(), most_bytes)
    assert not isinstance(found, Refused)
    assert found[0]["column C"].iloc[150] == "é"
    assert are_equal(found, read_in_one(path, read.Wanted()))
    path.write_bytes(packed + b"more")
    found = read_sliced(path, read.Wanted(), most_bytes)
    assert isinstance(found, Refused)
    assert are_equal(found, read_in_one(path, read.Wanted()))


FOLDERS = {
    "alike": ["k,s\n1,t\n2,f\n", "s,k\nt,3\n", "k,s\n" + "4,t\n" * 200],
    "one is empty": ["k,s\n1,t\n", "k,s\n", "k,s\n3,t\n"],
    "all are empty": ["k,s\n", "k,s\n"],
    "another column": ["k,s\n1,t\n", "k,s,x\n2,t,\n", "k,s\n3,t\n"],
    "another column, then an uneven file": ["k,s\n1,t\n", "k,x\n2,t\n", "k,s\n3,t,\n"],
    "an uneven file": ["k,s\n1,t\n", "k,s\n2\n", "k,s\n3,t\n"],
    "a nameless column that one file fills": ["k,s,\n1,t,x\n", "k,s,\n2,t,\n"],
    "a key column with another name": ["PKey,ccpaOptOut\n@a,1\n", "Id,ccpaOptOut\n@b,1\n"],
}


@pytest.mark.parametrize("texts", FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize("most_bytes", [*SIZES, 1_000_000])
@pytest.mark.parametrize("rules", [None, Rules()], ids=["any header", "a header that we know"])
def test_a_folder_in_slices_is_the_folder_read_whole(
    tmp_path: Path, texts: Sequence[str], most_bytes: int, rules: Rules | None
) -> None:
    for at, each in enumerate(texts):
        (tmp_path / f"{at}.csv").write_text(each)
    wanted = read.Wanted(rules=rules)
    assert are_equal(read_sliced(tmp_path, wanted, most_bytes), read_in_one(tmp_path, wanted))


@pytest.mark.parametrize(("rows", "most_bytes"), [(0, 64), (61, 1), (300, 64)])
@pytest.mark.parametrize("names", [["PKey", "ccpaOptOut", ""], ["PKey", "ccpaOptOut", "note"]])
def test_parquet_in_slices_is_the_file_read_whole(
    tmp_path: Path, most_bytes: int, rows: int, names: Sequence[str]
) -> None:
    path = tmp_path / "in.parquet"
    cells = [
        [f"@{at}" for at in range(rows)],
        [True] * rows,
        ["x" * (at > 50) for at in range(rows)],
    ]
    pq.write_table(pa.table(cells, names), path)
    assert are_equal(read_sliced(path, read.Wanted(), most_bytes), read_in_one(path, read.Wanted()))


def test_parquet_damaged_further_down_is_refused_at_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    notes = [b"x" * 100] * 100_000 + [b"\xff\xd8"]  # the first slices come before the error
    pq.write_table(pa.table({"PKey": ["@a"] * 100_001, "note": notes}), path)
    frames, _ = read.slices(str(path), read.Wanted(), most_bytes=1_000_000, folder=tmp_path)
    assert len(next(frames))
    with pytest.raises(InputProblem, match="rows 98306 to 100002"):
        list(frames)


def test_the_process_of_a_parquet_file_ends_with_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"PKey": [f"@{at}" for at in range(1_000_000)]}), path)
    before = children()  # processes of other tests may go on
    frames, _ = read.slices(str(path), read.Wanted(), most_bytes=1000, folder=tmp_path)
    next(frames)
    started = children() - before
    assert started
    frames.close()
    assert not started & children()


def children() -> set[str]:
    """Return the processes that this one started."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("is_one", [True, False])
def test_slices_of_a_remote_input_are_named_by_their_urls(tmp_path: Path, is_one: bool) -> None:
    copies = []
    for name, each in (("a.csv", LIST), ("b.csv", LIST + "\n@z"))[is_one:]:
        (tmp_path / name).write_text(each)
        copies.append(Copy(tmp_path / name, f"s3://bucket/in/{name}", name, "", "0" * 64))
    given = RemoteInput("s3://bucket/in/", Download(copies, is_one))
    (frames, places), digest = given.slices(read.Wanted(), 64, tmp_path)
    first = next(frames)
    assert digest == given.download.sha256
    assert (columns.FILE in first) is not is_one
    with pytest.raises(InputProblem, match=r"^In s3://bucket/in/b\.csv, 1 line does"):
        list(frames)
    copies[-1].path.write_text(LIST)
    (frames, places), _ = given.slices(read.Wanted(), 64, tmp_path)
    found = pd.concat(frames, ignore_index=True)
    assert [place.file for place in places] == [copy.url for copy in copies]
    if not is_one:
        assert found[columns.FILE].cat.categories.tolist() == ["a.csv", "b.csv"]


def test_an_unclosed_quote_in_a_large_text_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('k,s\n1,2\n3,"' + ("x" * 1000 + "\n") * 18_000)
    found = read_sliced(path, read.Wanted(), 1000)
    assert isinstance(found, Refused)
    assert "opens in line 3" in found.message
    assert are_equal(found, read_in_one(path, read.Wanted()))


def test_a_changed_input_is_noticed_after_its_last_slice(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(LIST)
    (frames, _), digest = LocalInput(str(path)).slices(read.Wanted(), 64, tmp_path)
    assert digest == sha256(LIST.encode()).hexdigest()
    next(frames)
    path.write_text(LIST[:-1] + "2")
    with pytest.raises(UsageProblem, match="changed while it was read"):
        list(frames)


def test_an_input_truncated_between_two_rows_is_noticed_after_its_last_slice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("PKey,ccpaOptOut\n" + "@a,true\n" * 20_000)
    (frames, _), _ = LocalInput(str(path)).slices(read.Wanted(), 4096, tmp_path)
    next(frames)
    path.write_text("PKey,ccpaOptOut\n@a,true\n")
    with pytest.raises(UsageProblem, match="changed while it was read"):
        list(frames)


def test_a_changed_input_is_noticed_after_it_was_read_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("PKey,ccpaOptOut,\n@a,true,a column without a name\n")

    def change(record: logging.LogRecord) -> bool:
        path.write_text("PKey,ccpaOptOut,\n@a,false,a column without a name\n")
        return bool(record)

    # The log names the column while the rows are read.
    monkeypatch.setattr(caplog.handler, "filters", [change])
    with pytest.raises(UsageProblem, match="changed while it was read"):
        list(LocalInput(str(path)).slices(read.Wanted())[0].frames)


@pytest.mark.parametrize("most_bytes", [64, 1_000_000])
def test_standard_input_in_slices_is_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(LIST)
    frames = []
    for source in ("-", str(path)):
        with path.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            slices, digest = LocalInput(source).slices(read.Wanted(), most_bytes, tmp_path)
        assert digest == sha256(LIST.encode()).hexdigest()
        frames.append(pd.concat(slices.frames, ignore_index=True))
    pd.testing.assert_frame_equal(frames[0], frames[1])


def test_a_character_on_the_edge_of_two_blocks_shows_that_a_text_is_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"k,s\n\xe9," + b"a" * (BLOCK_BYTES - 7) + "é\n".encode())
    with pytest.raises(InputProblem, match="is UTF-8, but the byte 0xE9 at offset 4, in line 2"):
        read_whole(str(path))
