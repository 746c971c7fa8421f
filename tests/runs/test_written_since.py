"""Rows of a run and the confirmed writes of other runs meanwhile, by a ledger in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from bulk_sync.ledger import Begun, Intent, Kind, Run, Settled, Write
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison
from bulk_sync.rows.check import Rules
from bulk_sync.rows.results import Steps
from bulk_sync.runs import precedence
from bulk_sync.runs.lineage import Lineage
from bulk_sync.runs.run_context import RunContext
from bulk_sync.runs.write_records import Recording

READ_MS = 5_000


def a_run(run_id: str, ended_ms: int | None = 9_000, kind: Kind = Kind.RUN) -> Run:
    place = "https://mc.adobe.io", "acme", "ccpaOptOut"
    begun = Begun(kind, "optouts", *place, "in.csv", "9f" * 32, 1, None, {}, "0.1.0", "nightly")
    return Run(run_id, 1, 1_000, begun, ended_ms, None)


def a_write(
    key: str,
    at_ms: int,
    *,
    desired: bool = False,
    outcome: Outcome | None = Outcome.UPDATED,
    profile: str | None = None,
) -> Write:
    intent = Intent(key, 2, None, not desired, desired)
    settled = None
    if outcome is not None:
        settled = Settled(1, outcome, None, "", 1, at_ms, profile=profile)
    return Write("S", 1, at_ms - 10, intent, settled)


def context(
    others: Mapping[str, Sequence[Write]],
    runs: Sequence[Run],
    lineage: Lineage | None = None,
) -> RunContext:
    """Return a run among others, with the writes of each."""
    book = SimpleNamespace(runs=lambda: runs, writes=lambda run_id: others.get(run_id, ()))
    mine = a_run("R", None)
    found = SimpleNamespace(ledger=book, run_id="R", begun=mine.begun, lineage=lineage or Lineage())
    return cast("RunContext", found)


def unchanged(*keys: str) -> pd.DataFrame:
    """Return a plan whose rows want the opt-outs that Campaign held when they were read."""
    raw = pd.DataFrame({"PKey": list(keys), "ccpaOptOut": "true"}, dtype="str")
    steps = Steps.blank(len(keys))
    for at in range(len(keys)):
        steps.done(at, 1, READ_MS + at, state=1)
    rows = check.rows(raw.assign(**{columns.ROW: np.arange(len(keys)) + 2}), Rules())
    return comparison.compare(rows, steps)


@pytest.mark.parametrize(
    ("write", "run", "is_outdated"),
    [
        (a_write("@a", 5_001), a_run("S"), True),
        (a_write("@a", 5_000), a_run("S"), False),
        (a_write("@a", 5_001, desired=True), a_run("S"), False),
        (a_write("@a", 5_001), a_run("S", None), True),
        (a_write("@a", 5_001), a_run("S", 4_999), False),
        (a_write("@a", 5_001), a_run("S", 5_000), True),
        (a_write("@a", 5_001), replace(a_run("S"), run_id="R"), False),
        (a_write("@a", 5_001, outcome=None), a_run("S"), False),
        (a_write("@a", 5_001, outcome=Outcome.FAILED), a_run("S"), False),
        (a_write("@other", 5_001), a_run("S"), False),
        (a_write("a@b.co", 5_001, outcome=Outcome.CREATED, profile="@a"), a_run("S"), True),
    ],
    ids=[
        "since", "at the same time", "of the same state", "by a run at work", "by an earlier run",
        "by a run that ended then", "its own", "in flight", "failed", "of another profile",
        "of a created profile",
    ],
)  # fmt: skip
def test_an_unchanged_row_that_another_run_has_changed_since_is_drifted(
    write: Write, run: Run, *, is_outdated: bool
) -> None:
    planned = unchanged("@a", "@b")
    found = precedence.without_outdated(context({run.run_id: [write]}, [run]), planned)
    outcome = Outcome.DRIFTED if is_outdated else Outcome.UNCHANGED
    assert found[columns.OUTCOME].tolist() == [outcome, Outcome.UNCHANGED]
    assert found[columns.AFTER].tolist() == [not is_outdated, True]
    if is_outdated:
        assert found[columns.REASON][0] == Reason.NEWER_RUN
        assert found[columns.DETAIL][0] == (
            "Run S has set this profile to false since it was read."
        )


@pytest.mark.parametrize("name", ["organization", "attribute"])
def test_the_runs_of_other_places_have_changed_nothing_here(name: str) -> None:
    run, elsewhere = a_run("S"), cast("Mapping[str, Any]", {name: "other"})
    other = replace(run, begun=replace(run.begun, **elsewhere))
    planned = unchanged("@a")
    found = precedence.without_outdated(context({"S": [a_write("@a", 5_001)]}, [other]), planned)
    assert found is planned


def test_of_several_writes_the_last_one_counts_whatever_their_order() -> None:
    first, last = a_write("@a", 5_001), a_write("@a", 5_002, desired=True)
    runs = [a_run("P"), a_run("S"), a_run("T")]
    for others in ({"S": [first, last]}, {"S": [last, first]}, {"S": [last], "T": [first]}):
        found = precedence.without_outdated(context(others, runs), unchanged("@a"))
        assert found[columns.OUTCOME].tolist() == [Outcome.UNCHANGED]
    skipped = [a_write("@a", 5_001, outcome=None), a_write("@b", 4_000), first]
    found = precedence.without_outdated(context({"S": skipped}, runs), unchanged("@a"))
    assert found[columns.OUTCOME].tolist() == [Outcome.DRIFTED]


@pytest.mark.parametrize(
    ("kinds", "forbidden"),
    [
        ((Kind.RUN,), "A"),
        ((Kind.APPLY, Kind.RUN, Kind.RETRY), "B"),
        ((Kind.RETRY, Kind.UNDO), None),
        ((), None),
    ],
    ids=["a file", "the last file", "no file", "no run"],
)
def test_no_opt_in_is_sent_after_a_later_file(kinds: Sequence[Kind], forbidden: str | None) -> None:
    recording = cast("Recording", SimpleNamespace(opt_ins=[1, 3]))
    later = [a_run(name, kind=kind) for name, kind in zip("ABC", kinds, strict=False)]
    found = precedence._opt_ins_forbidden(recording, later)
    assert set(found) == ({1, 3} if forbidden else set())
    for sentence in found.values():
        assert f"not lifted: run {forbidden} has worked" in sentence


def test_an_undo_is_uncertain_of_writes_that_may_not_have_arrived() -> None:
    keys = ["@a", "@b", "@c", "@d"]
    recording = cast("Recording", SimpleNamespace(keys=keys, opt_ins=[0, 1, 2]))
    writes = [
        a_write("@gone", 1_000, outcome=None),
        a_write("@a", 2_000, outcome=None),
        a_write("@b", 3_000, outcome=Outcome.FAILED),
        a_write("@c", 4_000),
        a_write("@d", 5_000),
    ]
    undo = Lineage(since=1, undone="S")
    found = precedence.put_back(context({"S": writes}, [], undo), recording)
    assert found.uncertain == {0, 1}
    assert found.ended_ms == {0: 1_990 + 1_800_000, 1: 3_000, 2: 4_000}
    none = precedence.put_back(context({"S": writes}, []), recording)
    assert (none.uncertain, none.ended_ms) == (frozenset(), {})
