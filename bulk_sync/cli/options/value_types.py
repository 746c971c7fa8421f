"""What values of options may be. A type is a function; click shows the text of its ValueError."""

import os
import re
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from bulk_sync.remote import url

NAME: Final = "NAME"
"""What suggested commands have in place of a person's name."""

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZES: Final = ("", "K", "M", "G", "T")
_EMPTY: Final = "it is empty; an unset variable, perhaps."

T = TypeVar("T")


class Choice(click.Choice[T]):
    """One of these values; members of an enum are typed as their text."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """Return what is typed for a value."""
        return super().normalize_choice(str(choice), ctx)


class Whole(click.IntRange):
    """A whole number in a range; click calls a wrong one no valid integer range."""

    name = "whole number"


class Number(click.FloatRange):
    """A number in a range."""

    name = "number"


class FilledPath(click.Path):
    """Any path but an empty one, which would be the working directory, or a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail(_EMPTY, param, ctx)
        if isinstance(value, str) and url.is_url(value):
            shown = url.without_secrets(value)
            self.fail(f"{shown} is a URL. Name a path of this machine.", param, ctx)
        return super().convert(value, param, ctx)


class TextPath(FilledPath):
    """A path that is text in UTF-8, as Arrow and SQLite need it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        try:
            os.fsencode(value).decode()
        except UnicodeDecodeError:
            self.fail(f"{str(value)!r} is no text in UTF-8. Name another folder.", param, ctx)
        return super().convert(value, param, ctx)


FILE: Final = FilledPath(path_type=Path, dir_okay=False)
"""A file of this machine."""


class ReportName(click.Path):
    """A file, or a URL; several of them in a variable have ``:`` between them."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the values of a variable. A ``:`` before ``//`` is part of a URL."""
        return re.split(rf"{os.pathsep}(?!//)", rv)


class Bytes(int):
    """A number of bytes; its text is the one typed."""

    text: str

    def __str__(self) -> str:
        return self.text


def size(least: str = "1") -> Callable[[object], Bytes]:
    """Return the type of a number of bytes, or ``500KB``, ``1.5GB``, ``512MiB``."""

    def size_from_least(value: object) -> Bytes:
        number = _bytes(str(value))
        if number is None or number < (_bytes(least) or 0):
            how = f"write a size such as 200MB, 1.5GB or 512MiB, at least {least}"
            raise ValueError(f"{value!r}: {how}.")
        found = Bytes(number)
        found.text = str(value)
        return found

    return size_from_least


def duration(value: object) -> float:
    """Return the seconds of a number of them, or of ``90s``, ``30m``, ``2h``, ``1d``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(value).strip())
    if match is None:
        raise ValueError(f"{value!r}: write a number of seconds, or 90s, 30m, 2h, 1d.")
    return float(match[1]) * _UNITS_S[match[2]]


def period(value: object) -> float:
    """Return the seconds of a duration of at least a minute."""
    found = duration(value)
    if found < _UNITS_S["m"]:
        raise ValueError(f"{value!r}: a period takes a minute or more; write 30m, 12h or 1d.")
    return found


def time_of_day(value: object) -> time:
    """Return a time of day, such as 02:00."""
    try:
        found = time.fromisoformat(str(value).strip())
    except ValueError:
        found = time(second=1)
    if found != time(found.hour, found.minute):
        raise ValueError(f"{value!r}: write a time of day, such as 02:00 or 23:30.")
    return found


def filled(value: str) -> str:
    """Return any text but an empty one."""
    if not value:
        raise ValueError(_EMPTY)
    return value


def person(value: str) -> str:
    """Return the name of a person, its words separated by one blank."""
    text = " ".join(value.split())
    if text in {"", NAME} or not text.isprintable():
        raise ValueError(f"{text!r} is nobody: write the name of a person.")
    return text


def web_address(value: str) -> str:
    """Return the URL of a web server; a message does not show it, since it may be a secret."""
    text = value.strip()
    if not _is_web_address(text):
        raise ValueError("this is no URL; write it like https://hc-ping.com/UUID.")
    if urlsplit(text).username is not None or urlsplit(text).fragment:
        raise ValueError(
            "this URL has a user, a password or a part after #, and these are not sent; write it "
            "without them, like https://hc-ping.com/UUID."
        )
    return text


def network(value: str) -> IPv4Network | IPv6Network:
    """Return an address, or a range of them, such as ``10.1.0.0/16``."""
    try:
        return ip_network(value.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write it like 10.1.0.7 or 10.1.0.0/16.") from error


def address(value: str) -> str:
    """Return the name or address of a host; as in URLs, one of IPv6 may stand in brackets."""
    return re.sub(r"^\[(.*:.*)\]$", r"\1", filled(value.strip()))


def host_name(value: str) -> str:
    """Return the name of a host, as it stands in the address line of a browser."""
    text = address(value).rstrip(".")
    if re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+", text) is None:
        raise ValueError(f"{value!r}: write the name alone, such as optouts.example.com.")
    return text


def header_name(value: str) -> str:
    """Return the name of a header of HTTP."""
    text = filled(value.strip())
    if re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", text, re.ASCII) is None:
        raise ValueError(f"{value!r}: write the name alone, such as X-Forwarded-User.")
    return text


def validity(value: object) -> float:
    """Return the seconds of a duration that is more than nothing."""
    found = duration(value)
    if not found:
        raise ValueError(f"{value!r}: nothing would count for any time; write 30m, 24h or 2d.")
    return found


def _bytes(text: str) -> int | None:
    """Parse a size; return None if it is none. ``MB`` and ``M`` are millions, ``MiB`` is 2**20."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?))?B?", text.strip().upper())
    if match is None:
        return None
    base = 1024 if match[3] else 1000
    return int(Decimal(match[1]) * base ** _SIZES.index(match[2] or ""))


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return is_plain and has_host and parts.scheme in {"http", "https"}
