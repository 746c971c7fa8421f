"""Acts of people in the page are lines of the ledger, as safe as any other."""

import pytest
from ledger_lines import fill, way_to
from sqlalchemy import update

from bulk_sync.ledger import Act, Begun, Deed, Ended, Kind, NotBegun, Run, open_ledger, verify
from bulk_sync.ledger.schema import lines
from bulk_sync.settings import State

UPLOAD = Act(Deed.UPLOADED, "Ana Diaz", "u1", "Two weeks", {"sha256": "f" * 64, "name": "a.xlsx"})
LOOKUP = Act(Deed.LOOKED_UP, "Ben Miller", key="jo@example.com")


def begin_facts() -> Begun:
    return Begun(
        Kind.RUN, "job", "https://x.example", "acme", "ccpaOptOut", "in.csv", "0" * 64, 1, None, {},
        "1", "me",
    )  # fmt: skip


def test_an_act_is_read_back_as_it_was_recorded(state: State) -> None:
    with open_ledger(state) as book:
        book.record(UPLOAD)
        book.begin("r1", begin_facts())
        book.record(LOOKUP)
        runs, acts = dict[str, Run](), list[Act]()
        assert book.follow(runs, acts, 0) == 3
        assert list(runs) == ["r1"]
        for found, act, position in zip(acts, (UPLOAD, LOOKUP), (1, 3), strict=True):
            assert found.at_ms > 0
            assert found == type(act)(**{**vars(act), "at_ms": found.at_ms, "position": position})


def test_new_acts_are_added_to_the_known_ones(state: State) -> None:
    with open_ledger(state) as book:
        runs, acts = dict[str, Run](), list[Act]()
        book.begin("r1", begin_facts())
        last = book.follow(runs, acts, 0)
        book.end("r1", Ended(6, "stopped", final=False, calls={"GET": 2}))
        book.record(UPLOAD)
        last = book.follow(runs, acts, last)
        book.end("r1", Ended(0, "", final=True, calls={"GET": 3}))
        assert book.follow(runs, acts, last) == 4
        assert [run.is_finished for run in runs.values()] == [True]
        assert book.runs() == list(runs.values())
        assert runs["r1"].ended is not None
        assert runs["r1"].ended.calls == {"GET": 5}
        assert len(acts) == 1


def test_failed_starts_are_followed_but_not_runs_that_began(state: State) -> None:
    with open_ledger(state) as book:
        start = NotBegun(**vars(begin_facts()), exit=2, message="There is no file in.csv.")
        book.record_failed_start("r0", start)
        book.begin("r1", begin_facts())
        runs = dict[str, Run]()
        book.follow(runs, [], 0)
        assert [(run.run_id, run.has_begun) for run in runs.values()] == [
            ("r0", False),
            ("r1", True),
        ]
        assert [run.run_id for run in book.runs()] == ["r1"]
        assert book.all_requested() == list(runs.values())


def test_following_skips_the_writes_of_large_runs(state: State) -> None:
    """The database answers from the index of the few other lines."""
    with open_ledger(state) as book:
        fill(book, 5_000)
        way = way_to(book, lambda: book.follow({}, [], 0))
    assert "lines_of_no_write" in way


def test_an_act_is_no_write_and_no_run(state: State) -> None:
    with open_ledger(state) as book:
        book.record(LOOKUP)
        assert book.runs() == []
        assert book.history("jo@example.com", addresses=["jo@example.com"]) == []


@pytest.mark.parametrize(
    "change", [{"facts": "{}"}, {"profile_key": "other"}, {"run_id": "u2"}, {"at_ms": 1}], ids=str
)
def test_a_changed_act_does_not_fit(state: State, change: dict[str, object]) -> None:
    with open_ledger(state) as book:
        book.record(UPLOAD)
        book.record(LOOKUP)
        with book.transaction() as connection:
            connection.execute(update(lines).where(lines.c.position == 1).values(**change))
    verdict = verify(state)
    assert verdict.misfit is not None
    assert verdict.misfit.position == 1
