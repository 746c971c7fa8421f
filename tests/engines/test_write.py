"""Writes one row to a simulator, for each kind of care and each state there.

``sent`` lists the requests to Campaign that write.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from conftest import key
from virtual_time import virtually

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.create import Creation, Settling
from bulk_sync.campaign.latency import Latency
from bulk_sync.engines.decide import READ_FIRST, Asked, Care, Flight, Forbidden
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.engines.write import Writes
from bulk_sync.errors import BudgetSpent, RowFailed, StopRun, Terminated
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.request_order import Precision, RequestDate
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.settings import Connection, Credentials, KeyKind, Keys, Pace, Secret
from bulk_sync.simulator import Fault, Options, Simulator, running
from bulk_sync.simulator import ReceivedRequest as RawRequest
from bulk_sync.simulator.sample_profiles import timestamp
from bulk_sync.stopping import Stop

REASON = "A later run has written this profile."
EMAIL = "ada@example.com"
BODY = b'{"email":"ada@example.com","ccpaOptOut":true}'
WARY = Resolver(Keys(KeyKind.EMAIL), "ccpaOptOut", is_wary=True)
DONE = (Outcome.UPDATED, None)


@dataclass
class Journal:
    """A journal with the positions of intents and outcomes."""

    intended: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def intend(self, positions: Sequence[int]) -> None:
        self.intended += positions

    def settle(self, positions: Sequence[int]) -> None:
        self.settled += positions


@dataclass
class Result:
    """The result of one row."""

    writes: Writes
    journal: Journal
    cause: StopRun | None
    sent: list[str]

    @property
    def outcome(self) -> tuple[Outcome, Reason | None]:
        problem = self.writes.steps.problems.get(0)
        if problem is not None:
            return problem.outcome, problem.reason
        return DONE if self.writes.steps.attempts[0] else (Outcome.PENDING, None)

    @property
    def state(self) -> bool | None:
        """The known state of the profile."""
        state = int(self.writes.steps.state[0])
        return None if state == UNREAD else bool(state)

    @property
    def is_settled(self) -> bool:
        assert self.journal.settled in ([], [0])
        return self.journal.settled == [0]


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with running(Options(retry_after_s=0)) as sim:
        yield sim


@pytest.fixture
def campaign(shared: Simulator) -> Simulator:
    shared.clear()
    shared.profiles.clear()
    shared.forbidden.clear()
    return shared


def write_row(
    sim: Simulator,
    desired: bool = True,
    *,
    pace: Mapping[str, Any] = {"retries": 0},
    creates: bool = False,
    verify: bool = False,
    guarded: bool = False,
    began: float = 0.0,
    **given: Any,
) -> Result:
    """Write one row, and return its result.

    Args:
        sim: the simulator.
        desired: the state.
        pace: of ``Pace``.
        creates: the row creates a profile.
        verify: of ``Writes``.
        guarded: every profile is read first.
        began: of ``Writes``.
        given: of ``Care``.
    """
    connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
    care = Care(**{"reads_first": guarded, "body": BODY if creates else None, **given})
    journal = Journal()
    writes = Writes(
        [EMAIL if creates else key(0)],
        [desired],
        Steps.blank(1),
        WARY,
        verify,
        {0: care} if creates or given else {},
        READ_FIRST if guarded else None,
        began,
    )
    with Session(connection, Pace(**pace), lambda *_: None) as session:
        session.write(writes, journal)
    sent = [each.method for each in sim.requests if each.method != "GET"]
    return Result(writes, journal, session.cause, sent)


DOUBT: dict[str, Any] = {"flight": Flight(in_doubt=True)}
FORBIDDEN: dict[str, Any] = {"forbidden": Forbidden(REASON)}
GUARDED: dict[str, Any] = {"guarded": True}
UNCERTAIN = {"uncertain": True, "guarded": True}
KNOWN = (Outcome.UNCHANGED, Reason.NEWER_RUN)
NEWER = (Outcome.DRIFTED, Reason.NEWER_RUN)
MOVED = (Outcome.DRIFTED, Reason.MOVED)
NOTHING = (Outcome.UNCHANGED, Reason.STOPPED)


@pytest.mark.parametrize("desired", [True, False], ids=["opt-out", "opt-in"])
@pytest.mark.parametrize(
    ("given", "holds", "outcome", "is_sent", "looks"),
    [
        ({}, False, DONE, True, 0),
        ({}, True, DONE, True, 0),
        ({"verify": True}, False, DONE, True, 1),
        (GUARDED, False, DONE, True, 1),
        (GUARDED, True, MOVED, False, 1),
        (DOUBT, False, DONE, True, 1),
        (DOUBT, True, DONE, False, 1),
        (DOUBT | {"verify": True}, True, DONE, False, 1),
        (DOUBT | GUARDED, True, DONE, False, 1),
        (FORBIDDEN, False, NEWER, False, 1),
        (FORBIDDEN, True, KNOWN, False, 1),
        (FORBIDDEN | DOUBT, False, NEWER, False, 1),
        (UNCERTAIN, False, DONE, True, 1),
        (UNCERTAIN, True, NOTHING, False, 1),
        (UNCERTAIN | DOUBT, True, DONE, False, 1),
    ],
)
def test_a_row_is_sent_or_left_alone_by_its_care_and_the_state_in_campaign(
    given: dict[str, Any],
    holds: bool,
    outcome: tuple[Outcome, Reason | None],
    is_sent: bool,
    looks: int,
    desired: bool,
    campaign: Simulator,
) -> None:
    """``holds``: Campaign has the desired state; otherwise it has the other one."""
    campaign.add(pkey=key(0), ccpaOptOut=desired if holds else not desired)
    result = write_row(campaign, desired, **given)
    assert result.outcome == outcome
    assert result.sent == ["PATCH"] * is_sent
    assert campaign.counters.methods["GET"] == 1 + looks  # one to begin
    assert result.state is campaign.profiles[key(0)]["ccpaOptOut"]
    assert result.is_settled
    assert result.cause is None
    assert result.writes.steps.attempts[0] == 1
    assert result.writes.has_sent is (outcome == DONE)
    is_ready = "flight" in given or "forbidden" in given
    assert result.journal.intended == ([] if is_ready else [0])


@pytest.mark.parametrize(
    ("desired", "changed", "outcome", "is_sent"),
    [
        (True, "2026-11-24 12:00:00.000Z", DONE, True),
        (True, "2026-11-26 12:00:00.000Z", (Outcome.DRIFTED, Reason.NEWER_CHOICE), False),
        (False, "2026-11-24 12:00:00.000Z", DONE, True),
        (False, "2026-11-26 12:00:00.000Z", (Outcome.DRIFTED, Reason.NEWER_CHOICE), False),
        (False, "some time ago", (Outcome.DRIFTED, Reason.NEWER_CHOICE), False),
        (True, "some time ago", DONE, True),
        (False, "", DONE, True),
    ],
)
def test_a_dated_row_is_left_alone_if_campaign_holds_a_newer_choice(
    desired: bool,
    changed: str,
    outcome: tuple[Outcome, Reason | None],
    is_sent: bool,
    campaign: Simulator,
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=not desired, ccpaOptOutLastModified=changed)
    request = RequestDate.parse("2026-11-25T12:00:00Z")
    assert request.precision is Precision.INSTANT
    result = write_row(campaign, desired, asked=Asked(request))
    assert result.outcome == outcome
    assert result.sent == ["PATCH"] * is_sent
    assert result.state is campaign.profiles[key(0)]["ccpaOptOut"]


@pytest.mark.parametrize(
    "given", [DOUBT, GUARDED, FORBIDDEN], ids=["doubt", "guarded", "forbidden"]
)
def test_a_row_that_cannot_be_read_first_is_not_written(
    given: dict[str, Any], campaign: Simulator
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "GET", times=100, matching=key(0)[1:])
    result = write_row(campaign, **given)
    assert result.outcome == (Outcome.FAILED, Reason.HTTP_500)
    assert result.sent == []
    assert result.is_settled
    assert result.state is (None if given == DOUBT else False)  # as it was when it was read before
    assert campaign.profiles[key(0)]["ccpaOptOut"] is False


@pytest.mark.parametrize("given", [DOUBT, GUARDED], ids=["doubt", "guard"])
def test_a_row_without_a_state_in_campaign_is_not_written(
    given: dict[str, Any], campaign: Simulator
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=None)
    result = write_row(campaign, **given)
    assert result.outcome == (Outcome.FAILED, Reason.STATE_UNKNOWN)
    assert (result.sent, result.state, result.is_settled) == ([], None, True)


@pytest.mark.parametrize(
    "given", [DOUBT, GUARDED, FORBIDDEN], ids=["doubt", "guarded", "forbidden"]
)
def test_a_profile_that_is_gone_when_it_is_read_is_not_found_and_has_no_state(
    given: dict[str, Any], campaign: Simulator
) -> None:
    result = write_row(campaign, **given)
    assert result.outcome == (Outcome.NOT_FOUND, Reason.NOT_FOUND)
    assert (result.sent, result.state, result.is_settled) == ([], None, True)


def test_a_row_is_written_after_its_second_read_succeeds(campaign: Simulator) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "GET", times=1, matching=key(0)[1:])
    result = write_row(campaign, **DOUBT)
    assert result.outcome == DONE
    assert result.sent == ["PATCH"]


@pytest.mark.parametrize(
    ("calls", "given", "sent", "is_settled"),
    [
        (1, {}, [], True),
        (1, GUARDED, [], False),
        (1, DOUBT, [], False),
        (1, FORBIDDEN, [], True),
        (2, GUARDED, [], False),
        (2, DOUBT, [], True),
        (2, {"verify": True}, [], False),
    ],
    ids=str,
)
def test_a_run_that_stops_records_only_certain_outcomes(
    calls: int, given: dict[str, Any], sent: list[str], is_settled: bool, campaign: Simulator
) -> None:
    """The preflight takes one call. Changes in doubt, or with too few calls left, stay open."""
    campaign.add(pkey=key(0), ccpaOptOut=False)
    result = write_row(campaign, pace={"retries": 0, "max_calls": calls}, **given)
    assert result.cause is not None
    assert result.sent == sent
    assert result.is_settled is is_settled
    assert result.outcome[0] is not Outcome.UPDATED
    assert result.writes.has_sent is bool(sent)


@pytest.mark.parametrize(
    ("calls", "given", "is_settled"),
    [(3, GUARDED, True), (2, DOUBT, False)],
    ids=["not sent", "in doubt"],
)
def test_a_row_that_could_not_be_read_before_a_stop_is_recorded_unless_it_is_in_doubt(
    calls: int, given: dict[str, Any], is_settled: bool, campaign: Simulator
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "GET", matching=key(0)[1:])
    result = write_row(campaign, pace={"retries": 0, "max_calls": calls}, **given)
    assert result.cause is not None
    assert result.sent == []
    assert result.is_settled is is_settled
    assert (result.outcome[0] is Outcome.PENDING) is is_settled


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_WRITE, Fault.HANG_AFTER_WRITE])
def test_a_write_without_an_answer_is_not_repeated_if_it_has_arrived(
    fault: Fault, campaign: Simulator
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(fault, "PATCH")
    result = write_row(campaign, pace={"retries": 2, "timeout_s": 1.0})
    assert result.outcome == DONE
    assert result.sent == ["PATCH"]


def test_a_failed_write_is_tried_once_more_at_the_end(
    campaign: Simulator,
) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "PATCH", times=100)
    result = write_row(campaign)
    assert result.outcome == (Outcome.FAILED, Reason.HTTP_500)
    assert result.sent == ["PATCH", "PATCH"]
    assert result.writes.has_sent
    assert result.state is False
    assert result.writes.steps.attempts[0] >= 1
    assert result.is_settled


@pytest.mark.parametrize(
    ("desired", "minutes", "is_sent"),
    [(False, -60, True), (False, 10, False), (True, 10, True)],
    ids=["opt-in, before", "opt-in, after", "opt-out"],
)
def test_a_failed_opt_in_is_not_tried_again_over_a_choice_made_after_the_first_try(
    desired: bool, minutes: int, is_sent: bool, campaign: Simulator
) -> None:
    changed = timestamp(datetime.now(UTC) + timedelta(minutes=minutes))
    campaign.add(pkey=key(0), ccpaOptOut=not desired, ccpaOptOutLastModified=changed)
    campaign.queue_fault(Fault.TRANSIENT_500, "PATCH")
    result = write_row(campaign, desired)
    assert result.outcome == (DONE if is_sent else (Outcome.DRIFTED, Reason.NEWER_CHOICE))
    assert result.sent == ["PATCH"] * (1 + is_sent)
    assert campaign.profiles[key(0)]["ccpaOptOut"] is (desired is is_sent)


def test_rows_in_doubt_that_cannot_be_read_do_not_keep_the_others_from_being_written(
    campaign: Simulator,
) -> None:
    """A run that ended because of them would end so whenever it is resumed."""
    count = 30
    for at in range(count + 1):
        campaign.add(pkey=key(at), ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "GET", times=1000, matching="/profile/%40")
    connection = Connection(campaign.url, "acme", Credentials("demo-key", Secret("demo-token")))
    keys, steps = [key(at) for at in range(count + 1)], Steps.blank(count + 1)
    cares = {at: Care(flight=Flight(in_doubt=True)) for at in range(count)}
    with Session(connection, Pace(retries=0, concurrency=1), lambda *_: None) as session:
        session.write(Writes(keys, [True] * len(keys), steps, WARY, cares=cares), Journal())
    assert session.cause is None
    assert [each for each, state in campaign.states.items() if state] == [key(count)]


SAME: dict[str, Any] = {"email": EMAIL, "ccpaOptOut": True}
OTHER: dict[str, Any] = {"email": EMAIL, "ccpaOptOut": False}
EXISTS = (Outcome.UNCHANGED, Reason.EXISTS)
DIFFERS = (Outcome.DRIFTED, Reason.EXISTS)
FIRST = {"reads_first": True}


@pytest.mark.parametrize(
    ("given", "there", "outcome", "is_sent", "says"),
    [
        ({}, [], DONE, True, ""),
        ({"verify": True}, [], DONE, True, ""),
        (FIRST, [], DONE, True, ""),
        (FIRST, [SAME], EXISTS, False, "A profile has this address by now, so none"),
        (FIRST, [OTHER], DIFFERS, False, "Run the file again"),
        (FIRST, [SAME, SAME], EXISTS, False, "2 profiles have this address by now, so none"),
        (FIRST, [SAME, OTHER], DIFFERS, False, "2 profiles have this address by now, so none"),
        (DOUBT, [], DONE, True, ""),
        (DOUBT, [SAME], DONE, False, ""),
        (DOUBT | {"verify": True}, [SAME], DONE, False, ""),
        (DOUBT, [OTHER], DIFFERS, False, "has the other state. Run the file again"),
        (DOUBT, [SAME, SAME], DIFFERS, False, "2 profiles have this address by now"),
        (FORBIDDEN, [], NEWER, False, REASON),
        (FORBIDDEN, [SAME], EXISTS, False, "A profile has this address by now, so none"),
        (FORBIDDEN, [OTHER], DIFFERS, False, "Run the file again"),
        (FORBIDDEN | DOUBT, [], NEWER, False, REASON),
    ],
)
def test_a_profile_is_created_once_or_left_alone(
    given: dict[str, Any],
    there: list[dict[str, Any]],
    outcome: tuple[Outcome, Reason | None],
    is_sent: bool,
    says: str,
    campaign: Simulator,
) -> None:
    for profile in there:
        campaign.add(**profile)
    campaign.add(pkey=key(7), email="other@example.com", ccpaOptOut=False)
    result = write_row(campaign, creates=True, **given)
    assert result.outcome == outcome
    assert result.sent == ["POST"] * is_sent
    assert result.is_settled
    if not given.keys() - {"verify"}:  # the run has just looked for it
        assert campaign.counters.methods["GET"] == 1 + len(given)
    same = [each for each in campaign.profiles.values() if each["email"] == EMAIL]
    assert len(same) == len(there) + is_sent
    problem = result.writes.steps.problems.get(0)
    assert says in ("" if problem is None else problem.detail)
    if outcome == DONE:
        (match,) = result.writes.steps.found[0]
        assert (match.pkey, match.state) == (same[0]["PKey"], 1)
        assert result.writes.steps.attempts[0] == 1
    elif outcome in {EXISTS, DIFFERS}:
        assert result.state is all(each["ccpaOptOut"] for each in there)


@pytest.mark.parametrize("given", [DOUBT, FIRST, FORBIDDEN], ids=["doubt", "first", "forbidden"])
def test_no_profile_is_created_while_the_address_cannot_be_looked_up(
    given: dict[str, Any], campaign: Simulator
) -> None:
    campaign.add(pkey=key(7), email="other@example.com", ccpaOptOut=False)
    campaign.queue_fault(Fault.TRANSIENT_500, "GET", times=100, matching="mail")
    result = write_row(campaign, creates=True, **given)
    assert result.outcome == (Outcome.FAILED, Reason.HTTP_500)
    assert result.sent == []
    assert len(campaign.profiles) == 1


class Looks(list[RawRequest]):
    """The requests of a simulator; the n-th lookup of the address calls a function."""

    wanted = "byText"  # the last request of a lookup without a result

    def __init__(self, count: int, act: Callable[[], object]) -> None:
        super().__init__()
        self.seen = 0
        self._count = count
        self._act = act

    def append(self, request: RawRequest) -> None:
        super().append(request)
        if self.wanted in f"{request.method} {request.raw_path}":
            self.seen += 1
            if self.seen == self._count:
                self._act()


@pytest.fixture
def occupied(campaign: Simulator) -> Iterator[Simulator]:
    """Yield a Campaign with one other profile."""
    campaign.add(pkey=key(7), email="other@example.com", ccpaOptOut=False)
    requests = campaign.requests
    yield campaign
    campaign.requests = requests


def test_the_run_waits_for_the_creation_of_a_dead_process(occupied: Simulator) -> None:
    occupied.requests = looks = Looks(1, lambda: occupied.add(**SAME))
    result = write_row(occupied, creates=True, **DOUBT, began=time.monotonic())
    assert result.outcome == DONE
    assert (result.sent, looks.seen) == ([], 1)


def test_a_creation_in_doubt_is_sent_after_the_wait_and_a_second_look(
    occupied: Simulator,
) -> None:
    occupied.requests = looks = Looks(0, occupied.clear)
    began = time.monotonic()
    result = write_row(occupied, creates=True, **DOUBT, began=began)
    assert result.outcome == DONE
    assert (result.sent, looks.seen) == (["POST"], 2)
    assert time.monotonic() - began >= 1.0


def test_a_signal_during_the_wait_leaves_the_creation_in_doubt(occupied: Simulator) -> None:
    occupied.requests = looks = Looks(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = write_row(occupied, creates=True, **DOUBT, began=time.monotonic() + 3600)
    assert result.outcome == (Outcome.PENDING, Reason.STOPPED)
    assert (result.sent, looks.seen) == ([], 1)
    assert not result.is_settled
    assert isinstance(result.cause, Terminated)


def test_a_creation_without_an_answer_is_sent_again_only_after_a_wait(
    occupied: Simulator,
) -> None:
    """It is looked for at once, and again after the wait."""
    occupied.queue_fault(Fault.HANG, "POST")
    occupied.requests = looks = Looks(1, lambda: occupied.add(**SAME))
    result = write_row(occupied, creates=True, pace={"retries": 0, "timeout_s": 1.0})
    assert result.outcome == DONE
    assert looks.seen == 1
    assert len([each for each in occupied.profiles.values() if each["email"] == EMAIL]) == 1


TIMEOUT_S = 60.0


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class LateEnd:
    """Campaign, in virtual time: it does not answer a POST, and acts on it in the end."""

    reason: Reason
    settling: Settling = field(default_factory=lambda: Settling(Latency(), TIMEOUT_S))
    posts: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)

    async def create(self, _creation: Creation) -> tuple[str, int]:
        self.posts.append(now())
        raise RowFailed(self.reason, "", passing=True)

    async def find(self, _client: Client, _key: str) -> tuple[tuple[Match, ...], int]:
        self.looks.append(now())
        if len(self.looks) == 1:
            raise RowFailed(Reason.NOT_FOUND, "", outcome=Outcome.NOT_FOUND)
        return (Match("@new", 1, 0),), 1


@pytest.mark.parametrize(("reason", "wait_s"), [(Reason.TIMEOUT, 60.0), (Reason.CONNECTION, 1.0)])
def test_a_failed_creation_that_campaign_acts_on_late_is_not_sent_again(
    reason: Reason, wait_s: float
) -> None:
    """The last try fails, the address is not there yet, and later it is."""
    far_end = LateEnd(reason)
    client, resolver = cast("Client", far_end), cast("Resolver", far_end)
    steps = Steps.blank(1)

    async def work() -> None:
        writes = Writes([EMAIL], [True], steps, resolver, cares={0: Care(body=BODY)})
        with pytest.raises(RowFailed):
            await writes.do_row(client, Stop(), 0)
        await writes.do_row(client, Stop(), 0)

    virtually(work())
    (posted,) = far_end.posts
    assert far_end.looks == [posted, posted + wait_s]
    assert steps.found == {0: (Match("@new", 1, 0),)}


@pytest.mark.parametrize("retries", [0, 1], ids=["at the end", "at once"])
def test_a_creation_without_an_answer_counts_if_the_profile_is_there(
    retries: int, occupied: Simulator
) -> None:
    occupied.queue_fault(Fault.RESET_AFTER_WRITE, "POST")
    result = write_row(occupied, creates=True, pace={"retries": retries})
    assert result.outcome == DONE
    assert result.sent == ["POST"]
    assert len(occupied.profiles) == 2


@pytest.mark.parametrize("creates", [False, True], ids=["updated", "created"])
def test_a_change_that_cannot_be_read_back_is_not_done(creates: bool, occupied: Simulator) -> None:
    if not creates:
        occupied.add(pkey=key(0), ccpaOptOut=False)
    occupied.queue_fault(Fault.TRANSIENT_500, "GET", times=100, matching="/profile/%40")
    result = write_row(occupied, creates=creates, verify=True)
    assert result.outcome == (Outcome.FAILED, Reason.HTTP_500)
    assert result.sent == ["POST" if creates else "PATCH"]
    assert result.is_settled


@pytest.mark.parametrize("there", [[OTHER], [SAME, SAME]], ids=["other state", "two"])
def test_a_creation_without_an_answer_is_not_sent_again_if_the_address_has_other_profiles(
    there: list[dict[str, Any]], occupied: Simulator
) -> None:
    for profile in there:
        occupied.add(**profile)
    occupied.queue_fault(Fault.TRANSIENT_500, "POST")
    result = write_row(occupied, creates=True, pace={"retries": 1})
    assert result.outcome == DIFFERS
    assert result.sent == ["POST"]
    assert len(occupied.profiles) == 1 + len(there)


def test_a_change_that_the_budget_does_not_let_read_back_is_in_doubt(campaign: Simulator) -> None:
    campaign.add(pkey=key(0), ccpaOptOut=False)
    campaign.queue_fault(Fault.THROTTLED_429, "PATCH")
    result = write_row(campaign, pace={"retries": 1, "max_calls": 3}, verify=True)
    assert isinstance(result.cause, BudgetSpent)
    assert result.sent == ["PATCH", "PATCH"]
    assert not result.is_settled


class Reads(Looks):
    """The same for reads of single profiles."""

    wanted = "GET /acme/campaign/profilesAndServices/profile/%40"


def test_a_change_that_is_not_read_back_before_a_signal_is_in_doubt(occupied: Simulator) -> None:
    occupied.add(pkey=key(0), ccpaOptOut=False)
    occupied.queue_fault(Fault.TRANSIENT_500, "GET", matching="/profile/%40")
    occupied.requests = Reads(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = write_row(occupied, pace={"retries": 5}, verify=True)
    assert isinstance(result.cause, Terminated)
    assert result.sent == ["PATCH"]
    assert not result.is_settled
    assert "Campaign confirmed the change" in result.writes.steps.problems[0].detail


@pytest.mark.parametrize(
    ("given", "is_settled"), [(GUARDED, True), (DOUBT, False)], ids=["not sent", "in doubt"]
)
def test_a_row_that_a_signal_keeps_from_being_read_is_recorded_unless_it_is_in_doubt(
    given: dict[str, Any], is_settled: bool, occupied: Simulator
) -> None:
    occupied.queue_fault(Fault.TRANSIENT_500, "GET", matching="/profile/%40")
    occupied.requests = Reads(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = write_row(occupied, pace={"retries": 5}, **given)
    assert result.outcome == (Outcome.PENDING, Reason.STOPPED)
    assert result.sent == []
    assert result.is_settled is is_settled


def test_a_confirmed_creation_that_could_not_be_read_back_is_read_and_not_sent_again(
    occupied: Simulator,
) -> None:
    occupied.queue_fault(Fault.TRANSIENT_500, "GET", matching="/profile/%40")
    result = write_row(occupied, creates=True, verify=True)
    assert result.outcome == DONE
    assert result.sent == ["POST"]
    assert not [each for each in occupied.requests if "mail" in each.raw_path]


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        ({}, 1),
        ({"verify": True}, 2),
        ({"usual": READ_FIRST}, 2),
        ({"cares": {0: Care(flight=Flight(in_doubt=True))}}, 1),
        ({"cares": {0: Care(reads_first=True)}, "verify": True}, 3),
        ({"cares": {0: Care(asked=Asked(RequestDate.parse("2026-11-25")))}}, 2),
        ({"cares": {0: Care(flight=Flight(in_doubt=True)), 1: Care(reads_first=True)}}, 2),
        ({"cares": {0: Care(body=b"{}")}}, 1),
        ({"cares": {0: Care(body=b"{}", reads_first=True)}}, 3),
    ],
    ids=[
        "plain",
        "verified",
        "guarded",
        "in doubt",
        "found first",
        "dated",
        "some found first",
        "created",
        "searched by two filters and created",
    ],
)
def test_the_calls_of_a_change_count_what_is_read_before_and_after(
    given: dict[str, Any], calls: int
) -> None:
    assert Writes([key(0)], [True], Steps.blank(1), WARY, **given).calls_each == calls
