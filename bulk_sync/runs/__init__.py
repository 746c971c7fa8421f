"""The whole story of a run: asked, begun, told, and looked back on.

job.py         what is asked, shown on the way, and what comes of it
sync.py        a file, carried into Campaign; or as far as its plan        --.
apply.py       a reviewed plan                                               |
again.py       resume, retry and undo of another run                       --+
  opening.py     puts a run on the disk and into the ledger, alone         <-'
  opened.py      what is needed of it from then on
  story.py       the straight line that all of them follow
  later.py       what other runs have said since
  precedence.py  what this tool wrote last to a profile, and for whose request
  recording.py   between its writes and the ledger
  kept.py        what is kept of its rows
  ending.py      its reports, its last word in the ledger, and what is kept
history.py     the story of one person
audit.py       whether what a run applied still holds
mapping.py     new PKeys for old ones
judging.py     a file, read and judged
plan_file.py   a plan that a person reviews before it is applied
finding.py     runs in the ledger
"""

from bulk_sync.runs.checkpoint import CheckpointProblem
from bulk_sync.runs.follow_up import abandon, resume, retry, undo
from bulk_sync.runs.job import RUN_ID, Cost, Finished, Input, Job, Plan, Screen, new_run_id
from bulk_sync.runs.key_mapping import Mapped, map_keys
from bulk_sync.runs.past_runs import (
    NothingLeft,
    has_checkpoint,
    interrupted,
    known,
    newest_change,
    recorded,
    without_checkpoint,
)
from bulk_sync.runs.person_history import Event, Story, look_up
from bulk_sync.runs.person_history import of as story_of
from bulk_sync.runs.reread import audit
from bulk_sync.runs.reviewed_plan import apply
from bulk_sync.runs.sync import judge, preview, sync

__all__ = [
    "RUN_ID",
    "CheckpointProblem",
    "Cost",
    "Event",
    "Finished",
    "Input",
    "Job",
    "Mapped",
    "NothingLeft",
    "Plan",
    "Screen",
    "Story",
    "abandon",
    "apply",
    "audit",
    "has_checkpoint",
    "interrupted",
    "judge",
    "known",
    "look_up",
    "map_keys",
    "new_run_id",
    "newest_change",
    "preview",
    "recorded",
    "resume",
    "retry",
    "story_of",
    "sync",
    "undo",
    "without_checkpoint",
]
