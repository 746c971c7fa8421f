"""Reports of runs to download: made by the command line, once for each end of a run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Run
from bulk_sync.storage import atomic
from bulk_sync.web.page import Page

KINDS: Final = ("xlsx", "csv", "html", "todo")
"""Rows to correct, ``todo``, have the format of the input."""


def folder_of(page: Page, run: Run) -> Path:
    """Return the folder of the reports of a run."""
    return page.settings.folder / "reports" / run.run_id


def make_folder(page: Page, run: Run) -> Path:
    """Make the folder of the reports of a run, unless it is there, and return it.

    Raises:
        UsageProblem: it cannot be made.
    """
    folder = folder_of(page, run)
    try:
        atomic.make_folder(folder)
    except OSError as error:
        raise UsageProblem(
            f"{folder}: {error.strerror}. Nothing was done. Make room there, and try again."
        ) from error
    return folder


async def made(page: Page, run: Run, kind: str) -> Path | None:
    """Return a report of a run that has ended, made if it is not there; None without a row in it.

    Raises:
        UsageProblem: it cannot be made; the message names the reason.
    """
    folder = await page.blocking(make_folder, page, run)
    stem = f"{run.ended_ms}.{kind}" if kind == "todo" else f"{run.ended_ms}.results.{kind}"
    async with page.turn(f"report {run.run_id} {stem}"):
        for path in folder.glob(f"{stem}*"):
            return path
        return await _make(page, run, kind, folder, stem)


async def _make(page: Page, run: Run, kind: str, folder: Path, stem: str) -> Path | None:
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        is_todo = kind == "todo"
        report = Path(aside) / ("report.csv" if is_todo else f"report.{kind}")
        words = ["report", run.run_id, f"--report={report}", "--summary=json"]
        if is_todo:
            words.append("--todo")
        answer = await page.jobs.answer(*words)
        if not isinstance(answer, Mapping):
            raise UsageProblem(str(answer))
        if answer.get("exit"):
            raise UsageProblem(str(answer.get("message") or "The report could not be made."))
        if not is_todo:
            return report.rename(folder / stem)
        if not answer.get("todo"):
            return None
        todo = Path(aside) / Path(str(answer["todo"])).name
        return todo.rename(folder / f"{stem}{todo.suffix}")
