"""The rooms of measurements, by name."""

import beside
import browsing
import calling
import opening
import reading
import recording
import reporting
import vast
from measuring import Line

ROOMS = {
    "beside": beside.lines,
    "browsing": browsing.lines,
    "calling": calling.lines,
    "confined": vast.confined,
    "huge": reading.huge,
    "limits": calling.limits,
    "opening": opening.lines,
    "reading": reading.lines,
    "recording": recording.lines,
    "reporting": reporting.lines,
    "vast": vast.lines,
}

ONLY_IF_NAMED = {"browsing", "huge", "vast"}


def show(line: Line) -> None:
    most = "-" if line.most is None else f"{line.most:.1f}"
    print(
        f"{line.what:78}{line.seconds:7.2f}{line.reference_seconds:8.2f}{line.ratio:7.2f}"
        f"{most:>6}{line.peak_mb:9.0f}{line.most_mb:6.0f}"
        f"{'' if line.kept else '  MISSED'}",
        flush=True,
    )


def measure_room(room: str) -> list[Line]:
    """Measure one room, and show each line at once."""
    lines = []
    for line in ROOMS[room]():
        show(line)
        lines.append(line)
    return lines
