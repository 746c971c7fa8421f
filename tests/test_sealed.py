"""Sealed files: other programs read them, and any byte that is wrong is noticed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.storage import sealed

TABLE = pa.table({"key": ["@a", "@b"], "sealed:sha256:" + "0" * 64: [True, None]})


def test_any_program_reads_a_sealed_file(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(sealed.parquet(TABLE, {b"note": b"kept"}))
    found = pq.read_table(path)
    assert found.equals(TABLE)
    assert found.schema.metadata[b"note"] == b"kept"
    assert sealed.is_whole(path.read_bytes())


def test_every_wrong_bit_breaks_the_seal() -> None:
    content = bytes(sealed.parquet(TABLE.select(["key"]), {}))
    for at in range(len(content)):
        for bit in range(8):
            wrong = bytearray(content)
            wrong[at] ^= 1 << bit
            assert not sealed.is_whole(bytes(wrong))


def test_a_file_without_a_seal_is_neither_whole_nor_damaged(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(TABLE.select(["key"]), path)
    assert sealed.is_whole(path.read_bytes()) is None
    assert sealed.is_whole(b"") is None


def test_what_is_cut_off_after_the_seal_is_not_whole() -> None:
    content = bytes(sealed.parquet(TABLE.select(["key"]), {}))
    assert not any(sealed.is_whole(content[:end]) for end in range(len(content)))
