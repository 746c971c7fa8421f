"""The name of the job of a file."""

import pytest

from bulk_sync import job_names
from bulk_sync.rows import read


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


@pytest.mark.parametrize(
    ("source", "job"),
    [
        ("vip.csv", "vip"),
        ("vip 2026-11.csv", "vip"),
        ("vip.20261123T020000Z-7f3a9c.todo.csv", "vip.todo"),
        ("vip.20261124T020000Z-0a1b2c.todo.csv", "vip.todo"),
        ("vip.20261123T020000Z-7f3a9c.todo.20261124T020000Z-0a1b2c.todo.csv", "vip.todo"),
        ("vip.20261123T020000Z-7f3a9c.todo.xlsx", "vip.todo"),
        ("vip.20261123T020000Z-7f3a9c-2.todo.csv", "vip.todo"),
        ("20261123T020000Z-7f3a9c.csv", "TZ-fac"),
        ("20261123T020000Z-7f3a9c.20261124T020000Z-0a1b2c.todo.csv", "TZ-fac.todo"),
        ("a.20261123T020000Z-7f3a9c.20261124T020000Z-0a1b2c.todo.csv", "a.TZ-fac.todo"),
        ("a.20261123T020000Z-7f3a9c.b.20261124T020000Z-0a1b2c.todo.csv", "a.TZ-fac.b.todo"),
    ],
)
def test_rows_left_of_an_input_are_one_job_whatever_run_left_them(source: str, job: str) -> None:
    assert read.default_job(source, source.rpartition(".")[0]) == job
