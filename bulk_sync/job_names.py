"""Names of jobs: by default the input's file name without its digits. Pure.

``demandes 2026-11`` is ``demandes``, and not ``demandes -``: what stands behind the last blank, or
before the first one, goes if it is no letter.
"""

import re
from typing import Final

_REST: Final = re.compile(r"^[\W_]*\s|\s[\W_]*$")


def of_stem(stem: str) -> str:
    """Return the name of the job of a file, by the stem of its name."""
    without_digits = "".join(char for char in stem if not char.isdecimal())
    return _REST.sub("", without_digits) or "input"
