"""What the job of a file is called."""

import pytest

from bulk_sync import job_names


@pytest.mark.parametrize(
    ("stem", "job"),
    [
        ("requests", "requests"),
        ("requests11", "requests"),
        ("demandes 2026-11", "demandes"),
        ("2026-11 demandes", "demandes"),
        ("Opt outs 3", "Opt outs"),
        ("requests (2)", "requests"),
        ("Заявки 2026_11", "Заявки"),
        ("optouts-20261129", "optouts-"),
        ("20261129_optouts", "_optouts"),
        ("2026-11", "-"),
        ("2026 11", "input"),
        ("11", "input"),
    ],
)
def test_a_job_is_the_file_s_name_without_digits_and_what_they_leave_beside_a_blank(
    stem: str, job: str
) -> None:
    assert job_names.of_stem(stem) == job


def test_an_older_name_counts_unless_the_very_name_is_there() -> None:
    assert job_names.is_same("demandes -", "demandes")
    assert not job_names.is_same("demandes", "demandes -")
    assert not job_names.is_same("optouts-", "optouts")
    assert job_names.among(["a", "demandes -"], "demandes") == "demandes -"
    assert job_names.among(["demandes -", "demandes"], "demandes") == "demandes"
    assert job_names.among(["a"], "demandes") is None
