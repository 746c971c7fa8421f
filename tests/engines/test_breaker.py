"""Failed rows that end a run, and those that do not."""

from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.campaign.profiles import AttributeMissing
from bulk_sync.campaign.responses import AddressRefused, FieldRefused, Forbidden
from bulk_sync.engines.breaker import Breaker
from bulk_sync.errors import AccessDenied, Exit, RowFailed, StoppedEarly, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Failures
from bulk_sync.simulator import Fault, Simulator
from bulk_sync.stopping import Stop

READ_ONLY = FieldRefused(Reason.HTTP_500, "Campaign answered 500: ccpaOptOut is read-only.")
NO_RIGHTS = Forbidden("Campaign answered 403: You do not have the rights", by_gateway=False)
BY_GATEWAY = Forbidden("Campaign answered 403: Api Key is invalid", by_gateway=True)
OOPS = AddressRefused(Reason.HTTP_500, "Campaign answered 500: Oops.")
BROKEN = RowFailed(Reason.HTTP_500, "Campaign answered 500.", passing=True)
UNKNOWN = RowFailed(Reason.NOT_FOUND, "No such profile.", outcome=Outcome.NOT_FOUND)


def breaker(failures: Failures | None = None) -> tuple[Breaker, Stop]:
    stop = Stop()
    return Breaker(stop, failures or Failures(), "ccpaOptOut"), stop


@pytest.mark.parametrize(
    ("failed", "kind", "status"),
    [
        (READ_ONLY, UsageProblem, Exit.USAGE),
        (NO_RIGHTS, AccessDenied, Exit.ACCESS_DENIED),
        (BY_GATEWAY, AccessDenied, Exit.ACCESS_DENIED),
        (OOPS, AccessDenied, Exit.ACCESS_DENIED),
    ],
    ids=["read-only", "no rights", "by the gateway", "no such address"],
)
def test_a_refusal_of_every_profile_ends_the_run_with_the_fifth(
    failed: RowFailed, kind: type[StopRun], status: Exit
) -> None:
    counted, stop = breaker()
    counted.succeeded("read", again=False)
    for _ in range(4):
        counted.failed(failed, "write", again=False)
    assert not stop.is_requested
    counted.failed(failed, "write", again=False)
    assert isinstance(stop.cause, kind)
    assert stop.cause.exit is status


@pytest.mark.parametrize("failed", [READ_ONLY, NO_RIGHTS, OOPS], ids=["text", "rights", "address"])
def test_refused_profiles_among_successes_are_failed_rows(
    failed: RowFailed,
) -> None:
    counted, stop = breaker()
    counted.succeeded("write", again=False)
    for _ in range(100):
        counted.failed(failed, "write", again=False)
    assert not stop.is_requested


def test_a_gateway_that_refuses_all_requests_in_the_middle_of_a_run_ends_it() -> None:
    counted, stop = breaker()
    for again in range(2):
        counted.succeeded("write", again=False)
        for _ in range(4 + again):
            counted.failed(BY_GATEWAY, "write", again=False)
    assert isinstance(stop.cause, AccessDenied)


@pytest.mark.parametrize("failed", [NO_RIGHTS, OOPS])
def test_an_unknown_profile_shows_that_campaign_has_looked(failed: RowFailed) -> None:
    counted, stop = breaker()
    for _ in range(20):
        for _ in range(4):
            counted.failed(failed, "read", again=False)
        counted.failed(UNKNOWN, "read", again=False)
    assert not stop.is_requested


def test_twenty_five_failures_in_succession_end_the_run() -> None:
    counted, stop = breaker()
    for _ in range(24):
        counted.failed(BROKEN, "write", again=False)
    assert not stop.is_requested
    counted.failed(BROKEN, "write", again=False)
    assert isinstance(stop.cause, StoppedEarly)


@pytest.mark.parametrize("answer", ["Bad gateway", "Bad gateway.", "Bad gateway!"])
def test_an_answer_in_brackets_has_no_mark_at_its_end(answer: str) -> None:
    counted, stop = breaker()
    for _ in range(25):
        counted.failed(RowFailed(Reason.HTTP_5XX, answer, passing=True), "read", again=False)
    assert "(Bad gateway)." in str(stop.cause)


def test_too_many_failures_name_the_count_the_limit_and_the_option() -> None:
    counted, stop = breaker(Failures(most=0))
    counted.failed(RowFailed(Reason.HTTP_400, "Campaign answered 400: bad"), "write", again=False)
    assert str(stop.cause) == (
        "1 row failed, more than the limit of 0; the last one: Campaign answered 400: bad. See the "
        "report, or let all of them pass with --max-failures 100%."
    )


def test_a_failure_among_successes_does_not_count_towards_a_stop() -> None:
    counted, stop = breaker(Failures(most=5_000))
    counted.succeeded("write", again=False)
    for _ in range(100):
        counted.failed(BROKEN, "write", again=False, succeeded=0)
    assert not stop.is_requested


@pytest.mark.parametrize("how", [{"again": True}, {"again": False, "suspect": True}])
def test_rows_that_failed_before_do_not_count_towards_a_stop(how: dict[str, bool]) -> None:
    counted, stop = breaker(Failures(most=5_000))
    for _ in range(400):
        counted.succeeded("write", again=False)
    for _ in range(1_000):
        counted.failed(BROKEN, "write", **how)
    assert not stop.is_requested


def test_rows_that_failed_in_an_earlier_process_count_for_the_limit() -> None:
    counted, stop = breaker(Failures(most=10))
    for _ in range(11):
        counted.failed(BROKEN, "write", again=False, suspect=True)
    assert stop.cause is not None
    assert "--max-failures" in str(stop.cause)


WINDOW = Failures(alike=3, window=5, lost=None)
BAD_KEY = RowFailed(Reason.HTTP_400, "Campaign answered 400: bad.")


def counted_by(signs: str, failures: Failures = WINDOW) -> tuple[Breaker, Stop]:
    """Count rows: good, bad for one of two reasons, of no profile; a capital if it failed before.

    A failure in an earlier process is an ``s``.
    """
    counted, stop = breaker(failures)
    for sign in signs:
        again = sign.isupper()
        match sign.lower():
            case "g":
                counted.succeeded("write", again=again)
            case "n":
                counted.failed(UNKNOWN, "write", again=again)
            case "s":
                counted.failed(BAD_KEY, "write", again=again, suspect=True)
            case reason:
                failed = BAD_KEY if reason == "b" else BROKEN
                counted.failed(failed, "write", again=again)
    return counted, stop


@pytest.mark.parametrize(
    ("signs", "ends"),
    [
        ("bbb", False),
        ("ggbbb", True),
        ("gbbb", False),
        ("bbbgg", False),
        ("nnbbb", True),
        ("ggbtb", False),
        ("ggbtbb", True),
        ("bbgggb", False),
        ("gbbgggb", False),
        ("gggbgbb", True),
        ("gggbgggbb", False),
        ("ggbbBBB", False),
        ("ggbbsss", False),
        ("ggbbB", False),
    ],
    ids=[
        "too few rows", "three of five", "three of four", "no failure is the last", "of no profile",
        "two reasons", "three for one reason", "long ago", "before the last five", "just within",
        "just before", "second tries", "failures of an earlier process", "one second try",
    ],
)  # fmt: skip
def test_many_failures_for_one_reason_among_the_last_rows_end_the_run(
    signs: str, *, ends: bool
) -> None:
    _, stop = counted_by(signs)
    assert stop.is_requested is ends
    if ends:
        assert "3 of the last 5 rows failed with http_400" in str(stop.cause)


@pytest.mark.parametrize(
    ("signs", "ends"),
    [
        ("bb", False),
        ("bbt", True),
        ("bbGb", False),
        ("bbGbb", True),
        ("bbNb", False),
        ("bbBBB", False),
    ],
    ids=["two", "three", "one has succeeded", "one more", "one was not found", "second tries"],
)
def test_rows_that_succeed_in_a_second_try_have_not_failed(signs: str, *, ends: bool) -> None:
    _, stop = counted_by(signs, Failures(most=2, alike=None))
    assert stop.is_requested is ends


@pytest.mark.parametrize(("signs", "rows", "succeeded"), [("gGbtnNsB", 6, 2), ("", 0, 0)], ids=str)
def test_rows_count_once_those_of_an_earlier_process_aside(
    signs: str, rows: int, succeeded: int
) -> None:
    counted, _ = counted_by(signs)
    assert (counted.rows, counted.succeeded_rows) == (rows, succeeded)


@pytest.mark.parametrize("signs", ["", "g", "b"], ids=["at first", "after a success", "of others"])
def test_an_attribute_that_no_profile_has_is_named(signs: str) -> None:
    counted, stop = counted_by(signs, Failures(most=2, alike=None))
    missing = AttributeMissing(Reason.STATE_UNKNOWN, "No such attribute.")
    for _ in range(3 - signs.count("b")):
        assert not stop.is_requested
        counted.failed(missing, "write", again=False)
    assert isinstance(stop.cause, StoppedEarly if signs else UsageProblem)
    if not signs:
        assert "Of 3 profiles read, none has the attribute 'ccpaOptOut'" in str(stop.cause)


BAD = (*range(60, 80), *range(380, 400))
"""Forty profiles of five hundred: a block in the middle, and one more."""

WORDS = ("--retries", 0, "--report", "r.csv", "--summary", "json", "--concurrency", 4)
ONE_BY_ONE = ("--concurrency", 1)
"""With one worker no good row ends between the bad ones, however slow its response."""


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_profiles_that_always_fail_are_rows_that_failed_and_the_run_is_finished(
    sim: Simulator, run: Run, method: str, tmp_path: Path
) -> None:
    populate(sim, 500)
    for number in BAD:
        sim.queue_fault(
            Fault.TRANSIENT_500, method, times=99, matching=f"profile/%40{key(number)[1:]}"
        )
    path = write_states(tmp_path / "in.csv", 500)
    ran = run(sim, "run", path, *WORDS, "--fetch", "lookup")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"failed": len(BAD), "updated": 500 - len(BAD)}
    assert "nothing to resume" in run(sim, "resume").out


def test_more_failing_profiles_in_succession_stop_a_run_once_and_not_its_resume(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 400)
    for number in range(30, 65):
        sim.queue_fault(
            Fault.TRANSIENT_500, "PATCH", times=999, matching=f"profile/%40{key(number)[1:]}"
        )
    path = write_states(tmp_path / "in.csv", 400)
    ran = run(sim, "run", path, *WORDS, *ONE_BY_ONE)
    assert ran.status == 6
    ran = run(sim, "resume", *WORDS[:2], "--summary", "json")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"failed": 35, "updated": 365}


def test_failing_lookups_stop_a_run_once_and_not_its_resume(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 400)
    for number in range(30, 65):
        sim.queue_fault(
            Fault.TRANSIENT_500, "GET", times=999, matching=f"profile/%40{key(number)[1:]}"
        )
    path = write_states(tmp_path / "in.csv", 400)
    words = (*WORDS, *ONE_BY_ONE, "--fetch", "lookup")
    assert run(sim, "run", path, *words).status == 6
    ran = run(sim, "resume", *WORDS[:2], "--summary", "json")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"failed": 35, "updated": 365}


def test_failures_after_all_successes_are_failed_rows(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 400)
    for number in range(0, 390, 13):
        sim.queue_fault(
            Fault.TRANSIENT_500, "PATCH", times=99, matching=f"profile/%40{key(number)[1:]}"
        )
    words = ("--retries", 2, *WORDS[2:6], "--concurrency", 64)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 400), *words)
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"failed": 30, "updated": 370}


def test_profiles_without_rights_of_the_account_are_failed_rows(
    sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 400)
    sim.forbidden.update(key(number) for number in range(5, 30))
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 400), *WORDS, "--fetch", "scan")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"failed": 25, "updated": 375}
