"""The number of examples of a property: some in each run of the tests, others each time.

``make torture`` tries many more.
"""

import os
from typing import Any, Final

from hypothesis import settings

TIMES: Final = int(os.environ.get("EXAMPLES_TIMES", "1"))
USUAL: Final = 40


def examples(count: int = USUAL, **given: Any) -> settings:
    """Return the settings of a test with a number of examples."""
    return settings(max_examples=count * TIMES, **given)
