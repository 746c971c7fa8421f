"""When the interpreter looks for garbage: not among what was imported.

Imports make some 190,000 objects that stay as long as the process does. To look through them again
and again, while importing and once more at the end, took a fifth of a run of one row.
"""

import atexit
import gc
from typing import Final

_OBJECTS_OF_IMPORTS: Final = 300_000
_OBJECTS_OF_WORK: Final = 10_000
"""New objects after which the interpreter looks for garbage."""


def put_off() -> None:
    """Look for none until all is imported, nor at the very end."""
    gc.set_threshold(_OBJECTS_OF_IMPORTS)
    atexit.register(gc.freeze)


def spare_imports() -> None:
    """Leave what is there alone from now on, and look among what is new."""
    if not gc.get_freeze_count():
        gc.freeze()
        gc.set_threshold(_OBJECTS_OF_WORK)
