"""Private folders of processes in the state folder."""

from contextlib import suppress
from pathlib import Path

import pytest

from bulk_sync.errors import Terminated, UsageProblem
from bulk_sync.storage import scratch


def test_a_folder_is_private_and_is_removed_even_if_the_process_is_stopped(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    with suppress(Terminated), scratch.folder(state, scratch.CHECKS) as path:
        assert path.parent == state / "checks"
        assert [each.stat().st_mode & 0o777 for each in (path, *path.parents[:2])] == [0o700] * 3
        (path / "parts").mkdir()
        (path / "parts" / "1").write_text("personal data")
        raise Terminated("stopped")
    assert not list(state.glob("checks/*"))


def test_the_folder_of_a_dead_process_is_removed_and_those_of_living_ones_stay(
    tmp_path: Path,
) -> None:
    left = tmp_path / "checks" / "left"
    left.mkdir(parents=True)
    (left / "1").write_text("personal data")
    with (
        scratch.folder(tmp_path, scratch.CHECKS) as first,
        scratch.folder(tmp_path, scratch.CHECKS) as second,
    ):
        assert set((tmp_path / "checks").iterdir()) == {first, second}


def test_a_state_folder_that_cannot_be_written_is_named_with_the_option(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("")
    with (
        pytest.raises(UsageProblem, match=f"{state}.* --state-dir"),
        scratch.folder(state, scratch.CHECKS),
    ):
        pass
