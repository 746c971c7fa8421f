"""What can go wrong, grouped by what the run should do about it.

    BulkSyncError
      StopRun               end now: one sentence, what to do next, no traceback
        UsageProblem          exit 2   wrong options or configuration
          InputProblem        exit 2   the input cannot be read as a whole
          LedgerProblem       exit 2   the ledger cannot be opened
        Refused               exit 4   a safety limit or the person refused
        AccessDenied          exit 5   credentials or organization refused
        StoppedEarly          exit 6   Campaign unavailable, too many failures
          BudgetSpent           exit 6   a budget of calls does not go further
          BudgetTooSmall        exit 6   a budget of calls gets nothing done
          DiskFull              exit 6   a disk, or a quota on it, is full
          LedgerAway            exit 6   the ledger's database server does not answer
        AnotherRun            exit 11  the organization is being worked on
        Interrupted           exit 130 Ctrl-C
          Terminated            exit 143 SIGTERM
      RetryLater            this request only: may pass if it is sent again
      RowFailed             this row only: a reason and a sentence in the report

``RetryLater`` never leaves ``campaign/``, ``RowFailed`` never leaves the engine, and only
``StopRun`` reaches ``cli/``. Bad rows of the input are data, not exceptions: see ``rows/check/``.
"""

import errno
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from bulk_sync.outcomes import Outcome, Reason

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a full disk, a spent quota, and ``ulimit -f``."""


def clause(text: str) -> str:
    """Return a sentence by others without the mark at its end: more text follows."""
    return text.rstrip(" .?!")


class Exit(IntEnum):
    """Exit statuses; any code but 0 means: something is left to do."""

    DONE = 0
    BUG = 1
    USAGE = 2
    ROWS_LEFT = 3
    REFUSED = 4
    ACCESS_DENIED = 5
    STOPPED_EARLY = 6
    ANOTHER_RUN = 11
    INTERRUPTED = 130
    TERMINATED = 143


class BulkSyncError(Exception):
    """Every error of this program."""


class StopRun(BulkSyncError):
    """The run cannot go on. The message holds the value, the place and the next step."""

    exit = Exit.BUG
    is_answer = False
    """Whether it only answers that there is nothing to do."""


class UsageProblem(StopRun):
    """An option, a variable or the configuration file is wrong."""

    exit = Exit.USAGE


class Remedy(NamedTuple):
    """Options with which an input can be read.

    Attributes:
        words: options, each followed by its value.
        when: what must be so that they are right; "" if nothing is in doubt.
    """

    words: Sequence[str]
    when: str = ""


class InputProblem(UsageProblem):
    """The input as a whole cannot be read: nothing was sent.

    The message holds nothing that may be personal data.

    Args:
        overview: lines with the beginning of the input, for the person at the terminal alone.
        remedies: the input can be read with any of them.
    """

    def __init__(
        self, message: str, overview: Sequence[str] = (), remedies: Sequence[Remedy] = ()
    ) -> None:
        super().__init__(message)
        self.overview = overview
        self.remedies = remedies


class LedgerProblem(UsageProblem):
    """The ledger cannot be opened, or is not as it was left."""


class Refused(StopRun):
    """A safety limit, or the person at the terminal, refused: nothing was written.

    Args:
        option: the option, with its value, to let it pass; "" if there is none.
    """

    exit = Exit.REFUSED

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class AccessDenied(StopRun):
    """Campaign, or IMS, refused the credentials or the organization."""

    exit = Exit.ACCESS_DENIED


class StoppedEarly(StopRun):
    """Rows are left; another run can finish them."""

    exit = Exit.STOPPED_EARLY


class BudgetSpent(StoppedEarly):
    """A budget in force allows no further call."""


class BudgetTooSmall(StoppedEarly):
    """A budget in force would be spent before anything is done, every time.

    Args:
        option: the option with the least useful value.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class DiskFull(StoppedEarly):
    """A disk, or a quota on it, is full."""

    def __init__(self, message: str) -> None:
        super().__init__(f"The disk is full: {message}")


class LedgerAway(StoppedEarly):
    """The database server of the ledger does not answer now, or hung up."""

    def __init__(self, ledger: str, reason: str) -> None:
        super().__init__(
            f"The ledger {ledger} cannot be used, because its database server does not answer: "
            f"{clause(reason)}. Start the command again when the server is back."
        )


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error of the file system means that there is no room."""
    return isinstance(error, OSError) and error.errno in FULL


def unwritable(error: OSError, message: str, otherwise: type[StopRun] = UsageProblem) -> StopRun:
    """Return the error about something that cannot be written: DiskFull, or another one."""
    return (DiskFull if is_disk_full(error) else otherwise)(message)


class AnotherRun(StopRun):
    """Another process is at work on this organization.

    Args:
        holder: the other process, and its beginning; "" if unknown.
    """

    exit = Exit.ANOTHER_RUN

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"Another run is at work on this organization: {holder or 'it has not said who it is'}."
            " Wait for it to end, or let --lock-wait 30m do so."
        )


class Interrupted(StopRun):
    """A signal asked the run to end; what was in flight was finished."""

    exit = Exit.INTERRUPTED


class Terminated(Interrupted):
    """The same, by SIGTERM."""

    exit = Exit.TERMINATED


def interruption(error: BaseException) -> Interrupted | None:
    """Return the signal behind an error; None if there is none.

    A library that a signal interrupts may wrap what is raised.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, Interrupted):
        found = found.__cause__ or found.__context__
    return found


class RetryLater(BulkSyncError):
    """No answer, or one that may be different next time.

    Args:
        reason: what a row is given as its reason if no try succeeds.
        detail: a sentence for a person; it is kept without its full stop, since more follows it.
        wait_s: seconds to wait, as the server asked; None if it did not.
        refused: the server certainly did not act on the request.
        sent_at: when the request was sent, by the clock of the event loop; None if unknown.
        unreachable: nothing came back, as if there were no server.
        last_word: what is raised if no try succeeds; None makes the row fail for ``reason``.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        wait_s: float | None = None,
        refused: bool = False,
        sent_at: float | None = None,
        unreachable: bool = False,
        last_word: BulkSyncError | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = clause(detail)
        self.wait_s = wait_s
        self.refused = refused
        self.sent_at = sent_at
        self.unreachable = unreachable
        self.last_word = last_word


class RowFailed(BulkSyncError):
    """Campaign's last word on one row.

    Args:
        reason: a stable code for the report.
        detail: a sentence for a person.
        outcome: ``failed`` or ``not_found``.
        passing: every try met a passing failure, so a later round may succeed.
        holds: the state of the profile all the same; None if unknown.
        attempts: HTTP tries until then.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        outcome: Outcome = Outcome.FAILED,
        passing: bool = False,
        holds: bool | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.outcome = outcome
        self.passing = passing
        self.holds = holds
        self.attempts = attempts
