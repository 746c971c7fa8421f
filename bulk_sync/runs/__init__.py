"""Runs, from the first line in the ledger to the last, and what is known of them afterwards.

One command, one module:

    sync.py            run, plan     reread.py           audit
    reviewed_plan.py   apply         person_history.py   history
    resumption.py      resume        key_mapping.py      map
    second_try.py      retry         checkup.py          check
    reversal.py        undo          past_reports.py     report
    judging.py         validate      ledger_copy.py      ledger copy
    housekeeping.py    tidy

A run passes through these:

    job.py --> begin.py --> run_context.py --> pipeline.py --> finish.py
                                                  |  '--> write_records.py   to and from the ledger
                                                  '--> checkpoint.py         survives a crash

Runs and other runs: lineage.py (the order of runs), precedence.py (whose request stands),
written_since.py, found_states.py, overtaken.py, past_runs.py, past_rows.py, kept_rows.py,
progress.py, identity.py. What a person sees: review.py, plan_file.py; who must approve it:
approvals.py. What it may cost: day_budget.py, remaining_cost.py. Who may work where: exclusion.py.
What may go: leftovers.py. Inputs larger than memory, and plans of them: large_input.py,
dividing.py, rest.py.
"""

from bulk_sync.report.destination import usual_report
from bulk_sync.runs.approvals import PlanExpired
from bulk_sync.runs.checkpoint import CheckpointProblem
from bulk_sync.runs.exclusion import at_work
from bulk_sync.runs.housekeeping import Tidied, tidy
from bulk_sync.runs.job import Input, Job, JobRecord, Matching
from bulk_sync.runs.judging import Validated, judge
from bulk_sync.runs.key_mapping import Mapped, map_keys
from bulk_sync.runs.ledger_copy import copy_ledger
from bulk_sync.runs.leftovers import RetentionRules
from bulk_sync.runs.past_reports import report_again
from bulk_sync.runs.past_runs import (
    NothingLeft,
    find_run,
    has_checkpoint,
    interrupted,
    is_held,
    known,
    may_pass,
    newest_change,
    undecided,
    without_checkpoint,
)
from bulk_sync.runs.person_history import Event, Story, look_up, story_of
from bulk_sync.runs.reread import audit
from bulk_sync.runs.resumption import CannotResume, abandon, resume
from bulk_sync.runs.reversal import undo
from bulk_sync.runs.review import Cost, Files, Finished, Forecast, Plan
from bulk_sync.runs.reviewed_plan import PlanBegun, apply
from bulk_sync.runs.second_try import retry
from bulk_sync.runs.sync import preview, sync
from bulk_sync.runs.validation import Judged
from bulk_sync.storage.reading import Unreadable

__all__ = [
    "CannotResume", "CheckpointProblem", "Cost", "Event", "Files", "Finished", "Forecast", "Input",
    "Job", "JobRecord", "Judged", "Mapped", "Matching", "NothingLeft", "Plan", "PlanBegun",
    "PlanExpired", "RetentionRules", "Story", "Tidied", "Unreadable", "Validated", "abandon",
    "apply", "at_work", "audit", "copy_ledger", "find_run", "has_checkpoint", "interrupted",
    "is_held", "judge", "known", "look_up", "map_keys", "may_pass", "newest_change", "preview",
    "report_again", "resume", "retry", "story_of", "sync", "tidy", "undecided", "undo",
    "usual_report", "without_checkpoint",
]  # fmt: skip
