"""``ledger copy`` copies a whole ledger to another database, or leaves that unchanged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Run, before_answer, populate, process, write_states
from ledger_lines import OTHER, RUN, database_url, dated, fill
from sqlalchemy import create_engine, select, text

from bulk_sync import ledger
from bulk_sync.ledger import Head, Ledger
from bulk_sync.ledger.schema import holders, metadata
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

LINES = 21
DAY = "2026-11-25"
PASSWORD = "s3cret"


@pytest.fixture
def filled(state: State) -> State:
    """Return a ledger of two runs, an undone write and the calls of a day; on each database."""
    with ledger.open_ledger(state) as book:
        fill(book, 4, RUN)
        fill(book, 4, OTHER)
        book.intend(OTHER, [dated(9, "2026-11-20")._replace(file="é\U0001f600.csv", used="a@b.c")])
        book.take_calls("acme", DAY, 7, None)
    return state


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> str:
    """Return the URL of a database for the copy."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return new_database()
    return f"sqlite:///{tmp_path}/copy/ledger.sqlite3"


def on_both(kinds: str = "target") -> pytest.MarkDecorator:
    return pytest.mark.parametrize(kinds, ["sqlite", "postgresql"], indirect=True)


def options_of(state: State) -> list[str]:
    """Return the options that name a ledger."""
    words = ["--state-dir", str(state.folder)]
    return words if state.ledger is None else [*words, "--ledger", state.ledger]


def tables(state: State) -> dict[str, list[tuple[object, ...]]]:
    """Return the content of every table, without the holders of locks."""
    engine = create_engine(database_url(state))
    with engine.connect() as connection:
        found = {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.c))]
            for name, table in metadata.tables.items()
            if table is not holders
        }
    engine.dispose()
    return found


def add(state: State, run_id: str = "20261126T020000Z-112233") -> None:
    with ledger.open_ledger(state) as book:
        fill(book, 2, run_id)


@on_both()
def test_a_copy_holds_every_table_and_verifies_like_the_ledger(
    filled: State, target: str, run: Run
) -> None:
    copy = State(filled.folder, target)
    ran = run(None, "ledger", "copy", target, *options_of(filled), "--json")
    assert ran.status == 0, ran.err
    summary = ran.summary
    assert (summary["lines_added"], summary["runs"], summary["writes"]) == (LINES, 2, 9)
    heads = {(each["lines"], each["sha256"]) for each in summary["ledgers"]}
    verdicts = [ledger.verify(each) for each in (filled, copy)]
    assert heads == {(each.head.position, each.head.hash) for each in verdicts}
    assert all(each.misfit is None and each.end_is_proven for each in verdicts)
    assert tables(copy) == tables(filled)
    with ledger.open_ledger(copy) as book:
        assert book.calls_of("acme", DAY) == 7
        assert [run.run_id for run in book.runs()] == [RUN, OTHER]
        fill(book, 1, "20261126T020000Z-112233")
    assert ledger.verify(copy).misfit is None


def test_a_copy_of_an_empty_ledger_has_no_runs(state: State, run: Run, tmp_path: Path) -> None:
    with ledger.open_ledger(state):
        pass
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    summary = run(None, "ledger", "copy", url, *options_of(state), "--json").summary
    assert [summary[name] for name in ("lines_added", "runs", "writes")] == [0, 0, 0]


@on_both()
def test_an_earlier_copy_gets_the_missing_lines(filled: State, target: str, run: Run) -> None:
    words = ("ledger", "copy", target, *options_of(filled), "--json")
    assert run(None, *words).summary["lines_added"] == LINES
    assert run(None, *words).summary["lines_added"] == 0
    add(filled)
    assert run(None, *words).summary["lines_added"] == 6
    assert tables(State(filled.folder, target)) == tables(filled)


def test_a_copy_can_be_copied_back_into_the_first_file(
    tmp_path: Path, new_database: Callable[[], str], run: Run
) -> None:
    state, url = State(tmp_path / "state"), new_database()
    add(state, RUN)
    ran = run(None, "ledger", "copy", url)
    assert "Set BULK_SYNC_LEDGER" in ran.out
    add(State(state.folder, url))
    ran = run(None, "ledger", "copy", f"sqlite:///{state.folder}/ledger.sqlite3", "--ledger", url)
    assert ran.status == 0, ran.err
    assert "Remove BULK_SYNC_LEDGER" in ran.out
    assert tables(state) == tables(State(state.folder, url))
    ran = run(None, "ledger", "verify", "--json")
    assert (ran.summary["lines"], ran.summary["end_is_proven"]) == (12, True)


def another(copy: State, _: State) -> None:
    add(copy)


def gone_on(copy: State, filled: State) -> None:
    with ledger.open_ledger(filled) as book, ledger.open_ledger(copy) as other:
        ledger.transfer(book, other)
    add(copy)


def diverged(copy: State, filled: State) -> None:
    gone_on(copy, filled)
    add(filled, "20261127T020000Z-445566")
    add(filled, "20261128T020000Z-445566")


@on_both()
@pytest.mark.parametrize(
    ("harm", "says"),
    [(another, "holds another ledger"), (gone_on, "and"), (diverged, "holds another ledger")],
)
def test_a_database_that_holds_something_else_is_left_as_it_is(
    harm: Callable[[State, State], None], says: str, filled: State, target: str, run: Run
) -> None:
    copy = State(filled.folder, target)
    harm(copy, filled)
    before = tables(copy)
    ran = run(None, "ledger", "copy", target, *options_of(filled))
    assert ran.status == 2
    assert says in ran.err
    assert "nothing was copied" in ran.err
    assert tables(copy) == before


@on_both()
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lines SET outcome = 'failed' WHERE position = 7",
        "DELETE FROM lines WHERE position = 7",
        "DELETE FROM lines WHERE position = 21",
        "UPDATE head SET position = 20",
        "UPDATE head SET hash = '0'",
    ],
)
def test_an_altered_ledger_is_not_copied(
    statement: str, filled: State, target: str, run: Run
) -> None:
    engine = create_engine(database_url(filled))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    ran = run(None, "ledger", "copy", target, *options_of(filled))
    assert ran.status == 2
    assert "altered" in ran.err or "no longer holds" in ran.err
    with ledger.open_existing(State(filled.folder, target)) as book:
        assert book is None or book.chain_end() == Head()
    assert run(None, "ledger", "verify", *options_of(filled)).status == 3


def test_a_database_that_gives_back_other_lines_is_left_empty(
    filled: State, target: str, run: Run
) -> None:
    copy = State(filled.folder, target)
    with ledger.open_ledger(copy):
        pass
    engine = create_engine(database_url(copy))
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER shortens AFTER INSERT ON lines BEGIN "
                "UPDATE lines SET detail = 'short' WHERE position = NEW.position; END"
            )
        )
    engine.dispose()
    ran = run(None, "ledger", "copy", target, *options_of(filled))
    assert ran.status == 2
    assert "does not give back what was written" in ran.err
    assert tables(copy)["lines"] == []
    with ledger.open_ledger(copy) as book:
        assert book.chain_end() == Head()


def test_half_a_copy_leaves_nothing(
    filled: State, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = State(filled.folder, target)
    batches = Ledger.batches

    def killed(book: Ledger, query: object) -> Iterator[object]:
        with closing(batches(book, query)) as found:  # type: ignore[arg-type]
            yield next(found)
            raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "batches", killed)
    with (
        ledger.open_ledger(filled) as book,
        ledger.open_ledger(copy) as other,
        pytest.raises(KeyboardInterrupt),
    ):
        ledger.transfer(book, other)
    monkeypatch.undo()
    assert tables(copy)["lines"] == []
    with ledger.open_ledger(filled) as book, ledger.open_ledger(copy) as other:
        assert ledger.transfer(book, other).added == LINES


def test_more_lines_than_one_batch_are_copied_batch_by_batch(
    filled: State, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.ledger.transactions.BATCH_ROWS", 4)
    copy = State(filled.folder, target)
    with ledger.open_ledger(filled) as book, ledger.open_ledger(copy) as other:
        assert ledger.transfer(book, other).heads[0].position == LINES
    assert tables(copy) == tables(filled)


def test_a_long_copy_announces_its_lines(
    filled: State, target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bulk_sync.ledger.transactions.BATCH_ROWS", 4)
    monkeypatch.setitem(ledger.transfer.__globals__, "_ANNOUNCED_EVERY", 8)
    caplog.set_level(logging.INFO, "bulk_sync.ledger")
    copy = State(filled.folder, target)
    for announced in ([8, 16], [32], [44]):
        caplog.clear()
        with ledger.open_ledger(filled) as book, ledger.open_ledger(copy) as other:
            ledger.transfer(book, other)
        assert caplog.messages == [f"{lines} lines copied" for lines in announced]
        add(filled)
        add(filled, OTHER)


def test_a_ledger_that_grows_meanwhile_is_not_copied(
    filled: State, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ledger.chain_end

    def gone_on(book: Ledger) -> object:
        found = ends(book)
        monkeypatch.undo()
        add(filled)
        return found

    monkeypatch.setattr(Ledger, "chain_end", gone_on)
    copy = State(filled.folder, target)
    with (
        ledger.open_ledger(filled) as book,
        ledger.open_ledger(copy) as other,
        pytest.raises(Exception, match="a run has added to it meanwhile"),
    ):
        ledger.transfer(book, other)
    assert tables(copy)["lines"] == []


@pytest.mark.parametrize("command", ["run", "plan"])
def test_while_a_run_is_at_work_nothing_is_copied(
    command: str, sim: Simulator, tmp_path: Path, target: str, run: Run
) -> None:
    populate(sim, 9)
    assert run(sim, "run", write_states(tmp_path / "first.csv", 1)).status == 0
    words = ("--out", "plan.parquet") if command == "plan" else ()
    output: list[str] = []

    def copy() -> None:
        with process(sim, tmp_path, "ledger", "copy", target) as other:
            assert other.stderr is not None
            output.append(other.stderr.read())
        assert other.returncode == 11

    before_answer(sim, "GET", len(sim.requests) + 1, copy)
    path = write_states(tmp_path / "in.csv", 9)
    with process(sim, tmp_path, command, str(path), "-q", "--fetch", "lookup", *words) as working:
        working.wait()
    assert (working.returncode, len(output)) == (0, 1)
    assert f"process {working.pid}" in output[0]
    assert run(None, "ledger", "copy", target).status == 0


def test_a_run_beside_a_copy_is_named_the_copy(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "first.csv", 1)).status == 0
    (name,) = lock.names(tmp_path / "state")
    with lock.hold(tmp_path / "state", name, lock.holder("`bulk-sync ledger copy`")):
        ran = run(sim, "run", tmp_path / "first.csv", "--report", "r.csv")
    assert ran.status == 11
    assert "`bulk-sync ledger copy` of" in ran.err


@pytest.mark.parametrize(
    ("url", "says", "status"),
    [
        ("nonsense", "bulk-sync: URL is no URL that SQLAlchemy understands", 2),
        ("sqlite://", "bulk-sync: URL names no file, and a ledger in memory", 2),
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:1/none", "does not answer", 6),
        (f"postgresql://ann@127.0.0.1:1/none?password={PASSWORD}", "does not answer", 6),
        ("sqlite:////proc/none/ledger.sqlite3", "cannot be opened", 2),
        ("{itself}", "is the ledger itself", 2),
    ],
)
def test_a_place_that_cannot_be_copied_to_is_named_without_a_password(
    url: str, says: str, status: int, tmp_path: Path, run: Run
) -> None:
    add(State(tmp_path / "state"))
    ran = run(
        None, "ledger", "copy", url.format(itself=f"sqlite:///{tmp_path}/state/ledger.sqlite3")
    )
    assert ran.status == status
    assert says in ran.err
    assert PASSWORD not in ran.out + ran.err


def test_no_password_is_printed(new_database: Callable[[], str], tmp_path: Path, run: Run) -> None:
    add(State(tmp_path / "state"))
    url = (
        new_database()
        .replace("postgres@", f"postgres:{PASSWORD}@")
        .replace("postgres:@", f"postgres:{PASSWORD}@")
    )
    assert PASSWORD in url
    for words in (("-v",), ("--json",)):
        ran = run(None, "ledger", "copy", url, *words)
        assert ran.status == 0, ran.err
        assert PASSWORD not in ran.out + ran.err
    ran = run(None, "ledger", "copy", "sqlite:///x", url)  # one word too many
    assert ran.status == 2
    assert PASSWORD not in ran.out + ran.err


def test_without_a_ledger_there_is_nothing_to_copy(target: str, tmp_path: Path, run: Run) -> None:
    ran = run(None, "ledger", "copy", target)
    assert ran.status == 2
    assert "no ledger" in ran.err
    assert not (tmp_path / "copy").exists()
