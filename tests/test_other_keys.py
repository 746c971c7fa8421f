"""Rows with other keys: e-mail addresses, custom keys, or the parameter of a filter."""

import csv
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from conftest import Run, before_answer, process, read_csv

from bulk_sync.simulator import (
    ByEmail,
    CountStyle,
    Dialect,
    Fault,
    Options,
    ScanFault,
    Simulator,
    running,
)
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.call import Call

FILLERS = 40
STRANGE = (
    '"a+b c"@x.com',
    "jürgen@münchen.example",
    "100%&x#y=z@x.com",
    "o'brien@x.com",
    "?/@x.com",
)
CODES = ("C-1", "C 2/ä?#%+&=", "email", "byEmail", "007", "..", "C;3")


@contextmanager
def people(options: Options) -> Iterator[tuple[Simulator, dict[str, str]]]:
    """Serve profiles and decoys, each with a name."""
    with running(replace(options, custom_key="cusCode")) as sim:
        names: dict[str, str] = {}

        def add(name: str, email: str, code: str, *, state: bool = False) -> None:
            fields = {"email": email, "cusCode": code, "externalId": code, "ccpaOptOut": state}
            names[sim.add(None, **fields)] = name

        for number in range(FILLERS):
            add(f"filler {number}", f"filler{number}@x.com", f"F{number}")
        add("jo", "jo@x.com", "J")
        add("longer", "jo@x.com.au", "J1")
        add("before", "xjo@x.com", "xJ")
        add("capital", "Jo@x.com", "j")
        add("twin 1", "twin@x.com", "T1")
        add("twin 2", "twin@x.com", "T2", state=True)
        add("out", "out@x.com", "O", state=True)
        for number, (email, code) in enumerate(zip(STRANGE, CODES, strict=False)):
            add(f"strange {number}", email, code)
        for number, code in enumerate(CODES[len(STRANGE) :], len(STRANGE)):
            add(f"strange {number}", f"s{number}@x.com", code)
        yield sim, names


def write_requests(path: Path, column: str, desired: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([column, "ccpaOptOut"])
        rows.writerows(desired.items())
    return path


def changed_states(sim: Simulator, names: dict[str, str]) -> dict[str, bool | None]:
    done = {names[pkey]: state for pkey, state in sim.patched}
    assert len(done) == len(sim.patched), "a profile was written twice"
    return done


FETCHES = ["lookup", "scan", "auto"]
DIALECTS = [Dialect.STANDARD, Dialect.V8]


def test_a_list_is_read_to_its_end_if_its_pages_cost_less_than_all_spellings(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        for number in range(180):
            sim.add(email=f"jo{number}@x.com", ccpaOptOut=False)
        desired = {f"jo{number}@X.com": "false" for number in range(30)}  # each in two spellings
        path = write_requests(tmp_path / "in.csv", "email", desired)
        ran = run(sim, "run", path, "--page-size", 4)
        assert ran.status == 0, ran.err
        assert len(sim.requests) <= 180 / 4 + 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fetch", FETCHES)
def test_exactly_the_profiles_with_an_address_are_changed(
    fetch: str, dialect: Dialect, tmp_path: Path, run: Run
) -> None:
    emails = {**dict.fromkeys(["jo@X.com", "twin@x.com", *STRANGE], "true"), "out@x.com": "false"}
    with people(Options(dialect=dialect)) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "E-mail", {**emails, "nobody@x.com": "true"})
        ran = run(sim, "run", path, "--fetch", fetch, "--dialect", dialect)
        assert ran.status == 3, ran.err
        wanted = {"jo": True, "twin 1": True, "out": False}
        wanted |= {f"strange {number}": True for number in range(len(STRANGE))}
        assert changed_states(sim, names) == wanted
        assert [row["sync_key"] for row in ran.report] == [*emails, "nobody@x.com"]
        assert Counter(ran.outcomes) == {"updated": len(emails), "not_found": 1}
        assert [row["sync_profiles"] for row in ran.report[:2]] == ["1", "2"]
        calls = Counter(request.method for request in sim.requests)
        assert calls["PATCH"] == len(wanted)
        gets = len(emails) + 1
        # One address is requested in two spellings.
        most = {"lookup": 1 + gets + 1 + 1, "scan": 1 + 2 + 1, "auto": 2 + gets + 2}[fetch]
        assert calls["GET"] <= most


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fetch", FETCHES)
@pytest.mark.parametrize("column", ["cusCode", "code", "Kundennummer"])
def test_exactly_the_profiles_with_a_custom_key_are_changed(
    column: str, fetch: str, dialect: Dialect, tmp_path: Path, run: Run
) -> None:
    with people(Options(dialect=dialect)) as (sim, names):
        path = write_requests(tmp_path / "in.csv", column, dict.fromkeys([*CODES, "J"], "true"))
        words = ("--key", "custom", "--key-column", column, "--fetch", fetch)
        ran = run(sim, "run", path, *words)
        assert ran.status == 0, ran.err
        wanted = {f"strange {number}": True for number in range(len(CODES))}
        assert changed_states(sim, names) == {**wanted, "jo": True}
        assert {request.raw_path.split("/")[3] for request in sim.requests} == {
            "profileAndServicesExt"
        }
        calls = Counter(request.method for request in sim.requests)
        is_known = column != "Kundennummer"  # no field of the list has this name
        assert calls["GET"] <= (3 if fetch == "scan" and is_known else 3 + len(CODES) + 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["ExternalId", "byExternalId"])
def test_exactly_the_profiles_that_a_filter_finds_are_changed(
    name: str, dialect: Dialect, tmp_path: Path, run: Run
) -> None:
    with people(Options(dialect=dialect)) as (sim, names):
        path = write_requests(
            tmp_path / "in.csv", "External ID", dict.fromkeys([*CODES, "J"], "true")
        )
        words = ("--key", f"filter:{name}:externalId_parameter", "--dialect", dialect)
        ran = run(sim, "run", path, *words)
        assert ran.status == 0, ran.err
        wanted = {f"strange {number}": True for number in range(len(CODES))}
        assert changed_states(sim, names) == {**wanted, "jo": True}
        assert Counter(request.method for request in sim.requests)["GET"] == 1 + len(CODES) + 1


def test_a_filter_that_finds_everybody_can_be_used_too(tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "email", {"jo@x.com": "true"})
        ran = run(sim, "run", path, "--key", "filter:byEmail:email")
        assert (ran.status, changed_states(sim, names)) == (0, {"jo": True}), ran.err


def test_a_key_not_found_by_a_filter_is_not_found(tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "email", {"nobody@x.com": "true"})
        ran = run(sim, "run", path, "--key", "filter:byEmail:email")
        assert (ran.status, changed_states(sim, names), ran.outcomes) == (3, {}, ["not_found"]), (
            ran.err
        )


def test_a_known_filter_that_answers_404_says_nothing_about_a_key(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with people(Options()) as (sim, names):

        async def answer(call: Call) -> tuple[Answer | None, Fault | None]:
            if "twin" in call.target:
                return Answer(404, b"Unable to find document"), None
            return await Simulator.answer(sim, call)

        monkeypatch.setattr(sim, "answer", answer)
        states = {"jo@x.com": "true", "twin@x.com": "true"}
        path = write_requests(tmp_path / "in.csv", "email", states)
        words = ("--key", "filter:byEmail:email", "--concurrency", 1)
        ran = run(sim, "run", path, *words)
        assert (ran.status, ran.outcomes) == (3, ["updated", "failed"]), ran.err
        assert changed_states(sim, names) == {"jo": True}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("filter:Loyalty:x",), "knows no such filter"),
        (("filter:ExternalId:externalId_parameter", "--dialect", "v8"), "--dialect v8"),
        (("filter:ExternalId:externalId_parameter", "--api", "profileAndServices"), "Give --api"),
        (("custom", "--api", "profilesAndServices"), "Give --api profileAndServicesExt"),
        (("filter:ExternalId",), "write pkey, email, custom or filter:NAME:PARAM"),
        (("filter:../x:y",), "letters, digits"),
        (("phone",), "write pkey, email, custom or filter:NAME:PARAM"),
    ],
)
def test_unusable_keys_are_refused_at_once(
    words: tuple[str, ...], text: str, tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, _):
        path = write_requests(
            tmp_path / "in.csv", "externalId", {f"F{n}": "true" for n in range(FILLERS)}
        )
        ran = run(sim, "run", path, "--key-column", "externalId", "--key", *words)
        assert ran.status == 2
        assert text in ran.err
        assert len(sim.requests) <= 4
        assert not sim.patched


def test_a_filter_with_an_ignored_parameter_changes_no_profile(tmp_path: Path, run: Run) -> None:
    with people(Options(by_email=ByEmail.FINDS_EVERYBODY)) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "number", {"N1": "true", "C-1": "true"})
        words = ("--key-column", "number", "--key-field", "externalId")
        ran = run(sim, "run", path, "--key", "filter:byEmail:email", *words)
        assert ran.status == 3
        assert [row["sync_reason"] for row in ran.report] == ["bad_answer", ""]
        assert changed_states(sim, names) == {"strange 0": True}  # the profile shows this very key


def test_a_profile_without_the_field_of_the_key_is_not_taken(tmp_path: Path, run: Run) -> None:
    with running(Options(by_email=ByEmail.FINDS_EVERYBODY)) as sim:
        right = sim.add(cusCode="C-1", ccpaOptOut=False)
        sim.add(ccpaOptOut=False)
        path = write_requests(tmp_path / "in.csv", "code", {"C-1": "true"})
        words = ("--key-column", "code", "--key-field", "cusCode", "--api", "profileAndServicesExt")
        assert run(sim, "run", path, "--key", "filter:byEmail:email", *words).status == 0
        assert sim.patched == [(right, True)]


@pytest.mark.parametrize("case", ["exact", "ignore"])
@pytest.mark.parametrize(
    ("fetch", "by_email"),
    [
        *(("lookup", each) for each in ByEmail if each is not ByEmail.NO_FILTERS),
        *(("scan", each) for each in ByEmail),
    ],
)
def test_the_same_profiles_are_changed_whatever_by_email_finds(
    fetch: str, by_email: ByEmail, case: str, tmp_path: Path, run: Run
) -> None:
    with people(Options(by_email=by_email)) as (sim, names):
        desired = dict.fromkeys(["jo@x.com", "twin@x.com", "nobody@x.com"], "true")
        path = write_requests(tmp_path / "in.csv", "email", desired)
        ran = run(sim, "run", path, "--fetch", fetch, "--email-case", case)
        assert ran.status == 3, ran.err
        wanted: dict[str, bool | None] = {"jo": True, "twin 1": True}
        # Other capitals are found with the whole list, or with such a filter.
        if case == "ignore" and (fetch == "scan" or by_email is ByEmail.ANY_CASE):
            wanted["capital"] = True
        assert changed_states(sim, names) == wanted
        assert ran.outcomes == ["updated", "updated", "not_found"]


@pytest.mark.parametrize("way", [(), ("--create",)])
@pytest.mark.parametrize("by_email", [ByEmail.EXACT, ByEmail.ABSENT])
def test_an_address_is_looked_up_in_the_spellings_of_all_its_rows(
    way: tuple[str, ...], by_email: ByEmail, tmp_path: Path, run: Run
) -> None:
    with people(Options(by_email=by_email)) as (sim, names):
        sim.add(email="An@X.com", ccpaOptOut=False)
        lines = ["email,firstName,lastName,ccpaOptOut", "an@x.com,A,B,yes", "An@X.com,A,B,yes", ""]
        (tmp_path / "in.csv").write_text("\n".join(lines))
        words = ("--email-case", "ignore", "--fetch", "lookup", *way)
        ran = run(sim, "run", tmp_path / "in.csv", *words)
        assert (ran.status, ran.outcomes) == (0, ["updated", "duplicate"])
        assert len(sim.profiles) == len(names) + 1


@pytest.mark.parametrize(
    ("by_email", "count"), [(ByEmail.EXACT, 0), (ByEmail.ABSENT, 1)], ids=["there", "missing"]
)
def test_a_missing_filter_is_logged_once(
    by_email: ByEmail, count: int, tmp_path: Path, run: Run
) -> None:
    with people(Options(by_email=by_email)) as (sim, _):
        desired = dict.fromkeys(["jo@x.com", "twin@x.com"], "true")
        path = write_requests(tmp_path / "in.csv", "email", desired)
        ran = run(sim, "run", path, "--fetch", "lookup", "-v")
        assert ran.err.count("byEmail does not work here") == count


def test_without_filters_no_address_counts_as_unknown(tmp_path: Path, run: Run) -> None:
    with people(Options(by_email=ByEmail.NO_FILTERS)) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "email", {"jo@x.com": "true"})
        ran = run(sim, "run", path, "--fetch", "lookup")
        assert (ran.status, ran.outcomes) == (3, ["failed"])
        assert "--fetch scan" in ran.report[0]["sync_detail"]
        assert run(sim, "run", path, "--fetch", "scan", "--report", "r.csv").status == 0
        assert changed_states(sim, names) == {"jo": True}


@pytest.mark.parametrize("case", ["exact", "ignore"])
def test_capitals_count_only_before_the_at_sign_and_only_if_asked(
    case: str, tmp_path: Path, run: Run
) -> None:
    with people(Options(by_email=ByEmail.ANY_CASE)) as (sim, names):
        path = write_requests(
            tmp_path / "in.csv", "email", {"JO@x.com": "true", "TWIN@X.COM": "true"}
        )
        ran = run(sim, "run", path, "--email-case", case)
        if case == "ignore":
            assert set(changed_states(sim, names)) == {"jo", "capital", "twin 1"}
            return
        assert (ran.status, sim.patched) == (3, [])
        assert [row["sync_reason"] for row in ran.report] == ["ambiguous", "ambiguous"]
        assert "--email-case ignore" in ran.report[0]["sync_detail"]


@pytest.mark.parametrize(
    ("state", "words", "changes", "outcome"),
    [
        ("true", (), {"twin 1": True}, "updated"),
        ("true", ("--on-ambiguous", "reject"), {}, "rejected"),
        ("false", (), {}, "rejected"),
        ("false", ("--on-ambiguous", "all"), {"twin 2": False}, "updated"),
    ],
)
def test_an_opt_out_is_the_persons_and_an_opt_in_must_be_of_one_profile(
    state: str, words: tuple[str, ...], changes: dict[str, bool], outcome: str, tmp_path: Path,
    run: Run,
) -> None:  # fmt: skip
    with people(Options()) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "email", {"twin@x.com": state})
        ran = run(sim, "run", path, *words)
        assert ran.outcomes == [outcome]
        assert changed_states(sim, names) == changes
        (row,) = ran.report
        assert row["sync_profiles"] == "2"
        if outcome == "rejected":
            assert row["sync_reason"] == "ambiguous"
        else:
            assert row["sync_detail"] == "2 profiles: 1 updated, 1 unchanged."


def test_a_row_has_the_worst_outcome_of_its_profiles_and_the_ledger_has_each(
    tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, names):
        twins = [pkey for pkey, name in names.items() if name.startswith("twin")]
        for pkey in twins:
            sim.profiles[pkey]["ccpaOptOut"] = False
        sim.forbidden.add(twins[1])
        path = write_requests(
            tmp_path / "in.csv", "email", {"twin@x.com": "true", "jo@x.com": "true"}
        )
        ran = run(sim, "run", path)
        assert ran.status == 3
        first, second = ran.report
        assert (first["sync_outcome"], second["sync_outcome"]) == ("failed", "updated")
        assert first["sync_detail"].startswith("2 profiles: 1 failed, 1 updated.")
        assert (first["sync_before"], first["sync_after"]) == ("false", "false")
        (left,) = read_csv(next(tmp_path.glob("*.todo.csv")))
        assert left["email"] == "twin@x.com"
        found = [run(None, "history", pkey, "--json").out for pkey in twins]
        assert ['"updated"' in each for each in found] == [True, False]
        assert ['"failed"' in each for each in found] == [False, True]

        sim.forbidden.remove(twins[1])
        (run_id,) = {path.name.split(".")[1] for path in tmp_path.glob("*.results.csv")}
        again = run(sim, "retry", run_id, "--report", tmp_path / "again.csv")
        assert again.status == 0, again.err
        (row,) = read_csv(tmp_path / "again.csv")
        assert row["sync_detail"] == "2 profiles: 1 updated, 1 unchanged."


@pytest.mark.parametrize(
    ("states", "words", "outcomes", "becomes"),
    [
        (("true", "true"), (), ["updated", "duplicate"], True),
        (("true", "false"), (), ["rejected", "rejected"], None),
        (("false", "true"), ("--on-conflict", "opt-out"), ["duplicate", "updated"], True),
        (("false", "true"), ("--on-conflict", "last"), ["rejected", "rejected"], None),
        (("true", "false"), ("--on-conflict", "opt-out"), ["updated", "duplicate"], True),
    ],
)
def test_two_keys_of_one_profile_are_settled_like_one_key(
    states: tuple[str, str], words: tuple[str, ...], outcomes: list[str], becomes: bool | None,
    tmp_path: Path, run: Run,
) -> None:  # fmt: skip
    with running(Options(custom_key="cusCode")) as sim:
        pkey = sim.add(cusCode="A", ccpaOptOut=False)
        path = write_requests(tmp_path / "in.csv", "n", dict(zip(("A", pkey), states, strict=True)))
        ran = run(sim, "run", path, "--key", "custom", "--key-column", "n", *words)
        assert ran.outcomes == outcomes, ran.err
        assert sim.patched == ([] if becomes is None else [(pkey, becomes)])


def test_the_column_of_keys_is_found_by_its_name_and_never_guessed(
    tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, names):
        pkey = next(pkey for pkey, name in names.items() if name == "out")
        both = tmp_path / "both.csv"
        both.write_text(f"PKey,email,ccpaOptOut\n{pkey},jo@x.com,false\n")
        assert run(sim, "run", both, "--report", tmp_path / "1.csv").status == 0
        assert changed_states(sim, names) == {"out": False}  # PKeys are the default
        assert run(sim, "run", both, "--key", "email", "--report", tmp_path / "2.csv").status == 0
        assert changed_states(sim, names) == {"out": False}  # jo had not opted out
        two = tmp_path / "two.csv"
        two.write_text("email,E-Mail,ccpaOptOut\njo@x.com,out@x.com,true\n")
        ran = run(sim, "run", two)
        assert ran.status == 2
        assert "'email', 'E-Mail'" in ran.err
        ran = run(sim, "run", two, "--key-column", "E-Mail", "--report", tmp_path / "3.csv")
        assert ran.status == 0
        assert sim.patched[-1] == (pkey, True)
        nothing = tmp_path / "nothing.csv"
        nothing.write_text("phone,ccpaOptOut\n1,true\n")
        ran = run(sim, "run", nothing)
        assert ran.status == 2
        assert "'phone'" in ran.err


def test_an_incomplete_list_does_not_decide_alone(tmp_path: Path, run: Run) -> None:
    options = Options(scan_fault=ScanFault.ENDS_EARLY, max_line_count=10)
    with people(options) as (sim, names):
        path = write_requests(
            tmp_path / "in.csv", "email", {"twin@x.com": "true", "jo@x.com": "true"}
        )
        ran = run(sim, "run", path, "--fetch", "scan")
        assert ran.status == 0, ran.err
        assert changed_states(sim, names) == {"twin 1": True, "jo": True}
        assert [row["sync_profiles"] for row in ran.report] == ["2", "1"]


def test_results_of_a_filter_with_circular_pages_are_not_used(tmp_path: Path, run: Run) -> None:
    with people(Options(scan_fault=ScanFault.LOOPS, max_line_count=10)) as (sim, _):
        path = write_requests(tmp_path / "in.csv", "email", {"twin@x.com": "true"})
        ran = run(sim, "run", path)
        assert ran.outcomes == ["failed"]
        assert [row["sync_reason"] for row in ran.report] == ["bad_answer"]
        assert not sim.patched


def test_wrong_addresses_are_rejected_with_a_reason(tmp_path: Path, run: Run) -> None:
    bad = ["jo", "jo@", "@x.com", "a@x.com, b@x.com", "a@x.com;b@x.com", "Jo <jo@x.com>", "a@b@c"]
    with people(Options()) as (sim, _):
        path = write_requests(tmp_path / "in.csv", "email", dict.fromkeys(bad, "true"))
        ran = run(sim, "run", path)
        assert ran.outcomes == ["rejected"] * len(bad)
        assert {row["sync_reason"] for row in ran.report} == {"bad_key"}
        assert not sim.patched


def test_request_dates_are_judged_by_profile(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        old = sim.add(
            email="a@x.com", ccpaOptOut=True, ccpaOptOutLastModified="2026-01-05 00:00:00.000Z"
        )
        sim.add(email="b@x.com", ccpaOptOut=True, ccpaOptOutLastModified="2026-03-05 00:00:00.000Z")
        (tmp_path / "in.csv").write_text(
            "email,ccpaOptOut,request date\na@x.com,false,2026-02-01\nb@x.com,false,2026-02-01\n"
        )
        ran = run(sim, "run", "in.csv")
        assert ran.outcomes == ["updated", "drifted"], ran.err
        assert [row["sync_reason"] for row in ran.report] == ["", "newer_choice"]
        assert sim.patched == [(old, False)]


def test_a_plan_of_addresses_is_applied_and_its_failed_rows_are_tried_again(
    tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, names):
        twins = [pkey for pkey, name in names.items() if name.startswith("twin")]
        for pkey in twins:
            sim.profiles[pkey]["ccpaOptOut"] = False
        path = write_requests(
            tmp_path / "in.csv", "email", dict.fromkeys(["twin@x.com", "jo@x.com"], "true")
        )
        assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
        sim.forbidden.add(twins[0])
        ran = run(sim, "apply", "plan.parquet", "--report", tmp_path / "plan.1.results.csv")
        assert ran.status == 3, ran.err
        assert ran.outcomes == ["failed", "updated"]
        sim.forbidden.clear()
        retry = next(line for line in ran.out.splitlines() if "bulk-sync retry" in line)
        ran = run(sim, *retry.split()[1:], "--report", tmp_path / "again.csv")
        assert ran.status == 0, ran.err
        (row,) = read_csv(tmp_path / "again.csv")
        assert (row["sync_key"], row["sync_outcome"]) == ("twin@x.com", "updated")
        assert changed_states(sim, names) == {"twin 1": True, "twin 2": True, "jo": True}


@pytest.mark.parametrize("kill_at", [0, 25])
def test_a_killed_run_of_addresses_is_resumed_at_its_place(
    kill_at: int, tmp_path: Path, run: Run
) -> None:
    with people(Options(latency_s=0.02)) as (sim, names):
        desired = {f"filler{number}@x.com": "true" for number in range(FILLERS)}
        path = write_requests(tmp_path / "in.csv", "email", {**desired, "twin@x.com": "true"})
        words = ("run", str(path), "--fetch", "lookup", "--concurrency", "2", "-q")
        with process(sim, tmp_path, *words) as killed:
            before_answer(sim, *(("PATCH", kill_at) if kill_at else ("GET", 15)), killed.kill)
        assert killed.returncode == -signal.SIGKILL
        sim.clear()
        ran = run(sim, "resume")
        assert ran.status == 0, ran.err
        assert Counter(ran.outcomes) == {"updated": FILLERS + 1}
        wanted_names = {name for name in names.values() if name.startswith("filler")} | {"twin 1"}
        assert {names[pkey] for pkey, state in sim.patched if state} <= wanted_names
        held = {names[pkey] for pkey, each in sim.profiles.items() if each["ccpaOptOut"]}
        assert held == wanted_names | {"twin 2", "out"}
        if kill_at:
            assert sum("byEmail" in request.raw_path for request in sim.requests) == 0


def test_results_of_a_filter_are_compared_by_one_field(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        sim.add(lastName="Parisi", location={"city": "Paris"}, ccpaOptOut=True)
        right = sim.add(lastName="Paris", ccpaOptOut=True)
        path = write_requests(tmp_path / "in.csv", "surname", {"Paris": "false"})
        words = ("--key", "filter:byText:text", "--key-column", "surname")
        ran = run(sim, "run", path, *words)
        assert ran.status == 2
        assert "--key-field" in ran.err
        assert not sim.patched
        more = ("--key-field", "lastName", "--report", tmp_path / "2.csv", "--fresh")
        assert run(sim, "run", path, *words, *more).status == 0
        assert sim.patched == [(right, False)]


def test_a_list_may_begin_with_profiles_without_a_custom_key(tmp_path: Path, run: Run) -> None:
    with running(Options(custom_key="cusKey")) as sim:
        for _ in range(5):
            sim.add(cusKey="", ccpaOptOut=True)
        right = sim.add(cusKey="K1", ccpaOptOut=True)
        path = write_requests(tmp_path / "in.csv", "cusKey", {"K1": "false"})
        words = ("--key", "custom", "--key-column", "cusKey", "--fetch", "scan")
        assert run(sim, "run", path, *words).status == 0
        assert sim.patched == [(right, False)]
        assert len(sim.requests) == 4


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
def test_a_column_called_like_another_field_is_not_taken_for_the_custom_key(
    fetch: str, tmp_path: Path, run: Run
) -> None:
    with running(Options(custom_key="cusKey")) as sim:
        sim.add(cusKey="K2", externalId="K1", ccpaOptOut=True)
        right = sim.add(cusKey="K1", externalId="K3", ccpaOptOut=True)
        path = write_requests(tmp_path / "in.csv", "externalId", {"K1": "false"})
        words = ("--key", "custom", "--key-column", "externalId", "--fetch", fetch)
        ran = run(sim, "run", path, *words)
        assert ran.outcomes == ["failed"]
        assert "--key-field" in ran.report[0]["sync_detail"]
        assert not sim.patched
        more = ("--key-field", "cusKey", "--report", tmp_path / "2.csv")
        assert run(sim, "run", path, *words, *more).status == 0
        assert sim.patched == [(right, False)]


@pytest.mark.parametrize("count_style", list(CountStyle))
def test_a_list_with_fewer_profiles_than_its_count_is_not_trusted(
    count_style: CountStyle, tmp_path: Path, run: Run
) -> None:
    options = Options(scan_fault=ScanFault.ENDS_EARLY, count_style=count_style, max_line_count=60)
    with running(options) as sim:
        for number in range(30):
            for _ in range(2):
                sim.add(email=f"p{number}@x.com", ccpaOptOut=False)
        desired = {f"p{number}@x.com": "true" for number in range(30)}
        path = write_requests(tmp_path / "in.csv", "email", desired)
        ran = run(sim, "run", path, "--fetch", "scan", "--page-size", 40)
        assert ran.status == 0, ran.err
        assert len(sim.patched) == 60
        assert {row["sync_profiles"] for row in ran.report} == {"2"}


def test_a_plan_of_custom_keys_is_applied_on_the_api_that_knows_them(
    tmp_path: Path, run: Run
) -> None:
    extended = Options(attribute_apis=("profileAndServicesExt",))
    with people(extended) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "cusCode", {"J": "true"})
        words = ("--key", "custom", "--key-column", "cusCode", "--out", "plan.parquet")
        assert run(sim, "plan", path, *words).status == 0
        ran = run(sim, "apply", "plan.parquet")
        assert ran.status == 0, ran.err
        assert changed_states(sim, names) == {"jo": True}


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
def test_a_profile_without_a_pkey_fails_alone(fetch: str, tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, names):
        pkey = next(pkey for pkey, name in names.items() if name == "longer")
        sim.profiles[pkey]["PKey"] = ""
        path = write_requests(tmp_path / "in.csv", "email", {"jo@x.com": "true"})
        assert run(sim, "run", path, "--fetch", fetch).status == 0
        assert changed_states(sim, names) == {"jo": True}


@pytest.mark.parametrize("pkey", ["", 7, None])
@pytest.mark.parametrize("fetch", ["lookup", "scan"])
@pytest.mark.parametrize(
    ("by", "keys"), [("email", ["twin@x.com", "out@x.com"]), ("code", ["T1", "O"])]
)
def test_a_row_whose_profile_has_no_pkey_fails_and_is_not_written(
    by: str, keys: list[str], fetch: str, pkey: object, tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, names):
        sim.profiles[next(each for each, name in names.items() if name == "twin 1")]["PKey"] = pkey
        path = write_requests(
            tmp_path / "in.csv", by, dict(zip(keys, ("true", "false"), strict=True))
        )
        words = ("--key", "custom", "--key-column", "code") if by == "code" else ()
        ran = run(sim, "run", path, *words, "--fetch", fetch, "--retries", 0)
        assert [row["sync_reason"] for row in ran.report] == ["bad_answer", ""], ran.err
        assert "without a PKey" in ran.report[0]["sync_detail"]
        assert changed_states(sim, names) == {"out": False}


def test_unknown_addresses_are_not_called_pkeys(tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, _):
        path = write_requests(
            tmp_path / "in.csv", "email", {f"n{n}@x.com": "true" for n in range(25)}
        )
        ran = run(sim, "run", path)
        assert ran.status == 4
        assert "is it the right column" in ran.err
        assert "PKeys" not in ran.err
        known = {f"n{n}@x.com": "true" for n in range(25)} | {"twin@x.com": "false"}
        ran = run(sim, "run", write_requests(tmp_path / "known.csv", "email", known))
        assert ran.status == 3


def test_the_history_finds_the_address_of_a_row(tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, names):
        path = write_requests(
            tmp_path / "in.csv", "email", {"twin@x.com": "true", "jo@x.com": "true"}
        )
        assert run(sim, "run", path).status == 0
        found = orjson.loads(run(None, "history", "twin@x.com", "--json").out)
        (write,) = [each for each in found if each["event"] == "write"]
        assert (names[write["key"]], write["used"]) == ("twin 1", "twin@x.com")
        assert run(None, "ledger", "verify").status == 0


@pytest.mark.parametrize("case", ["exact", "ignore"])
def test_an_opt_in_is_refused_if_other_capitals_opt_out(
    case: str, tmp_path: Path, run: Run
) -> None:
    with people(Options()) as (sim, _):
        path = write_requests(
            tmp_path / "in.csv", "email", {"out@x.com": "false", "OUT@x.com": "true"}
        )
        ran = run(sim, "run", path, "--email-case", case)
        assert ran.status == 3
        assert ran.report[0]["sync_reason"] == "conflict"
        assert not sim.patched


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
def test_accents_count_however_they_are_written(fetch: str, tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        pkey = sim.add(email="j\u00fcrgen@x.com", ccpaOptOut=False)
        path = write_requests(tmp_path / "in.csv", "email", {"ju\u0308rgen@x.com": "true"})
        assert run(sim, "run", path, "--fetch", fetch).status == 0
        assert sim.patched == [(pkey, True)]
        path = write_requests(
            tmp_path / "bad.csv", "email", {"jo\u200b@x.com": "true", "a@x.com.": "true"}
        )
        assert run(sim, "validate", path).status == 3


def test_every_spelling_that_opts_out_counts_against_an_opt_in(tmp_path: Path, run: Run) -> None:
    with people(Options()) as (sim, _):
        path = tmp_path / "in.csv"
        rows = "out@x.com,true\nOut@x.com,true\nout@x.com,false\n"
        path.write_text(f"email,ccpaOptOut\n{rows}")
        ran = run(sim, "run", path, "--on-conflict", "last")
        assert ran.report[2]["sync_reason"] == "conflict"
        assert not sim.patched


def in_other_capitals(sim: Simulator, path: Path, rows: int) -> Path:
    for number in range(rows):
        sim.add(email=f"Person{number}@example.com")
    lines = [f"person{number}@example.com,true" for number in range(rows)]
    path.write_text("\n".join(["email,ccpaOptOut", *lines, ""]))
    return path


def test_addresses_in_other_capitals_share_a_line(tmp_path: Path, run: Run) -> None:
    with running(Options(by_email=ByEmail.ANY_CASE)) as sim:
        ran = run(sim, "plan", in_other_capitals(sim, tmp_path / "in.csv", 9))
        (line,) = (line for line in ran.out.splitlines() if "ambiguous: " in line)
        assert line.startswith("  rows 2, 3, 4, 5, 6, 7, 8, 9, 10  not_found ambiguous: ")
        assert "example.com" not in line
        assert "--email-case ignore" in line


def test_a_row_of_two_profiles_counts_once_when_its_run_is_given_up(
    tmp_path: Path, run: Run
) -> None:
    emails = ["twin@x.com", *(f"filler{number}@x.com" for number in range(6))]
    with people(Options()) as (sim, names):
        path = write_requests(tmp_path / "in.csv", "E-mail", dict.fromkeys(emails, "true"))
        for twin in ("twin 1", "twin 2"):
            (pkey,) = (pkey for pkey, name in names.items() if name == twin)
            sim.profiles[pkey]["ccpaOptOut"] = False
        words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 12)
        ran = run(sim, "run", path, *words)
        assert (ran.status, ran.outcomes.count("updated")) == (6, 3)
        assert len(sim.patched) == 4
        (stopped,) = orjson.loads(run(None, "runs", "--json").out)
        assert run(sim, "resume", stopped["run_id"], "--give-up").status == 0
        (found,) = orjson.loads(run(None, "runs", "--json").out)
        assert found["outcomes"] == stopped["outcomes"] == {"updated": 3, "pending": 4}


def test_a_plan_says_why_profiles_and_rows_do_not_add_up(tmp_path: Path, run: Run) -> None:
    emails = ["twin@x.com", "filler0@x.com", "filler1@x.com"]
    with people(Options()) as (sim, names):
        (pkey,) = (pkey for pkey, name in names.items() if name == "twin 2")
        sim.profiles[pkey]["ccpaOptOut"] = False
        path = write_requests(tmp_path / "in.csv", "E-mail", dict.fromkeys(emails, "true"))
        ran = run(sim, "plan", path)
        assert "false -> true; in all 4 profiles of 3 rows\n" in ran.out
        path = write_requests(tmp_path / "in.csv", "E-mail", dict.fromkeys(emails[1:], "true"))
        assert "false -> true\n" in run(sim, "plan", path).out


def test_a_profile_whose_search_fails_is_not_called_unknown(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        sim.add(email="jo@x.com", ccpaOptOut=False)
        sim.add(email="al@x.com", ccpaOptOut=False)
        sim.queue_fault(Fault.TRANSIENT_500, "GET", times=9, matching="jo%40x.com")
        requests = {"jo@x.com": "true", "al@x.com": "true"}
        path = write_requests(tmp_path / "in.csv", "email", requests)
        words = ("--key", "filter:byEmail:email", "--key-column", "email", "--fetch", "lookup")
        ran = run(sim, "run", path, *words, "--retries", 0)
        assert ran.outcomes == ["failed", "updated"], ran.err
        assert ran.report[0]["sync_reason"] == "http_500"
