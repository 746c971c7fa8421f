"""The states on a server, read beside its API, and inputs made of them.

The simulator returns them under ``/_simulator/``, ``far_end.py`` under ``/_``.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def get_json(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """GET JSON from this machine."""
    host = urlsplit(url).netloc
    with closing(HTTPConnection(host)) as connection:
        connection.request("GET", url.partition(host)[2], headers=headers or {})
        answer = connection.getresponse()
        assert answer.status == 200, answer.reason
        return json.load(answer)


def states(url: str, rows: int | None = None) -> dict[str, bool]:
    """Return the opt-outs of the first profiles, by key."""
    return {key: bool(state) for key, state in islice(get_json(url).items(), rows)}


def desired_states(current: Mapping[str, bool], changes: int) -> dict[str, bool]:
    """Return desired states: of the first profiles the other ones, of the rest the same."""
    return {key: state != (at < changes) for at, (key, state) in enumerate(current.items())}


def write_desired(path: Path, desired: Mapping[str, bool]) -> Path:
    """Write desired states as an input of a run."""
    rows = [f"{key},{str(state).lower()}" for key, state in desired.items()]
    path.write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    return path
