"""``--protect``: people whom no run may change, for every command and every kind of key."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import Ran, Run, before_answer, key, populate, process, read_csv, write_states

from bulk_sync.simulator import Fault, Simulator

ROWS = 5
VIP = 2
LISTS = {
    "a PKey": f"PKey\n{key(VIP)}\n",
    "no header": f"{key(VIP)}\n",
    "no header, two keys": f"@another-key\n{key(VIP)}\n",
    "a header of its own": f"Do not touch\n{key(VIP)}\n",
    "forced to text": f"PKey\n'{key(VIP)}\n",
    "an address": f"E-mail\nP{VIP}@Example.com\n",
    "an address of Outlook": f"<p{VIP}@example.com>\n",
    "an address of a customer": f"Name,Customer email\nVip,p{VIP}@example.com\n",
    "two columns": f"PKey,Reason,e-mail\n,lawsuit,p{VIP}@example.com\n@other,,\n",
    "blank lines": f"\n\nemail\n\np{VIP}@example.com\n\n",
}
PKEYS = [f"{key(at)},true" for at in range(ROWS)]
ADDRESSES = [f"p{at}@EXAMPLE.com,true" for at in range(ROWS)]


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    populate(sim, ROWS)
    write_states(tmp_path / "in.csv", ROWS)
    return sim


def protect(folder: Path, content: str = LISTS["a PKey"]) -> Path:
    path = folder / "vip.csv"
    path.write_text(content)
    return path


def check_left_alone(ran: Ran, sim: Simulator, report: str) -> None:
    """Check that everybody except the one protected person was opted out."""
    assert ran.status == 3, ran.err
    assert sim.states == {key(at): at != VIP for at in range(ROWS)}
    rows = read_csv(ran.folder / report)
    assert [row["sync_outcome"] for row in rows] == [
        "rejected" if at == VIP else "updated" for at in range(ROWS)
    ]
    assert rows[VIP]["sync_reason"] == "protected"
    assert rows[VIP]["sync_detail"].startswith("Protected by row ")
    assert "vip.csv: no run may change this person" in rows[VIP]["sync_detail"]


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(
    ("name", "lines"), [("PKey", PKEYS), ("email", ADDRESSES)], ids=["by PKey", "by address"]
)
def test_a_protected_person_is_rejected_and_the_others_are_written(
    content: str, name: str, lines: list[str], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "in.csv").write_text("\n".join([f"{name},ccpaOptOut", *lines]))
    words = ("--protect", protect(tmp_path, content), "--report", "r.csv")
    check_left_alone(run(filled, "run", "in.csv", *words), filled, "r.csv")
    (todo,) = tmp_path.glob("*.todo.csv")
    assert len(read_csv(todo)) == 1


@pytest.mark.parametrize("name", ["E-mail address", "Customer e-mail"])
def test_a_row_is_protected_by_its_own_address_although_its_key_is_another(
    name: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    filled.profiles[key(VIP)]["email"] = "moved@example.com"
    lines = [f"{key(at)},true,P{at}@example.com" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join([f"PKey,ccpaOptOut,{name}", *lines]))
    words = ("--protect", protect(tmp_path, LISTS["an address"]), "--report", "r.csv")
    check_left_alone(run(filled, "run", "in.csv", *words), filled, "r.csv")


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".csv.gz", ".txt"])
@pytest.mark.parametrize("header", ["PKey", "Protected"])
def test_a_list_may_have_any_format_of_the_input(
    suffix: str, header: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    frame, path = pd.DataFrame({header: [key(VIP)]}), tmp_path / f"vip{suffix}"
    if suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    assert run(filled, "run", "in.csv", "--protect", path).status == 3
    assert filled.states == {key(at): at != VIP for at in range(ROWS)}


@pytest.mark.parametrize("where", ["variable", "file"])
def test_every_run_may_have_the_list(
    where: str, filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "variable":
        monkeypatch.setenv("BULK_SYNC_PROTECT", str(protect(tmp_path)))
    else:
        protect(tmp_path)
        (tmp_path / "bulk-sync.toml").write_text('protect = "vip.csv"\n')
    check_left_alone(run(filled, "run", "in.csv", "--report", "r.csv"), filled, "r.csv")


WRONG = {
    "missing": None,
    "empty": "",
    "only a header": "PKey\n",
    "blank": "\n\n ,\n",
    "damaged": "PKey\n1.23457E+15\n",
    "no address": "email\njoe@@example.com\n",
    "two nameless columns": f"{key(1)},Joe\n{key(2)},Ann\n",
    "no text": "PKey\n\0\n",
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_list_without_a_key_stops_every_command(
    command: str, content: str | None, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "vip.csv"
    if content is not None:
        path.write_text(content)
    ran = run(filled, command, "in.csv", "--protect", path)
    assert ran.status == 2
    assert "--protect" in ran.err
    assert "vip.csv" in ran.err
    assert "Nothing was sent." in ran.err
    assert filled.requests == []


def test_a_plan_observes_its_list_and_the_list_of_apply(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = protect(tmp_path)
    planned = run(filled, "plan", "in.csv", "--protect", path, "--out", "p.parquet")
    assert planned.status == 3
    path.write_text(f"{key(VIP)}\n{key(1)}\n")  # longer by now
    ran = run(filled, "apply", "p.parquet", "--report", "r.csv", "--summary", "json")
    assert ran.status == 3
    assert ran.summary["outcomes"] == {"updated": 3, "rejected": 2}
    assert [at for at in range(ROWS) if not filled.states[key(at)]] == [1, VIP]


def test_apply_protects_the_profiles_of_addresses_too(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    assert run(filled, "plan", "in.csv", "--out", "p.parquet").status == 0
    words = ("--protect", protect(tmp_path, LISTS["an address"]), "--report", "r.csv")
    check_left_alone(run(filled, "apply", "p.parquet", *words), filled, "r.csv")


def test_a_run_that_was_killed_reads_the_list_anew(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = protect(tmp_path, "@nobody-of-this-file\n")
    words = ("--protect", str(path), "--concurrency", "1", "--report", "r.csv")
    child = process(filled, tmp_path, "run", "in.csv", *words)
    before_answer(filled, "PATCH", 2, child.kill)
    child.communicate(timeout=30)
    path.unlink()
    missing = run(filled, "resume")
    assert missing.status == 2
    assert "vip.csv" in missing.err
    written = sum(map(bool, filled.states.values()))
    left = [at for at in range(ROWS) if not filled.states[key(at)]]
    protect(tmp_path, f"{key(left[-1])}\n")
    assert run(filled, "resume").status == 3
    assert sum(map(bool, filled.states.values())) == ROWS - 1 > written
    assert filled.states[key(left[-1])] is False


def test_a_change_in_flight_of_someone_protected_since_is_read_and_not_sent_again(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    child = process(filled, tmp_path, "run", "in.csv", "--concurrency", "1", "--report", "r.csv")
    before_answer(filled, "PATCH", 1, child.kill)
    child.communicate(timeout=30)
    first = next(at for at in range(ROWS) if filled.states[key(at)] or at == 0)
    arrived = bool(filled.states[key(first)])
    path = protect(tmp_path, f"{key(first)}\n")
    filled.requests.clear()
    ran = run(filled, "resume", "--protect", path, "--report", "s.csv")
    assert f"/{key(first)}" not in {
        request.raw_path[request.raw_path.rindex("/") :].replace("%40", "@")
        for request in filled.requests
        if request.method == "PATCH"
    }
    row = read_csv(tmp_path / "s.csv")[first]
    assert row["sync_outcome"] == ("updated" if arrived else "rejected")
    assert ran.status == (0 if arrived else 3)
    assert bool(filled.states[key(first)]) is arrived


def test_an_undo_and_a_retry_leave_protected_people_alone(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9, matching=key(4)[-6:])
    first = run(filled, "run", "in.csv", "--retries", 0, "--summary", "json", "--report", "a.csv")
    assert first.summary["outcomes"] == {"updated": 4, "failed": 1}
    filled.clear()
    monkeypatch.setenv("BULK_SYNC_PROTECT", str(protect(tmp_path, f"{key(4)}\np1@example.com\n")))
    retried = run(filled, "retry", first.summary["run_id"], "--report", "b.csv")
    assert retried.status == 3
    assert [row["sync_reason"] for row in read_csv(tmp_path / "b.csv")] == ["protected"]
    assert filled.states[key(4)] is False

    words = ("--max-opt-ins", "100%", "--report", "c.csv")
    undone = run(filled, "undo", first.summary["run_id"], *words)
    assert undone.status == 3, undone.err
    assert [at for at in range(ROWS) if filled.states[key(at)]] == [1]
    rows = read_csv(tmp_path / "c.csv")
    assert [row["sync_reason"] for row in rows] == ["", "protected", "", ""]
    assert [row["sync_before"] for row in rows] == ["true", "", "true", "true"]  # as read
    assert [row["sync_after"] for row in rows] == ["false", "", "false", "false"]


def test_a_recorded_list_counts_beside_a_variable_and_a_typed_one_replaces_it(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--protect", protect(tmp_path), "--max-changes", 1, "--report", "a.csv")
    refused = run(filled, "run", "in.csv", *words, "--summary", "json")
    assert refused.status == 4
    run_id = refused.summary["run_id"]
    (tmp_path / "more.csv").write_text(f"{key(0)}\n")
    monkeypatch.setenv("BULK_SYNC_PROTECT", str(tmp_path / "more.csv"))
    assert run(filled, "resume", run_id, "--max-changes", 2).status == 4  # 3 are left
    done = run(filled, "resume", run_id, "--max-changes", 4, "--report", "b.csv")
    assert done.status == 3
    assert [at for at in range(ROWS) if not filled.states[key(at)]] == [0, VIP]


def test_without_the_list_a_run_can_be_given_up_and_audited(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = protect(tmp_path)
    assert run(filled, "run", "in.csv", "--protect", path, "--report", "a.csv").status == 3
    path.unlink()
    assert run(filled, "audit").status == 0


def test_an_address_of_the_list_that_cannot_be_looked_up_stops_the_run(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(ROWS, 3000):  # so many that an address is not looked for in the list
        filled.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
    filled.queue_fault(Fault.TRANSIENT_500, "GET", times=99, matching="by")
    words = ("--protect", protect(tmp_path, LISTS["an address"]), "--retries", 0)
    ran = run(filled, "run", "in.csv", *words, "--report", "a.csv")
    assert ran.status == 6, ran.err
    assert "protected address in row 2 of vip.csv could not be looked up" in ran.err
    assert filled.patched == []
    filled.clear()
    assert run(filled, "resume", "--report", "r.csv").status == 3
    assert [at for at in range(ROWS) if not filled.states[key(at)]] == [VIP]


def test_all_rows_of_one_person_are_rejected(filled: Simulator, tmp_path: Path, run: Run) -> None:
    filled.add(pkey="@twin", email=f"p{VIP}@example.com", ccpaOptOut=False)
    lines = [*ADDRESSES, f"p{VIP}@example.com,true", f"P{VIP}@example.com,true"]
    (tmp_path / "in.csv").write_text("\n".join(["email,ccpaOptOut", *lines]))
    words = ("--protect", protect(tmp_path), "--report", "r.csv", "--email-case", "ignore")
    assert run(filled, "run", "in.csv", *words).status == 3
    reasons = [row["sync_reason"] for row in read_csv(tmp_path / "r.csv")]
    assert reasons == ["", "", "protected", "", "", "protected", "protected"]
    assert not filled.states["@twin"]


def test_one_protected_row_protects_every_row_with_its_key(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    lines = [f"{key(0)},true,", f"{key(1)},true,", f"{key(0)},true,vip@example.com"]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,email", *lines]))
    words = ("--protect", protect(tmp_path, "VIP@example.com\n"), "--report", "r.csv")
    assert run(filled, "run", "in.csv", *words).status == 3
    reasons = [row["sync_reason"] for row in read_csv(tmp_path / "r.csv")]
    assert reasons == ["protected", "", "protected"]
    assert not filled.states[key(0)]


def test_a_row_that_is_unusable_keeps_its_own_reason(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "in.csv").write_text(
        f"PKey,ccpaOptOut\n{key(VIP)},perhaps\n{key(VIP)},true\n@unknown,true\n"
    )
    words = ("--protect", protect(tmp_path, f"{key(VIP)}\n@unknown\n"), "--report", "r.csv")
    assert run(filled, "run", "in.csv", *words).status == 3
    reasons = [row["sync_reason"] for row in read_csv(tmp_path / "r.csv")]
    assert reasons == ["bad_state", "protected", "protected"]


def test_no_protected_person_is_created(filled: Simulator, tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text(
        "email,ccpaOptOut,firstName,lastName\nnew@example.com,true,Ann,Lee\n"
    )
    words = ("--protect", protect(tmp_path, "New@example.com\n"), "--create")
    ran = run(filled, "run", "in.csv", *words)
    assert ran.status == 3
    assert ran.report[0]["sync_reason"] == "protected"
    assert len(filled.profiles) == ROWS


def test_the_next_command_protects_too(filled: Simulator, tmp_path: Path, run: Run) -> None:
    path = protect(tmp_path)
    run(filled, "plan", "in.csv", "--protect", path, "--out", "p.parquet")
    ran = run(filled, "apply", "p.parquet", "--report", "r.csv")
    assert f" --protect {path}" in ran.out.splitlines()[-1]


@pytest.mark.parametrize("command", ["resume", "retry", "undo"])
def test_a_list_that_the_table_of_the_job_names_by_now_counts_too(
    command: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    if command == "retry":
        filled.queue_fault(Fault.TRANSIENT_500, "PATCH", 3 * ROWS)
    words = ("--max-calls", 2) if command == "resume" else ("--retries", 0)
    first = run(filled, "run", "in.csv", *words, "--report", "a.csv", "--summary", "json")
    filled.clear()
    before = filled.states[key(VIP)]
    protect(tmp_path)
    (tmp_path / "bulk-sync.toml").write_text('[job.in]\nprotect = ["vip.csv"]\n')
    again = (first.summary["run_id"], "--max-opt-ins", "100%", "--report", "b.csv")
    assert run(filled, command, *again).status == 3
    assert filled.states[key(VIP)] is before
    assert {filled.states[key(at)] for at in range(ROWS) if at != VIP} == {command != "undo"}
    assert read_csv(tmp_path / "b.csv")[VIP]["sync_reason"] == "protected"
