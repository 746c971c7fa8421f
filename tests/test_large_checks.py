"""``validate`` has the same output for an input in slices as for the whole."""

import bz2
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine
from conftest import Run, key
from large_inputs import in_slices

SAMPLES = Path(__file__).parent.parent / "sample_data"
FORMATS = ("csv", "csv.gz", "json", "parquet", "html", "xlsx")
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Output:
    """The output of a command, without the names of its folder."""

    status: int
    out: str
    err: str
    files: dict[str, bytes]


def validate(
    run: Run, path: Path, folder: Path, size: int | None, *words: str, is_tiny: bool
) -> Output:
    """Check an input, in slices of a size; with reports of each format unless it is tiny."""
    folder.mkdir()
    formats = FORMATS[:1] if is_tiny else FORMATS
    reports = [word for each in formats for word in ("--report", folder / f"r.{each}")]
    with nullcontext() if size is None else in_slices(size):
        ran = run(None, "validate", path, *reports, "--todo", *words)
        facts = run(None, "validate", path, "--summary", "json", *words)
    files = {
        each.name: b"" if each.suffix == ".parquet" else each.read_bytes()
        for each in folder.iterdir()
    }
    tables = [str(pq.read_table(each).to_pydict()) for each in folder.glob("*.parquet")]
    out, err = (re.sub(rf"\S*{folder.name}/", "", text) for text in (ran.out + facts.out, ran.err))
    return Output(ran.status, out + "".join(tables), err, files)


ROW_BYTES = 130


def rows_of(name: str) -> list[str]:
    """Return the rows of a sample, each with a comment."""
    header, *rows = (SAMPLES / name).read_text("utf-8-sig").splitlines()
    return rows if "comment" in header else [f"{row}," for row in rows]


HEADER = "PKey,ccpaOptOut,requestDate,requestChannel,comment"


def samples(folder: Path) -> Path:
    """Write the messy sample, with rows that repeat or contradict rows of other slices."""
    rows, others = rows_of("messy.csv"), rows_of("clean.csv")[:60]
    again = [row.replace(",true,", ",no,") for row in others[:9]]
    (folder / "in.csv").write_text("\n".join([HEADER, *rows, *others, *again, *rows, ""]))
    keys = [row.partition(",")[0] for row in (rows[3], others[5])]
    (folder / "vip.csv").write_text("\n".join(["PKey", *keys, ""]))
    return folder / "in.csv"


def several_files(folder: Path) -> Path:
    """Write a folder of files that repeat each other's rows."""
    inputs = folder / "inputs"
    inputs.mkdir()
    for at, name in enumerate(["messy", "clean", "messy"]):
        text = "\n".join([HEADER, *rows_of(f"{name}.csv")[:90], ""])
        (inputs / f"{name}-{at}.csv").write_text(text)
    return inputs


def typed_by_hand(folder: Path) -> Path:
    """Write a list with a title, empty rows, quotes, line ends within cells and a footer."""
    rows = [f'"{key(at)}";{["yes", "NO", "x"][at % 3]};"a ""note""\nof {at}"' for at in range(90)]
    rows[50:50] = [";;", "", ";;"]
    title = ["Requests of November;;", "", "PKey;Do not sell;Note"]
    (folder / "in.csv").write_text("\n".join([*title, *rows, "", "Total: 90;;", ""]))
    return folder / "in.csv"


def damaged(folder: Path) -> Path:
    """Write a packed file of two streams, the second of them damaged."""
    lines = [f"{key(at)},true\n" for at in range(90)]
    packed = bz2.compress("".join(["PKey,ccpaOptOut\n", *lines]).encode())
    second = bytearray(bz2.compress("".join(lines).encode()))
    second[len(second) // 2] ^= 255
    (folder / "in.csv.bz2").write_bytes(packed + second)
    return folder / "in.csv.bz2"


def in_latin_1(folder: Path) -> Path:
    """Write a list of UTF-8, except for one row far below."""
    lines = [f"{key(at)},true,José".encode() for at in range(90)]
    lines[80] = f"{key(80)},true,José".encode("latin-1")
    (folder / "in.csv").write_bytes(b"\n".join([b"PKey,ccpaOptOut,name", *lines, b""]))
    return folder / "in.csv"


def second_table(folder: Path) -> Path:
    """Write a list with a second one below it; its states are in another column."""
    rows = [f"{key(at)},true," for at in range(80)]
    below = ["PKey,note,ccpaOptOut", *(f"{key(at)},no,true" for at in range(80))]
    (folder / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,note", *rows, *below, ""]))
    return folder / "in.csv"


def parquet(folder: Path) -> Path:
    """Write a table with states of true, false and none, in groups of 40 rows."""
    states = [[True, False, None][at % 3] for at in range(120)]
    table = pa.table({"PKey": [key(at % 110) for at in range(120)], "ccpaOptOut": states})
    pq.write_table(table, folder / "in.parquet", row_group_size=40)
    return folder / "in.parquet"


def addresses(folder: Path) -> Path:
    """Write addresses that differ only in capitals."""
    rows = [f"{'P' if at % 3 else 'p'}{at % 50}@example.com,{at % 7 > 3}" for at in range(100)]
    (folder / "in.csv").write_text("\n".join(["E-mail,Opt out", *rows, ""]))
    return folder / "in.csv"


INPUTS = {
    "samples": (samples, 20, ["--on-conflict", "opt-out"], 3),
    "a row a slice": (typed_by_hand, 1, ["--true-values", "x"], 3),
    "protected": (samples, 30, ["--protect", "vip.csv"], 3),
    "several files": (several_files, 30, ["--blank-state", "skip"], 3),
    "typed by hand": (typed_by_hand, 7, ["--true-values", "x"], 3),
    "damaged": (damaged, 30, [], 2),
    "in Latin-1": (in_latin_1, 7, [], 2),
    "a second table": (second_table, 30, [], 2),
    "Parquet": (parquet, 20, [], 3),
    "addresses": (addresses, 7, [], 3),
}


@pytest.mark.parametrize(("write", "rows", "words", "status"), INPUTS.values(), ids=INPUTS)
@time_machine.travel(NOW, tick=False)
def test_slices_have_the_verdicts_reports_and_errors_of_the_whole(
    write: Callable[[Path], Path],
    rows: int,
    words: list[str],
    status: int,
    tmp_path: Path,
    run: Run,
) -> None:
    path = write(tmp_path)
    whole = validate(run, path, tmp_path / "whole", None, *words, is_tiny=rows < 30)
    sliced = validate(run, path, tmp_path / "other", rows * ROW_BYTES, *words, is_tiny=rows < 30)
    assert sliced == whole
    assert whole.status == status, whole.err
