"""Names of jobs: by default the input's file name without its digits. Pure.

``demandes 2026-11`` is ``demandes``, and not ``demandes -``: what stands behind the last blank, or
before the first one, goes if it is no letter. Older names, which have it, still count.
"""

import re
from collections.abc import Iterable
from typing import Final

_REST: Final = re.compile(r"^[\W_]*\s|\s[\W_]*$")


def of_stem(stem: str) -> str:
    """Return the name of the job of a file, by the stem of its name."""
    return _trimmed("".join(char for char in stem if not char.isdecimal())) or "input"


def is_same(past: str, now: str) -> bool:
    """Return whether a recorded name is that of a job, or an older spelling of it."""
    return now in {past, _trimmed(past)}


def among(names: Iterable[str], job: str) -> str | None:
    """Return the one of some names that is a job's; the very name wins over an older one."""
    same = [name for name in names if is_same(name, job)]
    return job if job in same else next(iter(same), None)


def _trimmed(name: str) -> str:
    return _REST.sub("", name)
