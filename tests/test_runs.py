"""The main job against the simulator: the states in Campaign, and the report."""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run, key, signal_before_answer

from bulk_sync.runs import Input
from bulk_sync.settings import new_run_id
from bulk_sync.simulator import Fault, GetStyle, Options, PatchStyle, Simulator, running


def populate_with(sim: Simulator, states: Sequence[bool | None]) -> None:
    for number, state in enumerate(states):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=state)


def write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("PKey", "ccpaOptOut"), *rows])
    return path


def current(sim: Simulator) -> dict[str, object]:
    return {pkey: profile.get("ccpaOptOut") for pkey, profile in sim.profiles.items()}


def patches_that_changed_nothing(sim: Simulator, before: dict[str, object]) -> list[str]:
    held, idle = dict(before), []
    for pkey, value in sim.patched:
        if held[pkey] == value:
            idle.append(pkey)
        held[pkey] = value
    return idle


def write_input(path: Path, rows: Sequence[tuple[str, bool]]) -> Path:
    frame = pd.DataFrame(rows, columns=["PKey", "ccpaOptOut"])
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path)
        case ".xlsx":
            frame.to_excel(path, index=False, engine="xlsxwriter")
        case _:
            frame.to_csv(path, index=False)
    return path


FORMATS = (".csv", ".csv.gz", ".parquet", ".xlsx")
STYLES = list(itertools.product(["flat", "content"], ["reference", "profile"], ["lookup", "scan"]))
COMBINATIONS = [
    (suffix, *styles)
    for at, suffix in enumerate(FORMATS)
    for styles in (STYLES[at], STYLES[-1 - at])
]
"""All styles of the API, and each format with both values of each style."""


@pytest.mark.parametrize(
    ("suffix", "get_style", "patch_style", "fetch"),
    COMBINATIONS,
    ids=["-".join(c) for c in COMBINATIONS],
)
def test_campaign_has_the_states_of_the_file_for_every_style(
    suffix: str, get_style: str, patch_style: str, fetch: str, tmp_path: Path, run: Run
) -> None:
    with running(
        Options(get_style=GetStyle(get_style), patch_style=PatchStyle(patch_style))
    ) as sim:
        populate_with(sim, [number % 3 == 0 for number in range(30)])
        before = current(sim)
        desired = {key(number): number % 4 != 0 for number in range(20)}
        path = write_input(tmp_path / f"wishes{suffix}", list(desired.items()))
        ran = run(sim, "run", path, "--fetch", fetch, "--page-size", 7)
        assert ran.status == 0, ran.err
        assert current(sim) == before | desired
        assert patches_that_changed_nothing(sim, before) == []
        changed = {pkey for pkey, value in desired.items() if before[pkey] != value}
        assert {pkey for pkey, _ in sim.patched} == changed
        for row, pkey in zip(ran.report, desired, strict=True):
            assert row["sync_key"] == row["PKey"] == pkey
            assert row["sync_outcome"] == ("updated" if pkey in changed else "unchanged")
            assert row["sync_before"] == str(before[pkey]).lower()
            assert row["sync_after"] == str(desired[pkey]).lower()
            assert row["sync_reason"] == ""
        again = run(sim, "run", path, "--report", "again.json", "--summary", "json")
        assert again.summary["outcomes"] == {"unchanged": 20}
        assert len(sim.patched) == len(changed)


FAULTS = [
    Fault.TRANSIENT_500,
    Fault.BAD_GATEWAY_HTML,
    Fault.UNAVAILABLE_503,
    Fault.THROTTLED_429,
    Fault.RESET,
    Fault.RESET_AFTER_WRITE,
    Fault.TRUNCATED_JSON,
    Fault.CUT_JSON,
    Fault.NOT_JSON,
    Fault.WRONG_JSON,
    Fault.GATEWAY_TIMEOUT_504,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fifth_of_all_answers_may_be_faulty(fault: Fault, tmp_path: Path, run: Run) -> None:
    with running(Options(faults={fault: 0.2}, seed=7, retry_after_s=0)) as sim:
        populate_with(sim, [number % 2 == 0 for number in range(30)])
        before = current(sim)
        desired = {key(number): number % 4 < 2 for number in range(30)}
        path = write_input(tmp_path / "wishes.csv", list(desired.items()))
        ran = run(sim, "run", path, "--max-opt-ins", "100%", "--fetch", "lookup")
        assert ran.status == 0, ran.err
        assert current(sim) == desired
        assert patches_that_changed_nothing(sim, before) == []
        assert set(ran.outcomes) == {"unchanged", "updated"}


def test_every_kind_of_row_has_its_outcome_in_input_order(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate_with(sim, [False, True, None, False])
    sim.profiles[key(3)].pop("ccpaOptOut")
    rows = [
        (key(0), "true", "updated", ""),
        (key(1), "true", "unchanged", ""),
        (key(1), "WAHR", "duplicate", ""),
        (key(2), "true", "failed", "state_unknown"),
        (key(3), "false", "failed", "state_unknown"),
        (key(9), "true", "not_found", "not_found"),
        ("gibberish", "true", "not_found", "invalid_key"),
        ("", "true", "rejected", "empty_key"),
        ("#NAME?", "true", "rejected", "bad_key"),
        (key(7), "maybe", "rejected", "bad_state"),
        (key(7), "", "rejected", "blank_state"),
        (key(8), "true", "rejected", "conflict"),
        (key(8), "false", "rejected", "conflict"),
    ]
    path = write_csv(tmp_path / "in.csv", [(pkey, state) for pkey, state, _, _ in rows])
    ran = run(sim, "run", path)
    assert ran.status == 3
    found = [(row["sync_outcome"], row["sync_reason"]) for row in ran.report]
    assert found == [(outcome, reason) for _, _, outcome, reason in rows]
    assert [row["sync_row"] for row in ran.report] == [str(n) for n in range(2, 15)]
    assert sim.patched == [(key(0), True)]
    unknown = [row for row in ran.report if row["sync_reason"] == "state_unknown"]
    assert all(row["sync_detail"].endswith("Set it once in Campaign.") for row in unknown)
    (todo,) = tmp_path.glob("*.todo.csv")
    assert [line.split(",")[0] for line in todo.read_text().splitlines()[1:]] == [
        pkey for pkey, _, outcome, _ in rows if outcome in {"failed", "not_found", "rejected"}
    ]


def test_a_todo_file_is_accepted_as_input_as_it_stands(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate_with(sim, [False])
    run(sim, "run", write_csv(tmp_path / "in.csv", [(key(0), "true"), (key(5), "true")]))
    (todo,) = tmp_path.glob("*.todo.csv")
    sim.add(pkey=key(5), email="late@example.com", ccpaOptOut=False)
    ran = run(sim, "run", todo, "--report", "second.json", "--summary", "json")
    assert ran.status == 0
    assert ran.summary["outcomes"] == {"updated": 1}


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("in.csv", "in"),
        ("inbox/in.csv.gz", "in"),
        ("in.v2.XLSX", "in.v2"),
        ("s3://inbox/2026/in.parquet", "in"),
        ("inbox/*.csv", "inbox"),
        ("*.csv", "input"),
        ("inbox/in?.csv", "inbox"),
        ("inbox/in[12].csv", "inbox"),
        ("in[there].csv", "in[there]"),
        ("-", "stdin"),
        (".", "here"),
        ("inner/..", "here"),
        (".csv", ".csv"),
        ("/", "input"),
        (f"{'ä' * 100}.csv", "ä" * 90),
        (f"{'a' * 200}.csv", "a" * 180),
        ("latest.csv", "latest"),
    ],
)
def test_reports_are_called_after_the_input(
    source: str, stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "inner").mkdir(parents=True)
    (here / "in[there].csv").touch()
    (here / "latest.csv").symlink_to("in[there].csv")
    monkeypatch.chdir(here)
    assert Input(source).stem == stem


def test_a_run_id_sorts_by_time_and_fits_a_file_name() -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", new_run_id())


def test_verify_reads_every_changed_profile_back(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate_with(sim, [False, False, True])
    path = write_csv(tmp_path / "in.csv", [(key(number), "true") for number in range(3)])
    ran = run(sim, "run", path, "--verify", "--fetch", "lookup")
    assert ran.outcomes == ["updated", "updated", "unchanged"]
    assert sim.counters.methods == {"GET": 1 + 3 + 2, "PATCH": 2}


def test_a_change_that_could_not_be_read_back_counts_as_tried(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate_with(sim, [False] * 20)
    path = write_csv(tmp_path / "in.csv", [(key(number), "true") for number in range(20)])
    ran = run(sim, "run", path, "--verify", "--fetch", "scan", "--max-calls", 20)
    assert ran.status == 6
    written = {pkey for pkey, _ in sim.patched}
    for row in ran.report:
        tried = row["sync_key"] in written
        assert (row["sync_outcome"] == "pending") is not tried
        assert row["sync_after"] != "false" or not tried


def test_failures_of_both_passes_count_together(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate_with(sim, [None] * 15 + [False] * 185)
    sim.forbidden.update(key(number) for number in range(15, 200, 9))
    path = write_csv(tmp_path / "in.csv", [(key(number), "true") for number in range(200)])
    ran = run(sim, "run", path, "--fetch", "lookup", "--concurrency", 1)
    assert ran.status == 6
    assert "limit of 20" in ran.err


def test_check_reports_success(sim: Simulator, run: Run) -> None:
    populate_with(sim, [False, True])
    ran = run(sim, "check")
    assert ran.status == 0
    assert ran.out.count("ok  ") == 5
    assert set(sim.counters.methods) == {"GET"}
    assert len(sim.requests) <= 5


def test_check_names_the_problem(sim: Simulator, run: Run) -> None:
    empty = run(sim, "check")
    assert empty.status == 2
    assert "FAIL  No profile is to be seen. Has this technical account the rights" in empty.out
    populate_with(sim, [False])
    assert "--api-key" in run(sim, "check", "--api-key", "wrong", "--retries", 0).out
    assert run(sim, "check", "--organization", "wrong").status == 5
    away = run(sim, "check", "--endpoint", "http://127.0.0.1:9", "--patience", 0.1)
    assert (away.status, "check --endpoint and --ims-endpoint" in away.out) == (6, True)
    spent = run(sim, "check", "--max-calls", 1)
    assert (spent.status, "--ims-endpoint" in spent.out) == (6, False)
    ran = run(sim, "check", "--attribute", "cusOptOut")
    assert ran.status == 2
    assert "ccpaOptOut" in ran.out


def test_check_ends_after_the_call_in_flight(sim: Simulator, run: Run) -> None:
    populate_with(sim, [False])
    signal_before_answer(sim, "GET", 1)
    assert run(sim, "check").status == 143
    assert len(sim.requests) == 1


def test_check_blames_no_credentials_for_a_call_without_an_answer_after_a_signal(
    sim: Simulator, run: Run
) -> None:
    populate_with(sim, [False])
    sim.queue_fault(Fault.RESET, "GET")
    signal_before_answer(sim, "GET", 1)
    ran = run(sim, "check")
    assert (ran.status, "--organization" in ran.out) == (143, False)


def test_several_files_are_one_run_and_each_row_names_its_file(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate_with(sim, [False, False])
    folder = tmp_path / "lists"
    folder.mkdir()
    write_csv(folder / "a.csv", [(key(0), "true"), ("", "true")])
    write_csv(folder / "b.csv", [(key(1), "true"), (key(0), "true")])
    ran = run(sim, "run", folder)
    assert [(Path(row["sync_file"]).name, row["sync_row"]) for row in ran.report] == [
        ("a.csv", "2"), ("a.csv", "3"), ("b.csv", "2"), ("b.csv", "3")
    ]  # fmt: skip
    assert ran.outcomes == ["updated", "rejected", "updated", "duplicate"]
    assert "a.csv row 3" in ran.out


def test_one_state_serves_a_file_of_keys(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate_with(sim, [False, False])
    path = tmp_path / "keys.txt"
    path.write_text(f"PKey\n{key(0)}\n{key(1)}\n")
    assert run(sim, "run", path, "--state", "true").status == 0
    assert sorted(sim.patched) == [(key(0), True), (key(1), True)]
