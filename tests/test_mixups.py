"""Runs against a server or proxy that mixes answers up."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import Ran, Run, read_csv
from mixing import Mixing, Request, Wrong, mixing

from bulk_sync.campaign import retries

KEYS = [f"@k{number:02}" for number in range(24)]
BEFORE = {key: number % 3 == 0 for number, key in enumerate(KEYS)}
UNKNOWN = [f"@gone{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_BACKOFF_S", 0.001)


@pytest.fixture
def go(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Return a function that runs a file against a server; its report is ``r.csv``."""
    monkeypatch.setenv("BULK_SYNC_ORGANIZATION", "acme")
    monkeypatch.setenv("BULK_SYNC_API_KEY", "key")
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")

    def typed(server: Mixing, *words: object) -> Ran:
        monkeypatch.setenv("BULK_SYNC_ENDPOINT", server.url)
        return run(None, *words, "--report", tmp_path / "r.csv", "--max-opt-ins", "100%")

    return typed


def write_input(path: Path, *, with_unknown: bool = False) -> Path:
    """Write a file that changes half of the profiles, in either direction."""
    rows = [(key, number % 2 == 0) for number, key in enumerate(KEYS)]
    for number, key in enumerate(UNKNOWN if with_unknown else []):
        rows.insert(3 * number + 1, (key, True))
    lines = [f"{key},{str(state).lower()}" for key, state in rows]
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return path


def check(report: list[dict[str, str]], now: Mapping[str, bool]) -> None:
    """Check that every state in a report is true."""
    for row in report:
        key, outcome = row["sync_key"], row["sync_outcome"]
        if key in UNKNOWN:
            assert outcome in {"not_found", "pending"}
            continue
        assert outcome in {"updated", "unchanged", "failed", "pending"}, row
        if outcome in {"updated", "unchanged"}:
            assert row["sync_desired"] == str(now[key]).lower()
        assert row["sync_before"] in {"", str(BEFORE[key]).lower()}
        assert row["sync_after"] in {"", str(now[key]).lower()}


def reads(request: Request, _status: int) -> Wrong | None:
    return Wrong.LATE if request.method == "GET" and request.key != "profile" else None


def writes(request: Request, _status: int) -> Wrong | None:
    return Wrong.LATE if request.method == "PATCH" else None


def unknown(_request: Request, status: int) -> Wrong | None:
    return Wrong.LATE if status == 404 else None


def everything(_request: Request, _status: int) -> Wrong | None:
    return Wrong.LATE


LOOKUP = ("--fetch", "lookup", "--allow", "unknown-keys", "--allow", "inverted")


@pytest.mark.parametrize("words", [(), ("--concurrency", 1), ("--concurrency", 1, "--verify")])
@pytest.mark.parametrize("choose", [reads, writes, unknown, everything])
def test_late_copies_of_answers_end_the_run_and_spoil_no_row(
    choose: Callable[[Request, int], Wrong | None],
    words: tuple[object, ...],
    tmp_path: Path,
    go: Callable[..., Ran],
) -> None:
    path = write_input(tmp_path / "in.csv", with_unknown=choose is unknown)
    with mixing(Mixing(dict(BEFORE), choose)) as server:
        ran = go(server, "run", path, *LOOKUP, *words)
        report = read_csv(tmp_path / "r.csv")
        check(report, server.states)
        if words:
            assert ran.status == 6
            assert "mixes answers up" in ran.err
            assert "example.com" not in ran.err
        if ran.status != 6:
            return
        server.choose = lambda _request, _status: None
        (tmp_path / "r.csv").unlink()
        assert go(server, "resume").status == (3 if choose is unknown else 0)
        check(read_csv(tmp_path / "r.csv"), server.states)
        for number, key in enumerate(KEYS):
            assert server.states[key] is (number % 2 == 0)


def test_late_copies_of_pages_are_requested_again(tmp_path: Path, go: Callable[..., Ran]) -> None:
    def pages(request: Request, _status: int) -> Wrong | None:
        return Wrong.LATE if request.key == "profile" else None

    with mixing(Mixing(dict(BEFORE), pages, page=10)) as server:
        ran = go(server, "run", write_input(tmp_path / "in.csv"), "--fetch", "scan")
        assert ran.status == 0, ran.err
        check(read_csv(tmp_path / "r.csv"), server.states)
    gets = [request.key for request in server.requests if request.method == "GET"]
    assert gets == ["profile"] * 4  # three pages; the first answer to the second request was a copy


@pytest.mark.parametrize("words", [(), ("--verify",)])
@pytest.mark.parametrize("state", [True, False])
def test_foreign_answers_about_one_profile_fail_only_its_row(
    state: bool,
    words: tuple[object, ...],
    tmp_path: Path,
    go: Callable[..., Ran],
) -> None:
    before = {**BEFORE, KEYS[4]: state, KEYS[3]: not state}

    def choose(request: Request, _status: int) -> Wrong | None:
        return Wrong.FOREIGN if (request.method, request.key) == ("GET", KEYS[3]) else None

    with mixing(Mixing(before, choose)) as server:
        ran = go(server, "run", write_input(tmp_path / "in.csv"), *LOOKUP, *words)
        assert ran.status == 3
        report = read_csv(tmp_path / "r.csv")
    (failed,) = [row for row in report if row["sync_outcome"] == "failed"]
    assert (failed["sync_key"], failed["sync_reason"]) == (KEYS[3], "wrong_profile")
    assert (failed["sync_before"], failed["sync_after"]) == ("", "")
    assert not any(each.method == "PATCH" and each.key == KEYS[3] for each in server.requests)


@pytest.mark.parametrize("words", [("--concurrency", 1), ("--concurrency", 4)])
def test_late_copies_of_filter_results_create_no_profile_twice(
    words: tuple[object, ...], tmp_path: Path, go: Callable[..., Ran]
) -> None:
    def filters(request: Request, _status: int) -> Wrong | None:
        return Wrong.LATE if request.key in {"byEmail", "byText"} else None

    lines = []
    for number, key in enumerate(KEYS[:8]):
        lines += [f"{key[1:]}@example.com,A,B,true", f"new{number}@example.com,A,B,true"]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["email,firstName,lastName,ccpaOptOut", *lines, ""]))
    with mixing(Mixing(dict(BEFORE), filters)) as server:
        ran = go(server, "run", path, *LOOKUP, "--create", *words)
        assert not any(row["sync_outcome"] == "not_found" for row in read_csv(tmp_path / "r.csv"))
        if ran.status == 6:
            server.choose = lambda _request, _status: None
            (tmp_path / "r.csv").unlink()
            assert go(server, "resume").status == 0
        made = [server.emails[key] for key in server.states if key.startswith("@made")]
    assert sorted(made) == [f"new{number}@example.com" for number in range(8)]
