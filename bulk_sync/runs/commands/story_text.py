"""The story of one person in words: sentences for a reader, objects for a script."""

from collections.abc import Sequence
from typing import Any, Final

from bulk_sync.amounts import count
from bulk_sync.ledger import Kind, Run, Write, utc
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, request_order
from bulk_sync.runs.commands.person_history import Event, Story
from bulk_sync.settings import KeyKind, Keys

_NAMED: Final = 5


def facts(story: Story, look_up: str) -> list[dict[str, Any]]:
    """Return a story as objects: one for each event, then one for each fact of ``notes``."""
    newest = list(story.standing().values())
    events = [event_facts(event) | {"stands": event in newest} for event in story.events]
    unknown = notes(story, look_up)
    return [*events, *({"event": "note", "detail": note} for note in unknown)]


def event_facts(event: Event) -> dict[str, Any]:
    """Return an event as one object."""
    begun, write = event.run.begun, event.write
    file = event.row.get(columns.FILE) if write is None else write.intent.file
    return {
        "event": "row" if write is None else "write",
        "run": event.run.run_id,
        "kind": begun.kind,
        "input": file or begun.settings.get("input_name") or begun.input,
        "input_sha256": begun.input_sha256,
        "plan_sha256": begun.plan_sha256,
        **(_row_facts(event) if write is None else _write_facts(write)),
        "operator": begun.operator,
        "pkeys": list(event.pkeys),
        "after": _text(event.state),
        "requested": _requested(event),
        "parent": begun.parent or "",
    }


def _write_facts(write: Write) -> dict[str, Any]:
    intent, settled = write.intent, write.settled
    return {
        "row": intent.row,
        "key": intent.key,
        "used": intent.used or "",
        "profile": "" if settled is None else settled.profile or "",
        "before": _text(intent.before),
        "desired": _text(intent.desired),
        "intended_at": utc(write.at_ms),
        "outcome": "unknown" if settled is None else str(settled.outcome),
        "reason": "" if settled is None else settled.reason or "",
        "detail": "" if settled is None else settled.detail,
        "attempts": 0 if settled is None else settled.attempts,
        "at": utc(write.ended_ms),
    }


def _row_facts(event: Event) -> dict[str, Any]:
    row = event.row
    return {
        "row": row[columns.ROW],
        "key": next(iter(event.pkeys), row[columns.KEY]),
        "used": row[columns.KEY],
        "profile": "",
        "before": _text(row[columns.BEFORE]),
        "desired": _text(row[columns.DESIRED]),
        "intended_at": "",
        "outcome": event.outcome,
        "reason": row[columns.REASON] or "",
        "detail": row[columns.DETAIL] or "",
        "attempts": row[columns.ATTEMPTS],
        "at": utc(event.at_ms),
    }


def _requested(event: Event) -> str:
    if event.write is not None:
        return event.write.intent.requested or ""
    latest = event.row.get(columns.LATEST, event.row.get(columns.UNJUDGED))
    if latest is None or latest == request_order.UNDATED:
        return ""
    precision = request_order.Precision(event.row.get(columns.PRECISION, 0))
    request = request_order.RequestDate(latest, precision)
    doubt_ms = request.last_ms - latest if event.row[columns.DESIRED] else 0
    return str(request._replace(first_ms=latest - doubt_ms))


def standing(story: Story) -> list[str]:
    """Return a sentence on the current state as far as this tool knows."""
    newest = story.standing()
    if not story.events:
        if story.not_kept or story.without_addresses:
            return [f"No write to {story.key} is recorded, and no row that is kept here names it."]
        runs = count(story.runs, "run")
        return [
            f"This tool never changed {story.key}, nor tried to; no row of its {runs} names it."
        ]
    sentences, doubts = [], story.doubts()
    if not newest:
        absent = [
            event for event in story.events if event_facts(event)["outcome"] == Outcome.NOT_FOUND
        ]
        is_read = any(event_facts(event)["before"] for event in story.events)
        why = "" if doubts or is_read else ": no run has read or changed it"
        if absent and not doubts:
            why = f": run {absent[-1].run.run_id} found no profile"
        sentences.append(f"This tool does not know the state of {story.key}{why}.")
    for pkey, event in newest.items():
        who = f"profile {pkey}" if pkey else story.key
        attribute = event.run.begun.attribute
        holds = (
            f"has opted out ({attribute} is true)"
            if event.state
            else f"has not opted out ({attribute} is false)"
        )
        sentences.append(f"As far as this tool knows, {who} {holds}: {_how(event)}.")
    return sentences + [
        f"Whether a later change to {str(event.write.intent.desired).lower()} by run "
        f"{event.run.run_id} has arrived is not known: `bulk-sync "
        f"{'audit' if event.run.is_finished else 'resume'} {event.run.run_id}` reads the profile "
        "again."
        for event in doubts
        if event.write is not None
    ]


def _how(event: Event) -> str:
    run = event.run
    when = utc(event.at_ms).replace("T", " ").partition(".")[0] + " UTC"
    facts = event_facts(event)
    place = f"row {facts['row']} of {facts['input']}"
    is_confirmed = event.write is not None and event.write.is_confirmed
    if event.write is None or (not is_confirmed and event.state is event.write.intent.desired):
        return f"so run {run.run_id} found it on {when} ({place})"
    if event.state is not event.write.intent.desired:
        return f"run {run.run_id} left it so on {when} ({place})"
    if run.begun.kind is Kind.UNDO:
        return f"run {run.run_id} put back on {when} what run {run.begun.parent} had changed"
    return f"run {run.run_id} changed it on {when} ({place})"


def notes(story: Story, look_up: str) -> list[str]:
    """Return a sentence for each unknown fact.

    ``look_up`` is how to find the PKeys of an address; "" if Campaign was asked for them.
    """
    found = []
    if story.not_kept:
        found.append(
            f"The rows of {_runs(story.not_kept)} are not kept here, or not any more "
            "(--keep-rows): of these runs only what they wrote is known."
        )
    if not look_up and not story.pkeys:
        found.append(
            f"Campaign shows no profile for {story.key}, as it is written or in small letters. Its "
            "filters may count capitals: write the address as Campaign has it, or ask for the PKey."
        )
    if (runs := story.without_addresses) and look_up:
        known = ", but for those named above," if story.pkeys else ""
        kinds = {Keys.from_options(run.begun.settings).kind for run in runs}
        keys = "PKeys" if kinds == {KeyKind.PKEY} else "keys"
        found.append(
            f"The files of {_runs(runs)} held {keys} alone, in which no address can be found. "
            f"Profiles of this address{known} may be among them: {look_up}"
        )
    return found


def _runs(runs: Sequence[Run]) -> str:
    """Name a few runs, and count the rest."""
    named = ", ".join(run.run_id for run in runs[-_NAMED:])
    more = ", ..." if len(runs) > _NAMED else ""
    return f"{count(len(runs), 'run')} ({named}{more})"


def _text(state: bool | None) -> str:  # noqa: FBT001 - a state
    return "" if state is None else str(state).lower()
