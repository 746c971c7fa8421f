"""Sealed files: other programs read them, and any wrong byte is noticed."""

import random
from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from full_disk import full_disk

from bulk_sync.storage import atomic, sealed

TABLE = pa.table({"key": ["@a", "@b"], "sealed:sha256:" + "0" * 64: [True, None]})
KEYS = TABLE.select(["key"])


def written(*parts: pa.Table | pa.RecordBatch) -> bytes:
    file = BytesIO()
    sealed.write(file, parts[0].schema, parts, {b"note": b"kept"})
    return file.getvalue()


def is_whole(content: bytes | bytearray) -> bool | None:
    return sealed.is_whole(BytesIO(content))


@pytest.mark.parametrize(
    "parts",
    [(TABLE,), TABLE.to_batches(max_chunksize=1), (TABLE.slice(0, 1), TABLE.slice(1))],
    ids=["one table", "batches", "tables"],
)
def test_any_program_reads_a_sealed_file(
    tmp_path: Path, parts: Iterable[pa.Table | pa.RecordBatch]
) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(written(*parts))
    found = pq.read_table(path)
    assert found.equals(TABLE)
    assert found.schema.metadata[b"note"] == b"kept"
    with path.open("rb") as file:
        assert sealed.is_whole(file)
        assert pq.ParquetFile(file).read().equals(TABLE)


def test_the_seal_is_the_hash_of_the_file_with_zeros_in_its_place() -> None:
    content = written(TABLE)
    at = content.rindex(b"sealed:sha256:") + len(b"sealed:sha256:")
    with_zeros = content[:at] + b"0" * 64 + content[at + 64 :]
    assert content[at : at + 64].decode() == sha256(with_zeros).hexdigest()


def test_a_wrong_byte_is_noticed_in_every_piece_of_a_large_file() -> None:
    piece = 1 << 20  # the bytes hashed at once
    content = bytearray(written(pa.table({"key": [random.Random(1).randbytes(3 * piece)]})))
    assert len(content) > 3 * piece
    for at in (0, piece - 1, piece, 2 * piece - 1, 2 * piece, 3 * piece - 1, 3 * piece):
        content[at] ^= 1
        assert is_whole(content) is False
        content[at] ^= 1
    assert is_whole(content)


def test_rows_are_in_groups_of_a_bounded_size() -> None:
    count = 2 * sealed.GROUP_ROWS + 1
    found = pq.read_metadata(BytesIO(written(pa.table({"row": range(count)}))))
    rows = [found.row_group(at).num_rows for at in range(found.num_row_groups)]
    assert rows == [sealed.GROUP_ROWS, sealed.GROUP_ROWS, 1]


def test_every_wrong_bit_breaks_the_seal() -> None:
    content = written(KEYS)
    for at in range(len(content)):
        for bit in range(8):
            wrong = bytearray(content)
            wrong[at] ^= 1 << bit
            assert not is_whole(bytes(wrong))


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"0" * 64, b"sealed:sha256:" + b"0" * 64, b"\xff" * 200],
    ids=["empty", "its end alone", "too short", "a seal alone", "a length too great"],
)
def test_a_file_that_is_no_parquet_has_no_seal(content: bytes) -> None:
    assert is_whole(content) is None


def test_a_file_without_a_seal_is_neither_whole_nor_damaged(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(KEYS, path)
    assert is_whole(path.read_bytes()) is None


def test_a_file_truncated_after_the_seal_is_not_whole() -> None:
    content = written(KEYS)
    assert not any(is_whole(content[:end]) for end in range(len(content)))


def test_the_checked_file_is_read_even_if_another_one_replaced_it(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(written(TABLE))
    with path.open("rb") as file:
        assert sealed.is_whole(file)
        with atomic.replacing(path) as other:
            other.write(b"another one")
        assert pq.ParquetFile(file).read().equals(TABLE)


def test_without_room_there_is_an_error_and_no_file_wherever_the_room_ends(tmp_path: Path) -> None:
    table = pa.table({"key": [sha256(b"%d" % row).digest() for row in range(2_000)]})
    path = tmp_path / "table.parquet"

    def write() -> None:
        with atomic.replacing(path) as file:
            sealed.write(file, table.schema, table.to_batches(max_chunksize=500), {})

    write()
    size = path.stat().st_size
    path.unlink()
    ends = (0, 3, 4, 100, size // 2, size - 2_000, size - 600, size - 100, size - 8, size - 1)
    for end in ends:
        with full_disk(end), pytest.raises(OSError, match="File too large"):
            write()
        assert list(tmp_path.iterdir()) == []
    with full_disk(size):
        write()
    assert pq.read_table(path).equals(table)
