"""The words for people: every code has one."""

import pytest

from bulk_sync.amounts import count
from bulk_sync.errors import Exit
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import wording
from bulk_sync.rows.due_dates import Late


def test_every_outcome_reason_and_exit_status_has_words() -> None:
    assert list(wording.OUTCOMES) == list(Outcome)
    assert set(wording.REASONS) == set(Reason)
    assert list(wording.EXITS) == list(Exit)
    assert all(wording.REASONS.values())
    assert len({word.sign for word in wording.OUTCOMES.values()}) == len(Outcome)


def test_no_legend_needs_an_engineer_to_read_it() -> None:
    legends = [*wording.REASONS.values(), *(word.meaning for word in wording.OUTCOMES.values())]
    words = ["HTTP", "status", "GET", "PATCH", "instance", "look-up", "gateway"]
    assert [each for each in legends if any(word in each for word in words)] == []
    assert "does not let this program" in wording.REASONS[Reason.HTTP_403]


@pytest.mark.parametrize(
    ("status", "outcomes", "words"),
    [
        (Exit.ROWS_LEFT, {}, "some rows need a person"),
        (Exit.ROWS_LEFT, {"updated": 2, "rejected": 1}, "some rows need a person"),
        (Exit.ROWS_LEFT, {"updated": 2, "pending": 1}, "some rows need a person"),
        (Exit.ROWS_LEFT, {"updated": 2, "unchanged": 1}, "report not uploaded"),
        (Exit.DONE, {"updated": 2}, "done"),
    ],
)
def test_exit_status_3_is_about_rows_only_if_some_need_a_person(
    status: Exit, outcomes: dict[str, int], words: str
) -> None:
    assert wording.in_short(status, outcomes) == words
    is_upload = "uploaded" in wording.exit_status(status, outcomes=outcomes)
    assert is_upload == (words == "report not uploaded")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 opt-ins"), (1, "1 opt-in"), (1520, "1,520 opt-ins")]
)
def test_a_count_of_one_is_singular(number: int, text: str) -> None:
    assert count(number, "opt-in") == text


def test_deadlines_are_named_only_if_there_are_any() -> None:
    assert wording.deadlines(None) == []
    assert wording.deadlines(Late(0, 0, 0, 0)) == []
    assert wording.deadlines(Late(left=2, done=1, soon=3, undated=0))[1:] == [
        "Still to be carried out: 2 past their last day, 3 due within 3 business days.",
        "Carried out too late: 1.",
    ]
    assert "4 without a date" in wording.deadlines(Late(0, 0, 0, 4))[1]


def test_codes_are_shown_as_words() -> None:
    spoken = [wording.spoken(each) for each in ("would_update", "not_found", "http_403", "updated")]
    assert spoken == ["would update", "not found", "HTTP 403", "updated"]
