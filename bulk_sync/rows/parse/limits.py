"""Limits on the memory and the time of a process that parses files from strangers."""

import resource
import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder


def confine(bytes_: int, seconds: int) -> None:
    """Limit memory and CPU time of this process, and keep pandas out of it."""
    sys.meta_path.insert(0, _WithoutPandas())
    for what, most in {resource.RLIMIT_DATA: bytes_, resource.RLIMIT_CPU: seconds}.items():
        with suppress(ValueError):  # a lower limit is set from outside
            resource.setrlimit(what, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _WithoutPandas(MetaPathFinder):
    """Refuses the import of pandas by pyarrow: most of a second, and half of the memory."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Raise ImportError for pandas; leave every other module to the finders below."""
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)
