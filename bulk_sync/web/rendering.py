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

from jinja2 import Environment
from markupsafe import Markup

from bulk_sync.ledger import local
from bulk_sync.report import html_file
from bulk_sync.web import choices
from bulk_sync.web.identity import Right

NOTES: Final[Mapping[str, str]] = {
    "signed-out": "You are signed out.",
    "asked": "Approval was asked for. Give the address of this page to the person who is to "
    "approve: the plan waits on their start page too.",
    "raised": "The limit is raised for this plan, and the reason is recorded.",
    "approved": "Your approval is recorded.",
    "sent-back": "The plan was sent back, with the comment.",
    "withdrawn": "Your request is withdrawn. Nobody can approve the plan until it is asked for.",
    "resumed": "The run goes on. You may close this page.",
    "stopping": "The run was asked to stop. It finishes what is in flight first.",
    "has-ended": "It has ended already.",
    "discarded": "The file is discarded. It was not compared, and nothing was changed in Campaign.",
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

_OPTION: Final = re.compile(r"(?<![\w-])--[a-z]|BULK_SYNC_")
_WHOM_TO_ASK: Final = (
    " Show this to the person who looks after this page: it names settings that they can change."
)


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page, or a part of one, as HTML."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    found = html_file.environment("bulk_sync.web", "bulk_sync.report")
    found.filters |= {"time": time, "code": code, "message": message}
    found.globals |= {
        "Right": Right,
        "NOTES": NOTES,
        "PROBLEMS": PROBLEMS,
        "style": _tagged("style.css"),
        "script": _tagged("page.js"),
    }
    return found


def time(at_ms: int) -> Markup:
    """Return a time for people: by this machine's clock, until the script finds the reader's."""
    utc = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(utc.replace("+00:00", "Z"), local(at_ms))


def code(text: object) -> Markup:
    """Return a message in words of the page, with what stands between backquotes as code."""
    return html_file.with_code(choices.in_words(str(text)))


def message(text: object) -> Markup:
    """Return what a process says, and whom to ask if it names settings that are not on the page."""
    shown = code(text)
    is_asking = _OPTION.search(shown) and choices.KEEPER not in shown
    return shown + _WHOM_TO_ASK if is_asking else shown


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
