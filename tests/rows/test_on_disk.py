"""The parts of an input on disk: no room, no memory, damage, interrupts."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_sync.errors import DiskFull, StoppedEarly, Terminated
from bulk_sync.rows import duckdb_session, on_disk
from bulk_sync.rows.on_disk import KEYS, Store

MEMORY = 200_000_000
ROWS = 1_000_000


def keys(rows: int) -> pa.Table:
    """Build keys; each is in two rows."""
    names = pa.array(np.arange(rows) // 2).cast(pa.large_string())
    none = pa.nulls(rows, pa.large_string())
    numbers = pa.array(np.arange(rows)), pa.array(np.zeros(rows, np.int32))
    places = pa.StructArray.from_arrays(
        [*numbers, none, none], fields=list(KEYS.field("place").type)
    )
    own = {
        "position": np.arange(rows),
        "identity": names,
        "alike": names,
        "is_open": np.ones(rows, bool),
        "forbids": np.arange(rows) % 2 == 0,
        "place": places,
    }
    return pa.table(own, KEYS)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size of files, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_with_the_option_when_a_part_is_written(tmp_path: Path) -> None:
    with file_size_limit(10_000), Store(tmp_path, MEMORY) as store:
        store.keep("keys", 0, keys(10_000))
        with pytest.raises(DiskFull, match=rf"^The disk is full: {tmp_path} .*--state-dir"):
            store.part("keys", 0)


def test_a_full_disk_is_named_when_rows_are_written_one_after_the_other(tmp_path: Path) -> None:
    with (
        file_size_limit(10_000),
        pytest.raises(DiskFull, match="--state-dir"),
    ):
        Store(tmp_path, MEMORY).save("settled", KEYS, [keys(10_000)])


def test_a_full_disk_is_named_when_a_statement_spills_to_disk(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path, MEMORY)
    store.keep("keys", 0, keys(ROWS))
    reason = r"has no room for the parts of the input \(.*File too large\)\. .*--state-dir"
    with file_size_limit(1_000_000), pytest.raises(DiskFull, match=reason):
        list(store.repeats())


def test_a_statement_without_enough_memory_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "_LEAST_BYTES", 2_000_000)
    store = Store(tmp_path, 4_000_000)
    store.keep("keys", 0, keys(ROWS))
    with pytest.raises(StoppedEarly, match=r"^4 MB of memory are too little.* --memory 8MB\.$"):
        list(store.repeats())


def test_inputs_larger_than_memory_are_compared_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path, MEMORY)
    store.keep("keys", 0, keys(ROWS))
    found = pa.Table.from_batches(store.repeats())
    assert found["position"].to_numpy().tolist() == list(range(ROWS))
    assert (found["first_forbids"].to_numpy() == np.arange(ROWS) // 2 * 2).all()
    assert (found["first_allows"].to_numpy() == np.arange(ROWS) // 2 * 2 + 1).all()
    assert not any(found["last_forbids"].to_pylist())


@pytest.mark.parametrize("content", [None, b"", b"PAR1, or so", b"PAR1" + b"\xff" * 50 + b"PAR1"])
def test_a_missing_or_damaged_part_stops_the_command(content: bytes | None, tmp_path: Path) -> None:
    with Store(tmp_path, MEMORY) as store:
        for number in (0, 1):
            store.keep("keys", number, keys(10))
        store.save("settled", KEYS, [keys(10)])
    for part in (tmp_path / "keys-000001.parquet", *tmp_path.glob("settled-*")):
        part.unlink() if content is None else part.write_bytes(content)
    says = f"^{tmp_path}: the parts of the input cannot be used: .*[Pp]arquet.*--state-dir"
    with pytest.raises(StoppedEarly, match=says):
        store.part("keys", 1)
    with pytest.raises(StoppedEarly, match=says):
        store.saved("settled").until(10)
    with pytest.raises(StoppedEarly, match=says):
        list(store.repeats())


def test_the_stop_of_a_process_stops_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, int]] = []

    def stop(*progress: object) -> None:
        seen.append(progress)  # type: ignore[arg-type]
        raise Terminated("Stopped by SIGTERM.")

    monkeypatch.setattr(duckdb_session, "_LOOK_EVERY_S", 0.001)
    store = Store(tmp_path, MEMORY, stop)
    store.keep("keys", 0, keys(ROWS))
    with pytest.raises(Terminated):
        list(store.repeats())
    ((what, done, total),) = seen
    assert (what, total) == ("Comparing the keys", ROWS)
    assert 0 <= done < ROWS


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_csv('{0}/in.csv')",
        "FROM '{0}/in.csv'",
        "COPY (SELECT 1) TO '{0}/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
    ],
)
def test_no_other_file_is_read_or_written_and_no_extension_is_loaded(
    statement: str, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("PKey\n@a\n")
    part = tmp_path / "part.parquet"
    pq.write_table(keys(1), part)
    given = ({"keys": [part]}, tmp_path / "sorting", MEMORY, lambda _: None)
    assert len(list(duckdb_session.rows_of(*given, "FROM keys"))) == 1
    with pytest.raises((duckdb.Error, OSError), match=r"disabled|locked"):
        list(duckdb_session.rows_of(*given, statement.format(tmp_path)))
    assert not (tmp_path / "out.csv").exists()


def test_a_wrong_statement_is_no_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        list(
            duckdb_session.rows_of({}, tmp_path / "sorting", MEMORY, lambda _: None, "FROM nowhere")
        )
