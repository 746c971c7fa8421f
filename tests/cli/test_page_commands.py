"""``serve`` and ``users`` on the command line."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import copies
import pytest
import trustme
from conftest import Copied, Run
from visitors import Visitor

from bulk_sync.settings import State
from bulk_sync.web.accounts import Accounts
from bulk_sync.web.database import open_database

_PROXY = ("--trusted-proxy", "127.0.0.1", "--behind-proxy")


def test_accounts_are_added_listed_changed_and_removed(tmp_path: Path, run: Run) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    for name, role in (("Ana Diaz", "uploader"), ("Ben  Miller", "approver")):
        added = run(None, "users", "add", name, "--role", role, "--password-file", secret)
        assert added.status == 0, added.err
    listed = run(None, "users", "list")
    assert re.findall(r"^(\w+ \w+) +(\w+)", listed.out, re.MULTILINE) == [
        ("Ana Diaz", "uploader"),
        ("Ben Miller", "approver"),
    ]
    assert run(None, "users", "password", "ana diaz", "--password-file", secret).status == 0
    assert run(None, "users", "sign-out", "Ana Diaz").status == 0
    assert run(None, "users", "remove", "Ana Diaz").status == 0
    assert "Ana Diaz" not in run(None, "users", "list").out
    assert (tmp_path / "state" / "page.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"correct horse battery", b"\xef\xbb\xbfcorrect horse battery\r\nsecond line\n"],
    ids=["one line", "as an editor on Windows saves it"],
)
def test_a_password_is_the_first_line_of_a_file_or_of_standard_input(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content)
    state = State(tmp_path / "state")
    for name, source in (("Ana Diaz", "-"), ("Ben Miller", str(tmp_path / "secret"))):
        words = ["users", "add", name, "--role", "viewer", "--password-file", source]
        ended = copies.run_copy([*words, "--state-dir", str(state.folder)], input=content)
        assert ended.returncode == 0, ended.stderr
        with closing(open_database(state)) as database:
            assert Accounts(database).check(name, "correct horse battery") is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["add", "Ana Diaz", "--role", "uploader"], "--password-file"),
        (["add", "Ana Diaz"], "--role"),
        (["remove", "Ana Diaz"], "There is no account"),
        (["sign-out", "Ana Diaz"], "There is no account"),
        (["add", " ", "--role", "admin", "--password-file", "short"], "write the name of a person"),
        (["password", "Ana Diaz", "--password-file", "missing"], "missing"),
        (["add", "Ana Diaz", "--role", "admin", "--password-file", "short"], "8 to 1,024"),
        (["add", "Ana Diaz", "--role", "admin", "--password-file", "latin"], "no text in UTF-8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_impossible_change_of_an_account_is_explained(
    tmp_path: Path, run: Run, words: list[str], message: str
) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "latin").write_bytes(b"gr\xfc\xdfe an alle Leute\n")
    ran = run(None, "users", *words)
    assert ran.status == 2
    assert message in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "--tls-cert"),
        (["--host", "0.0.0.0", "--behind-proxy"], "bulk-sync users add"),
        (["--tls-cert", "page.pem"], "--tls-key"),
        (["--user-header", "X-User"], "--trusted-proxy"),
        (["--user-header", "X-User", "--behind-proxy"], "--trusted-proxy"),
        (["--trusted-proxy", "10.0.0.0/8"], "--user-header"),
        (["--trusted-proxy", "10.0.0.1/8"], "10.1.0.0/16"),
        (["--role-header", "X-Roles"], "--user-header"),
        (["--max-upload", "many"], "200MB"),
        (["--tls-cert", "page.pem", "--tls-key", "page.pem"], "PEM"),
        (["--host", "", "--behind-proxy"], "an unset variable, perhaps"),
        (["--public-host", ""], "an unset variable, perhaps"),
        (["--public-host", "https://optouts.example.com/"], "such as optouts.example.com."),
        (["--public-host", "optouts.example.com:443"], "such as optouts.example.com."),
        (["--public-host", "*.example.com"], "such as optouts.example.com."),
        ([*_PROXY, "--user-header", ""], "an unset variable, perhaps"),
        ([*_PROXY, "--user-header", "X-User:"], "such as X-Forwarded-User."),
        ([*_PROXY, "--user-header", "X-User", "--role-header", ""], "an unset variable, perhaps"),
        (["--approval-valid", "0"], "24h"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_page_that_would_not_be_safe_does_not_start(
    tmp_path: Path, run: Run, words: list[str], message: str
) -> None:
    (tmp_path / "page.pem").write_text("")
    ran = run(None, "serve", "--port", "0", *words)
    assert ran.status == 2
    assert message in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("words", "host"),
    [([], r"127\.0\.0\.1"), (["--host", "[::1]", "--public-host", "[2001:db8::1]"], r"\[::1\]")],
    ids=["default", "IPv6"],
)
def test_it_prints_one_line_its_url_and_ends_on_sigterm(
    words: list[str], host: str, tmp_path: Path
) -> None:
    words = ["serve", "--port", "0", *words]
    environment = {**os.environ, "BULK_SYNC_STATE_DIR": str(tmp_path / "state")}
    with Copied(
        words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as page:
        assert page.stdout is not None
        url = page.stdout.readline().strip()
        assert re.fullmatch(rf"http://{host}:\d+/sign-in\?token=[\w-]{{43}}", url)
        with Visitor() as session:
            assert "Nothing to approve, correct or resume. To begin" in session.get(url).text
        page.send_signal(signal.SIGTERM)
        out, err = page.communicate(timeout=60)
    assert page.returncode == 0
    assert out == ""
    assert err == ""


BROWSER = """\
import os, signal, sys, requests
session = requests.Session()
session.trust_env = False
try:
    answer = session.get(sys.argv[1], timeout=30).status_code
except requests.RequestException as error:
    answer = error
with open("answer", "w") as file:
    file.write(str(answer))
os.kill(os.getppid(), signal.SIGTERM)
"""


def test_a_browser_in_the_terminal_is_answered(tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(BROWSER)
    words = ["serve", "--port", "0", "--open"]
    environment = {
        **os.environ,
        "BULK_SYNC_STATE_DIR": str(tmp_path / "state"),
        "BROWSER": f"{sys.executable} browser.py %s",
    }
    assert copies.run_copy(words, env=environment, cwd=tmp_path).returncode == 0
    assert (tmp_path / "answer").read_text() == "200"


def test_a_page_does_not_ask_for_fewer_approvals_than_a_job(tmp_path: Path, run: Run) -> None:
    (tmp_path / "bulk-sync.toml").write_text("approvals = 1\n[job.requests]\napprovals = 2\n")
    ran = run(None, "serve", "--port", 0, "--no-open")
    assert (ran.status, ran.out) == (2, "")
    assert (
        "bulk-sync.toml, [job.requests]: approvals = 2, but each plan of the page needs 1."
        in ran.err
    )
    assert "Give --approvals 2," in ran.err


def test_a_port_that_is_taken_is_explained(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = run(None, "serve", "--port", port)
    assert ran.status == 2
    place = f"127.0.0.1, port {port}: Address already in use"
    assert f"cannot listen on {place}. --port 0 takes a free port." in ran.err


def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "page.pem")
    )
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    words = ["serve", "--port", "0"]
    words += ["--tls-cert", str(tmp_path / "page.pem"), "--tls-key", str(tmp_path / "page.pem")]
    environment = {**os.environ, "BULK_SYNC_STATE_DIR": str(tmp_path / "state")}
    with Copied(words, env=environment, text=True, stdout=subprocess.PIPE) as page:
        assert page.stdout is not None
        url = page.stdout.readline().strip()
        with Visitor() as session:
            session.verify = str(tmp_path / "ca.pem")
            answer = session.get(url, allow_redirects=False)
        page.terminate()
    assert url.startswith("https://127.0.0.1:")
    assert answer.headers["Set-Cookie"].startswith("__Host-bulk-sync=")
