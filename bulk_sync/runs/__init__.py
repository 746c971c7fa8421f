"""Runs, from the first line in the ledger to the last, and what is known of them afterwards.

    commands/  one module for each command that works with runs
    stages/    the straight line, from the check of the input to the report
    history/   a run among all others: which follows which, whose request stands, what may go
    terms/     what a run is to do, and on which terms: job, protected people, calls, approvals
    kept/      what a run leaves on the disk and in the ledger, so that it survives a crash

Imports go down in this list.
"""

from bulk_sync.report.destination import usual_report
from bulk_sync.runs.commands.judging import Validated, judge
from bulk_sync.runs.commands.key_mapping import Mapped, map_keys
from bulk_sync.runs.commands.ledger_copy import copy_ledger
from bulk_sync.runs.commands.past_reports import report_again
from bulk_sync.runs.commands.person_history import Event, Story, look_up, story_of
from bulk_sync.runs.commands.reread import audit
from bulk_sync.runs.commands.resumption import CannotResume, abandon, resume
from bulk_sync.runs.commands.reversal import undo
from bulk_sync.runs.commands.reviewed_plan import PlanBegun, apply
from bulk_sync.runs.commands.second_try import retry
from bulk_sync.runs.commands.sync import preview, sync
from bulk_sync.runs.history.exclusion import at_work
from bulk_sync.runs.history.housekeeping import Tidied, tidy
from bulk_sync.runs.history.leftovers import RetentionRules
from bulk_sync.runs.history.past_runs import (
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
from bulk_sync.runs.kept.checkpoint import CheckpointProblem
from bulk_sync.runs.stages.review import Cost, Files, Finished, Forecast, Plan
from bulk_sync.runs.stages.validation import Judged
from bulk_sync.runs.terms.approvals import PlanExpired
from bulk_sync.runs.terms.job import Input, Job, JobRecord, Matching
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
