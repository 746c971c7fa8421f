"""Who must approve a plan before it is applied, and how old it may be."""

import logging
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bulk_sync.errors import Refused
from bulk_sync.ledger import Run, local
from bulk_sync.runs.kept.plan_file import PlanFile
from bulk_sync.settings import Approval, folded

log = logging.getLogger(__name__)

FAST_CLOCK_S: Final = 600
"""How far the clock of another machine may be ahead."""

_UNITS_S: Final[Mapping[str, int]] = {"d": 86_400, "h": 3600, "m": 60}


class PlanExpired(Refused):
    """A plan is too old, or from the future; ``planned`` is that plan, to make it again."""

    def __init__(self, message: str, planned: PlanFile) -> None:
        super().__init__(message)
        self.planned = planned


def of_plan(approval: Approval, planned: PlanFile, typed: Collection[str]) -> Approval:
    """Return an approval with each name once; of two numbers the larger holds, unless typed."""
    names = dict[str, str]()
    for name in approval.names:
        names.setdefault(folded(name), name)
    kept = planned.begun.settings.get("approvals") or 0
    needed = approval.needed if "approvals" in typed else max(approval.needed, kept)
    return replace(approval, names=tuple(names.values()), needed=needed)


def that_count(names: Collection[str], preparer: str) -> list[str]:
    """Return the names of those who approve, without the preparer's own."""
    return [name for name in names if folded(name) != folded(preparer)]


def check(planned: PlanFile, path: Path, approval: Approval) -> None:
    """Raise Refused if too few people other than the preparer approve a plan."""
    if not approval.needed:
        return
    preparer = planned.begun.settings["prepared_by"]
    others = that_count(approval.names, preparer)
    if len(others) >= approval.needed:
        return
    people = "person" if approval.needed == 1 else "people"
    has = f"only that of {' and '.join(others)}" if others else "none"
    own = (
        " The preparer's own approval does not count." if len(others) < len(approval.names) else ""
    )
    raise Refused(
        f"Nothing was written: {path} was prepared by {preparer} and needs the approval of "
        f"{approval.needed} other {people} (--approvals {approval.needed}); it has {has}.{own} "
        f"Each person who approves it adds their own name to the command: --approved-by NAME."
    )


def check_age(planned: PlanFile, path: Path, valid_s: float) -> None:
    """Raise PlanExpired if a plan is too old, or if its age is not known."""
    made_s = planned.made.timestamp()
    age_s, made = time.time() - made_s, local(round(made_s * 1000))
    if age_s < -FAST_CLOCK_S:
        raise PlanExpired(
            f"Nothing was written: {path} was made on {made}, and by the clock of this machine it "
            f"is {local(round(time.time() * 1000))}. One of the two clocks is wrong, so the age "
            "of the plan is not known. Set the clock, or make a new plan",
            planned,
        )
    if age_s >= valid_s:
        days = math.ceil(age_s / _UNITS_S["d"])
        raise PlanExpired(
            f"Nothing was written: {path} was made on {made}, and is older than --plan-valid "
            f"{_span(valid_s)}. To apply it all the same, add --plan-valid {days}d. Better make a "
            "new plan",
            planned,
        )


def warn_of_late_names(earlier: Run, approval: Approval) -> None:
    """Warn of names missing in the record of a run to go on with."""
    before = set(map(folded, earlier.begun.settings.get("approved_by") or ()))
    late = [name for name in approval.names if folded(name) not in before]
    if late:
        log.warning(
            "Run %s goes on as it was approved when it began. The approval of %s comes too late "
            "to be recorded.",
            earlier.run_id,
            " and ".join(late),
        )


def _span(seconds: float) -> str:
    """Return a duration as it is typed."""
    unit = next((unit for unit, size in _UNITS_S.items() if seconds and seconds % size == 0), "s")
    return f"{seconds / _UNITS_S.get(unit, 1):g}{unit}"
