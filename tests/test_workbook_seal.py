"""Our workbooks have their job in them, and a sign of changes by a person."""

import shutil
import zipfile
from pathlib import Path
from stat import S_IMODE

import openpyxl
import pandas as pd
import pytest
from conftest import Run, key, populate, read_csv

from bulk_sync.simulator import Simulator
from bulk_sync.storage import workbook_seal

SAVED = Path(__file__).with_name("report")
BY_LIBREOFFICE = ["job_saved_by_libreoffice.xlsx", "job_saved_by_libreoffice.ods"]
REST_BY_LIBREOFFICE = "rest_saved_by_libreoffice.xlsx"
"""The marked workbook and the todo file of this module, opened and saved by LibreOffice 7.4."""

PROTECTED = """\
[job.requests]
protect = ["vip.csv"]
[job.other]
comment = "another job"
"""


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a simulator, beside a workbook with a bad row and one of a protected person."""
    populate(sim, 4)
    (tmp_path / "bulk-sync.toml").write_text(PROTECTED)
    (tmp_path / "vip.csv").write_text(f"PKey\n{key(0)}\n")
    rows = [(key(0), "yes"), (key(1), "yes"), (key(2), "maybe")]
    write(tmp_path / "requests 11.xlsx", rows)
    return sim


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    pd.DataFrame(rows, columns=["PKey", "Opt out"]).to_excel(path, index=False)


def reasons(folder: Path) -> list[str]:
    return [row["sync_reason"] for row in read_csv(folder / "r.csv")]


def save_as(path: Path, by: str, folder: Path) -> Path:
    """Save our workbook as a spreadsheet program does, under another name, and return it."""
    target = folder / f"from the team{Path(by).suffix or path.suffix}"
    if by == "openpyxl":
        openpyxl.load_workbook(path).save(target)
    else:
        shutil.copy(path if by == "nobody" else SAVED / by, target)
    return target


@pytest.mark.parametrize("by", ["nobody", "openpyxl", *BY_LIBREOFFICE])
def test_a_marked_workbook_has_its_job_under_any_name(
    by: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    run(None, "validate", "requests 11.xlsx", "--report", "marked.xlsx")
    path = save_as(tmp_path / "marked.xlsx", by, tmp_path)
    ran = run(filled, "run", path, "--report", "r.csv", "--summary", "json")
    assert reasons(tmp_path) == ["protected", "", "bad_state"]
    assert ran.summary["job"] == "requests"
    assert filled.profiles[key(0)]["ccpaOptOut"] is not True


@pytest.mark.parametrize("by", ["nobody", "openpyxl", REST_BY_LIBREOFFICE])
def test_a_todo_workbook_has_its_job_under_any_name_but_as_a_part_of_the_input(
    by: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    run(filled, "run", "requests 11.xlsx", "--report", "r.csv")
    for _ in range(2):  # the todo file of the todo file has that job too
        (todo,) = tmp_path.glob("*.todo.xlsx")
        path = save_as(todo, by, tmp_path)
        todo.unlink()
        ran = run(filled, "run", path, "--report", "r.csv", "--summary", "json")
        assert reasons(tmp_path) == ["protected", "bad_state"]
        assert ran.summary["job"] == "from the team"


def test_the_job_on_the_command_line_wins(filled: Simulator, tmp_path: Path, run: Run) -> None:
    run(None, "validate", "requests 11.xlsx", "--report", "marked.xlsx")
    ran = run(filled, "run", "marked.xlsx", "--job", "other", "--summary", "json")
    assert ran.summary["job"] == "other"
    assert filled.profiles[key(0)]["ccpaOptOut"] is True
    run(None, "validate", "marked.xlsx", "--job", "other", "--report", "again.xlsx")
    assert workbook_seal.properties(tmp_path / "again.xlsx")[workbook_seal.JOB] == "other"


def test_without_a_table_of_that_job_the_name_of_the_file_counts(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    shutil.copy(tmp_path / "requests 11.xlsx", tmp_path / "letters.xlsx")
    run(None, "validate", "letters.xlsx", "--report", "requests.xlsx")
    run(filled, "run", "requests.xlsx", "--report", "r.csv")
    assert reasons(tmp_path)[0] == "protected"


def test_a_workbook_of_one_job_with_the_name_of_another_is_refused(
    filled: Simulator, run: Run
) -> None:
    run(None, "validate", "requests 11.xlsx", "--report", "other.xlsx")
    ran = run(filled, "run", "other.xlsx")
    assert ran.status == 2
    assert "other.xlsx has rows of the job 'requests', and the name of the job 'other'" in ran.err
    assert filled.requests == []


@pytest.mark.parametrize("by", ["openpyxl", BY_LIBREOFFICE[0]])
def test_a_workbook_that_a_person_saved_is_not_replaced(
    by: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words = ("requests 11.xlsx", "--report")
    for name, command in {"marked.xlsx": "validate", "all.xlsx": "run"}.items():
        for _ in range(2):  # an unchanged one is replaced
            assert run(filled, command, *words, name).status == 3
        save_as(tmp_path / name, by, tmp_path).replace(tmp_path / name)
        content, sent = (tmp_path / name).read_bytes(), len(filled.requests)
        for each in ("validate", "plan"):
            ran = run(filled, each, *words, name)
            assert ran.status == 2
            assert f"{name} was changed since bulk-sync wrote it" in ran.err
        assert (tmp_path / name).read_bytes() == content
        assert len(filled.requests) == sent
        ran = run(filled, "run", *words, name)
        assert ran.status == 3
        assert f"{name} was changed since bulk-sync wrote it" in ran.err
        assert (tmp_path / name).read_bytes() == content
        (beside,) = tmp_path.glob(f"{Path(name).stem}.*.results.xlsx")
        assert str(beside) in ran.err.replace("\n", "")


def test_map_replaces_neither_a_saved_workbook_nor_a_foreign_file(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write(tmp_path / "old.xlsx", [("p0@example.com", "x"), ("no@example.com", "x")])
    words = ("map", "old.xlsx", "--key-column", "PKey", "--out", "new.xlsx")
    for _ in range(2):
        assert run(filled, *words).status == 3
    for name in ("new.xlsx", "new.todo.xlsx"):
        content = (tmp_path / name).read_bytes()
        save_as(tmp_path / name, "openpyxl", tmp_path).replace(tmp_path / name)
        sent = len(filled.requests)
        ran = run(filled, *words)
        assert ran.status == 2
        assert f"{name} was changed since bulk-sync wrote it" in ran.err
        assert len(filled.requests) == sent
        (tmp_path / name).write_bytes(content)
    (tmp_path / "new.todo.csv").write_text("PKey,sync_reason\n@corrected,not_found\n")
    ran = run(filled, *words)
    assert ran.status == 2
    assert "new.todo.csv is there already, and rows in it may have been corrected" in ran.err
    (tmp_path / "new.todo.csv").unlink()
    (tmp_path / "mine.csv").write_text("Name\nAda\n")
    ran = run(filled, *words[:-1], "mine.csv")
    assert ran.status == 2
    assert "bulk-sync has not written it" in ran.err
    assert (tmp_path / "mine.csv").read_text() == "Name\nAda\n"


def test_a_sealed_workbook_is_a_whole_archive(tmp_path: Path, run: Run, filled: Simulator) -> None:
    run(filled, "run", "requests 11.xlsx", "--report", "all.xlsx")
    (todo,) = tmp_path.glob("*.todo.xlsx")
    for path in (tmp_path / "all.xlsx", todo):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            ends = [info.header_offset for info in archive.filelist]
            assert ends == sorted(ends)
        assert workbook_seal.is_sealed(path)
        assert S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no workbook"], ids=repr)
def test_another_file_has_no_properties(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    assert workbook_seal.properties(path) == {}
    assert not workbook_seal.is_sealed(path)
    assert workbook_seal.properties(tmp_path / "none.xlsx") == {}
