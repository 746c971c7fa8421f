"""When a run looks like a mistake, and stops."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from bulk_sync.errors import UsageProblem


@dataclass(frozen=True, slots=True)
class Bound:
    """A number of rows, or a share of the rows of the input."""

    count: int | None = None
    percent: Fraction | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> "Bound":
        """Parse ``N`` or ``P%``, from 0 to 100; raise UsageProblem if it is neither."""
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text, re.ASCII):
            percent = Fraction(match[1])
            if percent <= 100:
                return cls(percent=percent)
        elif match := re.fullmatch(r"\s*(\d+)\s*", text, re.ASCII):
            return cls(count=int(match[1]))
        raise UsageProblem(f"{option} {text!r}: write a whole number, or a share such as 2%.")

    def most(self, rows: int) -> int:
        """Return the most rows to pass, out of so many."""
        return self.count if self.count is not None else int(rows * (self.percent or 0) / 100)

    def __str__(self) -> str:
        return f"{float(self.percent or 0):g}%" if self.count is None else str(self.count)


class Oddity(StrEnum):
    """What makes a whole input suspicious, and the word to let it pass once."""

    FEWER_ROWS = "fewer-rows"
    UNKNOWN_KEYS = "unknown-keys"
    INVERTED = "inverted"
    SAME_FILE = "same-file"  # which never refuses: it is a warning


@dataclass(frozen=True, slots=True)
class Approval:
    """What a plan needs before it is applied.

    Attributes:
        sha256: of the file that was reviewed; None for any.
        names: who approves it.
        needed: how many names other than the preparer's.
        valid_s: how old it may be.
    """

    sha256: str | None
    names: tuple[str, ...]
    needed: int
    valid_s: float


def folded(name: str) -> str:
    """Return a name in one spelling for all: capitals and further blanks do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True, slots=True)
class Failures:
    """When to stop; None never stops.

    Attributes:
        most: after more failed rows than this.
        alike: after so many failures for one reason among the last ``window`` rows.
        window: how many rows to look back.
        lost: after so many rows in a row without any answer.
    """

    most: int | None = None
    alike: int | None = 180
    window: int = 200
    lost: int | None = 25


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run looks like a mistake and stops; None takes the default of the contract.

    Attributes:
        max_opt_ins: most changes from true to false.
        max_creates: most new profiles; None: no limit.
        hold_opt_ins: if nothing but the opt-ins passes a limit, hold them back and write the rest.
        allowed: tolerated oddities.
    """

    max_changes: Bound | None = None
    max_opt_ins: Bound | None = None
    max_failures: Bound | None = None
    max_creates: Bound | None = None
    hold_opt_ins: bool = False
    allowed: frozenset[Oddity] = frozenset()

    def opt_ins(self, rows: int) -> int:
        """Return the most opt-ins to pass: by default 10 or 1 %, the larger."""
        bound = self.max_opt_ins
        return max(10, rows // 100) if bound is None else bound.most(rows)

    def within(self, others: Mapping[str, Bound], rows: int) -> "Limits":
        """Return the stricter of these limits and others on changes, by name, for so many rows."""

        def stricter(name: str, own: Bound | None) -> Bound | None:
            other = others.get(name)
            if other is None or (own is not None and own.most(rows) <= other.most(rows)):
                return own
            return other

        by_default = Bound(count=self.opt_ins(rows))
        opt_ins = stricter("max_opt_ins", self.max_opt_ins or by_default)
        return replace(
            self,
            max_changes=stricter("max_changes", self.max_changes),
            max_opt_ins=self.max_opt_ins if opt_ins is by_default else opt_ins,
            max_creates=stricter("max_creates", self.max_creates),
        )

    def failures(self, rows: int) -> Failures:
        """Return after how many failures to stop: by default 10 %, from 100 rows on."""
        if self.max_failures is None:
            return Failures(most=rows // 10 if rows >= 100 else None)
        most = self.max_failures.most(rows)
        return Failures(most, alike=None if most >= rows else Failures().alike)
