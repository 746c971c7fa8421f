"""The geometry of the charts of a report; templates draw them.

Lengths are shares of the whole in percent, so a chart has any width and its texts keep their size.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from bulk_sync.outcomes import Outcome
from bulk_sync.report.facts import PAST_RUNS, STATES, PastRun
from bulk_sync.report.wording import OUTCOMES, Tone

_LEAST_SHARE: Final = 1.2
"""Percent; what is there at all can be seen."""

_SIGN_SHARE: Final = 3.0
"""Percent; a narrower part has no room for its sign."""

_MOST_BARS: Final = 12


class BarPart(NamedTuple):
    """A part of a stacked bar."""

    x: float
    width: float
    tone: Tone
    sign: str


class Bar(NamedTuple):
    """A bar with a name; its length is in percent of the longest."""

    name: str
    number: int
    width: float


class Cell(NamedTuple):
    """A cell of a matrix; ``shade`` is how dark it is, ``word`` says what the change is."""

    column: int
    row: int
    number: int
    shade: float
    tone: Tone
    word: str


class Panel(NamedTuple):
    """One figure of all runs: columns 1 wide and at most 100 high, the newest at the right."""

    name: str
    most: int
    tone: Tone
    path: str


def stacked(counts: Mapping[Outcome, int]) -> Iterator[BarPart]:
    """Yield the parts of one bar."""
    total = sum(counts.values()) or 1
    shares = {each: max(100 * number / total, _LEAST_SHARE) for each, number in counts.items()}
    x, scale = 0.0, 100 / (sum(shares.values()) or 1)
    for outcome, share in shares.items():
        sign, tone, _ = OUTCOMES[outcome]
        width = share * scale
        yield BarPart(round(x, 2), round(width, 2), tone, sign if width >= _SIGN_SHARE else "")
        x += width


def bars(counts: Mapping[str, int]) -> list[Bar]:
    """Return a bar for each of the first counts."""
    most = max(counts.values(), default=0) or 1
    first = list(counts.items())[:_MOST_BARS]
    return [Bar(name, number, round(100 * number / most, 2)) for name, number in first]


_WORDS: Final = {(1, 0): ("forbidden", Tone.DONE), (0, 1): ("allowed", Tone.PERSON)}


def cells(matrix: Sequence[Sequence[int]]) -> Iterator[Cell]:
    """Yield the cells of the states before, downwards, and after, to the right."""
    most = max(map(max, matrix)) or 1
    for row, counts in enumerate(matrix):
        for column, number in enumerate(counts):
            word, tone = _WORDS.get((row, column), ("", Tone.QUIET))
            if row == column and STATES[row] != "unknown":
                word = "as before"
            shade = 0.1 + 0.25 * number / most if number else 0.0
            yield Cell(column, row, number, round(shade, 2), tone, word)


def panels(past: Sequence[PastRun]) -> list[Panel]:
    """Return the rows, changes and failures of runs as columns."""
    figures = {"rows": Tone.PLANNED, "changes": Tone.PLANNED, "failures": Tone.FAILED}
    return [_panel(each, tone, list(map(attrgetter(each), past))) for each, tone in figures.items()]


def _panel(name: str, tone: Tone, numbers: Sequence[int]) -> Panel:
    most = max(numbers, default=0)
    heights = [round(100 * number / (most or 1)) for number in numbers]
    columns = enumerate(heights, start=PAST_RUNS - len(heights))
    path = "".join(f"M{at} 100v-{height}h.8V100z" for at, height in columns if height)
    return Panel(name, most, tone, path)
