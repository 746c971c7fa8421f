"""Everything in a ledger is read back unchanged, on every database."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from ledger_lines import OTHER, RUN, begun, fill, intents, updated, way_to
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bulk_sync import ledger
from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.ledger import Ended, Head, Intent, Settled
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import State


def test_a_run_is_read_back_as_it_was_recorded(state: State) -> None:
    how = Ended(3, "said", final=True, outcomes={"failed": 1}, calls={"GET": 7}, seconds=1.5)
    with ledger.open_ledger(state) as book:
        book.begin(RUN, begun())
        book.end(RUN, how)
    with ledger.open_ledger(state) as book:
        (run,) = book.runs()
        assert run == book.run(RUN)
    assert run.begun == begun()
    assert run.ended == how
    assert (run.run_id, run.position, run.is_finished, run.is_done) == (RUN, 1, True, True)


def test_an_open_ledger_reads_lines_added_by_others(state: State) -> None:
    stopped = Ended(143, "Stopped.", final=False, calls={"GET": 7}, seconds=1.5)
    with ledger.open_ledger(state) as book, ledger.open_ledger(state) as other:
        for add in (
            lambda: other.begin(RUN, begun()),
            lambda: other.end(RUN, stopped),
            lambda: other.begin(OTHER, begun()),
            lambda: other.end(RUN, stopped),
        ):
            add()
            with ledger.open_ledger(state) as fresh:
                assert book.runs() == fresh.runs()
        run, _ = book.runs()
    assert run.ended is not None
    assert (run.ended.calls, run.ended.seconds) == ({"GET": 14}, 3.0)


def test_the_last_end_of_a_run_counts(state: State) -> None:
    with ledger.open_ledger(state) as book:
        book.begin(RUN, begun())
        assert book.run(RUN).ended is None
        book.end(RUN, Ended(143, "Stopped.", final=False))
        assert not book.run(RUN).is_finished
        book.end(RUN, Ended(0, "", final=True))
        assert book.run(RUN).is_finished


def test_a_write_has_its_intent_and_its_outcome(state: State) -> None:
    intent = Intent(
        '@k"é\U0001f600',
        7,
        "lists/b.csv",
        before=True,
        desired=False,
        used="a@b.c",
        requested="2026-11-20",
    )
    outcome = Settled(
        0, Outcome.FAILED, "http_403", "Not allowed.", 3, 1_795_572_000_123, after=True
    )
    with ledger.open_ledger(state) as book:
        (at,) = book.intend(RUN, [intent])
        (open_one,) = book.writes(RUN)
        assert open_one.settled is None
        book.settle(RUN, [outcome._replace(intent=at)])
        (write,) = book.writes(RUN)
    assert write.intent == intent
    assert write.settled == outcome._replace(intent=at, position=at + 1)


def test_a_history_holds_every_run_s_writes_to_one_profile(state: State) -> None:
    with ledger.open_ledger(state) as book:
        for run_id in (RUN, OTHER):
            fill(book, 3, run_id)
        followed = book.history("@key-1")
        assert [write.run_id for write in followed] == [RUN, OTHER]
        assert book.history("@key-9") == []
        assert book.keys_of([OTHER]) == dict.fromkeys(["@key-0", "@key-1", "@key-2"], OTHER)


LONG = "x" * 5_000


@pytest.mark.parametrize(
    ("key", "address", "rows"),
    [
        ("Jo@Example.com", "jo@example.com", [0, 1]),
        ("JO@example.com", "", []),
        ("C-1", "", [2]),
        (f"{LONG}A", "", [3]),
        ("@key-2", "", [2]),
        ("@none", "jo@example.com", [0, 1]),
        ("@none", f"{LONG}a", [3]),
    ],
    ids=[
        "address", "another spelling", "other key", "long keys that begin the same", "PKey",
        "address alone", "long address alone",
    ],
)  # fmt: skip
def test_a_history_by_the_key_of_a_row_is_found_without_reading_all_writes(
    state: State, key: str, address: str, rows: list[int]
) -> None:
    used = ["Jo@Example.com", "jo@example.com", "C-1", f"{LONG}A", f"{LONG}B"]
    used += [f"person-{number}@example.com" for number in range(5_000)]
    given = zip(intents(len(used)), used, strict=True)
    with ledger.open_ledger(state) as book:
        book.intend(RUN, [intent._replace(used=each) for intent, each in given])
        found = book.history(key, addresses=[address] if address else [])
        way = way_to(book, lambda: book.history(key, addresses=[address]))
    assert [write.intent.row - 2 for write in found] == rows
    assert "lines_by_key" in way
    assert "lines_by_used" in way
    assert not re.search(r"SCAN lines|Seq Scan", way), way


def test_an_intent_is_visible_to_another_connection_at_once(state: State) -> None:
    with ledger.open_ledger(state) as book, ledger.open_ledger(state) as other:
        book.intend(RUN, intents(2))
        assert len(list(other.writes(RUN))) == 2


def test_writers_take_turns_and_the_chain_holds(state: State) -> None:
    def work(first: int) -> None:
        with ledger.open_ledger(state) as book:
            for group in range(5):
                at = book.intend(f"run-{first}", intents(4, first + 4 * group))
                book.settle(f"run-{first}", [updated(each) for each in at])

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.open_ledger(state) as book:
        head, misfit = book.verify()
    assert misfit is None
    assert head.position == 4 * 5 * 4 * 2


def test_an_unknown_run_is_named_with_the_ledger(state: State) -> None:
    with ledger.open_ledger(state) as book, pytest.raises(UsageProblem, match="no run 'nobody'"):
        book.run("nobody")


def test_no_line_is_appended_for_an_empty_group(state: State) -> None:
    with ledger.open_ledger(state) as book:
        assert book.intend(RUN, []) == []
        book.settle(RUN, [])
        assert book.verify() == (Head(), None)


def test_unknown_facts_of_a_newer_program_are_ignored() -> None:
    from bulk_sync.ledger.records import Begun, dumps, loads  # noqa: PLC0415

    text = dumps(begun()).replace("{", '{"later": 1, ', 1)
    assert loads(Begun, text) == begun()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        fill(book)
        for path in (tmp_path / "state").iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_closing_waits_for_another_thread_and_refuses_new_work(state: State) -> None:
    in_a_statement, may_go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        in_a_statement.set()
        may_go_on.wait(60)

    with ledger.open_ledger(state) as book, ThreadPoolExecutor(2) as threads:
        fill(book, 20)
        event.listen(Engine, "before_cursor_execute", hold)
        reading = threads.submit(lambda: list(book.writes(RUN)))
        assert in_a_statement.wait(60)
        closing = threads.submit(book.close)
        assert not wait([closing], timeout=0.1).done
        may_go_on.set()
        assert len(reading.result(timeout=60)) == 20
        closing.result(timeout=60)
        event.remove(Engine, "before_cursor_execute", hold)
    with pytest.raises(StoppedEarly, match="is closed"):
        book.end(RUN, Ended(0, "", final=True))


def test_a_loop_over_writes_ended_by_an_error_leaves_no_lock(state: State) -> None:
    """Python keeps such a loop for as long as it keeps the error."""
    with ledger.open_ledger(state) as book, ThreadPoolExecutor(1) as thread:
        fill(book, 20)
        followed = book.writes(RUN)
        next(followed)
        try:
            assert thread.submit(book.intend, OTHER, intents(1)).result(timeout=20) == [43]
            thread.submit(book.close).result(timeout=20)
        finally:
            del followed  # so that the test ends even if they wait


def test_a_loop_over_writes_may_itself_add_to_the_ledger(state: State) -> None:
    with ledger.open_ledger(state) as book:
        fill(book, 5)
        for write in book.writes(RUN):
            book.intend(OTHER, [write.intent])
        assert [write.intent for write in book.writes(OTHER)] == intents(5)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 24, 25])
def test_writes_are_read_in_batches_and_every_one_once(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.ledger.queries.BATCH_ROWS", 8)
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(OTHER, intents(3))
        positions = book.intend(RUN, intents(count))
        book.intend(OTHER, intents(3))
        book.settle(RUN, [updated(at) for at in positions[::2]])
        found = list(book.writes(RUN))
    assert [write.position for write in found] == positions
    assert [write.position for write in found if write.settled is not None] == positions[::2]


def test_a_reader_does_not_block_a_writer(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_sync.ledger.queries.BATCH_ROWS", 8)
    with ledger.open_ledger(state) as book:
        fill(book, 20)
        with ledger.open_existing(state) as other:
            assert other is not None
            followed = other.writes(RUN)
            next(followed)
            book.intend(OTHER, intents(1))
            assert len(list(followed)) == 19


def test_the_writes_to_many_profiles_take_few_queries(state: State) -> None:
    created = Settled(0, Outcome.CREATED, None, "", 1, 1_795_572_000_000, "@made")
    with ledger.open_ledger(state) as book:
        fill(book, 3)
        (at,) = book.intend(RUN, [Intent("a@b.co", 9, None, None, desired=True, used="a@b.co")])
        book.settle(RUN, [created._replace(intent=at)])
        keys = ["@key-1", "@made", *(f"@other-{number}" for number in range(25_000)), "@key-2"]
        statements: list[str] = []

        @event.listens_for(Engine, "before_cursor_execute")
        def note(*given: object) -> None:
            statements.append(str(given[2]))

        found = list(book.writes_to(keys))
        event.remove(Engine, "before_cursor_execute", note)
    assert [write.intent.key for write in found] == ["@key-1", "a@b.co", "@key-2"]
    assert len(statements) <= 6
