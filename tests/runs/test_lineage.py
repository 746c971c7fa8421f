"""Which run counts as later than another, by the ledger alone: the example of lineage.py."""

from dataclasses import replace

import pytest

from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.ledger import Begun, Ended, Kind, Run
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.past_runs import NothingLeft

DONE, REFUSED = Ended(0, "", final=True), Ended(int(Exit.REFUSED), "too many", final=True)
INTERRUPTED = Ended(6, "", final=False)


def run(
    run_id: str,
    position: int,
    kind: Kind = Kind.RUN,
    parent: str | None = None,
    ended: Ended = DONE,
    plan: str | None = None,
) -> Run:
    place = "https://mc.adobe.io", "acme", "ccpaOptOut"
    begun = Begun(
        kind, "optouts", *place, "in.csv", "9f" * 32, 1, parent, {}, "0.1.0", "nightly", plan, plan
    )
    return Run(run_id, position, position, begun, position, ended)


A, X = run("A", 1), run("X", 5)
B = run("B", 9, Kind.RETRY, "A")
C = run("C", 13, Kind.UNDO, "A")
D = run("D", 17, Kind.UNDO, "C")
RUNS = [A, X, B, C, D]


def later(run_id: str, runs: list[Run] = RUNS) -> list[str]:
    begun = next(each.begun for each in runs if each.run_id == run_id)
    return [each.run_id for each in lineage.trace(runs, run_id).later(runs, begun)]


@pytest.mark.parametrize(
    ("run_id", "since", "family", "undone"),
    [
        ("A", 1, "A", None),
        ("B", 1, "AB", None),
        ("C", 1, "AC", "A"),
        ("D", 1, "ACD", "C"),
        ("E", 1, "ACE", "A"),
    ],
    ids=["a run", "a retry", "an undo", "the undo of an undo", "the retry of an undo"],
)
def test_rows_count_as_of_the_run_that_they_come_from(
    run_id: str, since: int, family: str, undone: str | None
) -> None:
    runs = [*RUNS, run("E", 21, Kind.RETRY, "C")]
    assert lineage.trace(runs, run_id) == lineage.Lineage(since, frozenset(family), undone)


@pytest.mark.parametrize(
    ("run_id", "found"), [("A", "XBCD"), ("X", "BCD"), ("B", "XCD"), ("C", "XBD"), ("D", "XB")]
)
def test_a_run_is_later_if_it_began_afterwards_and_is_no_ancestor(run_id: str, found: str) -> None:
    assert later(run_id) == list(found)


def test_runs_of_other_places_and_refused_ones_are_not_later() -> None:
    others = [
        replace(X, begun=replace(X.begun, organization="other")),
        replace(X, begun=replace(X.begun, attribute="other")),
        replace(X, ended=REFUSED),
    ]
    for other in others:
        assert later("A", [A, other]) == []
    alike = replace(X, begun=replace(X.begun, endpoint="https://MC.adobe.io:443"))
    assert later("A", [A, alike]) == ["X"]


@pytest.mark.parametrize(
    ("runs", "also_begun", "undone"),
    [
        ([A, C], False, {"A": "C"}),
        ([A, C, D], False, {"C": "D"}),
        ([A, C, D, run("E", 21, Kind.UNDO, "D")], False, {"A": "C", "D": "E"}),
        ([A, replace(C, ended=INTERRUPTED)], False, {}),
        ([A, replace(C, ended=INTERRUPTED)], True, {"A": "C"}),
        ([A, replace(C, ended=REFUSED)], True, {}),
        ([C], False, {}),
    ],
    ids=["undone", "undone again", "and again", "interrupted", "counted", "refused", "elsewhere"],
)
def test_an_undo_counts_unless_it_was_undone_itself(
    runs: list[Run], also_begun: bool, undone: dict[str, str]
) -> None:
    assert lineage.undone(runs, also_begun=also_begun) == undone


def test_a_retry_happens_once_and_not_again_if_it_was_put_back() -> None:
    lineage.check_first([A, X], Kind.RETRY, "A")
    with pytest.raises(NothingLeft, match="The retry of A was done before"):
        lineage.check_first(RUNS, Kind.RETRY, "A")
    with pytest.raises(UsageProblem, match="bulk-sync resume B"):
        lineage.check_first([A, replace(B, ended=INTERRUPTED)], Kind.RETRY, "A")
    with pytest.raises(UsageProblem, match="bulk-sync undo E"):
        lineage.check_first([A, B, run("E", 21, Kind.UNDO, "B")], Kind.RETRY, "A")
    with pytest.raises(UsageProblem, match="bulk-sync undo D"):
        lineage.check_first(RUNS, Kind.UNDO, "A")


def test_the_apply_of_a_plan_is_known_by_its_hash() -> None:
    first, again = run("P", 1, Kind.APPLY, plan="9f86"), run("Q", 5, Kind.APPLY, plan="9f86")
    assert lineage.apply_of([first, again], "9f86") == again
    assert lineage.apply_of([first, replace(again, ended=REFUSED)], "9f86") == first
    assert lineage.apply_of([first, again], "9f87") is None


def test_a_run_that_its_options_stopped_was_turned_away_and_one_at_work_was_not() -> None:
    assert lineage.was_turned_away(replace(X, ended=Ended(int(Exit.USAGE), "", final=True)))
    assert not lineage.was_turned_away(replace(X, ended=None))
    assert not lineage.was_turned_away(replace(X, ended=INTERRUPTED))


def test_the_runs_of_a_job_carried_its_files_out_in_one_instance() -> None:
    applied = run("P", 21, Kind.APPLY, plan="9f86")
    others = [
        run("Q", 25, Kind.PLAN),
        replace(X, run_id="Y", begun=replace(X.begun, job="weekly")),
        replace(X, run_id="Z", begun=replace(X.begun, organization="other")),
    ]
    found = lineage.of_job([*RUNS, applied, *others], A.begun.job, A.begun)
    assert [each.run_id for each in found] == ["A", "X", "P"]


def test_plans_count_as_applied_while_their_run_is_not_turned_away() -> None:
    runs = [
        run("P", 1, Kind.APPLY, plan="9f86"),
        run("Q", 5, Kind.APPLY, plan="9f87", ended=INTERRUPTED),
        run("R", 9, Kind.APPLY, plan="9f88", ended=REFUSED),
    ]
    assert lineage.applied_plans(runs) == {"9f86", "9f87"}


def test_what_is_interrupted_counts_where_it_must_not_be_done_twice() -> None:
    applied = run("P", 1, Kind.APPLY, plan="9f86", ended=INTERRUPTED)
    assert lineage.apply_of([applied], "9f86") == applied
    undo = run("E", 21, Kind.UNDO, "B", ended=INTERRUPTED)
    with pytest.raises(UsageProblem, match="bulk-sync undo E"):
        lineage.check_first([A, B, undo], Kind.RETRY, "A")
    assert lineage.undone([A, B, undo]) == {}


def test_nothing_is_later_than_a_run_without_a_position() -> None:
    assert lineage.Lineage().later(RUNS, A.begun) == []
