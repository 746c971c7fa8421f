"""Rules for reports of every format, the todo file, and unusable paths."""

import gc
import gzip
import os
import random
import re
import warnings
import weakref
from pathlib import Path
from stat import S_IMODE

import pytest
from full_disk import full_disk
from report_frames import results, write

from bulk_sync import report
from bulk_sync.errors import Exit, StoppedEarly, UsageProblem
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.formats import PACKED, SUFFIXES
from bulk_sync.report.table import Results

EVERY_SUFFIX = pytest.mark.parametrize("suffix", SUFFIXES)


def test_the_formats_are_those_of_the_contract() -> None:
    assert (
        *(".csv", ".parquet", ".json", ".xlsx", ".html"),
        *(".csv.gz", ".json.gz", ".html.gz"),
    ) == SUFFIXES


@pytest.mark.parametrize(
    "suffix", [each.removesuffix(PACKED) for each in SUFFIXES if each.endswith(PACKED)]
)
def test_a_packed_report_has_the_content_of_the_plain_one(tmp_path: Path, suffix: str) -> None:
    frame = results(2, {"PKey": ["@a", "@b"]})
    plain, packed = tmp_path / f"r{suffix}", tmp_path / f"r{suffix.upper()}.GZ"
    for path in (plain, packed):
        report.check_writable([LocalFile(path)], set())
        write(frame, path)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_a_pass_over_the_rows_holds_no_more_than_the_batch_before() -> None:
    batches: list[weakref.ref[object]] = []
    held = []
    for batch in Results.from_frame(results(100_000, {})).read():
        batches.append(weakref.ref(batch))
        held.append(sum(each() is not None for each in batches))
    assert len(batches) > 3
    assert max(held) <= 2


@EVERY_SUFFIX
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("own", [{}, {"PKey": ["@a"]}], ids=["no-own-columns", "own-column"])
def test_no_rows_and_no_own_columns_are_no_problem(
    tmp_path: Path, suffix: str, count: int, own: dict[str, list[str]]
) -> None:
    path = tmp_path / f"report{suffix}"
    write(results(count, {name: cells[:count] for name, cells in own.items()}), path)
    assert path.stat().st_size > 0
    assert S_IMODE(path.stat().st_mode) == 0o600


@EVERY_SUFFIX
def test_a_full_disk_is_reported_and_the_older_report_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    path.write_bytes(b"old")
    rng = random.Random(1)
    frame = results(500, {"PKey": [rng.randbytes(40).hex() for _ in range(500)]})
    # XlsxWriter leaves its own temporary files to the garbage collector.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        with full_disk(4096), pytest.raises(StoppedEarly) as stopped:
            write(frame, path)
        message = str(stopped.value)
        assert stopped.value.exit is Exit.STOPPED_EARLY
        del stopped
        gc.collect()
    assert str(path) in message
    assert "File too large" in message
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@EVERY_SUFFIX
def test_a_path_with_a_known_suffix_in_a_folder_is_accepted_and_left_alone(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "older.csv").write_bytes(b"old")
    report.check_writable([LocalFile(tmp_path / f"report{suffix}")], set())
    report.check_writable([LocalFile(tmp_path / f"REPORT{suffix.upper()}")], set())
    report.check_writable([LocalFile(tmp_path / "older.csv")], set())
    assert [path.name for path in tmp_path.iterdir()] == ["older.csv"]


@pytest.mark.parametrize(
    "name", ["report.txt", "report", "report.xlsx.gz", "report.gz", ".csv", ".csv.gz", "-"]
)
def test_an_unknown_suffix_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(", ".join(SUFFIXES))) as refused:
        report.check_writable([LocalFile(Path(name))], set())
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("missing/report.csv", "No such file or directory", id="no-such-folder"),
        pytest.param("file/report.csv", "Not a directory", id="folder-is-a-file"),
        pytest.param("folder.csv", "no file", id="is-a-folder"),
        pytest.param("x" * 252 + ".csv", "File name too long", id="name-too-long"),
        pytest.param("pipe.csv", "no file", id="is-a-pipe"),
        pytest.param("/proc/report.csv", "No such file|denied|Permission", id="takes-no-files"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageProblem, match=why) as refused:
        report.check_writable([LocalFile(tmp_path / path)], set())
    assert str(tmp_path / path) in str(refused.value)


def test_more_columns_than_a_sheet_holds_are_refused_before_the_run() -> None:
    names = [f"column {at}" for at in range(16_384)]
    report.check_fits(names, [LocalFile(Path("report.csv")), LocalFile(Path("report.parquet"))])
    report.check_fits(results(1, {"PKey": ["@a"]}).columns, [LocalFile(Path("report.xlsx"))])
    with pytest.raises(UsageProblem, match=r"report\.xlsx .* a sheet holds 16384 columns"):
        report.check_fits(names, [LocalFile(Path("report.csv")), LocalFile(Path("report.xlsx"))])


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoppedEarly, match=r"gone/report\.csv could not be written: No such file"):
        write(results(1), tmp_path / "gone" / "report.csv")
