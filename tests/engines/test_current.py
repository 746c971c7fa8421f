"""Reading the current states of keys of any kind: every state becomes durable."""

from collections.abc import Sequence

import pytest
from conftest import key

from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.engines.producer import PKeys, Producer
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.errors import Refused
from bulk_sync.rows.results import Steps
from bulk_sync.settings import (
    Connection,
    Credentials,
    Fetch,
    KeyKind,
    Keys,
    Pace,
    Reading,
    Secret,
)
from bulk_sync.simulator import Options, running

ROWS = 60


class Positions:
    """A checkpoint with the positions of the durable states."""

    def __init__(self) -> None:
        self.positions: list[int] = []

    def keep_states(self, positions: Sequence[int], steps: Steps) -> None:
        assert (steps.attempts[list(positions)] > 0).all()
        self.positions += positions

    def keep_place(self, place: ScanPosition | None) -> None:
        del place

    def place(self) -> None:
        return None


def address(number: int) -> str:
    return f"p{number}@example.com"


@pytest.mark.parametrize("fetch", [Fetch.LOOKUP, Fetch.SCAN])
@pytest.mark.parametrize("kind", [KeyKind.PKEY, KeyKind.EMAIL])
def test_the_table_has_a_row_per_profile_and_all_of_it_is_durable(
    kind: KeyKind, fetch: Fetch
) -> None:
    kept, is_pkey = Positions(), kind is KeyKind.PKEY
    with running(Options()) as sim:
        for number in range(ROWS):
            sim.add(key(number), email=address(number), ccpaOptOut=number % 2 == 0)
        sim.add("@second", email=address(0), ccpaOptOut=False)
        connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        keys = [key(number) if is_pkey else address(number) for number in range(ROWS)]
        producer: Producer = PKeys("ccpaOptOut", stamped=False)
        if not is_pkey:
            producer = Resolver(Keys(KeyKind.EMAIL), "ccpaOptOut")
        steps = Steps.blank(ROWS)
        with Session(connection, Pace(), lambda *_: None) as session:
            session.read(keys, steps, Reading(fetch), producer, kept)
        assert session.cause is None
    assert sorted(kept.positions) == list(range(ROWS))
    table = {at: [each[:2] for each in sorted(found)] for at, found in steps.matches(keys)}
    expected = {at: [(key(at), int(at % 2 == 0))] for at in range(ROWS)}
    if not is_pkey:
        expected[0] = sorted([*expected[0], ("@second", 0)])
    assert table == expected


def test_the_progress_of_a_pass_ends_with_all_its_rows() -> None:
    shown = list[tuple[str, int, int]]()
    with running(Options()) as sim:
        for number in range(ROWS):
            sim.add(key(number), ccpaOptOut=True)
        connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        keys, steps = [key(number) for number in range(ROWS)], Steps.blank(ROWS)
        with Session(connection, Pace(), lambda *now: shown.append(now[:3])) as session:
            session.read(keys, steps, Reading(Fetch.LOOKUP))
    assert shown[-1] == ("read", ROWS, ROWS)
    assert all(done <= ROWS for _, done, _ in shown)


@pytest.mark.parametrize(("count", "is_stopped"), [(19, False), (20, True)])
def test_a_file_of_twenty_unknown_keys_is_for_another_instance(
    count: int, *, is_stopped: bool
) -> None:
    with running(Options()) as sim:
        connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
        pkeys = PKeys("ccpaOptOut", stamped=False, tries_keys=True)
        with Session(connection, Pace(), lambda *_: None) as session:
            keys = [key(number) for number in range(count)]
            session.read(keys, Steps.blank(count), Reading(Fetch.LOOKUP), pkeys)
        assert isinstance(session.cause, Refused) is is_stopped
