import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest
from simulator_wire import HEADERS, PROFILE, wired

from bulk_sync.simulator import Apis, Fault, Options, RetryAfter

IMS = "/ims/token/v3"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GOOD = b"grant_type=client_credentials&client_id=demo-key&client_secret=hush&scope=openid"


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        pytest.param(
            HEADERS | {"Authorization": "Bearer nonsense"},
            401,
            {"error_code": "401013", "message": "Oauth token is not valid"},
            id="wrong token",
        ),
        pytest.param(
            {"X-Api-Key": "demo-key"},
            401,
            {"error_code": "401013", "message": "Oauth token is not valid"},
            id="no token",
        ),
        pytest.param(
            HEADERS | {"X-Api-Key": "nonsense"},
            403,
            {"error_code": "403000", "message": "Api Key is invalid"},
            id="wrong key",
        ),
        pytest.param(
            {"Authorization": "Bearer demo-token"},
            403,
            {"error_code": "403000", "message": "Api Key is invalid"},
            id="no key",
        ),
    ],
)
def test_credentials_are_checked(
    headers: Mapping[str, str], status: int, body: Mapping[str, str]
) -> None:
    with wired(Options(profiles=1)) as wire:
        reply = wire.send("GET", PROFILE, headers=headers)
    assert (reply.status, reply.json) == (status, body)


@pytest.mark.parametrize(
    ("path", "apis"),
    [
        pytest.param("/other/campaign/profileAndServices/profile", Apis.BOTH, id="organization"),
        pytest.param("/acme/campaign/profileAndService/profile", Apis.BOTH, id="misspelt"),
        pytest.param("/acme/profileAndServices/profile", Apis.BOTH, id="no campaign"),
        pytest.param("/acme/campaign/profilesAndServices/profile", Apis.SINGULAR, id="plural"),
        pytest.param("/acme/campaign/profileAndServices/profile", Apis.PLURAL, id="singular"),
    ],
)
def test_a_url_that_leads_nowhere_is_oops(path: str, apis: Apis) -> None:
    with wired(Options(profiles=1, apis=apis)) as wire:
        reply = wire.get(path)
    assert reply.status == 500
    assert reply.json == {
        "code": 500,
        "message": "Oops. Something went wrong. Check your URI and try again.",
    }


@pytest.mark.parametrize("apis", Apis)
def test_the_extended_api_is_always_routed(apis: Apis) -> None:
    with wired(Options(profiles=1, apis=apis)) as wire:
        assert wire.get("/acme/campaign/profileAndServicesExt/profile").status == 200


def test_ims_exchanges_the_secret_for_a_token_that_works() -> None:
    with wired(Options(profiles=1, client_secret="hush", access_token=None)) as wire:
        issued = wire.send("POST", IMS, GOOD, FORM)
        assert issued.status == 200
        token = issued.json["access_token"]
        assert issued.json == {"access_token": token, "token_type": "bearer", "expires_in": 86399}
        headers = HEADERS | {"Authorization": f"Bearer {token}"}
        assert wire.send("GET", PROFILE, headers=headers).status == 200
        assert wire.get(PROFILE).status == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param(GOOD.replace(b"hush", b"x"), "invalid_client", id="secret"),
        pytest.param(GOOD.replace(b"demo-key", b"x"), "invalid_client", id="client"),
        pytest.param(
            GOOD.replace(b"client_credentials", b"password"), "unsupported_grant_type", id="grant"
        ),
        pytest.param(b"", "unsupported_grant_type", id="nothing"),
    ],
)
def test_ims_refuses(form: bytes, error: str) -> None:
    with wired(Options(client_secret="hush")) as wire:
        reply = wire.send("POST", IMS, form, FORM)
    assert (reply.status, reply.json["error"]) == (400, error)


def test_ims_has_nothing_to_exchange_without_a_secret() -> None:
    with wired(Options()) as wire:
        assert wire.send("POST", IMS, GOOD, FORM).status == 400


def test_a_token_expires() -> None:
    with wired(Options(profiles=1, client_secret="hush", token_life_s=0)) as wire:
        token = wire.send("POST", IMS, GOOD, FORM).json["access_token"]
        headers = HEADERS | {"Authorization": f"Bearer {token}"}
        assert wire.send("GET", PROFILE, headers=headers).status == 401


def test_revoking_spares_only_tokens_issued_later() -> None:
    with wired(Options(profiles=1, client_secret="hush")) as wire:
        early = wire.send("POST", IMS, GOOD, FORM).json["access_token"]
        wire.simulator.revoke_tokens()
        late = wire.send("POST", IMS, GOOD, FORM).json["access_token"]
        statuses = [
            wire.send("GET", PROFILE, headers=HEADERS | {"Authorization": f"Bearer {each}"}).status
            for each in ("demo-token", early, late)
        ]
    assert statuses == [401, 401, 200]


def test_requests_above_the_rate_are_throttled_until_it_is_raised() -> None:
    with wired(Options(profiles=1, rate=2)) as wire:
        statuses = [wire.get(PROFILE).status for _ in range(5)]
        assert statuses == [200, 200, 429, 429, 429]
        wire.simulator.options = replace(wire.simulator.options, rate=None)
        assert wire.get(PROFILE).status == 200


@pytest.mark.parametrize("fault", [Fault.THROTTLED_429, Fault.UNAVAILABLE_503])
@pytest.mark.parametrize(
    ("style", "pattern"),
    [
        (RetryAfter.SECONDS, r"7"),
        (RetryAfter.DATE, r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"),
        (RetryAfter.ABSENT, r"absent"),
    ],
)
def test_retry_after_has_the_style_of_the_options(
    fault: Fault, style: RetryAfter, pattern: str
) -> None:
    with wired(Options(retry_after=style, retry_after_s=7)) as wire:
        wire.simulator.queue_fault(fault)
        reply = wire.get(PROFILE)
    text = reply.headers.get("Retry-After", "absent")
    assert re.fullmatch(pattern, text)
    if style is RetryAfter.DATE:
        answered = parsedate_to_datetime(reply.headers["Date"])
        assert 6 <= (parsedate_to_datetime(text) - answered).total_seconds() <= 8
