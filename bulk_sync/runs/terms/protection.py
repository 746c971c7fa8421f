"""``--protect``: people that no run may change, by lists that every command reads anew."""

import logging
from collections.abc import Collection, Iterable
from functools import reduce
from operator import or_
from pathlib import Path

import pandas as pd

from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.errors import StoppedEarly, clause
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import protected_keys
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import EmailCase, KeyKind, Keys, Reading

log = logging.getLogger(__name__)


class Protection:
    """The protected people of one command, by the lists in some files."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self.files = tuple(files)
        self._listed: ProtectedKeys | None = None

    def read(self) -> ProtectedKeys:
        """Read the lists, once for each command, and return their keys.

        Raises:
            UsageProblem: one cannot be read, is empty, or holds a damaged key.
        """
        if self._listed is None:
            lists = map(protected_keys.read_list, self.files)
            self._listed = reduce(or_, lists, ProtectedKeys())
        return self._listed

    def find_profiles(self, session: Session, attribute: str) -> None:
        """Look up the profiles of protected addresses; ``session.cause`` says why it stopped."""
        listed = self.read()
        addresses = list(listed.addresses)
        if not addresses:
            return
        log.info("Looking up the profiles of protected e-mail addresses: %d", len(addresses))
        keys, steps = Keys(KeyKind.EMAIL, email_case=EmailCase.IGNORE), Steps.blank(len(addresses))
        resolver = Resolver(keys, attribute, reads_states=False, is_wary=True)
        session.read(addresses, steps, Reading(), resolver)
        for at, problem in steps.problems.items():
            if problem.outcome is not Outcome.NOT_FOUND:
                place = listed.addresses[addresses[at]]
                session.stop(
                    StoppedEarly(
                        f"The protected address in {place} could not be looked up: "
                        f"{clause(problem.detail)}. Nothing is written before it is."
                    )
                )
        found = {
            match.pkey: listed.addresses[addresses[at]]
            for at, matches in steps.matches(addresses)
            for match in matches
        }
        self._listed = listed | ProtectedKeys(exactly=found)

    def rejected(self, planned: pd.DataFrame, written: Collection[str] = ()) -> pd.DataFrame:
        """Return a plan with the rows of protected people rejected, but for written profiles."""
        return self.read().rejected(planned, written) if self.files else planned

    def rejected_in(self, checked: Slices) -> Slices:
        """Return results of a check with the rows of protected people rejected."""
        return self.read().rejected_in(checked) if self.files else checked
