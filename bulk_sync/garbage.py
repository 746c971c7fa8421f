"""When the interpreter collects garbage: never among what was imported.

Imports make some 190,000 objects for the life of the process. To visit them again and again took
a fifth of a run of one row.
"""

import gc
from functools import cache
from typing import Final

_OBJECTS_OF_IMPORTS: Final = 300_000
_OBJECTS_OF_WORK: Final = 10_000
"""New objects after which the interpreter collects garbage."""


def put_off() -> None:
    """Collect nothing until all is imported."""
    gc.set_threshold(_OBJECTS_OF_IMPORTS)


@cache
def spare_imports() -> None:
    """Collect among new objects alone from now on."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_OF_WORK)
