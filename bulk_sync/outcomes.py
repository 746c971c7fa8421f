"""The closed sets of the ledger and the report: kinds of runs, deeds, outcomes, reasons."""

from enum import StrEnum


class Kind(StrEnum):
    """The command behind a run; the last two are recorded only if they could not start."""

    RUN = "run"
    APPLY = "apply"
    RETRY = "retry"
    UNDO = "undo"
    PLAN = "plan"
    RESUME = "resume"
    AUDIT = "audit"


FOLLOW_UPS = frozenset({Kind.RESUME, Kind.RETRY, Kind.UNDO, Kind.AUDIT})
"""The commands about an earlier run."""


class Deed(StrEnum):
    """What a person can do in the page that the ledger keeps."""

    UPLOADED = "uploaded"
    DISCARDED = "discarded the upload"
    ASKED = "asked for approval"
    APPROVED = "approved"
    SENT_BACK = "sent back"
    WITHDRAWN = "withdrew the request for approval"
    LIMIT_RAISED = "raised a limit"
    STOPPED = "asked to stop"
    RESUMED = "resumed"
    UNDO_ASKED = "asked for undo"
    LOOKED_UP = "looked up"


class Outcome(StrEnum):
    """What became of a row. ``would_...`` in a dry run is ``updated`` in a run."""

    USABLE = "usable"
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    WOULD_UPDATE = "would_update"
    CREATED = "created"
    WOULD_CREATE = "would_create"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    NOT_FOUND = "not_found"
    DRIFTED = "drifted"
    FAILED = "failed"
    PENDING = "pending"


CONFIRMED = (Outcome.UPDATED, Outcome.CREATED)
"""The outcomes of a write that Campaign has confirmed."""

NEEDS_A_PERSON = (
    Outcome.REJECTED,
    Outcome.NOT_FOUND,
    Outcome.DRIFTED,
    Outcome.FAILED,
    Outcome.PENDING,
)
"""The outcomes whose rows the ``todo`` file repeats."""


class Reason(StrEnum):
    """Why a row has its outcome. Stable: scripts compare with these."""

    # the row itself
    NOT_DATA = "not_data"
    BAD_STATE = "bad_state"
    BLANK_STATE = "blank_state"
    EMPTY_KEY = "empty_key"
    BAD_KEY = "bad_key"
    CONFLICT = "conflict"
    AMBIGUOUS = "ambiguous"
    EXISTS = "exists"
    INCOMPLETE = "incomplete"
    PROTECTED = "protected"
    # what Campaign answered about the profile
    NOT_FOUND = "not_found"
    INVALID_KEY = "invalid_key"
    STATE_UNKNOWN = "state_unknown"
    NOT_STORED = "not_stored"
    MOVED = "moved"
    NEWER_CHOICE = "newer_choice"
    # what a later run wants of it
    NEWER_RUN = "newer_run"
    # what became of the request
    BAD_ANSWER = "bad_answer"
    WRONG_PROFILE = "wrong_profile"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    HTTP_4XX = "http_4xx"
    HTTP_400 = "http_400"
    HTTP_403 = "http_403"
    HTTP_404 = "http_404"
    HTTP_413 = "http_413"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"
    HTTP_5XX = "http_5xx"
    REDIRECT = "redirect"
    # the run stopped before it
    LIMIT = "limit"
    STOPPED = "stopped"
