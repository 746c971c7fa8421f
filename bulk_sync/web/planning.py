"""Starts the processes that make plans and apply them, each once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bulk_sync.storage import atomic
from bulk_sync.web import plan_state
from bulk_sync.web.database import now_ms
from bulk_sync.web.identity import Person
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page
from bulk_sync.web.paperwork import new_id
from bulk_sync.web.plan_state import HOLD, RAISED, PlanState
from bulk_sync.web.records import Paper

_WORDS: Final = "words"
_TEXTS: Final = "texts"
"""Among the options of a plan: those of ``begin``."""


def begin(
    page: Page,
    who: str,
    words: Sequence[str],
    *,
    upload: str | None = None,
    undoes: str | None = None,
    texts: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Begin to make a plan, and return its id. Blocks.

    ``words`` are the file and the options about it, or the run to undo; ``texts`` are a ticket and
    a comment, which others on the machine must not read.
    """
    kept = {**(options or {}), _WORDS: list(words), _TEXTS: dict(texts or {})}
    plan_id, job_id = new_id(), new_id()
    paper = Paper(plan_id, now_ms(), who, upload, undoes, job_id, options=kept)
    page.paperwork.add(paper)
    _make(page, paper, job_id)
    return plan_id


def make_again(page: Page, state: PlanState, person: Person, *, hold: bool) -> str:
    """Make a plan that was not made, or a new one in place of another; return its id. Blocks.

    The new one has the limits of any plan: what an admin let pass were the opt-ins of the other.
    """
    paper = state.paper
    options = {name: value for name, value in paper.options.items() if name != RAISED}
    if hold:
        options[HOLD] = True
    if paper.sha256 or hold or not person.is_same(paper.who):
        words, texts = options.pop(_WORDS, ()), options.pop(_TEXTS, {})
        new = begin(
            page,
            person.name,
            words,
            upload=paper.upload,
            undoes=paper.undoes,
            texts=texts,
            options=options,
        )
        page.paperwork.replace(paper, new)
        return new
    job_id = new_id()
    if page.paperwork.set_job(paper.id, job_id, instead_of=paper.job):
        _make(page, paper, job_id)
    return paper.id


def apply(page: Page, state: PlanState) -> PageJob | None:
    """Apply an approved plan; return None if another process does so. Blocks."""
    paper, settings, job_id = state.paper, page.settings, new_id()
    names = [each.who for each in state.approvals]
    if not page.paperwork.begin_to_apply(paper, job_id, instead_of=paper.applied_by):
        return None
    words = [
        str(state.path),
        *(f"--approved-by={name}" for name in names),
        f"--approvals={settings.approvals}",
        f"--expect-sha256={paper.sha256}",
        f"--plan-valid={round(settings.plan_valid_s)}s",
        "--yes",
        f"--report={state.path.with_name('{run_id}.results.csv')}",
        *(word for word in paper.options.get(_WORDS, ()) if word.startswith("--allow=")),
        *state.raised.split(),
    ]
    if state.held:  # whatever the limit is by now: nobody has seen them
        words.append("--max-opt-ins=0")
    said = [f"{each.who}: {each.comment}" for each in state.approvals if each.comment]
    variables = {"BULK_SYNC_COMMENT": "; ".join(said)} if said else {}
    return page.jobs.start(
        "apply", words, about=paper.id, who=names[0], variables=variables, job_id=job_id
    )


def file_of(paper: Paper) -> str:
    """Return the path of the file of a plan, or the run that it would undo."""
    return str(paper.options[_WORDS][0])


def _make(page: Page, paper: Paper, job_id: str) -> None:
    path = plan_state.path_of(page, paper.id)
    atomic.make_folder(path.parent)
    words = [
        *paper.options[_WORDS],
        f"--out={path}",
        f"--prepared-by={paper.who}",
        f"--approvals={page.settings.approvals}",
    ]
    if paper.options.get(HOLD):
        words.append("--hold-opt-ins")
    texts = paper.options[_TEXTS].items()
    variables = {f"BULK_SYNC_{name.upper()}": text for name, text in texts if text}
    command = "plan" if paper.undoes is None else "undo"
    page.jobs.start(
        command, words, about=paper.id, who=paper.who, variables=variables, job_id=job_id
    )
