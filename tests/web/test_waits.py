"""No request waits without a limit, and none delays the others."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import populate, write_states
from flow import make_plan, press, text_of
from serving import NAMES, Served, serving, settings_in, sign_in
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.exc import OperationalError

from bulk_sync import ledger
from bulk_sync.errors import LedgerAway, UsageProblem
from bulk_sync.ledger import Begun, Kind, availability
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.web import database, security
from bulk_sync.web.database import open_database
from bulk_sync.web.identity import Role
from bulk_sync.web.settings import PageSettings

_MOST_THREADS = 32
"""That a page has, however large the machine."""


@pytest.fixture
def state(tmp_path: Path, new_database: Callable[[], str]) -> State:
    return State(tmp_path / "state", ledger=new_database())


@contextmanager
def hold_lock(state: State, statement: str) -> Iterator[None]:
    """Hold a lock of the database, as another page does."""
    url = make_url(str(state.ledger)).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.connect() as other:
        other.execute(text(statement))
        yield
    engine.dispose()


def test_slow_work_gets_an_answer_and_goes_on(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(PageSettings(state, variables={})) as served:
        ben = served.signed_in(Role.APPROVER)
        with hold_lock(state, "LOCK TABLE page_sessions"):
            monkeypatch.setattr(security, "_ANSWER_S", 0.1)
            slow = ben.get(served.url)
            assert (slow.status_code, slow.headers["Retry-After"]) == (503, "60")
            assert "it goes on without you" in text_of(slow)
            monkeypatch.undo()
            assert ben.get(f"{served.url}/healthz").text == "ok"
        assert ben.get(served.url).status_code == 200


def test_an_upload_and_live_progress_have_no_limit(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = served.signed_in(Role.UPLOADER)
    monkeypatch.setattr(security, "_ANSWER_S", 0.0)
    assert ana.get(served.url).status_code == 503
    files = {"file": ("a.csv", b"PKey,ccpaOptOut\n", "text/csv")}
    kept = ana.post(f"{served.url}/uploads/new", files=files, allow_redirects=False)
    assert kept.status_code == 303
    events = ana.get(f"{served.url}{kept.headers['Location']}/events")
    assert events.text.startswith("event: ")


def test_work_that_fails_after_its_answer_is_logged(
    shared: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(gate: asyncio.Event, error: Exception) -> str:
        await gate.wait()
        raise error

    async def main() -> None:
        for error in (UsageProblem("no room"), KeyError("a bug")):
            gate = asyncio.Event()
            assert await shared.page.finish(fail(gate, error), 0) is None
            gate.set()
            (left,) = shared.page._tasks
            await asyncio.wait({left})
            await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "bulk_sync.web.page"):
        asyncio.run(main())
    assert [(each.levelname, each.exc_info is None) for each in caplog.records] == [
        ("WARNING", True),
        ("ERROR", False),
    ]
    assert "no room" in caplog.text


def test_work_whose_request_is_cancelled_is_cancelled(shared: Served) -> None:
    ended: list[str] = []

    async def work(begun: asyncio.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        begun = asyncio.Event()
        request = asyncio.create_task(shared.page.finish(work(begun), 60))
        await begun.wait()
        (left,) = shared.page._tasks
        request.cancel()
        await asyncio.wait({request, left})

    asyncio.run(main())
    assert ended == ["cancelled"]


def test_a_page_waits_a_limited_time_for_the_turn_of_another(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 1)
    turn = "SELECT pg_advisory_lock(hashtext('bulk-sync page'))"
    with serving(PageSettings(state, variables={})) as served:
        with hold_lock(state, turn):
            busy = sign_in(served.visitor(), served.url, NAMES[Role.VIEWER])
        assert busy.status_code == 503
        assert "The database of the page is busy" in text_of(busy)
        assert sign_in(served.visitor(), served.url, NAMES[Role.VIEWER]).status_code == 303


def test_a_page_whose_machine_is_gone_loses_its_turn(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_IDLE_S", 1)
    with closing(open_database(state)) as gone, closing(open_database(state)) as other:

        def go() -> None:
            with gone.transaction() as connection:
                with other.transaction():  # waits for the turn
                    pass
                connection.execute(select(1))

        with pytest.raises(LedgerAway):
            go()
        assert gone.rows(select(1)) == [(1,)]


def test_no_request_waits_for_a_query_of_another(
    inline_page: Served, sim: Simulator, tmp_path: Path
) -> None:
    populate(sim, 1)
    plan_id = make_plan(inline_page, write_states(tmp_path / "in.csv", 1))
    ana = inline_page.signed_in(Role.UPLOADER)
    answer = press(ana, inline_page, f"/plans/{plan_id}/stop")  # ``serving`` looks at each query
    assert answer.status_code == 200


def test_searches_that_take_long_leave_threads_for_others(served: Served) -> None:
    """Each search opens a pipe without a writer, in place of the rows of large runs."""
    state, run_id = served.page.settings.state, "20261123T020000Z-7f3a9c"
    with ledger.open_ledger(state) as book:
        place = ("https://mc.adobe.io", "acme", "ccpaOptOut")
        book.begin(run_id, Begun(Kind.RUN, "in", *place, "in.csv", "9f", 1, None, {}, "1", "me"))
    pipe = state.folder / "rows" / f"{run_id}.20290131.parquet"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    people = [served.signed_in(Role.VIEWER) for _ in range(_MOST_THREADS + 1)]
    vera = people.pop()
    with ThreadPoolExecutor(len(people)) as pool:
        answers = [pool.submit(press, each, served, "/people", key="@k") for each in people]
        try:
            while len(served.page.ledger.acts()) < len(people):
                pass
            assert vera.get(served.url).status_code == 200
        finally:
            filled = os.open(pipe, os.O_RDWR)
            pipe.unlink()
        found = {answer.result().status_code for answer in answers}
    os.close(filled)
    assert found == {200}


def test_the_names_of_this_machine_are_looked_up_beside_other_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def slowly() -> str:
        threads.append(threading.current_thread().name)
        return "page.example.com"

    monkeypatch.setattr(security, "getfqdn", slowly)
    security.own_names.cache_clear()
    with serving(settings_in(tmp_path, host="0.0.0.0")) as served:
        for host, status in (("page.example.com", 200), ("other.example.com", 403)):
            answer = served.visitor().get(f"{served.url}/sign-in", headers={"Host": host})
            assert answer.status_code == status
    security.own_names.cache_clear()
    assert threads
    assert all(name.startswith("asyncio_") for name in threads)


def test_a_silent_server_delays_a_request_only_briefly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = make_url(f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/ledger")
        began = time.monotonic()
        assert availability.is_away(url, OperationalError("", {}, Exception("refused")))
        assert time.monotonic() - began < availability._CONNECT_S
