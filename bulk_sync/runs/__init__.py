"""The whole story of a run: asked, begun, told, and looked back on.

job.py         what is asked, shown on the way, and what comes of it
commands.py    the ways in which a run comes to be: sync, apply, retry, undo, resume; preview
  story.py       the straight line that all of them follow
    recording.py   between its writes and the ledger
plan_file.py   a plan that a person reviews before it is applied
audit.py       whether what a run applied still holds
"""

from bulk_sync.runs.audit import audit
from bulk_sync.runs.commands import (
    NothingLeft,
    apply,
    interrupted,
    judge,
    known,
    newest_change,
    preview,
    recorded,
    resume,
    retry,
    sync,
    undo,
)
from bulk_sync.runs.job import RUN_ID, Finished, Input, Job, Plan, Screen, new_run_id

__all__ = [
    "RUN_ID",
    "Finished",
    "Input",
    "Job",
    "NothingLeft",
    "Plan",
    "Screen",
    "apply",
    "audit",
    "interrupted",
    "judge",
    "known",
    "new_run_id",
    "newest_change",
    "preview",
    "recorded",
    "resume",
    "retry",
    "sync",
    "undo",
]
