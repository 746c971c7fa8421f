"""The geometry of charts."""

import pytest
from report_frames import FACTS

from bulk_sync.outcomes import Outcome
from bulk_sync.report import charts
from bulk_sync.report.facts import PastRun


@pytest.mark.parametrize(
    "counts",
    [
        {Outcome.UPDATED: 1},
        {Outcome.UNCHANGED: 299_999, Outcome.FAILED: 1},
        dict.fromkeys(Outcome, 7),
    ],
    ids=["one", "one-of-many", "all"],
)
def test_a_stacked_bar_is_full_and_each_part_can_be_seen(counts: dict[Outcome, int]) -> None:
    parts = list(charts.stacked(counts))
    assert len(parts) == len(counts)
    assert sum(part.width for part in parts) == pytest.approx(100, abs=0.1)
    assert min(part.width for part in parts) > 1
    ends = [part.x + part.width for part in parts]
    assert [part.x for part in parts[1:]] == pytest.approx(ends[:-1], abs=0.05)


def test_a_part_without_room_has_no_sign() -> None:
    wide, narrow = charts.stacked({Outcome.UNCHANGED: 1000, Outcome.FAILED: 1})
    assert (wide.sign, narrow.sign) == ("=", "")


def test_bars_are_as_long_as_their_counts_and_no_more_than_a_dozen() -> None:
    bars = charts.bars({str(at): 20 - at for at in range(20)})
    assert len(bars) == 12
    assert (bars[0].width, bars[10].width) == (100, 50)
    assert charts.bars({"none": 0}) == [charts.Bar("none", 0, 0)]


def test_a_matrix_has_words_for_changes() -> None:
    cells = {
        (cell.row, cell.column): cell for cell in charts.cells([[5, 2, 0], [9, 1, 0], [0] * 3])
    }
    assert cells[0, 1].word == "allowed"
    assert cells[1, 0].word == "forbidden"
    assert cells[2, 2].word == ""
    assert cells[1, 0].shade > cells[0, 1].shade > cells[0, 2].shade == 0


def test_runs_are_columns_the_newest_at_the_right() -> None:
    past = [PastRun("a", FACTS.at, 100, 0, 0), PastRun("b", FACTS.at, 50, 4, 0)]
    rows, changes, failures = charts.panels(past)
    assert rows.path == "M28 100v-100h.8V100zM29 100v-50h.8V100z"
    assert (changes.path, changes.most) == ("M29 100v-100h.8V100z", 4)
    assert (failures.path, failures.most) == ("", 0)
