"""What signals do while an event loop runs."""

import asyncio
import os
import signal

import pytest

from bulk_sync.engines.session import Session
from bulk_sync.errors import Interrupted
from bulk_sync.settings import Connection, Pace, Secret
from bulk_sync.simulator import Simulator


def test_a_second_ctrl_c_ends_at_once_and_in_order(sim: Simulator) -> None:
    connection = Connection(sim.url, "acme", "demo-key", Secret("demo-token"))
    ended = []

    async def work() -> None:
        async def part() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            while session.cause is None:  # noqa: ASYNC110 - nobody else tells
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("part")

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(part())
        finally:
            ended.append("whole")

    before = signal.getsignal(signal.SIGINT)
    with Session(connection, Pace(), lambda *_: None) as session:
        with pytest.raises(KeyboardInterrupt):
            session.run(work())
        assert ended == ["part", "whole"]
        assert isinstance(session.cause, Interrupted)
        assert signal.getsignal(signal.SIGINT) is before
