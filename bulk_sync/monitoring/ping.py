"""Pings in the protocol of healthchecks.io: a run began, and how it ended.

    POST URL/start?rid=UUID   ...   POST URL?rid=UUID, or URL/EXIT_STATUS?rid=UUID

The answer counts for nothing but its status. No redirect is followed: the URL is a secret.
"""

from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from bulk_sync import __version__
from bulk_sync.campaign.connections import proxy_for
from bulk_sync.errors import UsageProblem
from bulk_sync.monitoring.run_end import HookFailed, RunEnd
from bulk_sync.monitoring.time_budget import TimeBudget

EACH_S: Final = 5.0
"""Seconds for one ping, with all its tries."""

_TRIES: Final = 2
_HEADERS: Final = {
    "User-Agent": f"bulk-sync/{__version__}",
    "Content-Type": "text/plain; charset=utf-8",
}


class Pings:
    """The pings of one run to the URL of a check."""

    def __init__(self, url: str, time_budget: TimeBudget) -> None:
        self._url, self._rid, self._time_budget = url, str(uuid4()), time_budget
        self._tries = _TRIES

    def start(self) -> None:
        """Send that the run begins; if that fails, later pings are tried once."""
        if not self._send("/start", ""):
            self._tries = 1

    def end(self, end: RunEnd) -> None:
        """Send how the run ended, with its counts."""
        self._send(f"/{end.exit}" if end.exit else "", end.text)

    def _send(self, place: str, body: str) -> bool:
        parts = urlsplit(self._url)
        query = f"{parts.query}&rid={self._rid}".lstrip("&")
        path = parts.path.rstrip("/") + place if place else parts.path or "/"
        url = parts._replace(path=path, query=query).geturl()
        tries = self._tries
        return self._time_budget.spend("--ping", [lambda: _post(url, body, tries)], EACH_S)


def _post(url: str, body: str, tries: int) -> None:
    for left in reversed(range(tries)):
        try:
            status = _status(url, body, EACH_S / tries)
        except (OSError, HTTPException, UsageProblem) as error:
            why = f"no answer ({_reason(error)})."
        else:
            if status < 300:
                return
            why = f"HTTP status {status}."
            if status < 400:
                why += " It redirects, which is not followed: give the URL that it leads to."
            if status < 500:
                left = 0  # noqa: PLW2901  # the same again would not help
        if not left:
            raise HookFailed(why)


def _status(url: str, body: str, timeout_s: float) -> int:
    parts, proxy = urlsplit(url), proxy_for(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    host, port = str(parts.hostname), parts.port
    if proxy.url is None:
        connection = kind(host, port, timeout=timeout_s)
    else:
        connection = kind(str(proxy.url.host), proxy.url.port, timeout=timeout_s)
        connection.set_tunnel(host, port, dict(proxy.headers or {}))
    with closing(connection):
        target = parts._replace(scheme="", netloc="").geturl()
        connection.request("POST", target, body.encode(), _HEADERS)
        return connection.getresponse().status


def _reason(error: Exception) -> str:
    """Return why nothing came back; the texts of some errors hold the URL."""
    text = error.strerror if isinstance(error, OSError) else None
    return text or type(error).__name__
