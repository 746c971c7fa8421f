"""What a server tells beside its API, and what is wished of the profiles that it holds.

The simulator tells it under ``/_simulator/``, the far end of ``far_end.py`` under ``/_``.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def asked(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """GET JSON from this machine."""
    host = urlsplit(url).netloc
    with closing(HTTPConnection(host)) as connection:
        connection.request("GET", url.partition(host)[2], headers=headers or {})
        answer = connection.getresponse()
        assert answer.status == 200, answer.reason
        return json.load(answer)


def states(url: str, rows: int | None = None) -> dict[str, bool]:
    """Ask for the opt-outs of the first so many profiles, by key."""
    return {key: bool(state) for key, state in islice(asked(url).items(), rows)}


def wished(current: Mapping[str, bool], changes: int) -> dict[str, bool]:
    """Wish of the first so many profiles what they do not hold, of the others what they do."""
    return {key: state != (at < changes) for at, (key, state) in enumerate(current.items())}


def write_wishes(path: Path, wishes: Mapping[str, bool]) -> Path:
    """Write wishes as the file that a run reads."""
    rows = [f"{key},{str(state).lower()}" for key, state in wishes.items()]
    path.write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    return path
