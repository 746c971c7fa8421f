"""Uploads, plans and verdicts: each record is a row of its table in ``database``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file.

    Attributes:
        id: names its folder too.
        file_name: as the person's machine calls it: to be shown, never a path.
        job: "" for the one that the file's name gives.
        choices: options about the columns, as they are typed, by name: ``{"key_column": "Mail"}``.
        corrects: the upload whose rows it corrects; None for a new one.
        is_deleted: its file is no longer kept.
    """

    id: str
    at_ms: int
    who: str
    file_name: str
    size: int
    sha256: str
    job: str
    ticket: str
    choices: Mapping[str, Any]
    corrects: str | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Paper:
    """A plan, with the request for its approval.

    Attributes:
        id: names its folder too.
        who: prepared it, so that their approval does not count.
        upload: of which it is a plan; None for an undo.
        undoes: the run that it would undo; None for a plan of an upload.
        job: the process that makes it; None if it did not start.
        sha256: of the plan file; "" until it is made.
        asked_ms: when approval was asked for; None if it was not, or was sent back since.
        options: further options of ``plan`` and ``apply``, such as a raised limit.
        applied_by: the process that applies it; None if none does.
        replaced_by: the plan in its place, so that this one is not approved; None without one.
        is_deleted: its file is no longer kept.
    """

    id: str
    at_ms: int
    who: str
    upload: str | None
    undoes: str | None
    job: str | None
    sha256: str = ""
    asked_ms: int | None = None
    asked_by: str | None = None
    comment: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    applied_by: str | None = None
    replaced_by: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class PlanVerdict:
    """A person's decision about the plan with a SHA-256: an approval, or it was sent back."""

    plan: str
    sha256: str
    at_ms: int
    who: str
    is_approval: bool
    comment: str
