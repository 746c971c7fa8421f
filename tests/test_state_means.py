"""The meaning of yes, and the user's own words, from the command line to Campaign."""

from pathlib import Path

import pytest
from conftest import Run, key, populate

from bulk_sync.simulator import Simulator


def answers(path: Path, *states: str) -> Path:
    lines = [f"{key(number)},{state}" for number, state in enumerate(states)]
    path.write_text("\n".join(["PKey,Answer", *lines, ""]))
    return path


COLUMN = ("--state-column", "Answer")


def test_with_consent_a_yes_allows_the_sale(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3, state=True)
    sim.add(pkey=key(3), email="p3@example.com", ccpaOptOut=False)
    path = answers(tmp_path / "in.csv", "Yes", "oui", "no", "Nein.")
    assert run(sim, "run", path, *COLUMN, "--state-means", "consent").status == 0
    assert [sim.states[key(number)] for number in range(4)] == [False, False, True, True]


def test_words_of_the_user_reach_campaign(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3, state=False)
    sim.add(pkey=key(3), email="p3@example.com", ccpaOptOut=True)
    path = answers(tmp_path / "in.csv", "Opted out", "DNS", "x", "may be sold")
    words = ("--true-values", "opted out,DNS,x", "--false-values", "may be sold")
    assert run(sim, "run", path, *COLUMN).status == 3
    assert run(sim, "run", path, *COLUMN, *words).status == 0
    assert [sim.states[key(number)] for number in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    "words",
    [("--state-means", "consent"), ("--state-means", "opt-out"), ("--true-values", "x")],
    ids=" ".join,
)
def test_one_state_for_all_rows_goes_with_no_option_about_cells(
    words: tuple[str, str], tmp_path: Path, run: Run
) -> None:
    (tmp_path / "keys.csv").write_text("PKey\n@a\n")
    ran = run(None, "validate", "keys.csv", "--state", "true", *words)
    assert ran.status == 2
    assert "Leave out --state, or the others." in ran.err


def test_the_options_may_come_from_the_configuration(tmp_path: Path, run: Run) -> None:
    answers(tmp_path / "in.csv", "withdrawn", "granted", "yes")
    (tmp_path / "bulk-sync.toml").write_text(
        'state-column = "Answer"\nstate-means = "consent"\n'
        'true-values = "withdrawn"\nfalse-values = "granted"\n'
    )
    assert run(None, "validate", "in.csv", "--report", "v.csv").status == 0
    text = (tmp_path / "v.csv").read_text()
    assert [line.split(",")[4] for line in text.splitlines()[1:]] == ["true", "false", "false"]


def test_the_rest_of_a_run_is_read_with_the_same_options(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1, state=True)
    path = answers(tmp_path / "in.csv", "granted", "granted")  # the second one is not known
    words = ("--state-means", "consent", "--false-values", "granted")
    ran = run(sim, "run", path, *COLUMN, *words)
    assert ran.status == 3
    assert "--state-means consent --false-values granted" in ran.out + ran.err
    (todo,) = tmp_path.glob("*.todo.csv")
    assert run(sim, "run", todo, *COLUMN, *words, "--allow", "unknown-keys").status == 3
