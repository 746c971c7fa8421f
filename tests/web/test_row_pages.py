"""The rows of a plan or of a run in pages: made once, and to stay."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Run, populate, write_states

from bulk_sync.simulator import Simulator
from bulk_sync.web.row_pages import RowPages, Section


def test_pages_are_on_the_disk_before_they_have_their_name(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 1_100)
    run(sim, "run", write_states(tmp_path / "in.csv", 1_110))
    (kept,) = (tmp_path / "state" / "rows").iterdir()
    synced, sync = set[int](), os.fsync

    def noting(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    pages = RowPages.open(kept, tmp_path / "pages", datetime.now(UTC).date(), is_plan=False)
    found = list((tmp_path / "pages").iterdir())
    assert {path.name for path in found} == {"changes.arrow", "person.arrow", "counts.json"}
    assert {path.stat().st_ino for path in found} <= synced
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    last = pages.page(Section.CHANGES, 21)
    assert last is not None
    assert (last.pages, last.first, last.last) == (22, 1_051, 1_100)
