"""How values are written into the files of others, so that each reads what was meant.

    sh          shlex.quote; a path with a date goes through date(1)
    crontab     a % ends a command, unless a backslash is before it
    unit file   % begins a specifier, $ a variable, and quotes are C's
    YAML, JSON  JSON, which YAML can read

None can hold a line break, except the last.
"""

import json
import re
import shlex
from typing import Final

from bulk_sync.errors import UsageProblem

_DATE_PART: Final = re.compile(r"%[A-Za-z%]")
_PLAIN: Final = re.compile(r"[\w@+=:,./{}~-]+")


def has_date(path: str) -> bool:
    """Return whether a path has parts of a date, such as ``%Y-%m-%d``."""
    return _DATE_PART.search(path) is not None


def shell_word(path: str) -> str:
    """Return a path as a word of sh; date(1) fills in the parts of a date."""
    text = one_line(path)
    return f'"$(date {shlex.quote(f"+{text}")})"' if has_date(text) else shlex.quote(text)


def cron_command(command: str) -> str:
    """Return a command as a crontab has it."""
    return one_line(command).replace("%", r"\%")


def cron_value(value: object) -> str:
    """Return the value of a variable as a crontab has it."""
    text = one_line(str(value))
    if text and text == text.strip() and text[0] not in "\"'":
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def systemd_value(value: object) -> str:
    """Return a value that is not split into words, as a unit file has it."""
    return one_line(str(value)).replace("%", "%%")


def systemd_word(value: object) -> str:
    """Return one of several words of a value, as a unit file has it."""
    text = systemd_value(value)
    if _PLAIN.fullmatch(text.replace("%%", "")):
        return text
    return '"{}"'.format(text.replace("\\", r"\\").replace('"', r"\""))


def systemd_argument(value: object) -> str:
    """Return an argument of a command, as a unit file has it."""
    return systemd_word(value).replace("$", "$$")


def as_json(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """Return a text; raise UsageProblem if it has a line break, which would make another file."""
    if not text.isprintable():
        raise UsageProblem(f"{text!r} has a character that no recipe can hold. Rename it.")
    return text
