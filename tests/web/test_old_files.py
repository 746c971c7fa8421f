"""Files of the page are removed after --keep days; younger ones, and those at work, stay."""

import asyncio
import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import before_answer, populate, write_states
from serving import settings_in

from bulk_sync.simulator import Simulator
from bulk_sync.web import old_files
from bulk_sync.web.database import open_database
from bulk_sync.web.jobs import Jobs, PageJob
from bulk_sync.web.paperwork import Paperwork
from bulk_sync.web.records import Upload

DAY_S = 86_400


def test_older_files_are_removed_and_it_is_recorded(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with closing(open_database(settings.state)) as database:
        paperwork, jobs = Paperwork(database, DAY_S), Jobs(database, settings)
        for upload_id, age_days in (("old", 11), ("new", 9)):
            upload = Upload(upload_id, 1, "Ana Diaz", "a.csv", 1, "", "", "", {}, None, False)
            paperwork.add(upload)
            then = time.time() - age_days * DAY_S
            for name in old_files.FOLDERS:
                folder = settings.folder / name / upload_id
                folder.mkdir(parents=True)
                (folder / "file").touch()
                os.utime(folder, (then, then))
            report = settings.folder / "reports" / f"{upload_id}.results.csv"
            report.touch()
            os.utime(report, (then, then))
        gone = old_files.delete(settings.folder, 10, paperwork, jobs)
        assert gone == len(old_files.FOLDERS) + 1
        left = {each.name for each in settings.folder.glob("*/*")}
        assert left == {"new", "new.results.csv"}
        kept = {upload.id: upload.is_deleted for upload in paperwork.uploads()}
        assert kept == {"old": True, "new": False}


def test_a_broken_link_does_not_stop_the_removal(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    uploads = settings.folder / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "a-link").symlink_to(tmp_path / "nowhere")
    (uploads / "old").touch()
    for each in uploads.iterdir():
        os.utime(each, (0, 0), follow_symlinks=False)
    with closing(open_database(settings.state)) as database:
        jobs, paperwork = Jobs(database, settings), Paperwork(database, DAY_S)
        assert old_files.delete(settings.folder, 10, paperwork, jobs) == 2
    assert not list(uploads.iterdir())


def test_a_process_at_work_keeps_its_files(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")
    variables = {"ENDPOINT": sim.url, "ORGANIZATION": "acme", "API_KEY": "demo-key"}
    named = {f"BULK_SYNC_{name}": value for name, value in variables.items()}
    named["BULK_SYNC_STATE_DIR"] = str(tmp_path / "state")
    settings = settings_in(tmp_path, variables=named)
    populate(sim, 1)
    with closing(open_database(settings.state)) as database:
        jobs, paperwork = Jobs(database, settings), Paperwork(database, DAY_S)
        gone: list[int] = []

        def delete() -> None:
            (folder,) = (settings.folder / "jobs").iterdir()
            os.utime(folder, (0, 0))
            gone.append(old_files.delete(settings.folder, 10, paperwork, jobs))

        before_answer(sim, "PATCH", 1, delete)
        path = str(write_states(tmp_path / "in.csv", 1))
        job = jobs.start("run", [path], about="u1", who="Ana Diaz")
        asyncio.run(_end(jobs, job))
        delete()
    assert gone == [0, 1]


async def _end(jobs: Jobs, job: PageJob) -> None:
    async for _ in jobs.follow(job):
        pass
