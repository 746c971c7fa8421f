"""The reports filed by a compliance team, made by the real commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import key

from bulk_sync.cli import main
from bulk_sync.simulator import Options, Simulator, running

REPORTS = ("verdict", "plan", "result", "stopped", "undo", "audit")
ROWS = 30


def write_all(folder: Path) -> None:
    """Write each of ``REPORTS`` as HTML and as a workbook; together they have all outcomes."""
    requests = folder / "requests.csv"
    requests.write_text("\n".join(_lines()) + "\n")
    with running(Options()) as sim:
        for number in range(20):
            state = number in (4, 5, 6, 7, 8)
            sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=state)
        _type(sim, folder, "validate", requests.name, report="verdict", status=3)
        common = (requests.name, "--blank-state", "skip")
        request = ("--ticket", "PRIV-142", "--comment", "First two weeks", "--prepared-by", "Dana")
        plan = ("--create", "--ignore-dates", "--out", "plan.parquet", *request)
        _type(sim, folder, "plan", *common, *plan, report="plan", status=3)
        sim.profiles[key(9)]["ccpaOptOut"] = True
        sim.forbidden.add(key(10))
        _type(
            sim,
            folder,
            "apply",
            "plan.parquet",
            "--approved-by",
            "Maria",
            report="result",
            status=3,
        )
        (folder / "plan.parquet").rename(folder / "applied.parquet")
        _type(sim, folder, "audit", report="audit")
        sim.profiles[key(11)]["ccpaOptOut"] = False
        done = max(path.name for path in (folder / "state" / "runs").iterdir() if path.is_dir())
        _type(sim, folder, "undo", done, "--max-opt-ins", "100%", report="undo", status=3)
        few = ("--job", "stopped", "--max-calls", "10")
        _type(sim, folder, "run", *common, *few, report="stopped", status=6)


def _lines() -> Iterator[str]:
    """Yield rows of every kind: to change, there already, twice, empty, wrong, unknown."""
    yield "Case,Name,E-mail,Opt out?,Request date,firstName,lastName"
    for number in range(ROWS):
        state = {6: "no", 7: "no", 22: "", 23: "perhaps", 24: "x"}.get(number, "yes")
        address = f"p{21 if number == 25 else number}@example.com"
        name = "" if number == 29 else f"Ann,Doe-{number}"
        yield f"C-{number:04},Ann <b>Doe</b>,{address},{state},2026-11-02,{name or ','}"


def _type(sim: Simulator, folder: Path, *words: str, report: str, status: int = 0) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BULK_SYNC_ENDPOINT", sim.url)
        patch.setenv("BULK_SYNC_ORGANIZATION", "acme")
        patch.setenv("BULK_SYNC_API_KEY", "demo-key")
        patch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")
        patch.setenv("BULK_SYNC_STATE_DIR", str(folder / "state"))
        with pytest.raises(SystemExit) as ended:
            main([*words, "--report", f"{report}.html", "--report", f"{report}.xlsx"])
    assert ended.value.code == status
