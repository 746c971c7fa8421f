import http.client
import time
from collections import Counter
from collections.abc import Mapping

import pytest
from simulator_wire import PROFILE, Wire, wired

from bulk_sync.simulator import Fault, Options

BODY = {"ccpaOptOut": True}


def patch(wire: Wire, timeout_s: float = 10) -> tuple[object, object]:
    """Send a PATCH; return the status or the exception's class, and whether it was applied."""
    key = wire.simulator.add(ccpaOptOut=False)
    saw: object
    try:
        saw = wire.send("PATCH", f"{PROFILE}/{key}", BODY, timeout_s=timeout_s).status
    except (OSError, http.client.HTTPException) as error:
        saw = type(error)
    return saw, wire.simulator.profiles[key]["ccpaOptOut"]


@pytest.mark.parametrize(
    ("fault", "saw", "applied"),
    [
        (Fault.TRANSIENT_500, 500, False),
        (Fault.OOPS_500, 500, False),
        (Fault.OOPS_502, 502, False),
        (Fault.BAD_GATEWAY_HTML, 502, False),
        (Fault.UNAVAILABLE_503, 503, False),
        (Fault.GATEWAY_TIMEOUT_504, 504, False),
        (Fault.THROTTLED_429, 429, False),
        (Fault.UNAUTHORIZED_401, 401, False),
        (Fault.NOT_JSON, 200, False),
        (Fault.WRONG_JSON, 200, False),
        (Fault.RESET, http.client.RemoteDisconnected, False),
        (Fault.RESET_AFTER_WRITE, http.client.RemoteDisconnected, True),
        (Fault.TRUNCATED_JSON, http.client.IncompleteRead, True),
        (Fault.CUT_JSON, 200, True),
        (Fault.HANG, TimeoutError, False),
        (Fault.HANG_AFTER_WRITE, TimeoutError, True),
    ],
)
def test_a_queued_fault_hits_one_request(fault: Fault, saw: object, applied: bool) -> None:
    with wired(Options()) as wire:
        wire.simulator.queue_fault(fault)
        assert patch(wire, timeout_s=0.2 if "hang" in fault else 10) == (saw, applied)
        assert wire.simulator.counters.faults == {fault: 1}
        assert [request.status for request in wire.simulator.requests] == [
            saw if isinstance(saw, int) else 200 if fault is Fault.TRUNCATED_JSON else 0
        ]
        assert patch(wire) == (200, True)


def test_a_hanging_request_goes_on_after_its_time() -> None:
    with wired(Options(hang_s=0.05)) as wire:
        wire.simulator.queue_fault(Fault.HANG)
        assert patch(wire) == (200, True)


def test_a_hanging_request_does_not_hold_up_the_end() -> None:
    with wired(Options()) as wire:
        wire.simulator.queue_fault(Fault.HANG)
        assert patch(wire, timeout_s=0.05)[0] is TimeoutError
        left_at = time.monotonic()
    assert time.monotonic() - left_at < 60


@pytest.mark.parametrize("fault", [Fault.CUT_JSON, Fault.NOT_JSON, Fault.WRONG_JSON])
def test_a_broken_body_holds_no_profile(fault: Fault) -> None:
    with wired(Options(profiles=1)) as wire:
        wire.simulator.queue_fault(fault)
        reply = wire.get(PROFILE)
    try:
        content = reply.json
    except ValueError:
        content = None
    assert reply.status == 200
    assert content in (None, [])


def test_a_queued_fault_waits_for_a_matching_request() -> None:
    with wired(Options(profiles=2, client_secret="hush")) as wire:
        one, two = wire.simulator.profiles
        wire.simulator.queue_fault(Fault.UNAVAILABLE_503, method="GET", times=2, matching=two)
        wire.simulator.queue_fault(Fault.TRANSIENT_500, method="PATCH")
        assert wire.get(f"{PROFILE}/{one}").status == 200
        assert wire.patch(two, BODY).status == 500
        assert [wire.get(f"{PROFILE}/{two}").status for _ in range(3)] == [503, 503, 200]


def test_ims_meets_only_faults_that_name_it() -> None:
    form = b"grant_type=client_credentials&client_id=demo-key&client_secret=hush"
    with wired(Options(client_secret="hush", faults={Fault.TRANSIENT_500: 1})) as wire:
        wire.simulator.queue_fault(Fault.UNAVAILABLE_503)
        assert wire.send("POST", "/ims/token/v3", form).status == 200
        wire.simulator.queue_fault(Fault.OOPS_502, matching="/ims/")
        assert wire.send("POST", "/ims/token/v3", form).status == 502


def draws(seed: int, order: int = 1) -> Mapping[str, list[int]]:
    shares = {Fault.TRANSIENT_500: 0.2, Fault.UNAVAILABLE_503: 0.2}
    with wired(Options(profiles=20, faults=shares)) as wire:
        wire.simulator._plan.seed = seed
        keys = list(wire.simulator.profiles)[::order] * 5
        statuses: dict[str, list[int]] = {}
        for key in keys:
            statuses.setdefault(key, []).append(wire.get(f"{PROFILE}/{key}").status)
    return statuses


def test_shares_are_drawn_the_same_in_any_order() -> None:
    first = draws(seed=1)
    assert draws(seed=1, order=-1) == first
    assert draws(seed=2) != first
    counts = Counter(status for statuses in first.values() for status in statuses)
    assert 45 <= counts[200] <= 75
    assert 10 <= counts[500] <= 30
    assert 10 <= counts[503] <= 30


def test_latency_delays_every_answer() -> None:
    with wired(Options(profiles=1, latency_s=0.05)) as wire:
        asked_at = time.monotonic()
        wire.get(PROFILE)
        assert time.monotonic() - asked_at >= 0.05


def test_requests_are_kept_as_they_were_sent() -> None:
    with wired(Options(profiles=1)) as wire:
        wire.send(
            "PATCH",
            f"{PROFILE}/%40a%2Fb?x=%20",
            BODY,
            {"authorization": "Bearer demo-token", "x-api-key": "demo-key"},
        )
        (request,) = wire.simulator.requests
        assert request.method == "PATCH"
        assert request.raw_path == f"{PROFILE}/%40a%2Fb"
        assert request.query == "x=%20"
        assert request.headers["Authorization"] == "Bearer demo-token"
        assert request.body == b'{"ccpaOptOut":true}'
        assert request.status == 500
        assert wire.simulator.counters.methods == {"PATCH": 1}
        assert wire.simulator.counters.statuses == {500: 1}


def test_clearing_removes_the_record_but_not_the_profiles() -> None:
    with wired(Options(profiles=1)) as wire:
        simulator = wire.simulator
        wire.patch(next(iter(simulator.profiles)), BODY)
        simulator.queue_fault(Fault.RESET)
        simulator.clear()
        assert (simulator.requests, simulator.patched) == ([], [])
        assert not simulator.counters.methods
        assert wire.get(PROFILE).status == 200
        assert list(simulator.states.values()) == [True]
