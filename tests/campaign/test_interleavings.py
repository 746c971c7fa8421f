"""No profile gets another's state, whatever goes wrong with answers on several connections."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from mixing import Mixing, Request, Wrong, answer_bytes

from bulk_sync.campaign import mismatches, retries
from bulk_sync.campaign.client import Client, connected
from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

KEYS = [f"@k{number}" for number in range(5)]
UNKNOWN = "@gone"
WRONGS = st.lists(st.sampled_from([None, *Wrong]), max_size=12)


class Interleavings(RuleBasedStateMachine):
    """A client reads and writes some profiles at once; each answer has a fault of its own."""

    @initialize(states=st.lists(st.booleans(), min_size=len(KEYS), max_size=len(KEYS)))
    def begin(self, states: list[bool]) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(retries, "_FIRST_BACKOFF_S", 0.0001)
        self.patch.setattr(mismatches, "_MOST", 1_000_000)  # so that the run does not stop
        self.is_changed = False
        self.left: deque[Wrong | None] = deque()
        self.server = Mixing(dict(zip(KEYS, states, strict=True)), self.choose)
        self.runner = asyncio.Runner()
        self.runner.run(self.server.__aenter__())
        connection = Connection(
            self.server.url,
            "acme",
            Credentials("key", access_token=Secret("token")),
            api="profileAndServices",
        )
        self.opening = connected(connection, Pace(retries=4), Stop())
        self.client: Client = self.runner.run(self.opening.__aenter__())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.opening.__aexit__(None, None, None))
            self.runner.run(self.server.__aexit__())
            self.runner.close()
            self.patch.undo()

    def choose(self, request: Request, status: int) -> Wrong | None:
        del request
        wrong = self.left.popleft() if self.left else None
        # A "not found" alone does not show its request.
        return None if status == 404 and wrong is Wrong.FOREIGN else wrong

    @rule(keys=st.permutations([*KEYS, UNKNOWN]), wrongs=WRONGS)
    def read(self, keys: list[str], wrongs: list[Wrong | None]) -> None:
        self.left.extend(wrongs)
        self.all_at_once([self.read_one(key) for key in keys])

    @rule(keys=st.permutations([*KEYS, UNKNOWN]), wrongs=WRONGS)
    def change(self, keys: list[str], wrongs: list[Wrong | None]) -> None:
        self.left.extend(wrongs)
        self.is_changed = True
        self.all_at_once([self.change_one(key) for key in keys])

    @rule(key=st.sampled_from(KEYS))
    def greet(self, key: str) -> None:
        """Send an answer about a profile on the next new connection, before its request."""
        profile = {"PKey": key, "ccpaOptOut": not self.server.states[key]}
        self.server.greets.append(answer_bytes(200, {**profile, "PKey": "@nobody"}))

    def all_at_once(self, works: list[Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with asyncio.timeout(60):
                await asyncio.gather(*works)

        self.runner.run(inside())

    async def read_one(self, key: str) -> None:
        state, failed = None, None
        try:
            read = self.client.read_back if self.is_changed else self.client.state
            state, _ = await read(key)
        except RowFailed as error:
            failed = error
        if failed is None:
            assert state is self.server.states[key]
        else:
            assert failed.outcome is not Outcome.NOT_FOUND or key == UNKNOWN

    async def change_one(self, key: str) -> None:
        desired, failed = not self.server.states.get(key), None
        try:
            await self.client.write(key, desired=desired)
        except RowFailed as error:
            failed = error
        if failed is None:
            assert self.server.states[key] is desired
        elif key != UNKNOWN:
            assert failed.outcome is not Outcome.NOT_FOUND
            assert failed.holds in {None, self.server.states[key]}


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=30, stateful_step_count=8, deadline=None)
