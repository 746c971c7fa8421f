"""Any bytes in a form or a path get an answer without an error of ours."""

import socket
from urllib.parse import quote_from_bytes

import pytest
import requests
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from serving import Served

from bulk_sync.web.identity import Role
from bulk_sync.web.routes import ROUTES, Route

STARTS_A_PROCESS = "/ledger"
FORMS = [route for route in ROUTES if route.method == "POST" and route.path != STARTS_A_PROCESS]
FINE = examples(10, suppress_health_check=list(HealthCheck))
TYPES = (
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=no-such",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=utf-16",
    "\xe9",
    "",
)


@pytest.fixture(scope="module")
def session(shared: Served) -> requests.Session:
    return shared.signed_in(Role.ADMIN)


def is_answered(answer: requests.Response) -> bool:
    return answer.status_code < 500


@FINE
@given(path=some.binary(max_size=40), query=some.binary(max_size=40))
def test_any_path(shared: Served, session: requests.Session, path: bytes, query: bytes) -> None:
    address = f"{shared.url}/{quote_from_bytes(path)}?{quote_from_bytes(query)}"
    assert is_answered(session.get(address, allow_redirects=False))


@pytest.mark.parametrize("route", [r for r in ROUTES if "{" in r.path], ids=lambda r: r.path)
@FINE
@given(part=some.binary(min_size=1, max_size=40))
def test_any_variable_of_a_path(
    shared: Served, session: requests.Session, route: Route, part: bytes
) -> None:
    address = shared.url + route.path.replace("{id}", quote_from_bytes(part, safe=""))
    address = address.replace("{name}", quote_from_bytes(part, safe="")).replace("{kind}", "csv")
    answer = session.request(route.method, address, allow_redirects=False)
    assert is_answered(answer)


FILLED_IN = given(
    fields=some.dictionaries(
        some.sampled_from(["name", "password", "next", "key", "comment", "x"]),
        some.text(some.characters(codec=None), max_size=30),
    ),
    body=some.binary(max_size=60),
    kind=some.sampled_from(TYPES),
    is_form=some.booleans(),
)


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.path)
@FINE
@FILLED_IN
def test_any_form(
    shared: Served, route: Route, fields: dict[str, str], body: bytes, kind: str, is_form: bool
) -> None:
    assert is_answered(_sent(shared, route.path, fields, body, kind, is_form=is_form))


@settings(FINE, max_examples=4)
@FILLED_IN
def test_any_form_that_starts_a_process(
    shared: Served, fields: dict[str, str], body: bytes, kind: str, is_form: bool
) -> None:
    assert is_answered(_sent(shared, STARTS_A_PROCESS, fields, body, kind, is_form=is_form))


def _sent(
    shared: Served, path: str, fields: dict[str, str], body: bytes, kind: str, *, is_form: bool
) -> requests.Response:
    session = shared.visitor() if path == "/sign-in" else _fresh(shared)
    address = shared.url + path.replace("{id}", "abc")
    sent = {name: value.encode("utf-8", "surrogatepass") for name, value in fields.items()}
    if is_form:
        return session.post(address, data=sent, allow_redirects=False)
    headers = {"Content-Type": kind.encode("latin-1")}
    return session.post(address, data=body, headers=headers, allow_redirects=False)


def _fresh(shared: Served) -> requests.Session:
    """Return a session that the form may end."""
    session = shared.visitor()
    person = shared.page.accounts.find("Ida Berg")
    assert person is not None
    cookie = f"bulk-sync-{shared.url.rpartition(':')[2]}={shared.page.sessions.begin(person)}"
    session.headers["Cookie"] = cookie
    return session


@FINE
@given(cookie=some.text(some.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40))
def test_any_cookie(shared: Served, cookie: str) -> None:
    name = f"bulk-sync-{shared.url.rpartition(':')[2]}"
    session = shared.visitor()
    headers = {"Cookie": f"{name}={cookie}".encode("latin-1")}
    answer = session.get(f"{shared.url}/", headers=headers, allow_redirects=False)
    assert answer.status_code in {303, 400}


@FINE
@given(raw=some.binary(max_size=80))
def test_any_bytes_at_all(shared: Served, raw: bytes) -> None:
    host, port = shared.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.sendall(raw + b"\r\n\r\n")
        link.shutdown(socket.SHUT_WR)
        answer = link.makefile("rb").readline()
    assert not answer.startswith(b"HTTP/1.1 5") or answer.startswith(b"HTTP/1.1 505")


def test_a_form_that_is_too_large_is_refused(shared: Served) -> None:
    answer = shared.visitor().post(f"{shared.url}/sign-in", data={"name": "x" * 400_000})
    assert answer.status_code == 413
