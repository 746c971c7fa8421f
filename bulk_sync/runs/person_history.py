"""The story of one person: every write by whatever run, and every row that named them.

    a key --ledger, kept rows--> its PKeys and addresses --ledger--> writes --.
                                                       '--kept rows--> rows --+--> events, in order

A person is asked for by PKey, by e-mail address (capitals aside), or by any key that a file used.
What is not known is said: rows that are not kept here any more, and addresses that cannot be told
from files which held PKeys alone.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from bulk_sync.engines import current
from bulk_sync.engines.session import Session
from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.ledger import Kind, Ledger, Run, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.results import Steps
from bulk_sync.runs import archive, day_budget, row_keeping
from bulk_sync.runs.archive import Recognized, Sought
from bulk_sync.runs.job import Job
from bulk_sync.settings import EmailCase, Fetch, KeyKind, Keys, Reading, State

log = logging.getLogger(__name__)

_DONE: Final = (Outcome.UPDATED, Outcome.CREATED)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a person: a write, or a row that led to none.

    Attributes:
        run: whose it was.
        at_ms: when, in ms since the epoch, UTC.
        row: the row of the input, by column; empty if it is not kept.
        write: the write; None if nothing was to be written.
        pkeys: the profiles that it was about, as far as they are known.
    """

    run: Run
    at_ms: int
    row: Mapping[str, Any] = field(default_factory=dict)
    write: Write | None = None
    pkeys: tuple[str, ...] = ()

    @property
    def state(self) -> bool | None:
        """Return what the profile held afterwards; None if that is not known."""
        if self.write is None:
            after: bool | None = self.row.get(columns.AFTER)
            is_one = len(self.row.get(columns.PKEYS) or ()) <= 1
            # Of several profiles it is the state that one of them has and should not.
            return after if is_one or after is self.row[columns.DESIRED] else None
        settled = self.write.settled
        if settled is None:
            return None
        return self.write.intent.desired if settled.outcome in _DONE else settled.after

    @property
    def outcome(self) -> str:
        """The outcome of a row, for these profiles.

        What was updated stands in the ledger, so one of several that does not was so before.
        """
        outcome = str(self.row[columns.OUTCOME])
        return str(Outcome.UNCHANGED) if outcome == Outcome.UPDATED else outcome

    @property
    def is_doubtful(self) -> bool:
        """Return whether it is unknown if a write has changed the profile."""
        write = self.write
        if write is None or self.state is not None:
            return False
        return write.settled is None or write.settled.outcome is Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Story:
    """What this tool knows of one person.

    Attributes:
        key: as it was asked for.
        pkeys: the profiles that the key stands for, as far as they are known.
        events: in the order of time.
        runs: how many runs the ledger knows.
        not_kept: runs whose rows are not here.
        pkeys_alone: runs in whose rows no address can be told; empty if none was asked for.
    """

    key: str
    pkeys: tuple[str, ...]
    events: Sequence[Event]
    runs: int
    not_kept: Sequence[Run]
    pkeys_alone: Sequence[Run]

    def standing(self) -> Mapping[str, Event]:
        """Return the newest event that tells a state, by PKey; "" where no PKey is known."""
        found: dict[str, Event] = {}
        for event in self.events:
            if event.state is not None:
                found |= dict.fromkeys(event.pkeys or ("",), event)
        if len(found) > 1:
            found.pop("", None)
        return found

    def doubts(self) -> Sequence[Event]:
        """Return later writes of which nobody knows whether they have arrived."""
        standing = self.standing()
        return [
            event
            for event in self.events
            if event.is_doubtful
            and all(
                pkey not in standing or standing[pkey].at_ms <= event.at_ms
                for pkey in event.pkeys or ("",)
            )
        ]


def of(book: Ledger, state: State, key: str, pkeys: Iterable[str] = ()) -> Story:
    """Return the story of one person.

    A PKey stands for one profile. Any other key, such as an address, may stand for several, all of
    them the person's; so somebody who is asked for by PKey is not mixed up with others who share
    the address.

    Args:
        book: the ledger.
        state: where rows are kept.
        key: a PKey, an address, or another key that a file used.
        pkeys: PKeys of the person that are known from elsewhere.

    Memory: what is known of the person, and a part of one run's rows.
    """
    # A plan has changed nobody, and what it found is no word on them.
    runs = {run.run_id: run for run in book.runs() if run.begun.kind is not Kind.PLAN}
    places = list(_places(book, state, runs.values()))
    asked = _sought({key, *pkeys})
    rows = list(_rows(places, asked))
    writes = book.history(*asked.exactly, addresses=asked.addresses)
    profiles, others = _linked(key, rows, writes)
    mine = {key, *pkeys, *profiles}
    wider = _sought(mine | others)
    if wider != asked:
        rows = list(_rows(places, wider))
        writes = book.history(*wider.exactly, addresses=wider.addresses)
    rows = [each for each in rows if _is_of(each.named, mine) or each.shows(asked)]
    writes = [
        each
        for each in writes
        if _is_of(_written(each), mine) or not _sought({each.intent.used or ""}).isdisjoint(asked)
    ]
    events = sorted(_events(runs, rows, writes, mine), key=lambda event: event.at_ms)
    here = {place.run.run_id for place in places}
    not_kept = [run for run in runs.values() if run.begun.rows and run.run_id not in here]
    where = {
        run.run_id: row_keeping.recognized(run.begun) for run in runs.values() if run.begun.rows
    }
    where |= {place.run.run_id: place.where for place in places}
    pkeys_alone = [runs[run_id] for run_id in where if not where[run_id].tells_addresses]
    return Story(
        key=key,
        pkeys=tuple(sorted({pkey for event in events for pkey in event.pkeys} | set(pkeys))),
        events=events,
        runs=len(runs),
        not_kept=not_kept,
        pkeys_alone=pkeys_alone if asked.addresses else [],
    )


def is_address(key: str) -> bool:
    """Return whether a key looks like an e-mail address: its capitals do not count.

    A row whose address is no good is somebody's too.
    """
    return "@" in key[1:] and not key.startswith("@")


def _sought(keys: Iterable[str]) -> Sought:
    known = frozenset(key for key in keys if key)
    return Sought(known, frozenset(archive.folded(key) for key in known if is_address(key)))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the rows of a run are.

    Attributes:
        run: which run.
        where: in which columns people can be recognized.
        kept: its kept rows; None if it is not finished.
        part: its rows so far, if it is not finished.
    """

    run: Run
    where: Recognized
    kept: archive.Kept | None = None
    part: pa.Table | None = None

    def search(self, sought: Sought) -> Iterator[dict[str, Any]]:
        """Yield the rows about a person."""
        if self.kept is not None:
            yield from self.kept.search(sought)
        elif self.part is not None:
            yield from self.part.filter(archive.matches(self.part, self.where, sought)).to_pylist()


def _places(book: Ledger, state: State, runs: Iterable[Run]) -> Iterator[_Place]:
    """Find the rows of all runs that are here."""
    finished = archive.all_of(state.folder)
    for run in runs:
        if run.run_id in finished:
            found = finished[run.run_id]
            try:
                yield _Place(run, found.recognized(), kept=found)
            except (OSError, ValueError, pa.ArrowException) as problem:
                log.warning("%s cannot be read: %s", found.path, problem)
        elif (rows := row_keeping.so_far(book, state, run)) is not None:
            yield _Place(
                run, row_keeping.recognized(run.begun, rows.columns), part=archive.table(rows)
            )


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that shows a key, and where it is."""

    place: _Place
    cells: Mapping[str, Any]

    @property
    def named(self) -> set[str]:
        """The PKeys that it names."""
        where, cells = self.place.where, self.cells
        found = {cells[columns.KEY]} if where.are_pkeys else set(cells.get(columns.PKEYS) or ())
        return {*found, *(cells[name] for name in where.pkeys)} - {"", None}

    @property
    def keys(self) -> set[str]:
        """Its other keys."""
        where, cells = self.place.where, self.cells
        found = set() if where.are_pkeys else {cells[columns.KEY]}
        return {*found, *(cells[name] for name in where.emails)} - {"", None}

    def shows(self, sought: Sought) -> bool:
        """Return whether it shows one of some keys."""
        return not _sought({*self.named, *self.keys}).isdisjoint(sought)


def _rows(places: Iterable[_Place], sought: Sought) -> Iterator[_Row]:
    """Yield the rows of all runs that show one of some keys."""
    for place in places:
        try:
            yield from (_Row(place, cells) for cells in place.search(sought))
        except (OSError, ValueError, pa.ArrowException) as problem:
            log.warning("The rows of run %s cannot be read: %s", place.run.run_id, problem)


def _linked(key: str, rows: Iterable[_Row], writes: Iterable[Write]) -> tuple[set[str], set[str]]:
    """Return the PKeys that a key stands for, and the other keys that stand for it as a PKey."""
    profiles, others = set[str](), set[str]()
    for row in rows:
        if key in row.named:
            others |= row.keys
        else:
            profiles |= row.named
    for write in writes:
        pkeys = _written(write)
        if key in pkeys:
            others |= {write.intent.used or ""} - {""}
        else:
            profiles |= pkeys
    return profiles, others


def _written(write: Write) -> set[str]:
    """Return the PKey of a write; nothing if it was to create a profile, and it is not known."""
    created = None if write.settled is None else write.settled.profile
    pkey = created if write.intent.before is None else write.intent.key
    return set() if pkey is None else {pkey}


def _is_of(pkeys: set[str], mine: set[str]) -> bool:
    """Return whether what names these PKeys, perhaps none, may be about somebody."""
    return not pkeys or not pkeys.isdisjoint(mine)


def _events(
    runs: Mapping[str, Run], rows: Iterable[_Row], writes: Iterable[Write], mine: set[str]
) -> Iterator[Event]:
    """Merge writes and rows: a row whose profile was written is part of the write's event."""
    by_place = {
        (row.place.run.run_id, row.cells.get(columns.FILE) or "", row.cells[columns.ROW]): row
        for row in rows
    }
    told: dict[tuple[str, str, int], set[str]] = {}
    for write in writes:
        if write.settled is not None and write.settled.outcome is Outcome.PENDING:
            continue  # which the row, or a later try, tells
        place = (write.run_id, write.intent.file or "", write.intent.row)
        told.setdefault(place, set()).update(_written(write))
        yield Event(
            run=runs[write.run_id],
            at_ms=write.at_ms if write.settled is None else write.settled.at_ms,
            row=by_place[place].cells if place in by_place else {},
            write=write,
            pkeys=tuple(_written(write)),
        )
    for place, row in by_place.items():
        pkeys = (row.named & mine) - told.get(place, set())
        if place not in told or pkeys:
            run, when = row.place.run, row.cells[columns.AT]
            ended_ms = run.begun_ms if run.ended_ms is None else run.ended_ms
            at_ms = ended_ms if when is None else round(when.timestamp() * 1000)
            yield Event(run, at_ms, row.cells, pkeys=tuple(sorted(pkeys)))


def look_up(book: Ledger, job: Job, address: str) -> tuple[str, ...]:
    """Ask Campaign for the PKeys of an address, in whatever capitals.

    Raises:
        UsageProblem: it is no address.
        StopRun: Campaign did not say.
    """
    if not is_address(address):
        raise UsageProblem(
            f"--lookup asks Campaign for the PKeys of an e-mail address, and {address!r} is none."
        )
    steps = Steps.of_finding(1)
    keys = Keys(KeyKind.EMAIL, field="email", email_case=EmailCase.IGNORE)
    sought = current.Sought(keys, reads_states=False)
    budget = day_budget.of(book, job)
    with Session(job.connection, job.pace, lambda *_: None, budget=budget) as session:
        session.find([address], steps, Reading(Fetch.LOOKUP), lambda _: None, sought)
    if session.cause is not None:
        raise session.cause
    problem = steps.problems.get(0)
    if problem is not None and problem.outcome is not Outcome.NOT_FOUND:
        raise StoppedEarly(f"Campaign did not tell the PKeys of {address}: {problem.detail}")
    return tuple(match.pkey for match in (steps.found or {}).get(0, ()))
