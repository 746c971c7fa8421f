"""Reads Campaign's whole list to disk, for more keys than memory can look for.

Each profile on a page is kept, whether a key asks for it or not; keys and profiles are
joined afterwards. Keys missing in the list, or with two states there, are looked up.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

import pyarrow as pa

from bulk_sync.campaign import profiles
from bulk_sync.campaign.list_pages import ListPage, ScanPosition
from bulk_sync.engines import list_choice, scan
from bulk_sync.engines.current import TRIED, Read, StateReader, positions_to_try
from bulk_sync.engines.journal import now_ms
from bulk_sync.engines.list_choice import ProfileList
from bulk_sync.engines.producer import PKeys
from bulk_sync.engines.scan import TRUE, UNKNOWN, Pages, Scanning
from bulk_sync.engines.workers import Workers
from bulk_sync.errors import StopRun
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Reading

LISTED: Final = pa.schema(
    {"key": pa.large_string(), "state": pa.bool_(), "changed_ms": pa.int64(), "at_ms": pa.int64()}
)
"""Profiles of the pages: PKey, state, the time of its last change and when the page was read,
in ms since the epoch; 0 where the first of the two is not needed."""

_AT_ONCE: Final = 250_000
"""So many profiles are made durable together."""

Save = Callable[[pa.Table, ScanPosition], None]
"""Makes profiles durable, with the place where the list goes on; raises StopRun if it cannot."""

SomeKeys = Callable[[], Sequence[str]]
"""Returns some of the keys, of which a few are looked up if the first page shows none of these."""


class SavedPages(Pages):
    """Pages with their profiles saved; see ``scan.Pages``."""

    def __init__(
        self, api: str, attribute: str, keys: int, save: Save, left_at: ScanPosition | None
    ) -> None:
        super().__init__(profiles.fields_of_state(attribute), left_at)
        self.missing = keys
        self._api, self._attribute, self._save = api, attribute, save
        self._batches: list[pa.RecordBatch] = []

    def take(self, page: ListPage) -> str | None:
        """Take a page in, and return the path of the next one, if the list goes on."""
        states, attribute = scan.states_on(page, self._attribute), self._attribute
        pkeys = [each.get("PKey") for each in page.profiles]
        known = [
            at for at, pkey in enumerate(pkeys) if isinstance(pkey, str) and states[at] != UNKNOWN
        ]
        listed = {
            "key": [pkeys[at] for at in known],
            "state": [bool(states[at] == TRUE) for at in known],
            "changed_ms": [profiles.changed_ms(page.profiles[at], attribute) for at in known],
            "at_ms": [now_ms()] * len(known),
        }
        self._batches.append(pa.RecordBatch.from_pydict(listed, LISTED))
        path = self._following(page, has_states=bool((states != UNKNOWN).any()))
        if sum(batch.num_rows for batch in self._batches) >= _AT_ONCE:
            self.keep(path)
        return path

    def place(self, api: str, path: str | None) -> ScanPosition:
        """Return where the list is left."""
        return ScanPosition(api, path, self.pages, self.shown, [])

    def keep(self, path: str | None) -> None:
        """Make the profiles so far durable; ``path`` is that of the next page."""
        batches, self._batches = self._batches, []
        self._save(pa.Table.from_batches(batches, LISTED), self.place(self._api, path))


@dataclass(slots=True)
class WholeList:
    """Reads the list, from its beginning or from where it was left.

    Args:
        keys: how many keys are looked for.
        left_at: where an earlier process left the list.

    Attributes:
        pages: pages read.
        is_read: whether the list was read, as far as it goes.
    """

    run: Workers
    connection: Connection
    keys: int
    how: Reading
    save: Save
    left_at: ScanPosition | None
    some_keys: SomeKeys
    pages: int = 0
    is_read: bool = False
    _listing: ProfileList | None = None
    _began: float = field(default_factory=time.monotonic)

    @property
    def calls_left(self) -> int:
        """Calls still needed for the list, as far as is known."""
        scan = None if self._listing is None else self._listing.costs.scan
        return max(0, (self.keys if scan is None else scan) - self.pages)

    async def read(self) -> bool:
        """Read the list; return False, with nothing read, if looking the keys up costs fewer calls.

        The run's ``Stop`` holds the cause of an early end.
        """
        run = self.run
        try:
            self._listing = listing = await list_choice.choose(
                run.client,
                self.connection,
                self.how,
                (self.keys, self.keys),
                needs_whole_list=False,
                left_at=self.left_at,
            )
            if listing.first is None:
                self.is_read = listing.left_at is not None
                return self.is_read
            await self._scan(listing, listing.first)
        except StopRun as cause:
            run.stop.ask(cause)
        return True

    def cost(self) -> Read:
        """Return the cost so far."""
        costs = None if self._listing is None else self._listing.costs
        return Read(
            costs, paged=self.pages > 0, looked_up=0, seconds=time.monotonic() - self._began
        )

    async def _scan(self, listing: ProfileList, first: ListPage) -> None:
        run = self.run
        pages = SavedPages(run.client.api, run.attribute, self.keys, self.save, listing.left_at)
        before = pages.pages
        unseen = partial(self._try_keys, first)
        how = Scanning(listing.total, self.keys, 1, while_cheaper=False, unseen=unseen)
        path = await scan.scan(run, pages, first, how)
        self.pages = pages.pages - before
        pages.keep(path)
        self.is_read = path is None

    async def _try_keys(self, first: ListPage) -> int:
        """Stop if this instance seems to know none of the keys: see ``StateReader.try_keys``.

        Return 0: the states of the keys come from the list all the same.
        """
        keys, run = self.some_keys(), self.run
        shown = (each.get("PKey") for each in first.profiles)
        known = {pkey for pkey in shown if isinstance(pkey, str)}
        if len(keys) < TRIED or not known.isdisjoint(keys):
            return 0
        tried = [keys[at] for at in chain(*positions_to_try(len(keys)))]
        pkeys = PKeys(run.attribute, stamped=False, tries_keys=True)
        steps = Steps.blank(TRIED)
        reader = StateReader(run, self.connection, tried, steps, self.how, pkeys)
        await reader.try_keys(self.keys)
        return 0
