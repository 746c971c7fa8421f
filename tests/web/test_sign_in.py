"""Sign-in and sessions: passwords, the token that works once, limits, and ends."""

import hashlib
import itertools
import threading
from pathlib import Path

import pytest
import requests
from aiohttp.test_utils import make_mocked_request
from argon2 import Parameters, PasswordHasher, extract_parameters
from serving import NAMES, PASSWORD, Served, serving, settings_in, sign_in
from sqlalchemy import select, update
from visitors import Visitor

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import folded
from bulk_sync.storage import lock
from bulk_sync.web import attempts, database, reverse_proxy, sessions
from bulk_sync.web.identity import Right, Role
from bulk_sync.web.settings import TrustedProxy

WRONG = "a wrong password"
PEOPLE = itertools.cycle(NAMES.values())
"""Names in turn: each fails fewer than ten times while an address fails thirty times."""


def is_signed_in(session: requests.Session, served: Served) -> bool:
    return session.get(f"{served.url}/", allow_redirects=False).status_code == 200


@pytest.mark.parametrize("name", ["Ana Diaz", "  ana   DIAZ "])
def test_capitals_and_blanks_of_a_name_do_not_count(served: Served, name: str) -> None:
    session = served.visitor()
    assert sign_in(session, served.url, name).status_code == 303
    assert "Ana Diaz" in session.get(f"{served.url}/").text


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(served: Served) -> None:
    one = sign_in(served.visitor(), served.url, "Ana Diaz", WRONG)
    other = sign_in(served.visitor(), served.url, "Eve Nobody", WRONG)
    assert one.status_code == other.status_code == 401
    assert one.text.replace("Ana Diaz", "") == other.text.replace("Eve Nobody", "")
    assert 'aria-invalid="true"' in one.text
    assert 'value="Ana Diaz"' in one.text


def test_unknown_names_cost_the_same_work_as_known_ones(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both verify one hash of the same cost."""
    costs: list[Parameters] = []
    verify = PasswordHasher.verify

    def watched(hasher: PasswordHasher, hashed: str, password: str) -> bool:
        costs.append(extract_parameters(hashed))
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    served.page.accounts.add("Kim Lund", Role.VIEWER, PASSWORD)
    for name in ("Kim Lund", "Eve Nobody"):
        costs.clear()
        assert sign_in(served.visitor(), served.url, name, WRONG).status_code == 401
        assert costs == [extract_parameters(PasswordHasher().hash(PASSWORD))]


def test_the_sign_in_leads_back_to_the_requested_path(served: Served) -> None:
    session = served.visitor()
    wanted = session.get(f"{served.url}/ledger")
    assert 'name="next" value="/ledger"' in wanted.text
    fields = {"name": "Ana Diaz", "password": PASSWORD, "next": "/ledger"}
    answer = session.post(f"{served.url}/sign-in", data=fields, allow_redirects=False)
    assert answer.headers["Location"] == "/ledger"


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\tx", "/\r\nA: b"],
)
def test_no_sign_in_leads_to_another_site(served: Served, path: str) -> None:
    fields = {"name": "Ana Diaz", "password": PASSWORD, "next": path}
    session = served.visitor()
    answer = session.post(f"{served.url}/sign-in", data=fields, allow_redirects=False)
    assert answer.headers["Location"] == "/"


def test_after_ten_failures_a_name_has_to_wait(served: Served) -> None:
    visitor = served.visitor()
    for name in ("Ana Diaz", "Eve Nobody"):
        for spelling in [name, name.upper()] * 5:
            assert sign_in(visitor, served.url, spelling, WRONG).status_code == 401
        answer = sign_in(visitor, served.url, name)
        assert answer.status_code == 429
        assert 840 < int(answer.headers["Retry-After"]) <= 900
        assert "Wait 15 minutes" in answer.text
    assert sign_in(visitor, served.url, "Ben Miller").status_code == 303


def test_after_thirty_failures_an_address_has_to_wait(served: Served) -> None:
    visitor = served.visitor()
    for name in itertools.islice(PEOPLE, 30):
        assert sign_in(visitor, served.url, name, WRONG).status_code == 401
    assert sign_in(visitor, served.url, next(PEOPLE)).status_code == 429


def test_several_attempts_at_once_all_count(served: Served) -> None:
    answers: list[int] = []

    def try_it() -> None:
        with Visitor() as session:
            answers.append(sign_in(session, served.url, "Ana Diaz", WRONG).status_code)

    threads = [threading.Thread(target=try_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [401] * 10 + [429] * 6


def test_after_fifteen_minutes_a_name_may_try_again(served: Served) -> None:
    visitor = served.visitor()
    for _ in range(10):
        sign_in(visitor, served.url, "Ana Diaz", WRONG)
    assert sign_in(visitor, served.url, "Ana Diaz").status_code == 429
    with served.page.database.transaction() as connection:
        earlier = database.attempts.c.at_ms - attempts.WITHIN_S * 1000
        connection.execute(update(database.attempts).values(at_ms=earlier))
    assert sign_in(visitor, served.url, "Ana Diaz").status_code == 303


def test_success_counts_as_no_failure(served: Served) -> None:
    visitor = served.visitor()
    for _ in range(12):
        assert sign_in(visitor, served.url, "Ana Diaz").status_code == 303


def test_the_address_of_the_browser_is_taken_from_a_trusted_proxy(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, proxy=TrustedProxy(is_there=True))) as served:
        for number in range(31):
            visitor = served.visitor()
            visitor.headers["X-Forwarded-For"] = f"made-up, 198.51.100.{number}"
            assert sign_in(visitor, served.url, next(PEOPLE), WRONG).status_code == 401
    with serving(settings_in(tmp_path / "other")) as served:
        visitor = served.visitor()
        for number in range(30):
            visitor.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            assert sign_in(visitor, served.url, next(PEOPLE), WRONG).status_code == 401
        assert sign_in(visitor, served.url, next(PEOPLE), WRONG).status_code == 429


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("made-up, 203.0.113.7", "203.0.113.7"),
        ("made-up, 203.0.113.7:51234", "203.0.113.7"),
        ("203.0.113.7:51234, 127.0.0.1:8080", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, nobody:443", "127.0.0.1"),
        ("203.0.113.7, user@198.51.100.1:443", "127.0.0.1"),
        ("203.0.113.7, [198.51.100.1", "127.0.0.1"),
    ],
)
def test_the_port_of_a_browser_is_no_part_of_its_address(forwarded: str, address: str) -> None:
    headers = {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote="127.0.0.1")
    assert reverse_proxy.address_of(request, TrustedProxy(is_there=True)) == address


def test_an_id_has_256_bits_is_stored_as_a_hash_and_is_new_at_each_sign_in(served: Served) -> None:
    session = served.visitor()
    ids = []
    for _ in range(2):
        sign_in(session, served.url, "Ana Diaz")
        ids.append(next(iter(session.cookies)).value or "")
    assert ids[0] != ids[1]
    assert len(ids[1]) == 43  # 256 bits, six in each character
    stored = [row.id_sha256 for row in served.page.database.rows(select(database.sessions))]
    assert stored == [hashlib.sha256(ids[1].encode()).hexdigest()]


@pytest.mark.parametrize(
    ("column", "earlier_s"), [("seen_ms", sessions.IDLE_S), ("began_ms", sessions.LONGEST_S)]
)
def test_a_session_ends_if_it_is_idle_and_after_a_working_day(
    served: Served, column: str, earlier_s: int
) -> None:
    session = served.signed_in(Role.VIEWER)
    assert is_signed_in(session, served)
    with served.page.database.transaction() as connection:
        then = database.sessions.c[column] - earlier_s * 1000 - 1000
        connection.execute(update(database.sessions).values({column: then}))
    assert not is_signed_in(session, served)


def test_signing_out_ends_this_session_and_no_other(served: Served) -> None:
    one, other = served.signed_in(Role.VIEWER), served.signed_in(Role.VIEWER)
    cookies = one.cookies.copy()
    assert "You are signed out." in one.post(f"{served.url}/sign-out").text
    one.cookies.update(cookies)
    assert not is_signed_in(one, served)
    assert is_signed_in(other, served)


@pytest.mark.parametrize("change", ["remove", "password", "sign out"])
def test_a_change_of_the_account_ends_its_sessions(served: Served, change: str) -> None:
    session, name = served.signed_in(Role.VIEWER), NAMES[Role.VIEWER]
    if change == "remove":
        served.page.accounts.remove(name)
    elif change == "password":
        served.page.accounts.set_password(name, "another long password")
    else:
        served.page.accounts.end_sessions(name)
    assert not is_signed_in(session, served)


def test_the_token_signs_in_once_as_a_person_with_every_role(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), people=False) as served:
        address = f"{served.url}/sign-in?token={served.page.sessions.token}"
        assert served.visitor().head(address).status_code == 200
        first, second = served.visitor(), served.visitor()
        assert "(every role)" in first.get(address).text
        again = second.get(address)
        assert again.status_code == 403
        assert "signs in once" in again.text
        assert not is_signed_in(second, served)
        assert is_signed_in(first, served)


def test_who_may_approve_is_known_unless_a_proxy_names_the_roles(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), people=False) as served:
        assert served.page.who_may(Right.APPROVE) == {folded(lock.user())}
        served.page.accounts.add("Ana Diaz", Role.UPLOADER, PASSWORD)
        assert served.page.who_may(Right.APPROVE) == set()
        served.page.accounts.add("Ben Miller", Role.APPROVER, PASSWORD)
        served.page.accounts.add("Ida Berg", Role.ADMIN, PASSWORD)
        assert served.page.who_may(Right.APPROVE) == {"ben miller", "ida berg"}
    proxy = TrustedProxy(user_header="X-User", role_header="X-Roles")
    with serving(settings_in(tmp_path, proxy=proxy), people=False) as served:
        assert served.page.who_may(Right.APPROVE) is None


@pytest.mark.parametrize("token", ["x", "", "\udcff", "%ff" * 20])
def test_a_wrong_token_signs_no_one_in_and_leaves_the_right_one_valid(
    tmp_path: Path, token: str
) -> None:
    with serving(settings_in(tmp_path), people=False) as served:
        session = served.visitor()
        session.get(f"{served.url}/sign-in?token=" + token.encode("utf-8", "replace").decode())
        assert not is_signed_in(session, served)
        session.get(f"{served.url}/sign-in?token={served.page.sessions.token}")
        assert is_signed_in(session, served)


def test_with_the_first_account_the_token_and_its_session_end(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path), people=False) as served:
        address = f"{served.url}/sign-in?token={served.page.sessions.token}"
        session = served.visitor()
        session.get(address)
        served.page.accounts.add("Ana Diaz", Role.UPLOADER, PASSWORD)
        assert not is_signed_in(session, served)


@pytest.mark.parametrize(
    ("settings", "people"),
    [({}, True), ({"host": "0.0.0.0", "proxy": TrustedProxy(is_there=True)}, False)],
    ids=["with accounts", "on a network"],
)
def test_there_is_no_token_except_on_loopback(
    tmp_path: Path, settings: dict[str, object], people: bool
) -> None:
    if people:
        with serving(settings_in(tmp_path)):
            pass
    with serving(settings_in(tmp_path, **settings), people=False) as served:
        assert served.page.sessions.token is None


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("Ana Diaz", PASSWORD, "already"),
        ("ana diaz", PASSWORD, "already"),
        ("", PASSWORD, "cannot be the name"),
        ("a\nb", PASSWORD, "cannot be the name"),
        ("Kim Lund", "short", "8 to 1,024"),
    ],
)
def test_an_account_that_cannot_be_added_is_explained(
    served: Served, name: str, password: str, message: str
) -> None:
    with pytest.raises(UsageProblem, match=message):
        served.page.accounts.add(name, Role.VIEWER, password)
