"""The story of one person: every write by any run, and every row about the person.

    a key --ledger, kept rows--> its PKeys and addresses --ledger--> writes --.
                                                       '--kept rows--> rows --+--> events, in order

A person is found by PKey, by e-mail address (capitals aside), or by any key of a file. A story also
lists what it cannot know: rows not kept here, and runs without addresses.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.ledger import Ledger, Run, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history import past_rows
from bulk_sync.runs.history.past_rows import PastRow, PastRows
from bulk_sync.runs.kept import kept_rows
from bulk_sync.runs.kept.identity import Identity, IdentityColumns, is_address
from bulk_sync.runs.terms import day_budget
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import EmailCase, Fetch, KeyKind, Keys, Reading, State


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a person's story: a write, or a row without one.

    Attributes:
        at_ms: when, in ms since the epoch, UTC.
        row: the row of the input, by column, as it is for these profiles; empty if it is not kept.
        write: the write; None if nothing was to be written.
        pkeys: the profiles concerned, as far as they are known.
    """

    run: Run
    at_ms: int
    row: Mapping[str, Any] = field(default_factory=dict)
    write: Write | None = None
    pkeys: tuple[str, ...] = ()

    @property
    def state(self) -> bool | None:
        """Return the state afterwards; None if it is not known."""
        if self.write is None:
            after: bool | None = self.row.get(columns.AFTER)
            is_one = self.row.get(columns.PROFILES, 1) <= 1
            # Of several profiles it is the state that one of them has and should not.
            return after if is_one or after is self.row[columns.DESIRED] else None
        if self.write.is_confirmed:
            return self.write.intent.desired
        return None if self.write.settled is None else self.write.settled.after

    @property
    def position(self) -> int:
        """Return the position of its line in the ledger; of a row that of its run's first line."""
        if self.write is None:
            return self.run.position
        settled = self.write.settled
        return self.write.position if settled is None else settled.position

    @property
    def outcome(self) -> str:
        """Return the outcome of a row, for these profiles."""
        return str(self.row[columns.OUTCOME])

    @property
    def is_doubtful(self) -> bool:
        """Return whether it is unknown if a write has changed the profile."""
        return self.write is not None and self.write.is_doubtful


@dataclass(frozen=True, slots=True)
class Story:
    """What this tool knows of one person.

    Attributes:
        pkeys: the profiles of the key, as far as they are known.
        events: in the order of time, and of the ledger.
        runs: how many runs the ledger holds.
        not_kept: runs without rows here.
        without_addresses: runs without addresses in their rows; empty if the key is no address.
    """

    key: str
    pkeys: tuple[str, ...]
    events: Sequence[Event]
    runs: int
    not_kept: Sequence[Run]
    without_addresses: Sequence[Run]

    def standing(self) -> Mapping[str, Event]:
        """Return the newest event with a known state, by PKey; "" where no PKey is known."""
        found: dict[str, Event] = {}
        for event in self.events:
            if event.state is not None:
                states = dict.fromkeys(event.pkeys or ("",), event)
                is_repeat = event.write is None and event.outcome == Outcome.DUPLICATE
                # A row that repeats another one of its run comes later, and did nothing itself.
                found = states | found if is_repeat else found | states
        if len(found) > 1:
            found.pop("", None)
        return found

    def doubts(self) -> Sequence[Event]:
        """Return later writes with an unknown end."""
        places = {id(event): place for place, event in enumerate(self.events)}
        known = {pkey: places[id(event)] for pkey, event in self.standing().items()}
        return [
            event
            for place, event in enumerate(self.events)
            # The PKey of a write is one, or it is not known.
            if event.is_doubtful and place >= known.get("".join(event.pkeys), 0)
        ]


def story_of(book: Ledger, state: State, key: str, pkeys: Iterable[str] = ()) -> Story:
    """Return the story of one person, by a PKey, an address, or another key of a file.

    A PKey stands for one profile. Any other key, such as an address, may stand for several, all of
    them the person's. A search by PKey does not mix up people with a common address.

    Memory: what is known of the person, and a part of one run's rows.
    """
    # A plan has changed no profile.
    runs = {run.run_id: run for run in book.runs() if not run.begun.is_plan}
    sources = list(past_rows.find(book, state, runs.values()))
    person = Identity.of_keys({key, *pkeys})
    rows, writes = _search(book, runs, sources, person)
    profiles, others = _linked(key, rows, writes)
    mine = {key, *pkeys, *profiles}
    wider = Identity.of_keys(mine | others)
    if wider != person:
        rows, writes = _search(book, runs, sources, wider)
    rows = [row for row in rows if _may_be_of(row.pkeys, mine)]
    writes = [write for write in writes if _may_be_of(_pkeys_of(write), mine)]
    events = _in_order(_events(runs, rows, writes, mine))
    found = {source.run.run_id: source.where for source in sources}
    with_rows = [run for run in runs.values() if run.begun.rows]
    without_addresses = [
        run
        for run in with_rows
        if not (found.get(run.run_id) or IdentityColumns.find(run.begun)).have_addresses(run.begun)
    ]
    return Story(
        key=key,
        pkeys=tuple(sorted({pkey for event in events for pkey in event.pkeys} | set(pkeys))),
        events=events,
        runs=len(runs),
        not_kept=[run for run in with_rows if run.run_id not in found],
        without_addresses=without_addresses if person.addresses else [],
    )


def look_up(book: Ledger, job: Job, address: str) -> tuple[str, ...]:
    """Look up the PKeys of an address in Campaign, capitals aside.

    Raise UsageProblem if it is no address, and StopRun if Campaign gave no answer.
    """
    if not is_address(address):
        raise UsageProblem(
            f"--lookup finds the PKeys of an e-mail address, and {address!r} is none. Give an "
            "address, or leave --lookup out."
        )
    steps = Steps.blank(1)
    keys = Keys(KeyKind.EMAIL, field="email", email_case=EmailCase.IGNORE)
    resolver = Resolver(keys, job.connection.attribute, reads_states=False)
    budget = day_budget.budget_of(book, job)
    with Session(job.connection, job.pace, lambda *_: None, budget=budget) as session:
        session.read([address], steps, Reading(Fetch.LOOKUP), resolver)
    if session.cause is not None:
        raise session.cause
    problem = steps.problems.get(0)
    if problem is not None and problem.outcome is not Outcome.NOT_FOUND:
        raise StoppedEarly(
            f"The PKeys of {address} could not be looked up in Campaign: {problem.detail}"
        )
    return tuple(match.pkey for match in steps.found.get(0, ()))


def _search(
    book: Ledger, runs: Collection[str], sources: Iterable[PastRows], person: Identity
) -> tuple[list[PastRow], list[Write]]:
    """Return the rows and the writes about a person, but those of runs that began meanwhile."""
    rows = list[PastRow]()
    for source in sources:
        with kept_rows.warning_of(source.run.run_id):
            rows.extend(source.search(person))
    found = book.history(*person.exactly, addresses=person.addresses)
    return rows, [write for write in found if write.run_id in runs]


def _linked(
    key: str, rows: Iterable[PastRow], writes: Iterable[Write]
) -> tuple[set[str], set[str]]:
    """Return the PKeys of a key, and the other keys of the same rows if it is a PKey."""
    profiles, others = set[str](), set[str]()
    for row in rows:
        if key in row.pkeys:
            others |= row.other_keys
        else:
            profiles |= row.pkeys
    for write in writes:
        pkeys = _pkeys_of(write)
        if key in pkeys:
            others |= {write.intent.used or ""} - {""}
        else:
            profiles |= pkeys
    return profiles, others


def _pkeys_of(write: Write) -> set[str]:
    """Return the PKey of a write; nothing if it was to create a profile, and it is not known."""
    created = None if write.settled is None else write.settled.profile
    pkey = created if write.intent.before is None else write.intent.key
    return set() if pkey is None else {pkey}


def _may_be_of(pkeys: set[str], mine: set[str]) -> bool:
    """Return whether PKeys, perhaps none, may be those of a person."""
    return not pkeys or not pkeys.isdisjoint(mine)


def _events(
    runs: Mapping[str, Run], rows: Iterable[PastRow], writes: Iterable[Write], mine: set[str]
) -> Iterator[Event]:
    """Merge writes and rows: a row whose profile was written is part of the write's event."""
    by_place = {row.place: row for row in rows}
    written: dict[tuple[str, str, int], set[str]] = {}
    for write in writes:
        if write.settled is not None and write.settled.outcome is Outcome.PENDING:
            continue  # the row, or a later try, is the event
        place = (write.run_id, write.intent.file or "", write.intent.row)
        written.setdefault(place, set()).update(_pkeys_of(write))
        yield Event(
            run=runs[write.run_id],
            at_ms=write.ended_ms,
            row=by_place[place].cells if place in by_place else {},
            write=write,
            pkeys=tuple(_pkeys_of(write)),
        )
    for place, row in by_place.items():
        run, at = row.run, row.cells[columns.AT]
        ended_ms = run.begun_ms if run.ended_ms is None else run.ended_ms
        at_ms = ended_ms if at is None else round(at.timestamp() * 1000)
        for pkeys, cells in _by_profiles(row):
            left = (pkeys & mine) - written.get(place, set())
            if left or not (pkeys or place in written):
                yield Event(run, at_ms, cells, pkeys=tuple(sorted(left)))


def _by_profiles(row: PastRow) -> Iterator[tuple[set[str], Mapping[str, Any]]]:
    """Yield the profiles that a row found as it asks for, and the others, each with its cells."""
    cells, desired = row.cells, row.cells[columns.DESIRED]
    unchanged = set(cells.get(columns.UNCHANGED_PKEYS) or ())
    if unchanged:
        found = {columns.OUTCOME: Outcome.UNCHANGED, columns.REASON: "", columns.DETAIL: ""}
        states = {columns.BEFORE: desired, columns.AFTER: desired, columns.PROFILES: 1}
        yield unchanged, {**cells, **found, **states}
    others = row.pkeys - unchanged
    if others or not unchanged:
        yield others, {**cells, columns.PROFILES: 1} if len(others) == 1 else cells


def _in_order(events: Iterable[Event]) -> list[Event]:
    """Sort events by time, but none before a write with an earlier line in the ledger.

    So they are in order although a clock was set back, or that of another machine is slow.
    """
    newest_ms, timed = 0, list[tuple[int, bool, Event]]()
    for event in sorted(events, key=lambda event: event.position):
        # A row has no line of its own: it comes after the writes of its time.
        is_last = event.write is None and event.at_ms >= newest_ms
        at_ms = max(event.at_ms, newest_ms)
        timed.append((at_ms, is_last, event))
        if event.write is not None:
            newest_ms = at_ms
    return [event for _, _, event in sorted(timed, key=lambda each: each[:2])]
