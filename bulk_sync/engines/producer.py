"""How to get from keys to the states of their profiles, whatever the keys are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bulk_sync.campaign.client import Client
from bulk_sync.engines import scan
from bulk_sync.engines.journal import Recorder
from bulk_sync.engines.list_choice import ProfileList
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Match, Steps


class Producer(ABC):
    """Fills the table of current states.

    Attributes:
        needs_whole_list: whether a key may have several profiles. Then a list counts only at its
            end, and the first lookup shows whether the others can succeed.
        can_scan: whether Campaign's list shows the keys.
        tries_keys: whether to give up if none of a few keys is known.
        reads_states: whether states are needed, not only PKeys.
    """

    needs_whole_list: bool = False
    can_scan: bool = True
    tries_keys: bool = False
    reads_states: bool = True

    async def check(self, client: Client) -> None:  # noqa: B027 - PKeys need nothing more
        """Raise StopRun if Campaign lacks something that is needed later."""

    def lookups(self, keys: Sequence[str], positions: Sequence[int]) -> int:  # noqa: ARG002
        """Forecast the calls of looking up some keys."""
        return len(positions)

    @abstractmethod
    async def pages(
        self,
        client: Client,
        listing: ProfileList,
        keys: Sequence[str],
        steps: Steps,
        recorder: Recorder,
    ) -> scan.Pages | None:
        """Return what takes in the pages of the list; None if keys must be looked up.

        Raises:
            StopRun: the run cannot go on.
        """

    @abstractmethod
    async def find(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Return the profiles with a key, at least one, and the HTTP tries.

        Raises:
            RowFailed: there is none, or Campaign gave no answer.
            StopRun: the run cannot go on.
        """


class PKeys(Producer):
    """Reads the states of PKeys, and the time of the last change if it is ``stamped``."""

    def __init__(self, attribute: str, *, stamped: bool, tries_keys: bool = False) -> None:
        self._attribute = attribute
        self._stamped = stamped
        self.tries_keys = tries_keys

    async def pages(
        self,
        client: Client,
        listing: ProfileList,
        keys: Sequence[str],
        steps: Steps,
        recorder: Recorder,
    ) -> scan.Pages | None:
        """Return what takes in the pages of the list, if it is to be read."""
        del client
        if listing.first is None:
            return None
        return scan.ListedStates(
            Texts.wrap(keys), steps, self._attribute, recorder, listing.left_at
        )

    async def find(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Read the state of one profile."""
        if not self._stamped:
            state, tries = await client.state(key)
            return (Match(key, int(state), 0),), tries
        (state, changed_ms), tries = await client.stamped_state(key)
        return (Match(key, int(state), changed_ms),), tries
