"""Names of files that are no text, or not in the encoding of the locale."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
from conftest import Run, populate, read_csv, write_states

from bulk_sync.simulator import Simulator

NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_locale_without_utf_8_changes_no_name(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    (tmp_path / "Größen").mkdir()
    write_states(tmp_path / "Größen" / "Übersicht.csv", 2)
    assert run(sim, "run", "Größen", "--max-calls", 1, "--report", "1.csv").status == 6
    (stopped,) = orjson.loads(run(None, "runs", "--json").out)
    words = ("run", "Größen", "--summary", "json", "--fresh", "--report", "Bericht Ä.csv")
    ended = subprocess.run(
        [sys.executable, "-m", "bulk_sync", *words],
        env={**os.environ, **NO_LOCALE},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    summary = orjson.loads(ended.stdout)
    assert (summary["input"], summary["job"]) == ("Größen", stopped["job"])
    assert summary["reports"] == ["Bericht Ä.csv"]
    rows = read_csv(tmp_path / "Bericht Ä.csv")
    assert [row["sync_outcome"] for row in rows] == ["updated"] * 2
    last = orjson.loads(run(None, "runs", "--json").out)[-1]
    assert last["input"] == stopped["input"]
