"""The paperwork around plans: what was uploaded, what was planned, and who approved it.

    upload --> plan --ask--> verdicts: approvals, or sent back --> applied once

An approval counts for the SHA-256 of the plan that was seen, for as long as ``--approval-valid``,
and never for the person who prepared it. ``apply`` checks the names and the SHA-256 again.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from bulk_sync.runs.terms.approvals import FAST_CLOCK_S
from bulk_sync.settings import folded
from bulk_sync.web.database import Database, now_ms, plans, seen_rows, uploads, verdicts
from bulk_sync.web.identity import Person
from bulk_sync.web.records import Paper, PlanVerdict, Upload


def new_id() -> str:
    """Return a new id, the time first, so that ids sort by it.

    Nanoseconds: two verdicts within a millisecond keep their order.
    """
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


class Paperwork:
    """The uploads, plans and verdicts in the database of the page; every method blocks."""

    def __init__(self, database: Database, approval_valid_s: float) -> None:
        self._database = database
        self._valid_ms = round(approval_valid_s * 1000)

    def add(self, record: Upload | Paper) -> None:
        """Keep an upload, whose file is complete by now, or a plan, before its process starts."""
        table = uploads if isinstance(record, Upload) else plans
        self._database.change(insert(table).values(**asdict(record)))

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload; None if there is none."""
        return next(iter(self._uploads(uploads.c.id == upload_id)), None)

    def uploads(self, most: int = 100) -> list[Upload]:
        """Return the last uploads, the newest first."""
        return self._uploads(most=most)

    def choose(self, upload_id: str, choices: Mapping[str, Any]) -> None:
        """Keep the options about the columns of an upload."""
        chosen = update(uploads).where(uploads.c.id == upload_id)
        self._database.change(chosen.values(choices=dict(choices)))

    def choices_of(self, job: str) -> Mapping[str, Any]:
        """Return the choices for the last upload of a job; empty if there is none."""
        found = self._uploads(uploads.c.job == job, ~uploads.c.is_deleted, most=1)
        return found[0].choices if found else {}

    def corrections_of(self, upload_id: str) -> list[Upload]:
        """Return the uploads that correct one, the newest first."""
        return self._uploads(uploads.c.corrects == upload_id, ~uploads.c.is_deleted)

    def copies_of(self, upload: Upload, most: int = 3) -> list[Upload]:
        """Return the last other uploads of the same file, the newest first."""
        is_same = uploads.c.sha256 == upload.sha256
        return self._uploads(is_same, uploads.c.id != upload.id, most=most)

    def jobs(self, most: int = 50) -> list[str]:
        """Return the names of jobs of the last uploads."""
        query = select(uploads.c.job).order_by(uploads.c.id.desc()).limit(20 * most)
        return list(dict.fromkeys(job for (job,) in self._database.rows(query)))[:most]

    def plan(self, plan_id: str) -> Paper | None:
        """Return a plan; None if there is none."""
        return next(iter(self._papers(plans.c.id == plan_id)), None)

    def plans(self, *, upload: str | None = None, most: int = 100) -> list[Paper]:
        """Return the last plans, or those of an upload, the newest first."""
        of_upload = [] if upload is None else [plans.c.upload == upload]
        return self._papers(*of_upload, most=most)

    def open_plans(self, most: int = 100) -> list[Paper]:
        """Return the last plans that wait for a person: to be asked for, decided on or mended."""
        is_open = plans.c.applied_by.is_(None) & plans.c.replaced_by.is_(None)
        return self._papers(is_open, ~plans.c.is_deleted, most=most)

    def begun_plans(self, most: int = 100) -> list[Paper]:
        """Return the last plans that a process was to apply, whether or not it began."""
        is_begun = plans.c.applied_by.is_not(None) & plans.c.replaced_by.is_(None)
        return self._papers(is_begun, ~plans.c.is_deleted, most=most)

    def plan_of(self, sha256: str) -> Paper | None:
        """Return the plan with a SHA-256; None if the page has made no such plan."""
        found = self._papers(plans.c.sha256 == sha256, most=1) if sha256 else []
        return found[0] if found else None

    def undos_of(self, run_id: str) -> list[Paper]:
        """Return the plans that would undo a run, the newest first."""
        return self._papers(plans.c.undoes == run_id)

    def preparers(self, paper: Paper) -> list[str]:
        """Return whose approval of a plan does not count: who uploaded, prepared or asked."""
        upload = None if paper.upload is None else self.upload(paper.upload)
        names = (paper.who, paper.asked_by, None if upload is None else upload.who)
        return [name for name in names if name]

    def set_job(self, plan_id: str, job: str, instead_of: str | None = None) -> bool:
        """Keep which process makes a plan now; return False if yet another one does."""
        return self._changed(plan_id, plans.c.job == instead_of, job=job)

    def set_made(self, plan_id: str, sha256: str) -> None:
        """Keep the SHA-256 of a plan that is made now."""
        self._changed(plan_id, plans.c.sha256 == "", sha256=sha256)

    def set_options(self, plan_id: str, options: Mapping[str, Any]) -> bool:
        """Keep further options of a plan, and end the request for approval: it was without them.

        Return False if the plan is applied by now.
        """
        is_open = plans.c.applied_by.is_(None)
        return self._changed(plan_id, is_open, options=dict(options), asked_ms=None)

    def replace(self, paper: Paper, new_id: str) -> None:
        """Keep that another plan stands in the place of one, so that it is not approved."""
        is_open = plans.c.applied_by.is_(None)
        self._changed(paper.id, is_open, asked_ms=None, replaced_by=new_id)

    def ask(self, plan_id: str, who: str, comment: str) -> bool:
        """Keep that approval was asked for; return False if it was, or the plan is applied.

        It is asked for after every verdict so far, even if the clock was set back since.
        """
        is_open = plans.c.applied_by.is_(None) & plans.c.asked_ms.is_(None)
        asked_ms = max([now_ms(), *(each.at_ms + 1 for each in self.verdicts(plan_id))])
        return self._changed(plan_id, is_open, asked_ms=asked_ms, asked_by=who, comment=comment)

    def withdraw(self, plan_id: str) -> bool:
        """End the request for approval; return False if there is none, or the plan is applied."""
        is_open = plans.c.applied_by.is_(None) & plans.c.asked_ms.is_not(None)
        return self._changed(plan_id, is_open, asked_ms=None)

    def decide(self, verdict: PlanVerdict) -> bool:
        """Keep a verdict; one to send back ends the request for approval.

        Return False if the plan is applied by now, or, to send it back, if it was sent back.
        """
        with self._database.transaction() as connection:
            asked = plans.c.id == verdict.plan, plans.c.applied_by.is_(None)
            if verdict.is_approval:
                is_open = connection.execute(select(plans.c.id).where(*asked)).first() is not None
            else:
                back = update(plans).where(*asked, plans.c.asked_ms.is_not(None))
                is_open = connection.execute(back.values(asked_ms=None)).rowcount == 1
            if is_open:
                connection.execute(insert(verdicts).values(id=new_id(), **asdict(verdict)))
            return is_open

    def verdicts(self, plan_id: str) -> list[PlanVerdict]:
        """Return all verdicts on a plan, the oldest first."""
        query = select(verdicts).where(verdicts.c.plan == plan_id).order_by(verdicts.c.id)
        return [PlanVerdict(*row[1:]) for row in self._database.rows(query)]

    def approvals(self, paper: Paper) -> list[PlanVerdict]:
        """Return the approvals that count now, one for each person other than the preparers.

        The age of one from the future is not known: a clock was set back.
        """
        now = now_ms()
        since, until = max(paper.asked_ms or 0, now - self._valid_ms), now + 1000 * FAST_CLOCK_S
        found: dict[str, PlanVerdict] = {}
        for verdict in self.verdicts(paper.id):
            if not verdict.is_approval:
                found.clear()
            elif verdict.sha256 == paper.sha256 and since <= verdict.at_ms <= until:
                found[folded(verdict.who)] = verdict
        for name in self.preparers(paper):
            found.pop(folded(name), None)
        return list(found.values()) if paper.asked_ms is not None else []

    def begin_to_apply(self, paper: Paper, job: str, instead_of: str | None = None) -> bool:
        """Keep which process applies a plan, in place of one that could not begin.

        Return False if another process does or did, or if the plan was sent back since it was read.
        """
        is_same = plans.c.asked_ms == paper.asked_ms
        is_free = plans.c.applied_by == instead_of
        return self._changed(paper.id, is_free & is_same, applied_by=job)

    def release(self, plan_id: str, job: str) -> None:
        """Let a plan be decided on again, because a process has not begun to apply it."""
        self._changed(plan_id, plans.c.applied_by == job, applied_by=None)

    def set_deleted(self, its_id: str) -> None:
        """Keep that the file of an upload, or of a plan, is gone."""
        for table in (uploads, plans):
            self._database.change(update(table).where(table.c.id == its_id).values(is_deleted=True))

    def note_seen(self, paper: Paper, person: Person, pages: Sequence[int]) -> None:
        """Keep which pages of 50 opt-ins a person has seen of a plan."""
        who = _view(paper, person)
        with self._database.transaction() as connection:
            known = connection.execute(select(seen_rows.c.page).filter_by(**who)).scalars()
            if missing := sorted(set(pages).difference(known)):
                connection.execute(insert(seen_rows), [{**who, "page": page} for page in missing])

    def seen(self, paper: Paper, person: Person) -> set[int]:
        """Return which pages of 50 opt-ins a person has seen of a plan."""
        query = select(seen_rows.c.page).filter_by(**_view(paper, person))
        return {page for (page,) in self._database.rows(query)}

    def _changed(self, plan_id: str, condition: ColumnElement[bool], **values: object) -> bool:
        chosen = update(plans).where(plans.c.id == plan_id, condition)
        return self._database.change(chosen.values(**values)) == 1

    def _uploads(self, *which: ColumnElement[bool], most: int | None = None) -> list[Upload]:
        query = select(uploads).where(*which).order_by(uploads.c.id.desc()).limit(most)
        return [Upload(*row) for row in self._database.rows(query)]

    def _papers(self, *which: ColumnElement[bool], most: int | None = None) -> list[Paper]:
        query = select(plans).where(*which).order_by(plans.c.id.desc()).limit(most)
        return [Paper(*row) for row in self._database.rows(query)]


def _view(paper: Paper, person: Person) -> Mapping[str, str]:
    """Return what a person's rows about a plan have in common."""
    return {"plan": paper.id, "sha256": paper.sha256, "folded": folded(person.name)}
