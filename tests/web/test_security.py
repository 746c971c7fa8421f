"""Each line of defence of the page, seen from outside."""

import logging
import re
import socket
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flow import text_of
from serving import NAMES, PASSWORD, Served, serving, settings_in, sign_in
from visitors import ANSWER_S

from bulk_sync.web.identity import RIGHTS, Right, Role
from bulk_sync.web.routes import ROUTES, Route
from bulk_sync.web.security import HEADERS, hide_places, is_known_host
from bulk_sync.web.settings import TrustedProxy

OPEN = {"/healthz", "/sign-in", "/static/{name}"}
FORM = "application/x-www-form-urlencoded"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def path_of(route: Route) -> str:
    return re.sub(r"\{\w+\}", "abc", route.path)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_path_that_the_router_knows_stands_in_the_table(shared: Served) -> None:
    known = {
        (route.method, route.resource.canonical)
        for route in shared.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert known == {(route.method, route.path) for route in ROUTES}


def test_only_the_allow_list_needs_no_sign_in() -> None:
    assert {route.path for route in ROUTES if route.right is Right.NONE} == OPEN


@pytest.mark.parametrize("route", [r for r in ROUTES if r.path not in OPEN], ids=name_of)
def test_without_a_session_a_path_leads_to_the_sign_in(shared: Served, route: Route) -> None:
    address = shared.url + path_of(route)
    answer = shared.visitor().request(route.method, address, allow_redirects=False)
    if route.method == "GET":
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/sign-in")
    else:
        assert answer.status_code == 401


def test_forms_of_other_pages_are_refused_for_signed_in_people(shared: Served) -> None:
    session = shared.signed_in(Role.ADMIN)
    for site in ("cross-site", ""):
        session.headers["Sec-Fetch-Site"] = site
        answer = session.post(f"{shared.url}/sign-out", allow_redirects=False)
        assert answer.status_code == 403
    assert session.get(f"{shared.url}/", allow_redirects=False).status_code == 200


def test_without_a_session_a_form_of_another_page_is_not_even_judged(shared: Served) -> None:
    visitor = shared.visitor()
    del visitor.headers["Sec-Fetch-Site"]
    answer = visitor.post(f"{shared.url}/people", data={"key": "x"}, allow_redirects=False)
    assert answer.status_code == 401


@pytest.mark.parametrize("site", ["same-origin", "cross-site"])
def test_a_button_in_a_session_that_has_ended_leads_to_the_sign_in_and_back(
    shared: Served, site: str
) -> None:
    visitor = shared.visitor()
    visitor.headers["Sec-Fetch-Site"] = site
    answer = visitor.post(f"{shared.url}/plans/p1/ask", data={"comment": "Jo <& Zoë>"})
    assert answer.status_code == 401
    assert '<a href="/sign-in?next=/plans/p1">' in answer.text
    assert ("readonly>Jo &lt;&amp; Zoë&gt;</textarea>" in answer.text) is (site == "same-origin")


def test_the_log_holds_no_key_and_no_address(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = served.signed_in(Role.VIEWER)
    session.post(f"{served.url}/people", data={"key": "jo@example.com"})
    session.get(f"{served.url}/runs/jo@example.com")
    served.page.ledger = None  # type: ignore[assignment]  # a bug
    assert session.get(f"{served.url}/?key=jo@example.com").status_code == 500
    ours = [record for record in caplog.records if not record.name.startswith("urllib3")]
    text = "".join(logging.Formatter().format(record) for record in ours)
    assert "GET / failed: a bug" in text
    assert "jo@example.com" not in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", ["/sign-in", "/people", "/plans/abc/ask", "/uploads/new"])
def test_a_form_that_is_not_packed_as_its_headers_say_is_no_bug(
    shared: Served, path: str, encoding: str
) -> None:
    session = shared.visitor() if path == "/sign-in" else shared.signed_in(Role.UPLOADER)
    kind = "multipart/form-data; boundary=x" if path == "/uploads/new" else FORM
    headers = {"Content-Type": kind, "Content-Encoding": encoding}
    answer = session.post(shared.url + path, data=b"name=x&password=y", headers=headers)
    assert answer.status_code == 400
    assert "The form could not be read" in answer.text


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\nCookie: bulk-sync=jo@example.com\x01",
        b"GET / HTTP/1.1\r\nCookie: bulk-sync=" + b"jo@example.com" * 1000,
        b"GET /people?key=jo@example.com\x01 HTTP/1.1",
        b"GET /sign-in?token=jo@example.com x HTTP/1.1",
        b"GET /" + b"jo@example.com" * 1000 + b" HTTP/1.1",
        b"GET / HTTP/1.1\r\nAuthorization jo@example.com",
        b"jo@example.com",
    ],
    ids=lambda line: line[:40],
)
def test_the_log_holds_nothing_of_a_malformed_request(
    shared: Served, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    place = urlsplit(shared.url)
    with socket.create_connection((place.hostname, place.port), timeout=ANSWER_S) as connection:
        connection.sendall(line + b"\r\n\r\n")
        assert b" 400 " in connection.makefile("rb").readline()
    text = "".join(logging.Formatter().format(record) for record in caplog.records)
    assert "A request that is no valid HTTP was refused." in text
    assert "jo@example.com" not in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("path", ["/nope", "/uploads", "/static", "/healthz/x", "/%00", "//"])
@pytest.mark.parametrize("method", ["GET", *UNSAFE])
def test_without_a_session_an_unknown_path_looks_like_any_other(
    shared: Served, path: str, method: str
) -> None:
    answer = shared.visitor().request(method, shared.url + path, allow_redirects=False)
    assert answer.status_code in {303, 401}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", [r for r in ROUTES if r.path not in OPEN], ids=name_of)
def test_a_role_without_the_right_is_refused(
    sessions: dict[Role, requests.Session], shared: Served, route: Route, role: Role
) -> None:
    if route.path.startswith("/sign-out"):
        return
    session = sessions[role]
    address = shared.url + path_of(route)
    answer = session.request(route.method, address, allow_redirects=False)
    assert (answer.status_code == 403) is (route.right not in RIGHTS[role])
    assert answer.status_code not in {303, 401, 500} or route.right in RIGHTS[role]


@pytest.fixture(scope="module")
def sessions(shared: Served) -> dict[Role, requests.Session]:
    return {role: shared.signed_in(role) for role in Role}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8710", "", "127.0.0.1@evil.example"],
)
def test_a_request_for_another_host_name_is_refused(shared: Served, host: str) -> None:
    for path in ("/", "/healthz", "/sign-in"):
        answer = shared.visitor().get(shared.url + path, headers={"Host": host})
        assert answer.status_code in {400, 403}
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9000", "[::1]:8710"])
def test_each_name_of_this_machine_is_accepted(shared: Served, host: str) -> None:
    assert shared.visitor().get(f"{shared.url}/healthz", headers={"Host": host}).text == "ok"


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("optouts.example.com", True),
        ("OptOuts.example.com.:443", True),
        ("192.0.2.7:8710", True),
        (socket.gethostname(), True),
        ("evil.example", False),
        ("a/b", False),
        ("[::1", False),
        ("x:port", False),
    ],
)
def test_on_a_network_names_are_listed_and_addresses_are_no_names(
    tmp_path: Path, host: str, is_known: bool
) -> None:
    proxy = TrustedProxy(is_there=True, hosts=("optouts.example.com",))
    assert is_known_host(host, settings_in(tmp_path, host="0.0.0.0", proxy=proxy)) is is_known


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OWN"}, False),
        ({"Origin": "OWN"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_this_page_may_send_its_forms(
    shared: Served, headers: dict[str, str], is_own: bool
) -> None:
    visitor = shared.visitor()
    del visitor.headers["Sec-Fetch-Site"]
    sent = {name: value.replace("OWN", shared.url) for name, value in headers.items()}
    data = {"name": NAMES[Role.VIEWER], "password": PASSWORD}
    answer = visitor.post(f"{shared.url}/sign-in", data=data, headers=sent, allow_redirects=False)
    assert answer.status_code == (303 if is_own else 403)
    assert ("Set-Cookie" in answer.headers) is is_own


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nope", "/healthz", "/static/style.css"])
def test_every_response_has_the_headers(shared: Served, path: str) -> None:
    answer = shared.visitor().get(shared.url + path, allow_redirects=False)
    missing = {
        name
        for name, value in HEADERS.items()
        if answer.headers.get(name) != value
        and not (path.startswith("/static") and name == "Cache-Control")
    }
    assert missing == set()


def test_the_policy_allows_nothing_inline_and_no_frame(shared: Served) -> None:
    policy = shared.visitor().get(f"{shared.url}/sign-in").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_cookie_is_for_this_server_alone_and_no_script_sees_it(shared: Served) -> None:
    answer = sign_in(shared.visitor(), shared.url, NAMES[Role.VIEWER])
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("secure", [{"tls_cert": Path("page.pem")}, {"proxy": TrustedProxy(True)}])
def test_under_tls_a_cookie_is_secure_and_bound_to_the_host(
    tmp_path: Path, secure: dict[str, object]
) -> None:
    with serving(settings_in(tmp_path, **secure)) as served:
        cookie = sign_in(served.visitor(), served.url, NAMES[Role.VIEWER]).headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie.split("; ")


def test_a_proxy_is_believed_from_its_addresses_alone(tmp_path: Path) -> None:
    proxy_headers = {"X-User": "Pia Roth", "X-Roles": "staff, uploader;approver"}
    for network, seen in (("127.0.0.0/8", "Pia Roth"), ("192.0.2.0/24", None)):
        proxy = TrustedProxy(False, (ip_network(network),), "X-User", "X-Roles")
        with serving(settings_in(tmp_path, proxy=proxy), people=False) as served:
            answer = served.visitor().get(
                f"{served.url}/", headers=proxy_headers, allow_redirects=False
            )
            assert answer.status_code == (303 if seen is None else 200)
            if seen is not None:
                assert f"{seen}<" in answer.text
                assert "(approver, uploader)" in answer.text


def test_without_a_header_of_roles_the_account_has_the_role_or_one_only_reads(
    tmp_path: Path,
) -> None:
    proxy = TrustedProxy(trusted=(ip_network("127.0.0.1"),), user_header="X-User")
    with serving(settings_in(tmp_path, proxy=proxy)) as served:
        for name, status in ((NAMES[Role.UPLOADER], 200), ("Pia Roth", 403)):
            headers = {"X-User": name}
            answer = served.visitor().get(f"{served.url}/uploads/new", headers=headers)
            assert answer.status_code == status


def test_two_headers_of_a_person_count_as_none(tmp_path: Path) -> None:
    proxy = TrustedProxy(trusted=(ip_network("127.0.0.1"),), user_header="X-User")
    with serving(settings_in(tmp_path, proxy=proxy)) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), ANSWER_S) as link:
            link.sendall(
                f"GET / HTTP/1.1\r\nHost: {host}\r\nX-User: Ida Berg\r\nX-User: Ana Diaz\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            answer = link.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 303")


def test_a_place_on_the_server_stands_in_its_log_alone(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = tmp_path / "state" / "ledger.sqlite3"
    session = served.signed_in(Role.VIEWER)
    ledger.write_bytes(b"no database, and not empty either" * 100)
    answer = session.get(served.url)
    assert answer.status_code == 503
    shown = text_of(answer)
    assert str(tmp_path) not in shown
    assert "The ledger a place on the server cannot be opened: file is not a database." in shown
    assert "tell the person who looks after this page: its log names the place." in shown
    assert f"GET /: The ledger {ledger}" in caplog.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/my state/runs cannot be read: No.", "A PLACE cannot be read: No."),
        ("It is damaged: '/srv/a b/plan.parquet'.", "It is damaged: A PLACE."),
        ("postgresql://u:***@h:5432/d refuses (/etc/x).", "A PLACE refuses (A PLACE)."),
        (
            "my/state and/or 3/4 rows, `bulk-sync runs`.",
            "my/state and/or 3/4 rows, `bulk-sync runs`.",
        ),
    ],
)
def test_paths_and_urls_are_places(text: str, shown: str) -> None:
    hidden, count = hide_places(text, Path("/srv/my state"))
    assert hidden.replace("a place on the server", "A PLACE") == shown
    assert bool(count) == (text != shown)
