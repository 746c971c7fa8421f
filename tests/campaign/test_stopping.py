"""How long a stopping run waits for requests in flight, and what becomes of the others."""

import asyncio
import socket
import threading
import time
from dataclasses import replace

import pytest
from conftest import key, populate

from bulk_sync.campaign import transport
from bulk_sync.campaign.client import Client, connected
from bulk_sync.errors import Interrupted, RowFailed, StoppedEarly, StopRun, Terminated
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret, pace
from bulk_sync.simulator import Fault, Options, Simulator, running
from bulk_sync.stopping import Stop

GRACE_S = 0.3
HUNG_S = 600.0
"""Longer than any test: a wait for the whole timeout would fail."""


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_GRACE_S", GRACE_S)


def connection(sim: Simulator) -> Connection:
    token = Secret("demo-token")
    return Connection(sim.url, "acme", Credentials("demo-key", token), api="profileAndServices")


async def state_during_stop(client: Client, stop: Stop, cause: StopRun) -> bool | RowFailed:
    """Request a state, stop the run before the answer, and return the state or the error."""
    reading = asyncio.create_task(client.state(key(0)))
    await asyncio.sleep(GRACE_S / 3)
    stop.ask(cause)
    try:
        return (await reading)[0]
    except RowFailed as failed:
        return failed


@pytest.mark.parametrize("cause", [Interrupted("Ctrl-C."), Terminated("SIGTERM.")])
def test_a_read_in_flight_is_cancelled_at_a_signal_and_stays_open(cause: StopRun) -> None:
    async def read(sim: Simulator) -> bool | RowFailed:
        stop, pace = Stop(), Pace(retries=0, timeout_s=HUNG_S)
        async with connected(connection(sim), pace, stop) as client:
            return await state_during_stop(client, stop, cause)

    with running(Options()) as sim:
        populate(sim, 1)
        sim.queue_fault(Fault.HANG)
        began = time.monotonic()
        failed = asyncio.run(read(sim))
    assert time.monotonic() - began < HUNG_S / 2
    assert isinstance(failed, RowFailed)
    assert (failed.outcome, failed.reason) == (Outcome.PENDING, Reason.STOPPED)
    assert "No answer by the end of the run" in failed.detail


def test_calls_paid_from_a_spent_budget_are_finished() -> None:
    async def read(sim: Simulator) -> bool | RowFailed:
        stop = Stop()
        async with connected(connection(sim), Pace(), stop) as client:
            return await state_during_stop(client, stop, StoppedEarly("The budget is spent."))

    with running(Options(latency_s=4 * GRACE_S)) as sim:
        populate(sim, 1)
        assert asyncio.run(read(sim)) is False


def test_a_read_that_begins_after_a_signal_is_cancelled_too() -> None:
    async def read(sim: Simulator) -> None:
        stop = Stop()
        async with connected(connection(sim), Pace(timeout_s=HUNG_S), stop) as client:
            stop.ask(Terminated("SIGTERM."))
            await client.state(key(0))

    with running(Options()) as sim:
        populate(sim, 1)
        sim.queue_fault(Fault.HANG)
        began = time.monotonic()
        with pytest.raises(RowFailed) as failed:
            asyncio.run(read(sim))
    assert time.monotonic() - began < HUNG_S / 2
    assert failed.value.outcome is Outcome.PENDING


def test_a_write_in_flight_is_finished_after_a_signal() -> None:
    async def write(sim: Simulator) -> int:
        stop = Stop()
        async with connected(connection(sim), Pace(), stop) as client:
            writing = asyncio.create_task(client.write(key(0), desired=True))
            await asyncio.sleep(GRACE_S / 3)
            stop.ask(Terminated("SIGTERM."))
            return await writing

    with running(Options(latency_s=4 * GRACE_S)) as sim:
        populate(sim, 1)
        assert asyncio.run(write(sim)) == 1
        assert sim.states[key(0)] is True


def test_no_token_is_requested_after_a_signal() -> None:
    async def read(sim: Simulator, ims: str) -> list[object]:
        stop = Stop()
        credentials = Credentials("key", client_secret=Secret("s3cret"), ims_endpoint=ims)
        secret = replace(connection(sim), credentials=credentials)
        async with connected(secret, Pace(timeout_s=HUNG_S), stop) as client:
            stop.ask(Terminated("SIGTERM."))
            reads = [client.state(key(0)) for _ in range(20)]
            return list(await asyncio.gather(*reads, return_exceptions=True))

    with running(Options()) as sim, socket.create_server(("127.0.0.1", 0)) as silent:
        populate(sim, 1)
        began = time.monotonic()
        found = asyncio.run(read(sim, f"http://127.0.0.1:{silent.getsockname()[1]}"))
        assert time.monotonic() - began < HUNG_S / 2
        assert {type(each) for each in found} == {Terminated}
        assert not sim.requests


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.HANG_AFTER_WRITE])
def test_a_write_without_a_response_after_a_signal_is_read_back(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_GRACE_OF_WRITES_S", GRACE_S)

    async def write(sim: Simulator) -> int | RowFailed:
        stop = Stop()
        async with connected(connection(sim), Pace(timeout_s=HUNG_S), stop) as client:
            writing = asyncio.create_task(client.write(key(0), desired=True))
            while not sim.counters.faults:  # noqa: ASYNC110 - the simulator has its own thread
                await asyncio.sleep(GRACE_S / 10)
            stop.ask(Terminated("SIGTERM."))
            try:
                return await writing
            except RowFailed as failed:
                return failed

    with running(Options()) as sim:
        populate(sim, 1)
        sim.queue_fault(fault, "PATCH")
        began = time.monotonic()
        found = asyncio.run(write(sim))
    assert time.monotonic() - began < HUNG_S / 2
    if fault is Fault.HANG_AFTER_WRITE:
        assert found == 1
    else:
        assert isinstance(found, RowFailed)
        assert found.outcome is Outcome.PENDING


def test_a_resolver_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hangs(*_arguments: object, **_options: object) -> object:
        answered.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "at last")

    async def read(stop: Stop) -> None:
        there = Connection(
            "https://campaign.example", "acme", Credentials("key", Secret("demo-token")), api="x"
        )
        async with connected(there, Pace(timeout_s=HUNG_S), stop) as client:
            await state_during_stop(client, stop, Terminated("SIGTERM."))

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    began = time.monotonic()
    try:
        asyncio.run(read(Stop()))
        assert time.monotonic() - began < HUNG_S / 2
    finally:
        answered.set()


def test_a_server_that_hangs_takes_no_more_than_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "_LEAST_TRY_S", 0.1)

    async def inside(sim: Simulator) -> None:
        little = Pace(timeout_s=HUNG_S, patience_s=0.2)
        async with connected(connection(sim), little, Stop()) as client:
            await client.state(key(0))

    with running(Options()) as sim:
        populate(sim, 1)
        sim.queue_fault(Fault.HANG, "GET")
        with pytest.raises(
            StoppedEarly, match=r"No answer within 0\.2 s; .* the patience is 0\.2 s"
        ):
            asyncio.run(inside(sim))
        assert len(sim.requests) == 1
