"""The decision on a row to be written, by its care and the state in Campaign."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Final, cast

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import virtually

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.create import Creation
from bulk_sync.engines.decide import (
    Asked,
    Care,
    Done,
    Flight,
    Forbidden,
    LookFirst,
    Seen,
    Send,
    decide,
    learned,
)
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.write import Writes
from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.request_order import RequestDate
from bulk_sync.rows.results import Match, Steps
from bulk_sync.stopping import Stop

REQUEST: Final = RequestDate.parse("2026-11-25T12:00:00Z")
BEFORE_MS, AFTER_MS = REQUEST.first_ms - 86_400_000, REQUEST.first_ms + 86_400_000
WHY: Final = "A later run has written this profile."
IN_DOUBT, SENT = Flight(in_doubt=True), Flight(sent=True)
BODY: Final = b'{"email":"ada@example.com"}'
YES, NO, EITHER = {True}, {False}, {True, False}
NOW_S: Final = 1000.0  # when virtual time begins
SEND, WAIT = "send", "wait"
ANY: Final = {"run", "choice", "none"}

Line = tuple[*tuple[Container[object], ...], str, Reason | None]
TO_CHANGE: Sequence[
    Line
] = [  # desired state seen, may have arrived, uncertain, forbidden, newer: a run or a choice
    (YES, YES, EITHER, EITHER, ANY, Outcome.UPDATED, None),
    (YES, NO, YES, EITHER, ANY, Outcome.UNCHANGED, Reason.STOPPED),
    (YES, NO, NO, YES, ANY, Outcome.UNCHANGED, Reason.NEWER_RUN),
    (YES, NO, NO, NO, ANY, Outcome.DRIFTED, Reason.MOVED),
    (NO, EITHER, EITHER, YES, ANY, Outcome.DRIFTED, Reason.NEWER_RUN),
    (NO, EITHER, EITHER, NO, {"run"}, Outcome.DRIFTED, Reason.NEWER_RUN),
    (NO, EITHER, EITHER, NO, {"choice"}, Outcome.DRIFTED, Reason.NEWER_CHOICE),
    (NO, EITHER, EITHER, NO, {"none"}, SEND, None),
]
MANY = {2, 3}
SOME = {1, *MANY}
TO_CREATE: Sequence[
    Line
] = [  # profiles, all with the desired state, may have arrived, forbidden, may still come
    ({0}, EITHER, YES, EITHER, YES, WAIT, None),
    ({0}, EITHER, EITHER, YES, EITHER, Outcome.DRIFTED, Reason.NEWER_RUN),
    ({0}, EITHER, EITHER, NO, EITHER, SEND, None),
    ({1}, YES, YES, EITHER, EITHER, Outcome.CREATED, None),
    (SOME, EITHER, YES, EITHER, EITHER, Outcome.DRIFTED, Reason.EXISTS),
    (SOME, YES, NO, EITHER, EITHER, Outcome.UNCHANGED, Reason.EXISTS),
    (SOME, NO, NO, EITHER, EITHER, Outcome.DRIFTED, Reason.EXISTS),
]


@dataclass(frozen=True)
class Case:
    """One row, and the profiles in Campaign.

    Attributes:
        states: one per profile, true for the desired state; a row to be changed has one profile.
        is_newer: Campaign's choice is newer than the request.
        overtaken: the newer choice is that of another run.
        may_come: Campaign may still act on an earlier request.
    """

    creates: bool
    desired: bool
    states: tuple[bool, ...]
    guarded: bool = False
    looks_first: bool = False
    in_doubt: bool = False
    sent: bool = False
    forbidden: bool = False
    uncertain: bool = False
    dated: bool = False
    is_known: bool = False
    is_newer: bool = False
    overtaken: bool = False
    may_come: bool = False
    verify: bool = False

    @property
    def care(self) -> Care:
        return Care(
            reads_first=self.looks_first if self.creates else self.guarded,
            flight=Flight(
                in_doubt=self.in_doubt,
                sent=self.sent,
                quiet_at=NOW_S + 3600 if self.may_come else 0.0,
            ),
            forbidden=Forbidden(WHY) if self.forbidden else None,
            uncertain=self.uncertain,
            asked=Asked(
                request=REQUEST if self.dated else None,
                known_ms=REQUEST.first_ms if self.is_known else None,
                overtaken=WHY if self.overtaken else None,
            ),
            body=BODY if self.creates else None,
        )

    @property
    def profiles(self) -> tuple[Match, ...]:
        changed_ms = AFTER_MS if self.is_newer else BEFORE_MS
        return tuple(
            Match(f"@{number}", int(self.desired is same), changed_ms)
            for number, same in enumerate(self.states)
        )

    @property
    def seen(self) -> Seen:
        return Seen(self.profiles, 3600.0 if self.may_come else 0.0)

    def expected(self) -> tuple[str, Reason | None]:
        """Return the outcome and reason of the first matching line of the table."""
        arrived = self.in_doubt or self.sent
        if self.creates:
            known: tuple[object, ...] = (
                len(self.states),
                all(self.states),
                arrived,
                self.forbidden,
                self.may_come,
            )
            table = TO_CREATE
        else:
            newer = (self.dated or self.is_known) and self.is_newer
            choice = "run" if self.overtaken else "choice" if newer else "none"
            known = (self.states[0], arrived, self.uncertain, self.forbidden, choice)
            table = TO_CHANGE
        for *columns, outcome, reason in table:
            if all(value in column for value, column in zip(known, columns, strict=True)):
                return str(outcome), reason
        raise AssertionError(known)

    def looks(self) -> bool:
        first = self.guarded or self.dated or self.is_known or self.overtaken
        first = self.looks_first if self.creates else first
        return first or self.forbidden or self.in_doubt or self.sent


@st.composite
def cases(draw: st.DrawFn) -> Case:
    creates, flag = draw(st.booleans()), st.booleans()
    states = st.lists(flag, max_size=3) if creates else st.lists(flag, min_size=1, max_size=1)
    flags = [draw(flag) for _ in range(12)]
    return Case(creates, draw(flag), tuple(draw(states)), *flags)


@given(cases())
@examples(200)
def test_the_table_decides_every_combination(case: Case) -> None:
    outcome, reason = case.expected()
    before = decide(case.care, None, desired=case.desired)
    assert before == (LookFirst() if case.looks() else Send.NOW)
    match decide(case.care, case.seen, desired=case.desired):
        case Send():
            assert outcome == SEND
        case LookFirst(wait_s):
            assert (outcome, wait_s) == (WAIT, 3600.0)
        case done:
            assert isinstance(done, Done)
            assert (done.outcome, done.reason) == (outcome, reason)
            assert done.holds == (case.desired is all(case.states) if case.states else None)
            assert (done.reason is None) == (done.detail == "")


def test_a_row_without_care_is_sent_at_once() -> None:
    assert decide(None, None, desired=True) is Send.NOW


def test_a_profile_whose_creation_was_confirmed_is_never_created_again() -> None:
    care = Care(flight=Flight(sent=True, created="@new"), body=BODY)
    done = Done(Outcome.CREATED, holds=True, pkey="@new")
    assert decide(care, None, desired=True) == done
    assert decide(care, Seen(()), desired=True) == done


@pytest.mark.parametrize(
    ("care", "same", "is_in_doubt"),
    [
        (Care(flight=IN_DOUBT), False, False),
        (Care(flight=IN_DOUBT), True, True),
        (Care(flight=Flight(in_doubt=True, sent=True)), False, True),
        (Care(flight=IN_DOUBT, body=BODY), False, True),
    ],
    ids=["gone", "arrived", "sent here too", "to create"],
)
def test_only_a_change_by_a_dead_process_is_known_not_to_arrive(
    care: Care, same: bool, is_in_doubt: bool
) -> None:
    seen = Seen((Match("@0", int(same), 0),))
    assert learned(care, seen, desired=True).flight.may_have_arrived is is_in_doubt


@pytest.mark.parametrize(
    ("care", "has_intent"),
    [
        (Care(), False),
        (Care(reads_first=True, flight=SENT), False),
        (Care(flight=IN_DOUBT), True),
        (Care(forbidden=Forbidden(WHY)), True),
    ],
    ids=["usual", "sent here", "in doubt", "not to be sent"],
)
def test_a_row_needs_an_intent_if_it_has_none_and_may_be_sent(
    care: Care, *, has_intent: bool
) -> None:
    assert care.has_intent is has_intent


@pytest.mark.parametrize(
    ("count", "says"), [(1, "A profile has this"), (2, "2 profiles have this")], ids=str
)
def test_what_is_not_created_is_counted(count: int, says: str) -> None:
    for state in (0, 1):
        done = decide(Care(body=BODY), Seen((Match("@1", state, 0),) * count), desired=True)
        assert isinstance(done, Done)
        assert done.detail.startswith(says)


@pytest.mark.parametrize(("may_come_s", "waits"), [(0.5, True), (0.0, False), (-1.0, False)])
def test_a_creation_is_waited_for_to_the_last_moment(may_come_s: float, *, waits: bool) -> None:
    decision = decide(Care(flight=SENT, body=BODY), Seen((), may_come_s), desired=True)
    assert decision == (LookFirst(may_come_s) if waits else Send.NOW)


@dataclass
class FarEnd:
    """Campaign and the way to it, for one row."""

    case: Case
    settling: SimpleNamespace
    requests: list[str] = field(default_factory=list)

    async def stamped_state(self, _key: str) -> tuple[tuple[bool, int], int]:
        self.requests.append("look")
        (profile,) = self.case.profiles
        return (bool(profile.state), profile.changed_ms), 1

    async def find(self, _client: Client, _key: str) -> tuple[tuple[Match, ...], int]:
        self.requests.append("look")
        if not self.case.states:
            raise RowFailed(Reason.NOT_FOUND, "", outcome=Outcome.NOT_FOUND)
        return self.case.profiles, 1

    async def read_back(self, _key: str) -> tuple[bool, int]:
        self.requests.append("read back")
        return self.case.desired, 1

    async def write(self, _key: str, *, desired: bool) -> int:
        self.requests.append("send")
        assert desired is self.case.desired
        return 1

    async def create(self, creation: Creation) -> tuple[str, int]:
        self.requests.append("send")
        assert (creation.body, creation.desired) == (BODY, self.case.desired)
        assert creation.in_doubt is (self.case.in_doubt or self.case.sent)
        return "@new", 1


def carry_out(case: Case) -> tuple[list[str], str, Reason | None]:
    """Carry one row out; return the requests, and the row's outcome and reason."""
    far_end = FarEnd(case, SimpleNamespace(usual_s=3600.0 if case.may_come else 0.0))
    steps = Steps.blank(1)
    resolver = cast("Resolver", far_end)
    writes = Writes(["@key"], [case.desired], steps, resolver, case.verify, {0: case.care})
    try:
        virtually(writes.do_row(cast("Client", far_end), Stop(), 0))
    except RowFailed as failed:
        return far_end.requests, str(failed.outcome), failed.reason
    assert steps.attempts[0] == 1
    return far_end.requests, SEND if "send" in far_end.requests else "arrived", None


@given(cases())
@examples(80)
def test_a_row_is_carried_out_as_the_table_decides(case: Case) -> None:
    outcome, reason = case.expected()
    looks = ["look"] * case.looks()
    if outcome == WAIT:
        later = replace(case, may_come=False)
        looks, (outcome, reason) = ["look", "look"], later.expected()
    if not looks:
        outcome, reason = SEND, None
    sends = ["send"] * (outcome == SEND)
    is_ours = outcome in {SEND, Outcome.UPDATED, Outcome.CREATED}
    read_back = ["read back"] * (case.verify and is_ours)
    if outcome == Outcome.UPDATED and not case.sent:
        read_back = []
    if reason is None and outcome != SEND:
        outcome = "arrived"
    assert carry_out(case) == ([*looks, *sends, *read_back], outcome, reason)


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize(("state", "expected"), [(1, "as it is"), (0, "rejected")])
def test_a_protected_row_is_looked_at_and_never_sent(
    in_doubt: bool, state: int, expected: str
) -> None:
    care = Care(flight=Flight(in_doubt=in_doubt), forbidden=Forbidden(WHY, Reason.PROTECTED))
    assert decide(care, None, desired=True) == LookFirst()
    done = decide(care, Seen((Match("@1", state, 0),)), desired=True)
    assert isinstance(done, Done)
    if expected == "rejected":
        assert (done.outcome, done.reason) == (Outcome.REJECTED, Reason.PROTECTED)
    else:
        assert done.outcome is (Outcome.UPDATED if in_doubt else Outcome.UNCHANGED)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("changed_ms", [0, BEFORE_MS, AFTER_MS])
def test_a_later_change_by_others_is_not_taken_for_a_write_in_doubt(
    changed_ms: int, sent: bool
) -> None:
    care = Care(flight=Flight(in_doubt=True, acted_ms=REQUEST.first_ms, sent=sent))
    done = decide(care, Seen((Match("@1", 1, changed_ms),)), desired=True)
    assert isinstance(done, Done)
    is_of_others = changed_ms == AFTER_MS and not sent
    expected = (Outcome.DRIFTED, Reason.MOVED) if is_of_others else (Outcome.UPDATED, None)
    assert (done.outcome, done.reason) == expected
