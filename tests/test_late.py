"""Request dates in the input: the report has the last day of each, the summary counts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Simulator


def write_dated(path: Path) -> Path:
    """Write opt-outs of long ago, of today, undated and of an unknown person, and an opt-in."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    path.write_text(
        "PKey,ccpaOptOut,Request date,Channel\n"
        f"{key(0)},true,2026-02-02,web\n{key(1)},true,{today},phone\n{key(2)},true,,web\n"
        f"{key(9)},true,2026-02-02,web\n{key(3)},false,2026-02-02,mail\n"
    )
    return path


def test_the_report_has_the_last_day_and_the_summary_counts_late_opt_outs(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    sim.add(pkey=key(3), ccpaOptOut=True)
    ran = run(sim, "run", write_dated(tmp_path / "in.csv"))
    assert ran.status == 3
    due = [row["sync_due"] for row in ran.report]
    assert due[0] == due[3] == "2026-02-24"
    assert datetime.fromisoformat(due[1]).date() >= datetime.now(UTC).date() + timedelta(days=19)
    assert [due[2], due[4]] == ["", ""]
    names = list(ran.report[0])
    assert names.index("sync_due") == names.index("sync_at") + 1
    assert [row["Channel"] for row in ran.report] == ["web", "phone", "web", "web", "mail"]
    assert "Still to be carried out: 1 past their last day, 0 due within" in ran.out
    assert "Carried out too late: 1." in ran.out
    again = run(sim, "run", tmp_path / "in.csv", "--summary", "json", "--report", "again.csv")
    assert again.summary["late"] == {"left": 1, "done": 0, "soon": 0, "undated": 0}


def test_opt_outs_not_done_are_late_whatever_their_outcome(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    newer = {"ccpaOptOutLastModified": "2026-03-01 12:00:00.000Z"}
    sim.add(pkey=key(0), ccpaOptOut=False, **newer)  # drifted: Campaign holds a newer choice
    sim.add(pkey=key(1), ccpaOptOut=False)  # rejected: two states
    sim.add(pkey=key(2), ccpaOptOut=False)  # failed
    sim.add(pkey=key(3), ccpaOptOut=None)  # failed: its state is unknown
    sim.forbidden.add(key(2))
    cells = [(0, "true"), (1, "true"), (1, "false"), (2, "true"), (3, "true"), (9, "true")]
    lines = [f"{key(number)},{state},2026-02-02" for number, state in cells]
    unreadable = [f"{key(4)},perhaps,2026-02-02", ",true,2026-02-02"]
    (tmp_path / "in.csv").write_text(
        "\n".join(["PKey,ccpaOptOut,Request date", *lines, *unreadable, ""])
    )
    ran = run(sim, "run", "in.csv")
    assert ran.outcomes == [
        "drifted", "rejected", "rejected", "failed", "failed", "not_found", "rejected", "rejected",
    ]  # fmt: skip
    assert "Still to be carried out: 7 past their last day" in ran.out
    assert "Carried out too late: 0." in ran.out


def test_an_opt_out_with_ambiguous_profiles_is_late(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="a@example.com", ccpaOptOut=False)
    (tmp_path / "in.csv").write_text("email,ccpaOptOut,Received\na@example.com,true,2026-02-02\n")
    ran = run(sim, "run", "in.csv", "--on-ambiguous", "reject")
    assert ran.report[0]["sync_reason"] == "ambiguous"
    assert "Still to be carried out: 1 past their last day" in ran.out


def test_without_request_dates_there_is_no_last_day(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), "--summary", "json")
    assert ran.summary["late"] is None
    assert "sync_due" not in ran.report[0]


def test_holidays_can_be_checked(run: Run) -> None:
    ran = run(None, "holidays", 2026)
    assert ran.status == 0
    assert "2026-11-26 Thu  Thanksgiving Day" in ran.out
    assert ran.out.count("\n") > 10
    output = run(None, "holidays", 2026, "--json").out
    assert '{"date":"2026-12-25","name":"Christmas Day"}' in output
