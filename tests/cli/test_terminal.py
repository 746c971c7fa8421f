"""The question before the writes, and the bars: at a terminal, and not elsewhere."""

import os
import pty
import re
import select
import subprocess
import termios
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from conftest import Copied, Run, key, populate, read_csv, write_states

from bulk_sync.rows import read
from bulk_sync.simulator import Options, ScanFault, Simulator, running


def environment_of(sim: Simulator, folder: Path) -> dict[str, str]:
    return os.environ | {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
        "TERM": "xterm",
    }


def run_at_terminal(
    sim: Simulator, folder: Path, answer: str, *words: str, shown_on: str = "stderr"
) -> tuple[int, str]:
    """Run with a terminal for standard input and one output, and answer the question."""
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (24, 100))
    with Copied(
        ["run", str(folder / "in.csv"), *words],
        stdin=far,
        stdout=far if shown_on == "stdout" else subprocess.DEVNULL,
        stderr=far if shown_on == "stderr" else subprocess.DEVNULL,
        env=environment_of(sim, folder),
        cwd=folder,
        start_new_session=True,
    ) as process:
        os.close(far)
        shown, patience_s = b"", 0.5
        while True:
            # Typed again if nothing happens: the terminal drops input before the question reads it.
            # But not at once: further signals end the program without a report.
            if not select.select([near], [], [], patience_s)[0]:
                if b"[y/N]" in shown:
                    os.write(near, answer.encode())
                    patience_s = 5
                continue
            try:
                shown += os.read(near, 65_536)
            except OSError:  # the far end is closed
                break
        os.close(near)
        return process.wait(), shown.decode()


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    populate(sim, 3)
    write_states(tmp_path / "in.csv", 3)
    return sim


@pytest.mark.parametrize(("answer", "written"), [("Yes\n", 3), ("maybe\n", 0)])
def test_the_question_is_seen_where_standard_error_goes_to_a_file(
    filled: Simulator, tmp_path: Path, answer: str, written: int
) -> None:
    _, shown = run_at_terminal(filled, tmp_path, answer, shown_on="stdout")
    assert "Apply 3 changes? [y/N]" in shown
    assert len(filled.patched) == written


def test_after_a_yes_the_plan_is_written(filled: Simulator, tmp_path: Path) -> None:
    status, shown = run_at_terminal(filled, tmp_path, "y\n")
    assert status == 0
    assert "Apply 3 changes? [y/N]" in shown
    assert "Writing" in shown
    assert len(filled.patched) == 3


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_after_any_other_answer_nothing_is_written(
    filled: Simulator, tmp_path: Path, answer: str
) -> None:
    status, _ = run_at_terminal(filled, tmp_path, answer)
    assert status == 4
    assert filled.patched == []


def test_a_person_who_does_not_agree_to_early_writes_stops_the_run(tmp_path: Path) -> None:
    half_listed = Options(scan_fault=ScanFault.HIDES, scan_hides_share=0.5)
    with running(half_listed) as sim:
        populate(sim, 100)
        write_states(tmp_path / "in.csv", 100)
        words = ("--fetch", "scan", "--page-size", "50", "--max-calls", "70")
        status, shown = run_at_terminal(sim, tmp_path, "n\n", *words)
    assert "are written first" in shown
    assert "Nothing was written: the plan was not agreed to." in shown
    assert (status, sim.patched) == (4, [])
    assert not any("/profile/%40" in each.raw_path for each in sim.requests)


@pytest.mark.parametrize(
    ("answer", "expected"), [("\x03", 130), ("\x04", 4)], ids=["Ctrl-C", "Ctrl-D"]
)
def test_leaving_the_question_writes_the_report_and_nothing_else(
    filled: Simulator, tmp_path: Path, answer: str, expected: int
) -> None:
    status, _ = run_at_terminal(filled, tmp_path, answer)
    assert status == expected
    assert filled.patched == []
    (report,) = tmp_path.glob("*.results.csv")
    assert [row["sync_outcome"] for row in read_csv(report)] == ["pending"] * 3


def test_with_yes_bars_show_the_load_and_there_is_no_question(
    filled: Simulator, tmp_path: Path
) -> None:
    filled.options = replace(filled.options, latency_s=0.2)  # a bar is drawn ten times a second
    words = ("--yes", "--fetch", "lookup", "--concurrency", "1", "--rate", "50")
    status, shown = run_at_terminal(filled, tmp_path, "", *words)
    assert (status, "[y/N]" in shown) == (0, False)
    for title in ("Reading states", "Writing"):
        assert re.search(rf"{title}: [^\r]*\b[01] in flight, at most 50/s", shown)


def test_one_ctrl_d_ends_an_input_that_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = pty.openpty()
    os.write(near, b"PKey\n\x04later\n\x04\x04")
    with os.fdopen(far) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        file = read.stdin(BytesIO)[0]
    os.close(near)
    file.seek(0)
    assert file.read() == b"PKey\n"


def test_a_closed_terminal_does_not_end_the_run(filled: Simulator, tmp_path: Path) -> None:
    filled.options = replace(filled.options, latency_s=0.2)
    near, far = pty.openpty()
    with Copied(
        ["run", "in.csv", "--yes", "-v", "--fetch", "lookup", "--report", "r.csv"],
        stdin=subprocess.DEVNULL,
        stderr=far,
        env=environment_of(filled, tmp_path),
        cwd=tmp_path,
    ) as process:
        os.close(far)
        shown = b""
        while b"Reading states" not in shown:
            shown += os.read(near, 65_536)
        os.close(near)
        assert process.wait() == 0
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")] == ["updated"] * 3


def test_without_a_terminal_there_is_no_question_and_no_bar(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(filled, "run", tmp_path / "in.csv")
    assert ran.status == 0
    assert "[y/N]" not in ran.err + ran.out
    assert "%|" not in ran.err


def test_a_bar_shows_the_progress_of_a_long_report_but_not_with_quiet(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    rows = 20_000  # more than a batch
    path = tmp_path / "in.csv"
    path.write_text(path.read_text() + "@key,true\n" * rows)
    words = ("--yes", "--report", "long.csv")
    _, shown = run_at_terminal(filled, tmp_path, "", *words)
    assert "Writing long.csv: " in shown
    filled.profiles[key(0)]["ccpaOptOut"] = False
    _, shown = run_at_terminal(filled, tmp_path, "", *words, "-q", "--allow", "same-file")
    assert shown == ""
    assert len(filled.patched) == 3 + 1
    ran = run(None, "report", "--report", "again.csv")
    assert "Writing" not in ran.out + ran.err
