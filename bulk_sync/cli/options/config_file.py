"""The configuration file: how it is found and read, and what it may hold.

max-opt-ins = 5             for every command
[job.requests]              for the inputs of one job, in place of those above
key-column = "E-mail"
"""

import os
from collections.abc import Callable, Mapping
from datetime import date, time
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from bulk_sync.cli.options.option import DECLARED, Option, variable
from bulk_sync.errors import UsageProblem

FILE: Final = "bulk-sync.toml"
NEVER_TYPED: Final = ("access_token", "client_secret", "ledger")
"""What may also lie in a file of its own, which ``NAME_file`` names."""

HOOKS: Final = ("ping", "notify")
"""Options whose value is a secret, so that it may lie in such a file too."""

SECRETS: Final = (*NEVER_TYPED, *HOOKS)
"""Everything that may lie in a file of its own."""

_OF_ALL_JOBS: Final = frozenset(
    {"state_dir", "state_url", "job", *NEVER_TYPED, *(f"{name}_file" for name in NEVER_TYPED)}
)
"""What no table of a job may hold: a run is found, and resumed, without knowing its job."""

PAGE: Final = "page"
"""The variable of this name is set in the processes of the page: it says where their reports go."""

JOBS: Final = "job"
"""The table of the tables of jobs."""


def find() -> Path | None:
    """Return the file of the working directory; None if there is none, not even its name."""
    own, what = Path(FILE), "no file, or a link to a file that is not there"
    try:
        mode = own.stat().st_mode  # Path.is_file() hides since Python 3.14 that it may not look
        if S_ISREG(mode):
            return own
        what = "a folder" if S_ISDIR(mode) else what
    except OSError as error:
        is_there = os.path.lexists(own)
        if isinstance(error, PermissionError):
            if not is_there:
                raise
            what = f"a link to {own.readlink()}, which you may not read ({error.strerror})"
        if not is_there:
            return None
    raise UsageProblem(
        f"{FILE} cannot be read: it is {what}. The limits and lists that it should hold would not "
        "hold. Put the file there, or remove that name, or name another file with --config."
    )


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what stands at the top of a file, and its tables by job, neither of them checked.

    Raises:
        UsageProblem: it cannot be read, or is no TOML.
    """
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}. Check --config.") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is no UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        hint = ' A line is like organization = "acme", with the text in quotes.'
        raise UsageProblem(f"{path}: {error}. Correct it there.{hint}") from error
    return values, values.pop(JOBS) if isinstance(values.get(JOBS), dict) else {}


def options(place: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return values of a file by option, in the form of the command line.

    Raises:
        UsageProblem: there is no such option, or the value is none for it; ``place`` names the
            file, and the table in it.
    """
    known, found = names(), dict[str, object]()
    for written, value in values.items():
        name, spelled = written.replace("-", "_"), dashed(written)
        if name not in known:
            raise UsageProblem(f"{place}: there is no option {spelled!r}.{hint(name, dashed)}")
        if name in found:
            raise UsageProblem(
                f"{place}: {spelled} is there twice, with - and with _. Take one out."
            )
        found[name] = _checked(f"{place}: {spelled}", value, known[name])
    if os.environ.get(variable(PAGE)):
        found.pop("report", None)
    return found


def options_of_job(path: Path, job: str, table: object) -> dict[str, object]:
    """Do the same for the table of a job."""
    if not isinstance(table, dict):
        raise UsageProblem(
            f"{path}: [{JOBS}] holds nothing but tables of jobs, such as [{JOBS}.requests]. Put "
            f"{job!r} into one of them, or above the first table."
        )
    place = f"{path}, [{JOBS}.{job}]"
    found = options(place, table)
    for name in sorted(_OF_ALL_JOBS & set(found)):
        raise UsageProblem(
            f"{place}: {dashed(name)} holds for all jobs. Put it above the first table of {path}."
        )
    return found


def names() -> dict[str, Option | None]:
    """Return what a file may hold, by name; a secret belongs to no option."""
    known: dict[str, Option | None] = {each.key: each for each in DECLARED if each.key != "config"}
    return known | dict.fromkeys((*NEVER_TYPED, *(f"{name}_file" for name in SECRETS)))


def dashed(name: str) -> str:
    """Return the name of an option as people write it."""
    return name.replace("_", "-")


def hint(name: str, shown: Callable[[str], str]) -> str:
    """Return a sentence that names the most similar option; "" if there is none."""
    import difflib

    close = difflib.get_close_matches(name, names(), 1)
    return f" Did you mean {shown(close[0])}?" if close else ""


def _checked(place: str, value: object, option: Option | None) -> object:
    """Return a value of the file as the command line would hold it, to be judged alike."""
    if option is not None and option.is_flag:
        if isinstance(value, bool):
            return value
        raise UsageProblem(f"{place} is on or off: write true or false.")
    if option is not None and option.multiple:
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float | date | time):
        raise UsageProblem(f"{place} takes one value, not a table or a list.")
    return str(value)
