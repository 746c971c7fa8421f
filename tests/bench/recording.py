"""The cost of the ledger, at a rate within a possible contract."""

from collections.abc import Iterator

from calling import FAR_END, program
from measuring import Line, compare, served

WRITES = 100_000
WRITES_A_SECOND = 2_000


def lines() -> Iterator[Line]:
    """Yield the cost of writes with the ledger beside the same without."""
    with served([*FAR_END, "--profiles", str(WRITES)]) as url:
        words = [*program("write_states.py"), url, str(WRITES), str(WRITES_A_SECOND)]
        yield compare(
            f"write {WRITES:,} states at {WRITES_A_SECOND:,}/s / the same, unrecorded",
            [*words, "ledger"],
            [*words, "nothing"],
            (1.1, 500),
            rounds=1,
        )
