"""Texts by others within sentences of this program."""

import pytest

from bulk_sync.errors import LedgerAway, RetryLater, clause
from bulk_sync.outcomes import Reason


@pytest.mark.parametrize("mark", ["", ".", "...", "?", "!", ". "])
def test_a_text_that_is_followed_by_more_has_no_mark_at_its_end(mark: str) -> None:
    text = f"Is v8.1 running{mark}"
    assert clause(text) == "Is v8.1 running"
    assert RetryLater(Reason.TIMEOUT, text).detail == "Is v8.1 running"
    assert "answer: Is v8.1 running. Start the command" in str(LedgerAway("x", text))
