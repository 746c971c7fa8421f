"""The facts of reports, from runs in the ledger and from rows."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_frames import results

from bulk_sync.errors import Exit, StoppedEarly
from bulk_sync.ledger import Begun, Ended, Kind, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.facts import Facts, PastRun, RunRequest, Subject
from bulk_sync.rows import columns
from bulk_sync.rows.check import Found, Rules
from bulk_sync.rows.layout import Layout, TablePlace
from bulk_sync.rows.results import UNREAD
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.commands import judging
from bulk_sync.runs.commands.judging import Verdict
from bulk_sync.runs.stages import report_facts
from bulk_sync.runs.stages.validation import Judged
from bulk_sync.runs.terms.input_files import LocalInput
from bulk_sync.settings import Keys

AT_MS = 1795490270123
CAMPAIGN = "Campaign (1 opt-in, 2 opt-outs"
NO = "0 rows need a person."

BEGUN = Begun(
    kind=Kind.RUN,
    job="optouts",
    endpoint="https://mc.adobe.io",
    organization="geometrixx",
    attribute="ccpaOptOut",
    input="optouts.xlsx",
    input_sha256="ab12",
    rows=5,
    parent=None,
    settings={
        "prepared_by": "Ada",
        "approved_by": ["Grace", "Edsger"],
        "ticket": "PRIV-7",
        "comment": "November",
        "read_as": "Header in row 4 of sheet 'Requests'",
    },
    version="1",
    operator="cron on host",
)


def ended_run(rows: pd.DataFrame, begun: Begun = BEGUN, status: Exit = Exit.ROWS_LEFT) -> Run:
    counted = rows[columns.OUTCOME].value_counts()
    outcomes = {str(each): int(counted[each]) for each in Outcome if counted.get(each)}
    ended = Ended(int(status), "", final=True, outcomes=outcomes, opt_ins=1, opt_outs=2)
    return Run("20261124T031750Z-7f3a9c", 1, AT_MS, begun, AT_MS, ended)


def five_rows() -> pd.DataFrame:
    return results(
        5,
        ours={
            columns.DESIRED: [1, 1, 0, 1, 1],
            columns.BEFORE: [0, 0, 1, UNREAD, 1],
            columns.AFTER: [1, 1, 0, UNREAD, 1],
            columns.OUTCOME: ["updated", "updated", "updated", "failed", "unchanged"],
            columns.REASON: [None, None, None, "http_403", None],
        },
    )


def facts_of(run: Run, rows: pd.DataFrame, past: Sequence[Run] = (), **more: Any) -> Facts:
    return report_facts.facts_from(run, report_facts.tally_of(run, rows), past, **more)


def test_a_report_names_person_time_input_and_result() -> None:
    facts = facts_of(ended_run(five_rows()), five_rows())
    assert facts.subject is Subject.RESULT
    assert facts.request == RunRequest("Ada", ("Grace", "Edsger"), "PRIV-7", "November")
    assert dict(facts.lines())["Approved by"] == "Grace, Edsger"
    assert dict(facts.lines())["How it was read"] == "Header in row 4 of sheet 'Requests'"
    assert facts.at == datetime.fromtimestamp(AT_MS / 1000, UTC)
    assert facts.at.tzinfo is not None
    assert facts.result.sentences == (
        "3 of 5 rows were changed in Campaign (1 opt-in, 2 opt-outs); 1 row needs a person.",
        "Exit status 3.",
    )


def test_a_report_shows_if_the_last_of_two_states_counts() -> None:
    begun = replace(BEGUN, settings={**BEGUN.settings, "on_conflict": "last"})
    facts = facts_of(ended_run(five_rows(), begun), five_rows())
    assert dict(facts.lines())["How it was read"] == (
        "Header in row 4 of sheet 'Requests'; of one key with two states the last row counts"
    )


@pytest.mark.parametrize(
    ("subject", "outcomes", "text"),
    [
        (
            Subject.RESULT, ["failed"] * 2,
            "None of 2 rows were changed in Campaign; 2 rows need a person.",
        ),
        (
            Subject.PLAN, ["failed"],
            "The only row would not be changed in Campaign; 1 row needs a person.",
        ),
        (Subject.UNDO, ["unchanged"], f"The only row was not put back in Campaign; {NO}"),
        (Subject.RESULT, ["updated", "unchanged"], f"1 of 2 rows was changed in {CAMPAIGN}); {NO}"),
        (
            Subject.RESULT, ["updated", "created"],
            f"2 of 2 rows were changed in {CAMPAIGN}, 1 new profile); {NO}",
        ),
        (
            Subject.UNDO, ["updated", "drifted"],
            f"1 of 2 rows was put back in {CAMPAIGN}); 1 row needs a person.",
        ),
        (
            Subject.PLAN, ["would_update", "would_create"],
            f"2 of 2 rows would be changed in {CAMPAIGN}, 1 new profile); {NO}",
        ),
        (Subject.AUDIT, ["unchanged", "drifted"], "1 of 2 writes still holds."),
        (Subject.AUDIT, ["drifted"] * 2, "0 of 2 writes still hold."),
    ],
)  # fmt: skip
def test_the_result_is_one_sentence(subject: Subject, outcomes: list[str], text: str) -> None:
    rows = results(len(outcomes), ours={columns.OUTCOME: outcomes})
    facts = facts_of(ended_run(rows), rows, subject=subject)
    assert facts.result.sentences[0] == text


def test_a_report_that_was_not_uploaded_is_the_reason_of_an_exit_status() -> None:
    rows = results(1, ours={columns.OUTCOME: ["updated"]})
    assert facts_of(ended_run(rows), rows).result.sentences[1] == (
        "Exit status 3: finished, but a report could not be uploaded and stays on this machine."
    )


def test_a_run_that_died_is_reported_as_of_its_beginning() -> None:
    run = replace(ended_run(five_rows()), begun_ms=AT_MS - 1000, ended=None, ended_ms=None)
    facts = facts_of(run, five_rows())
    assert facts.at == datetime.fromtimestamp(AT_MS / 1000 - 1, UTC)
    assert facts.result.sentences[1].startswith("Exit status 1: ")
    assert facts.past == ()


@pytest.mark.parametrize(
    ("cause", "warning", "exit_and_message"),
    [
        (None, "", (3, "")),
        (None, "Opt-ins are held back.", (3, "Opt-ins are held back.")),
        (StoppedEarly("The budget is spent."), "", (6, "The budget is spent.")),
        (StoppedEarly("The budget is spent."), "A warning.", (6, "The budget is spent.")),
    ],
)
def test_the_end_of_a_run_is_known_but_not_final_before_its_reports_are_written(
    cause: StoppedEarly | None, warning: str, exit_and_message: tuple[int, str]
) -> None:
    totals = Totals(3, {Outcome.UPDATED: 2, Outcome.PENDING: 1}, opt_ins=1, opt_outs=1)
    ended = report_facts.ended_with(totals, cause, warning)
    assert (ended.exit, ended.message, ended.final) == (*exit_and_message, False)
    assert (ended.outcomes, ended.opt_ins, ended.opt_outs) == (totals.outcomes, 1, 1)


@pytest.mark.parametrize(
    ("status", "final", "text"),
    [
        (6, False, "1 row needs a person, 2 are still to do."),
        (130, False, "1 row needs a person, 2 are still to do."),
        (5, False, "1 row needs a person, 2 are still to do."),
        (6, True, "3 rows need a person."),  # given up
        (4, False, "3 rows need a person."),
        (3, True, "3 rows need a person."),  # opt-ins are held back
    ],
)
def test_the_rows_left_by_a_resumable_run_need_no_person(
    status: int, final: bool, text: str
) -> None:
    rows = results(4, ours={columns.OUTCOME: ["updated", "failed", "pending", "pending"]})
    run = ended_run(rows)
    assert run.ended is not None
    end = replace(run.ended, exit=status, final=final)
    run = replace(run, ended=end)
    assert facts_of(run, rows).result.sentences[0].endswith(f"; {text}")
    rows = rows.iloc[:2]
    run = replace(run, ended=replace(end, outcomes={Outcome.UPDATED: 1, Outcome.FAILED: 1}))
    assert facts_of(run, rows).result.sentences[0].endswith("; 1 row needs a person.")


def test_without_a_name_the_user_of_the_system_prepared_it() -> None:
    run = ended_run(five_rows(), replace(BEGUN, settings={}))
    assert facts_of(run, five_rows()).request == RunRequest("cron on host")


def test_every_row_is_counted_once_by_outcome_and_in_the_matrix() -> None:
    counts = facts_of(ended_run(five_rows()), five_rows()).counts
    assert counts.outcomes == {Outcome.UNCHANGED: 1, Outcome.UPDATED: 3, Outcome.FAILED: 1}
    assert counts.reasons == {Reason.HTTP_403: 1}
    assert counts.matrix == ((1, 1, 0), (2, 0, 0), (0, 0, 1))
    assert counts.rows == 5


def test_the_states_after_a_plan_are_those_it_would_leave_also_in_repeated_rows() -> None:
    rows = results(
        4,
        ours={
            columns.BEFORE: [0, 1, 0, 0],
            columns.AFTER: [0, 1, 0, 0],
            columns.OUTCOME: ["would_update", "unchanged", "duplicate", "drifted"],
        },
    )
    rows[columns.COUNTS_AS] = [0, 1, 0, 3]
    run = ended_run(rows, replace(BEGUN, kind=Kind.PLAN), Exit.DONE)
    facts = facts_of(run, rows)
    assert facts.subject is Subject.PLAN
    assert facts.counts.matrix == ((1, 0, 0), (2, 1, 0), (0, 0, 0))
    assert facts.result.sentences[0].startswith("1 of 4 rows would be changed in Campaign")


def test_the_last_thirty_runs_of_the_job_end_with_this_one() -> None:
    run = ended_run(five_rows())
    before = [replace(run, run_id=f"before-{at}", position=at) for at in range(40)]
    other = replace(run, run_id="other", begun=replace(BEGUN, job="other"))
    elsewhere = replace(run, run_id="elsewhere", begun=replace(BEGUN, organization="other"))
    plan = replace(run, run_id="plan", begun=replace(BEGUN, kind=Kind.PLAN))
    killed = replace(run, run_id="killed", ended=None, ended_ms=None)
    later = replace(run, run_id="later")
    known = [*before, other, elsewhere, plan, killed, replace(run, ended=None), later]
    past = facts_of(run, five_rows(), known).past
    assert [each.run_id for each in past] == [
        *(f"before-{at}" for at in range(11, 40)),
        run.run_id,
    ]
    at = datetime.fromtimestamp(AT_MS / 1000, UTC)
    assert past[-1] == PastRun(run.run_id, at, rows=5, changes=3, failures=1)


@pytest.mark.parametrize(
    ("reports", "subject", "named"),
    [
        (["a.html", "b.CSV.gz"], None, "b.CSV.gz"),
        (["a.html"], None, "bulk-sync report 20261124T031750Z-7f3a9c --report all.csv"),
        (["a.html"], Subject.AUDIT, "the same command with --report all.csv"),
    ],
    ids=["another-report", "a-command", "an-audit"],
)
def test_a_report_that_leaves_rows_out_names_the_file_with_all(
    reports: list[str], subject: Subject | None, named: str
) -> None:
    files = [LocalFile(Path(name)) for name in reports]
    run = ended_run(five_rows())
    facts = facts_of(run, five_rows(), reports=files, subject=subject)
    assert facts.result.all_rows == named


def test_a_verdict_counts_opt_outs_and_opt_ins() -> None:
    rows = results(
        4,
        ours={
            columns.DESIRED: [1, 0, UNREAD, 1],
            columns.BEFORE: [UNREAD] * 4,
            columns.AFTER: [UNREAD] * 4,
            columns.OUTCOME: ["usable", "usable", "rejected", "duplicate"],
        },
    )
    layout = Layout(
        [TablePlace("in.csv", header_row=1)], Found(Keys(), "PKey", "Opt out?"), Rules()
    )
    found = Judged(Slices.of(rows), "ab", layout, LocalInput("in.csv"))
    verdict = Verdict.count(found.rows, layout, has_deadlines=True)
    facts = judging.facts_of("in.csv", found, verdict)
    assert facts.source.read_as == str(layout)
    assert facts.subject is Subject.VERDICT
    assert facts.result.sentences == (
        "2 of 4 rows can be used: 1 forbids the sale, 1 allows it; 1 row needs a person.",
        "Exit status 3.",
    )
    assert facts.counts.matrix == ()
    assert facts.result.all_rows == "the same command with --report all.csv"
    assert (facts.run_id, facts.source.organization) == ("", "")


def test_opt_outs_not_done_have_days_left_as_of_the_end_of_the_run() -> None:
    rows = results(2, ours={columns.OUTCOME: ["failed", "updated"]})
    rows[columns.RECEIVED] = np.array(2 * [(date(2026, 11, 2) - date(1970, 1, 1)).days])
    facts = facts_of(ended_run(rows), rows)
    assert facts.counts.days_left["0 to 3 days"] == 1
    assert facts.result.deadlines[1].startswith("Still to be carried out: 0 past their last day, 1")


def test_the_name_of_a_file_may_be_no_text() -> None:
    run = ended_run(five_rows(), replace(BEGUN, input=os.fsdecode(b"in\xff.csv")))
    assert facts_of(run, five_rows()).source.input == "in?.csv"


def test_a_comment_with_control_characters_is_text() -> None:
    begun = replace(BEGUN, settings={**BEGUN.settings, "comment": "a\x1b[31mb\nc"})
    assert facts_of(ended_run(five_rows(), begun), five_rows()).request.comment == (
        "a\ufffd[31mb\nc"
    )
