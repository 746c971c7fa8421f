"""Outdated keys: a file of them is noticed at once, and ``map`` finds the new ones."""

from pathlib import Path

import pytest
from conftest import Run, key, populate, read_csv, write_states

from bulk_sync.simulator import Dialect, Options, Simulator, running


def standard_keys(path: Path, rows: int) -> Path:
    """Write a file as exported from Campaign Standard."""
    lines = [f"@{'s' * 80}{number:011d},p{number}@example.com,true" for number in range(rows)]
    path.write_text("\n".join(["PKey,email,ccpaOptOut", *lines, ""]))
    return path


def migrated(sim: Simulator, rows: int) -> None:
    """Fill a simulator with profiles under the PKeys of Campaign v8."""
    for number in range(rows):
        sim.add(pkey=f"@v{number}", email=f"p{number}@example.com", ccpaOptOut=False)


@pytest.mark.parametrize("rows", [7, 60, 3000])
@pytest.mark.parametrize(
    "words",
    [("run",), ("run", "--fetch", "scan"), ("run", "--fetch", "lookup"), ("plan",)],
    ids=" ".join,
)
def test_a_file_of_keys_that_cannot_be_read_ends_within_a_handful_of_calls(
    words: tuple[str, ...], rows: int, tmp_path: Path, run: Run
) -> None:
    with running(Options(dialect=Dialect.V8, max_line_count=20)) as sim:
        migrated(sim, 100)
        path = tmp_path / "in.csv"
        lines = [f"@{number},true" for number in range(rows)]
        path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
        command, *options = words
        ran = run(sim, command, path, *options)
        assert ran.status == 4
        assert len(sim.requests) <= 10
        for text in ("`bulk-sync map`", "--key email", "custom", "filter:", "--allow unknown-keys"):
            assert text in ran.err
        assert not sim.patched


def test_a_run_stopped_for_its_keys_can_be_allowed(tmp_path: Path, run: Run) -> None:
    with running(Options(dialect=Dialect.V8)) as sim:
        populate(sim, 1)
        path = tmp_path / "in.csv"
        lines = [f"@{number},true" for number in range(30)]
        path.write_text("\n".join(["PKey,ccpaOptOut", *lines, f"{key(0)},true", ""]))
        ran = run(sim, "run", path, "--fetch", "lookup")
        assert ran.status == 4
        assert set(ran.outcomes) == {"not_found", "pending"}
        words = ran.out.splitlines()[-1].split()[1:]
        ran = run(sim, *words, "--report", tmp_path / "resumed.csv")
        assert ran.status == 3, ran.err
        assert sim.patched == [(key(0), True)]


def test_a_few_strange_keys_among_good_ones_stop_nothing(tmp_path: Path, run: Run) -> None:
    with running(Options(dialect=Dialect.V8)) as sim:
        populate(sim, 30)
        path = write_states(tmp_path / "in.csv", 30)
        path.write_text(path.read_text() + "@1,true\n@2,true\n")
        ran = run(sim, "run", path, "--fetch", "lookup")
        assert ran.status == 3
        assert ran.outcomes == ["updated"] * 30 + ["not_found"] * 2
        assert "`bulk-sync map`" in ran.report[-1]["sync_detail"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_old_keys_are_mapped_to_new_ones_and_the_result_is_an_input(
    suffix: str, tmp_path: Path, run: Run
) -> None:
    with running(Options(dialect=Dialect.V8)) as sim:
        migrated(sim, 30)
        sim.add(pkey="@twin", email="p3@example.com", ccpaOptOut=False)
        out = tmp_path / f"new{suffix}"
        ran = run(
            sim, "map", standard_keys(tmp_path / "old.csv", 32), "--out", out, "--summary", "json"
        )
        assert ran.status == 3, ran.err
        facts = ran.summary
        assert (facts["rows"], facts["placed"], facts["profiles"]) == (32, 29, 29)
        assert facts["outcomes"] == {"rejected": 1, "not_found": 2}
        assert facts["calls_total"] == len(sim.requests)
        left = read_csv(tmp_path / "new.todo.csv")
        assert [row["email"].split("@")[0] for row in left] == ["p3", "p30", "p31"]
        assert [row["sync_reason"] for row in left] == ["ambiguous", "not_found", "not_found"]
        assert {request.method for request in sim.requests} == {"GET"}
        ran = run(sim, "run", out)
        assert ran.status == 0, ran.err
        assert {pkey for pkey, _ in sim.patched} == {f"@v{n}" for n in range(30) if n != 3}
        first = ran.report[0]
        assert first["PKey"] == "@v0"
        assert first["oldPKey"] == f"@{'s' * 80}{0:011d}"
        assert first["email"] == "p0@example.com"


def test_all_profiles_of_a_key_are_mapped_if_asked_and_repeats_too(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        migrated(sim, 2)
        sim.add(pkey="@twin", email="p1@example.com", ccpaOptOut=False)
        path = tmp_path / "old.csv"
        path.write_text(
            "oldPKey,pkey,mail,note\nx,@a,p1@example.com,1\ny,@b,p0@EXAMPLE.com,2\n"
            "z,@c,p1@example.com,3\n"
        )
        words = ("--key-column", "mail", "--on-ambiguous", "all", "--out", "new.csv")
        ran = run(sim, "map", path, *words)
        assert ran.status == 0, ran.err
        rows = read_csv(tmp_path / "new.csv")
        assert [(row["PKey"], row["oldPKey_"], row["note"]) for row in rows] == [
            ("@v1", "@a", "1"),
            ("@twin", "@a", "1"),
            ("@v0", "@b", "2"),
            ("@v1", "@c", "3"),
            ("@twin", "@c", "3"),
        ]
        assert not (tmp_path / "new.todo.csv").exists()


def test_keys_of_an_instance_without_the_attribute_are_mapped(tmp_path: Path, run: Run) -> None:
    with running(Options(dialect=Dialect.V8, attribute="cusOptOut")) as sim:
        for number in range(3):
            sim.add(pkey=f"@v{number}", email=f"p{number}@example.com")
        words = ("--out", "new.csv", "--max-calls-per-day", 100)
        ran = run(sim, "map", standard_keys(tmp_path / "old.csv", 3), *words)
        assert ran.status == 0, ran.err
        assert [row["PKey"] for row in read_csv(tmp_path / "new.csv")] == ["@v0", "@v1", "@v2"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--key", "pkey"), "by another column"),
        (("--out", "old.csv"), "--out old.csv would replace the input"),
        (("--out", "none/new.csv"), "--out none/new.csv cannot be written"),
        (("--out", "yours.mapped.xlsx"), "--out yours.mapped.xlsx is there already"),
        (("--out", "new.doc"), ".csv, .parquet, .xlsx"),
        (("--key", "custom"), "--key-column"),
    ],
)
def test_an_impossible_mapping_is_an_error_before_any_request(
    words: tuple[str, ...], text: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "yours.mapped.xlsx").write_bytes(b"PK\x03\x04")
    ran = run(sim, "map", standard_keys(tmp_path / "old.csv", 2), *words)
    assert ran.status == 2
    assert text in ran.err
    assert not sim.requests


@pytest.mark.parametrize("option", ["--max-calls", "--max-calls-per-day"])
def test_a_budget_too_small_for_any_key_is_refused(
    option: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(sim, "map", standard_keys(tmp_path / "old.csv", 2), option, 1)
    assert (ran.status, sim.requests) == (6, [])
    assert f"Give at least {option} 2." in ran.err


def test_a_mapping_without_a_result_removes_an_older_result(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "old.mapped.csv"
    out.write_text("PKey\n@of-last-week\n")
    ran = run(sim, "map", standard_keys(tmp_path / "old.csv", 2))
    assert ran.status == 3
    assert read_csv(out) == []
    assert "To go on" not in ran.out


def test_rows_cut_off_by_a_budget_are_in_files_of_their_own(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    migrated(sim, 30)
    old, words = standard_keys(tmp_path / "old.csv", 30), ("--fetch", "lookup")
    assert run(sim, "map", old, *words).status == 0
    whole = (tmp_path / "old.mapped.csv").read_text()
    ran = run(sim, "map", old, *words, "--max-calls", 10)
    assert ran.status == 6
    assert (tmp_path / "old.mapped.csv").read_text() == whole
    placed = read_csv(tmp_path / "old.mapped.part.csv")
    left = read_csv(tmp_path / "old.mapped.part.todo.csv")
    assert 0 < len(placed) < 30
    assert len(placed) + len(left) == 30
    part = tmp_path / "old.mapped.part.csv"
    ran = run(sim, "map", part, "--out", tmp_path / "old.mapped.csv", *words)
    assert ran.status == 2
    assert "would replace the input" in ran.err


def test_dates_are_written_as_the_whole_column_shows_them(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        sim.add(pkey=key(0), email="p0@example.com", ccpaOptOut=False)
        (tmp_path / "in.csv").write_text(
            "email,ccpaOptOut,Received\np0@example.com,yes,3/4/2026\nnobody@example.com,yes,14/3/2026\n"
        )
        run(sim, "map", "in.csv", "--key", "email", "--out", "out.csv")
    (mapped,), (left,) = read_csv(tmp_path / "out.csv"), read_csv(tmp_path / "out.todo.csv")
    assert [mapped["Received"], left["Received"]] == ["2026/04/03", "2026/03/14"]
