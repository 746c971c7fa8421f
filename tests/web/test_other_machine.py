"""The page with a ledger on PostgreSQL, while another machine writes to it as well."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run, before_answer, populate, process, write_states
from flow import text_of
from serving import NAMES, serving, sign_in
from sqlalchemy import create_engine, make_url, text

from bulk_sync import ledger
from bulk_sync.errors import LedgerAway
from bulk_sync.settings import Connection, Credentials, Secret, State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock
from bulk_sync.web.identity import Role
from bulk_sync.web.settings import PageSettings

ROWS = 12
_HANG_UP = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize(
    ("words", "method"),
    [(("run", "in.csv", "-q"), "PATCH"), (("plan", "in.csv", "--out", "p.parquet", "-q"), "GET")],
    ids=["run", "plan"],
)
def test_a_run_of_another_machine_is_at_work_until_its_process_dies(
    sim: Simulator,
    tmp_path: Path,
    new_database: Callable[[], str],
    run: Run,
    words: tuple[str, ...],
    method: str,
) -> None:
    populate(sim, ROWS)
    write_states(tmp_path / "in.csv", ROWS)
    state = State(tmp_path / "state", ledger=new_database())
    shared = ("--ledger", str(state.ledger))
    seen: list[str] = []

    with serving(PageSettings(state, variables={})) as served:
        ben = served.signed_in(Role.APPROVER)

        def look() -> None:
            seen.append(text_of(ben.get(served.url)))
            (requested,), _ = served.page.ledger.requested_and_at_work()
            seen.append(text_of(ben.get(f"{served.url}/runs/{requested.run_id}")))
            with process(sim, tmp_path, "resume", "--all", *shared) as resume:
                assert resume.stderr is not None
                seen.append(resume.stderr.read())
            other.kill()

        before_answer(sim, method, 2, look)
        there = ("--state-dir", str(tmp_path / "there"), "--fetch", "lookup")
        with process(sim, tmp_path, *words, *shared, *there) as other:
            other.wait()
        (requested,), _ = served.page.ledger.requested_and_at_work()
        where = Connection(sim.url, "acme", Credentials("k", access_token=Secret("t")))
        with ledger.open_ledger(state) as book:  # the server detects the death of a process late
            for name in (lock.name(where), f"plan {requested.run_id}"):
                book.hold(name, "this test", 60)
        seen.append(text_of(ben.get(served.url)))
    start, screen, resumed, at_last = seen
    assert "→ at work" in start
    assert "A run to resume" not in start
    assert f"process {other.pid}" in screen
    assert "The run is not finished" not in screen
    assert f"Run {requested.run_id} is left to the process that works on it" in resumed
    assert "interrupted" not in resumed
    assert "! broke off" in at_last
    output = run(None, "runs", requested.run_id, *shared).out
    assert f"`bulk-sync resume {requested.run_id}` goes on." in output


def test_the_page_names_an_unreachable_database_server_and_recovers(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path / "state", ledger=new_database())
    url = make_url(str(state.ledger)).set(drivername="postgresql+psycopg")
    (socket,) = Path(str(url.query["host"])).glob(".s.PGSQL.*[0-9]")
    engine = create_engine(url)
    with serving(PageSettings(state, variables={})) as served, engine.connect() as other:
        ben = served.signed_in(Role.APPROVER)
        assert ben.get(served.url).status_code == 200
        socket.rename(socket.with_name("away"))
        try:
            other.execute(_HANG_UP)
            answers = [
                ben.get(served.url),
                ben.get(f"{served.url}/runs/any"),
                ben.post(f"{served.url}/people", data={"key": "p1@example.com"}),
                sign_in(served.visitor(), served.url, NAMES[Role.VIEWER]),
            ]
            with pytest.raises(LedgerAway):
                served.page.ledger.runs()
        finally:
            socket.with_name("away").rename(socket)
        assert {answer.status_code for answer in answers} == {503}
        assert all("Try again in a minute" in text_of(answer) for answer in answers)
        assert ben.get(served.url).status_code == 200
    engine.dispose()
