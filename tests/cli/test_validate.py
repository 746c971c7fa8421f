"""What `validate` prints and reports."""

from pathlib import Path

import orjson
import pytest
from conftest import Run, read_csv


@pytest.fixture
def checked(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("PKey,ccpaOptOut\n@a,yes\n@b,no\n@c,yes\n@c,yes\n@d,perhaps\n@e,yes\n")
    return path


def test_it_counts_the_usable_rows_that_forbid_and_that_allow_the_sale(
    checked: Path, run: Run
) -> None:
    ran = run(None, "validate", checked)
    assert ran.status == 3
    (usable,) = (line for line in ran.out.splitlines() if line.startswith("  usable"))
    assert usable.split(None, 2) == [
        "usable", "4", "of these 3 forbid the sale (opt-outs), 1 allows it",
    ]  # fmt: skip


def test_it_counts_them_for_scripts(checked: Path, run: Run) -> None:
    told = orjson.loads(run(None, "validate", checked, "--summary", "json").out)
    assert {name: told[name] for name in ("rows", "usable", "forbid", "allow", "sum")} == {
        "rows": 6, "usable": 4, "forbid": 3, "allow": 1, "sum": 6,
    }  # fmt: skip
    assert told["outcomes"] == {"duplicate": 1, "rejected": 1}


def test_its_report_says_usable_and_is_an_input(checked: Path, tmp_path: Path, run: Run) -> None:
    run(None, "validate", checked, "--report", "judged.csv")
    rows = read_csv(tmp_path / "judged.csv")
    assert [row["sync_outcome"] for row in rows] == [
        "usable", "usable", "usable", "duplicate", "rejected", "usable",
    ]  # fmt: skip
    assert {row["sync_before"] + row["sync_after"] + row["sync_at"] for row in rows} == {""}
    again, first = (run(None, "validate", each).out for each in ("judged.csv", checked))
    assert again.splitlines()[2:-1] == first.splitlines()[2:-1]


@pytest.mark.parametrize("suffix", [".xlsx", ".html", ".parquet", ".json"])
def test_every_format_of_report_knows_usable_rows(
    suffix: str, checked: Path, tmp_path: Path, run: Run
) -> None:
    assert run(None, "validate", checked, "--report", f"judged{suffix}").status == 3
    assert (tmp_path / f"judged{suffix}").stat().st_size
