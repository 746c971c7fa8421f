"""The templates: escaped, with the words and pictures of the reports.

Times are shown in the zone of this machine, which is named; the script shows them in the reader's.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bulk_sync import __version__
from bulk_sync.amounts import count
from bulk_sync.ledger import local
from bulk_sync.report import charts, wording
from bulk_sync.report.facts import PAST_RUNS, STATES
from bulk_sync.web import choices
from bulk_sync.web.identity import Right

NOTES: Final[Mapping[str, str]] = {
    "signed-out": "You are signed out.",
    "all-ended": "All your sessions have ended, on every device.",
    "asked": "Approval was asked for. Give the address of this page to the person who is to "
    "approve: the plan waits on their start page too.",
    "raised": "The limit is raised for this plan, and your reason is recorded.",
    "approved": "Your approval is recorded.",
    "sent-back": "The plan was sent back, with your comment.",
    "resumed": "The run goes on. You may close this page.",
    "stopping": "The run was asked to stop. It finishes what is in flight first.",
    "has-ended": "It has ended already.",
    "checked-again": "You changed the columns, so the file was checked again. If the verdict is "
    "right, press Compare with Campaign once more.",
    "checked-since": "The file was checked again since you opened the page. Look at the verdict, "
    "then compare.",
}
"""Sentences that a screen shows once, after a button was pressed; ``page.go(path, NAME)``."""

PROBLEMS: Final[Mapping[int, str]] = {
    400: "This could not be understood",
    401: "Please sign in",
    403: "You may not do this",
    404: "There is no such page",
    405: "This cannot be done here",
    409: "This is not possible now",
    410: "This is no longer kept",
    413: "This is too large",
    415: "This kind of file cannot be read",
    429: "Too many attempts",
    500: "An unexpected error, a bug",
    503: "This is not possible now",
}

_OPTION: Final = re.compile(r"(?<![\w-])--[a-z]")
_WHOM_TO_ASK: Final = (
    " Ask the person who looks after this page about words that begin with two hyphens."
)


class Renderer:
    """Renders templates of the page; those of reports are at hand too, such as the charts."""

    def __init__(self) -> None:
        own, reports = PackageLoader("bulk_sync.web"), PackageLoader("bulk_sync.report")
        self._environment = Environment(
            loader=ChoiceLoader([own, reports]),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._environment.filters |= {
            "time": time,
            "code": code,
            "message": message,
            "number": "{:,}".format,
            "spoken": wording.spoken,
        }
        self._environment.globals |= {
            "Right": Right,
            "NOTES": NOTES,
            "PROBLEMS": PROBLEMS,
            "charts": charts,
            "wording": wording,
            "count": count,
            "states": STATES,
            "past_runs": PAST_RUNS,
            "version": __version__,
            "style": _tagged("style.css"),
            "script": _tagged("page.js"),
        }

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a page as HTML."""
        return self._environment.get_template(template).render(values)


def time(at_ms: int) -> Markup:
    """Return a time for people: by this machine's clock, until the script finds the reader's."""
    utc = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(utc.replace("+00:00", "Z"), local(at_ms))


def code(text: object) -> Markup:
    """Return a message in words of the page, with what stands between backquotes as code."""
    parts = re.split(r"`([^`]*)`", choices.in_words(str(text)))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part)
        for at, part in enumerate(parts)
    )


def message(text: object) -> Markup:
    """Return what a process says, and whom to ask if it names options that are not on the page."""
    shown = code(text)
    return shown + _WHOM_TO_ASK if _OPTION.search(shown) else shown


@cache
def static_file(name: str) -> bytes:
    """Return a file that browsers load; the style sheet begins with that of the reports."""
    static = files("bulk_sync.web") / "static"
    if name != "style.css":
        return (static / name).read_bytes()
    reports = files("bulk_sync.report") / "templates" / name
    return reports.read_bytes() + (static / "page.css").read_bytes()


def _tagged(name: str) -> str:
    """Return the path of a static file; it changes with the content, since browsers keep it."""
    return f"/static/{name}?v={sha256(static_file(name)).hexdigest()[:12]}"
