"""The client against the simulator: shapes, tokens, retries, and no repeated writes."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

import pytest

from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.responses import AddressRefused, FieldRefused
from bulk_sync.errors import AccessDenied, RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.simulator import (
    Apis,
    CountStyle,
    Dialect,
    Fault,
    Options,
    RetryAfter,
    Simulator,
    running,
)
from bulk_sync.stopping import Stop

T = TypeVar("T")
KEY = "@" + "k" * 91
QUICK = Pace(retries=3, timeout_s=5.0)


def connection(sim: Simulator, **changes: Any) -> Connection:
    token = sim.options.access_token
    made = Connection(
        endpoint=sim.url,
        organization=sim.options.organization,
        api="profileAndServices",
        credentials=Credentials(
            api_key=sim.options.api_key,
            access_token=None if token is None else Secret(token),
            client_secret=Secret("s3cret") if sim.options.client_secret else None,
            ims_endpoint=sim.url,
        ),
    )
    fields = {name for name in changes if hasattr(made.credentials, name)}
    credentials = replace(made.credentials, **{name: changes.pop(name) for name in fields})
    return replace(made, credentials=credentials, **changes)


def with_client(
    sim: Simulator,
    work: Callable[[Client], Awaitable[T]],
    pace: Pace = QUICK,
    **changes: Any,
) -> T:
    async def inside() -> T:
        async with connected(connection(sim, **changes), pace, Stop()) as client:
            return await work(client)

    return asyncio.run(inside())


def state(key: str = KEY) -> Callable[[Client], Coroutine[Any, Any, tuple[bool, int]]]:
    return lambda client: client.state(key)


def write(key: str = KEY, *, desired: bool = True) -> Callable[[Client], Coroutine[Any, Any, int]]:
    return lambda client: client.write(key, desired=desired)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running(Options()) as simulator:
        simulator.add(pkey=KEY, email="a@example.com", ccpaOptOut=False)
        yield simulator


def test_every_request_carries_the_four_headers(sim: Simulator) -> None:
    with_client(sim, state())
    with_client(sim, write())
    assert [request.method for request in sim.requests] == ["GET", "PATCH"]
    for request in sim.requests:
        assert request.headers["Authorization"] == "Bearer demo-token"
        assert request.headers["X-Api-Key"] == "demo-key"
        assert request.headers["Cache-Control"] == "no-cache"
        assert request.headers["Content-Type"] == "application/json;charset=utf-8"


def test_a_change_is_one_json_boolean(sim: Simulator) -> None:
    with_client(sim, write())
    with_client(sim, write(desired=False))
    assert [request.body for request in sim.requests] == [
        b'{"ccpaOptOut":true}',
        b'{"ccpaOptOut":false}',
    ]


@pytest.mark.parametrize(
    "key",
    ["..", ".", "a/../../b", "a?b=c", "a#b", "50%", "a+b c", "ключ", "%2e%2e", "a//b", "'", "\\"],
)
def test_no_character_of_a_key_leads_to_another_path(sim: Simulator, key: str) -> None:
    sim.add(pkey=key, email="b@example.com", ccpaOptOut=False)
    assert with_client(sim, state(key)) == (False, 1)
    with_client(sim, write(key))
    assert sim.patched == [(key, True)]
    for request in sim.requests:
        prefix, _, segment = request.raw_path.rpartition("/")
        assert prefix == "/acme/campaign/profileAndServices/profile"
        assert segment not in {"", ".", ".."}


@pytest.mark.parametrize("apis", [Apis.SINGULAR, Apis.PLURAL])
@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_spelling_of_the_api_is_found(apis: Apis, dialect: Dialect) -> None:
    async def name(client: Client) -> str:
        await client.preflight()
        return client.api

    with running(Options(apis=apis, dialect=dialect, profiles=3)) as sim:
        found = with_client(sim, name, api="auto")
        assert found.startswith("profiles" if apis is Apis.PLURAL else "profileA")
        assert len(sim.requests) == (1 if apis is Apis.PLURAL else 2)


@pytest.mark.parametrize(
    ("style", "calls"), [(CountStyle.HREF, 2), (CountStyle.INLINE, 1), (CountStyle.NONE, 1)]
)
def test_the_number_of_profiles_costs_one_small_call_at_most(style: CountStyle, calls: int) -> None:
    async def count(client: Client) -> int | None:
        return await client.count(await client.preflight())

    with running(Options(count_style=style, profiles=30)) as sim:
        assert with_client(sim, count) == (None if style is CountStyle.NONE else 30)
        assert len(sim.requests) == calls


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"access_token": Secret("wrong")}, "BULK_SYNC_ACCESS_TOKEN"),
        ({"api_key": "wrong"}, "--api-key"),
        ({"organization": "wrong"}, "--organization"),
        ({"organization": "wrong", "api": "auto"}, "--organization"),
    ],
)
def test_refused_credentials_end_the_run_with_the_last_try(
    sim: Simulator, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(AccessDenied, match=named):
        with_client(sim, lambda client: client.preflight(), QUICKLY, **changes)
    assert len(sim.requests) <= 2


PAGES = [1, 100, 10_000]
"""Sizes of pages; the second has one smaller size to fall back to, the third several."""

QUICKLY = Pace(retries=1, timeout_s=5.0)


SLOWLY = Pace(retries=2, timeout_s=5.0)
"""A pace with more tries for the smallest page than for larger ones."""


def preflight(page_size: int) -> Callable[[Client], Coroutine[Any, Any, object]]:
    return lambda client: client.preflight(page_size)


@pytest.mark.parametrize("page_size", PAGES)
def test_an_outage_gets_no_more_requests_for_a_larger_page(sim: Simulator, page_size: int) -> None:
    faults = {Fault.UNAVAILABLE_503: 1.0}
    sim.options = replace(sim.options, faults=faults, retry_after=RetryAfter.ABSENT)
    with pytest.raises(StoppedEarly, match="not available"):
        with_client(sim, preflight(page_size), QUICKLY, api="auto")
    assert len(sim.requests) == QUICKLY.retries + 1
    assert len({request.query for request in sim.requests}) == 1


@pytest.mark.parametrize("page_size", PAGES)
def test_a_missing_server_gets_no_more_tries_for_a_larger_page(
    sim: Simulator, page_size: int
) -> None:
    pace = Pace(retries=0, patience_s=0.7)

    async def tried(client: Client) -> int:
        with pytest.raises(StoppedEarly, match=r"No connection.* the patience is 0\.7 s"):
            await client.preflight(page_size)
        return client.calls.total

    with socket.socket() as bound:  # a port without a server refuses connections
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        tries = with_client(sim, tried, pace, endpoint=endpoint, api="auto")
    assert 2 <= tries <= 4


@pytest.mark.parametrize(
    ("fault", "page_size", "sizes"),
    [
        (Fault.TRANSIENT_500, 1, 1),
        (Fault.TRANSIENT_500, 25, 1),
        (Fault.TRANSIENT_500, 10_000, 6),
        (Fault.BAD_GATEWAY_HTML, 100, 2),
    ],
)
def test_a_name_of_the_api_that_fails_alone_is_tried_twice_for_each_size_but_the_smallest(
    sim: Simulator, fault: Fault, page_size: int, sizes: int
) -> None:
    sim.options = replace(sim.options, faults={fault: 1.0})
    with pytest.raises(StoppedEarly, match="not available"):
        with_client(sim, preflight(page_size), SLOWLY, api="auto")
    tries = Counter(request.raw_path for request in sim.requests)
    assert list(tries.values()) == [2 * (sizes - 1) + SLOWLY.retries + 1] * 2


def asked_sizes(sim: Simulator) -> list[int]:
    return [int(parse_qs(request.query)["_lineCount"][0]) for request in sim.requests]


def test_a_page_of_any_size_that_takes_too_long_is_tried_once_but_for_the_smallest(
    sim: Simulator,
) -> None:
    sim.options = replace(sim.options, faults={Fault.GATEWAY_TIMEOUT_504: 1.0})
    with pytest.raises(StoppedEarly, match="not available"):
        with_client(sim, preflight(10_000), QUICKLY)
    assert asked_sizes(sim) == [10_000, 2500, 625, 156, 39] + [25] * (QUICKLY.retries + 1)


BROKEN = [Fault.TRANSIENT_500, Fault.BAD_GATEWAY_HTML, Fault.RESET, Fault.TRUNCATED_JSON]


@pytest.mark.parametrize("fault", [*BROKEN, Fault.CUT_JSON])
def test_a_page_that_fails_twice_gives_way_to_smaller_ones(sim: Simulator, fault: Fault) -> None:
    for size in (10_000, 2500):
        sim.queue_fault(fault, times=10, matching=f"_lineCount={size}&")
    with_client(sim, preflight(10_000))
    assert asked_sizes(sim) == [10_000, 10_000, 2500, 2500, 625]


def test_a_page_that_fails_once_is_retried_with_its_size(sim: Simulator) -> None:
    sim.queue_fault(Fault.TRANSIENT_500)
    with_client(sim, preflight(10_000))
    assert asked_sizes(sim) == [10_000, 10_000]


@pytest.mark.parametrize(
    "fault", [Fault.OOPS_500, Fault.OOPS_502, Fault.UNAUTHORIZED_401, Fault.UNAVAILABLE_503]
)
def test_refused_credentials_or_an_address_cost_no_call_for_each_size(
    sim: Simulator, fault: Fault
) -> None:
    faults = {fault: 1.0}
    sim.options = replace(sim.options, faults=faults, retry_after=RetryAfter.ABSENT)
    with pytest.raises((AccessDenied, StoppedEarly)):
        with_client(sim, preflight(10_000), QUICKLY)
    assert set(asked_sizes(sim)) == {10_000}


def test_an_unknown_profile_is_requested_once(sim: Simulator) -> None:
    for key, reason in (("@" + "z" * 91, Reason.NOT_FOUND), ("gibberish", Reason.INVALID_KEY)):
        sim.clear()
        with pytest.raises(RowFailed) as failed:
            with_client(sim, state(key))
        assert (failed.value.outcome, failed.value.reason) == (Outcome.NOT_FOUND, reason)
        assert len(sim.requests) == 1


def test_a_crypted_id_is_recognized_when_it_is_not_found(sim: Simulator) -> None:
    with pytest.raises(RowFailed) as failed:
        with_client(sim, state("u5e+EEGhu5e+EEGhu5e+EA=="))
    assert "cryptedId" in failed.value.detail


def test_an_unknown_state_is_never_false(sim: Simulator) -> None:
    for blank in (None, "", " "):
        sim.profiles[KEY]["ccpaOptOut"] = blank
        with pytest.raises(RowFailed) as failed:
            with_client(sim, state())
        assert failed.value.reason is Reason.STATE_UNKNOWN


def test_a_passing_fault_costs_a_try(sim: Simulator) -> None:
    sim.queue_fault(Fault.TRANSIENT_500, times=2)
    assert with_client(sim, state()) == (False, 3)


@pytest.mark.parametrize("fault", [Fault.OOPS_500, Fault.OOPS_502])
def test_a_single_refusal_of_a_known_address_is_retried(sim: Simulator, fault: Fault) -> None:
    async def work(client: Client) -> tuple[int, int]:
        await client.state(KEY)
        sim.queue_fault(fault, "GET", times=2)
        _, reads = await client.state(KEY)
        sim.queue_fault(fault, "PATCH")
        return reads, await client.write(KEY, desired=True)

    assert with_client(sim, work) == (3, 2)
    assert sim.states[KEY] is True


@pytest.mark.parametrize(("serves_first", "calls"), [(False, 1), (True, 1 + 1 + QUICK.retries)])
def test_an_address_that_stays_refused_is_refused(
    sim: Simulator, *, serves_first: bool, calls: int
) -> None:
    async def work(client: Client) -> None:
        if serves_first:
            await client.state(KEY)
        sim.queue_fault(Fault.OOPS_502, times=9)
        await client.state(KEY)

    with pytest.raises(AddressRefused):
        with_client(sim, work)
    assert len(sim.requests) == calls


def test_a_dropped_connection_costs_a_try_and_a_call_like_any_fault(sim: Simulator) -> None:
    async def read(client: Client) -> tuple[int, int]:
        _, tries = await client.state(KEY)
        return tries, client.calls.total

    sim.queue_fault(Fault.RESET, times=2)
    assert with_client(sim, read) == (3, 3)
    assert len(sim.requests) == 3


def test_a_fault_that_does_not_pass_ends_the_tries(sim: Simulator) -> None:
    sim.queue_fault(Fault.GATEWAY_TIMEOUT_504, times=10)
    with pytest.raises(RowFailed) as failed:
        with_client(sim, state(), Pace(retries=1))
    assert (failed.value.reason, failed.value.attempts) == (Reason.HTTP_504, 2)
    assert failed.value.passing


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE_503, Fault.THROTTLED_429])
def test_a_wait_that_campaign_asks_for_costs_no_try(sim: Simulator, fault: Fault) -> None:
    sim.options = replace(sim.options, retry_after_s=1)
    sim.queue_fault(fault, times=2)
    assert with_client(sim, state(), Pace(retries=0)) == (False, 1)


def test_a_server_that_asks_for_no_wait_gets_growing_waits(sim: Simulator) -> None:
    sim.options = replace(sim.options, retry_after_s=0)
    sim.queue_fault(Fault.UNAVAILABLE_503, times=10_000)
    with pytest.raises(StoppedEarly):
        with_client(sim, state(), Pace(retries=0, patience_s=2))
    assert len(sim.requests) < 40


def test_a_wait_that_campaign_asks_for_holds_every_request(sim: Simulator) -> None:
    async def forty(client: Client) -> list[tuple[bool, int]]:
        return await asyncio.gather(*(client.state(KEY) for _ in range(40)))

    sim.options = replace(sim.options, retry_after_s=1)
    sim.queue_fault(Fault.THROTTLED_429)
    assert with_client(sim, forty, Pace(concurrency=2)) == [(False, 1)] * 40
    refused = next(request.at for request in sim.requests if request.status == 429)
    later = [request.at - refused for request in sim.requests if request.at > refused]
    assert not [seconds for seconds in later if 0.1 < seconds < 0.9]
    assert len([seconds for seconds in later if seconds >= 0.9]) >= 38


def test_a_wait_beyond_the_patience_ends_the_run(sim: Simulator) -> None:
    sim.options = replace(sim.options, retry_after_s=86_400)
    sim.queue_fault(Fault.UNAVAILABLE_503)
    with pytest.raises(StoppedEarly, match="86400 s"):
        with_client(sim, state())


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_WRITE, Fault.TRUNCATED_JSON, Fault.CUT_JSON])
def test_a_change_whose_answer_was_lost_is_not_sent_again(sim: Simulator, fault: Fault) -> None:
    sim.queue_fault(fault, "PATCH")
    with_client(sim, write())
    assert sim.patched == [(KEY, True)]
    assert sim.counters.methods["PATCH"] == 1


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.NOT_JSON, Fault.WRONG_JSON])
def test_a_change_that_did_not_arrive_is_sent_again(sim: Simulator, fault: Fault) -> None:
    sim.queue_fault(fault, "PATCH")
    assert with_client(sim, write()) == 2
    assert sim.patched == [(KEY, True)]


def test_a_change_refused_for_certain_is_sent_again_without_a_read(sim: Simulator) -> None:
    sim.options = replace(sim.options, retry_after_s=0)
    sim.queue_fault(Fault.THROTTLED_429, "PATCH", times=2)
    with_client(sim, write())
    assert sim.patched == [(KEY, True)]
    assert [request.method for request in sim.requests if KEY[1:] in request.raw_path] == [
        "PATCH"
    ] * 3


def test_a_server_that_never_confirms_makes_the_row_fail(sim: Simulator) -> None:
    sim.queue_fault(Fault.NOT_JSON, "PATCH", times=9)
    with pytest.raises(RowFailed) as failed:
        with_client(sim, write(), Pace(retries=1))
    assert failed.value.reason is Reason.BAD_ANSWER
    assert sim.patched == []


def test_no_answer_in_time_is_a_timeout(sim: Simulator) -> None:
    sim.queue_fault(Fault.HANG)
    with pytest.raises(RowFailed) as failed:
        with_client(sim, state(), Pace(retries=0, timeout_s=0.05))
    assert failed.value.reason is Reason.TIMEOUT


def test_a_change_applied_before_the_server_hangs_is_found_by_reading(sim: Simulator) -> None:
    sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH")
    assert with_client(sim, write(), Pace(retries=0, timeout_s=1.0)) == 1
    assert sim.counters.methods["PATCH"] == 1


def test_an_attribute_that_cannot_be_written_fails_the_row_at_first(sim: Simulator) -> None:
    with pytest.raises(FieldRefused, match="property is not valid"):
        with_client(sim, write(), attribute="cusOptOutCcpa")


def test_no_call_is_sent_beyond_the_budget(sim: Simulator) -> None:
    async def many(client: Client) -> None:
        for _ in range(10):
            await client.state(KEY)

    with pytest.raises(StoppedEarly, match="--max-calls"):
        with_client(sim, many, Pace(max_calls=4))
    assert len(sim.requests) == 4


def test_no_call_is_sent_beyond_the_budget_while_connections_drop(sim: Simulator) -> None:
    sim.options = replace(sim.options, faults={Fault.RESET: 1.0})
    with pytest.raises(StoppedEarly, match="--max-calls"):
        with_client(sim, state(), Pace(max_calls=2))
    assert len(sim.requests) == 2


@pytest.fixture
def with_ims() -> Iterator[Simulator]:
    with running(Options(access_token=None, client_secret="s3cret")) as simulator:
        simulator.add(pkey=KEY, email="a@example.com", ccpaOptOut=False)
        yield simulator


def exchanges(sim: Simulator) -> int:
    return sum(request.raw_path == "/ims/token/v3" for request in sim.requests)


async def fifty(client: Client) -> list[tuple[bool, int]]:
    return await asyncio.gather(*(client.state(KEY) for _ in range(50)))


def test_fifty_requests_wait_for_one_token(with_ims: Simulator) -> None:
    assert with_client(with_ims, fifty) == [(False, 1)] * 50
    assert exchanges(with_ims) == 1


def test_the_secret_travels_in_the_body_alone(with_ims: Simulator) -> None:
    with_client(with_ims, state())
    first = with_ims.requests[0]
    assert b"s3cret" in first.body
    assert "s3cret" not in f"{first.raw_path}{first.query}{first.headers}"
    assert all(b"s3cret" not in request.body for request in with_ims.requests[1:])


def test_a_token_is_renewed_before_it_runs_out(with_ims: Simulator) -> None:
    with_ims.options = replace(with_ims.options, token_life_s=0.5)

    async def until_the_second_token(client: Client) -> None:
        while exchanges(with_ims) < 2:
            await client.state(KEY)

    with_client(with_ims, until_the_second_token)
    assert with_ims.counters.statuses[401] == 0


def test_a_revoked_token_is_replaced_once_for_all_requests(with_ims: Simulator) -> None:
    async def revoked(client: Client) -> list[tuple[bool, int]]:
        await client.state(KEY)
        with_ims.revoke_tokens()
        return await fifty(client)

    assert with_client(with_ims, revoked) == [(False, 1)] * 50
    assert exchanges(with_ims) == 2


@pytest.mark.parametrize(("refusals", "tokens"), [(1, 2), (2, 3)])
def test_a_single_refusal_of_a_new_token_is_retried(
    with_ims: Simulator, refusals: int, tokens: int
) -> None:
    async def refused(client: Client) -> tuple[bool, int]:
        await client.state(KEY)
        with_ims.queue_fault(Fault.UNAUTHORIZED_401, "GET", times=refusals)
        return await client.state(KEY)

    assert with_client(with_ims, refused) == (False, 1)
    assert exchanges(with_ims) == tokens


def test_a_token_that_was_accepted_and_is_forbidden_now_is_replaced(
    with_ims: Simulator,
) -> None:
    async def forbidden(client: Client) -> tuple[bool, int]:
        await client.state(KEY)
        with_ims.options = replace(with_ims.options, api_key="another")
        return await client.state(KEY)

    with pytest.raises(AccessDenied, match="IMS refused the credentials"):
        with_client(with_ims, forbidden)
    assert exchanges(with_ims) == 2


def test_tokens_that_are_all_refused_end_the_run(with_ims: Simulator) -> None:
    with_ims.queue_fault(Fault.UNAUTHORIZED_401, "GET", times=9)
    with pytest.raises(AccessDenied, match="refuses tokens that IMS has just given"):
        with_client(with_ims, state())
    assert exchanges(with_ims) == 3


def test_a_ready_token_gives_way_to_the_client_secret(with_ims: Simulator) -> None:
    assert with_client(with_ims, state(), access_token=Secret("stale")) == (False, 1)
    assert exchanges(with_ims) == 1


def test_a_wrong_secret_ends_the_run_and_is_not_shown(with_ims: Simulator) -> None:
    with pytest.raises(AccessDenied) as denied:
        with_client(with_ims, state(), client_secret=Secret("wr0ng-secret"))
    assert "BULK_SYNC_CLIENT_SECRET" in str(denied.value)
    assert "wr0ng-secret" not in str(denied.value)
    assert len(with_ims.requests) == 1


def test_a_passing_failure_of_ims_is_retried(with_ims: Simulator) -> None:
    with_ims.queue_fault(Fault.UNAVAILABLE_503, "POST", matching="/ims/")
    with_ims.options = replace(with_ims.options, retry_after_s=0)
    assert with_client(with_ims, state()) == (False, 1)


def test_an_error_of_ims_names_ims_and_not_campaign(with_ims: Simulator) -> None:
    with_ims.queue_fault(Fault.BAD_GATEWAY_HTML, "POST", times=9, matching="/ims/")
    with pytest.raises(RowFailed, match=r"^IMS answered 502: "):
        with_client(with_ims, state())


@pytest.mark.parametrize("has_secret", [True, False], ids=["client secret", "ready token"])
def test_a_gateway_that_refuses_a_fifth_of_all_requests_costs_no_row_and_few_tokens(
    has_secret: bool,
) -> None:
    token = {"access_token": None, "client_secret": "s3cret"} if has_secret else {}
    with running(Options(faults={Fault.UNAUTHORIZED_401: 0.2}, **token)) as sim:  # type: ignore[arg-type]
        sim.add(pkey=KEY, email="a@example.com", ccpaOptOut=False)

        async def two_hundred(client: Client) -> set[bool]:
            await client.state(KEY)
            found = await asyncio.gather(*(client.state(KEY) for _ in range(200)))
            return {state for state, _ in found}

        assert with_client(sim, two_hundred, Pace(retries=9)) == {False}
        assert sim.counters.statuses[401] > 20
        assert exchanges(sim) <= 3


def test_a_ready_token_that_runs_out_ends_the_run_after_few_calls(sim: Simulator) -> None:
    async def run_out(client: Client) -> None:
        await client.state(KEY)
        sim.revoke_tokens()
        await fifty(client)

    with pytest.raises(AccessDenied, match="BULK_SYNC_ACCESS_TOKEN"):
        with_client(sim, run_out)
    assert 10 <= sim.counters.statuses[401] <= 50


def test_a_passing_refusal_before_ims_is_retried() -> None:
    with running(Options(access_token=None, client_secret="s3cret")) as sim:
        sim.add(pkey=KEY, email="a@example.com", ccpaOptOut=False)
        sim.queue_fault(Fault.BAD_GATEWAY_HTML, "POST", matching="/ims/")
        assert with_client(sim, state()) == (False, 2)
