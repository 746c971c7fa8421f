"""URLs of inputs and reports: what they name, and how they may be shown and recorded."""

import re
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import check_host, is_loopback

BUCKETS: Final = ("s3", "gs", "az")
"""The schemes of buckets: Amazon S3, Google Cloud Storage, Azure Blob Storage."""

_WEB: Final = ("https", "http")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://", re.ASCII)
_USER: Final = re.compile(r"(?<=://)([^/?#]*@|[^/?#@\[]*:(?!\d*([/?#]|$)).*@)", re.DOTALL)
"""A user and password; also one with a slash, which looks like a host with a wrong port."""

_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{1,221}", re.ASCII)


class InputUrl(str):
    """An input as it may be shown and recorded; the secret parts of its URL stay apart.

    Whatever is made of it, such as a copy or a part, has lost them.

    Attributes:
        whole: the URL with its user and query.
    """

    __slots__ = ("whole",)
    whole: str

    def __new__(cls, text: str) -> Self:
        """Keep the text, and show it without user, query and fragment."""
        source = super().__new__(cls, without_secrets(text))
        source.whole = text
        return source


@dataclass(frozen=True, slots=True)
class Url:
    """The place of a file, a folder or a pattern.

    Attributes:
        scheme: one of ``BUCKETS``, or ``https``; ``http`` on this machine alone.
        bucket: its bucket, container or host.
        key: what stands after that.
    """

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Parse a URL.

        Raises:
            UsageProblem: it names no file that can be reached.
        """
        shown = without_secrets(text)
        scheme, _, rest = shown.partition("://")
        scheme = scheme.lower()
        bucket, _, key = rest.partition("/")
        if scheme in _WEB:
            _check_web(scheme, text, shown)
        elif scheme not in BUCKETS or not _BUCKET.fullmatch(bucket):
            raise UsageProblem(
                f"{shown} is no URL of a file. Write it like s3://bucket/folder/file.csv, or with "
                "gs:// or az://; an input may also be https://host/file.csv."
            )
        return cls(scheme, bucket, key)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def is_bucket(self) -> bool:
        """Return whether it is in a bucket, where several files can be found."""
        return self.scheme in BUCKETS

    @property
    def name(self) -> str:
        """Return its last part, as the name of a file."""
        return unquoted(str(self)).rpartition("/")[2]

    def at(self, key: str) -> "Url":
        """Return the URL of another key in the same bucket."""
        return replace(self, key=key)


def is_url(text: str) -> bool:
    """Return whether a text is a URL, of whatever scheme."""
    return _URL.match(text) is not None


def source(text: str) -> str:
    """Return an input as it may be shown and recorded."""
    return InputUrl(text) if is_url(text) else text


def unquoted(source: str) -> str:
    """Return an input whose last part is the name of a file, without the quoting of the web."""
    folder, slash, last = source.rpartition("/")
    if source.partition("://")[0].lower() not in _WEB:
        return source
    name = re.sub(r"[/\0]", "_", unquote(last))
    return f"{folder}{slash}{name}"


def without_secrets(text: str) -> str:
    """Return a URL without its user; on the web without query and fragment, too."""
    text = _USER.sub("", text)
    is_web = text.partition("://")[0].lower() in _WEB
    return re.split(r"[?#]", text, maxsplit=1)[0] if is_web else text


def _check_web(scheme: str, text: str, shown: str) -> None:
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else None
        check_host(host or "")
    except ValueError:
        host = None
    if not host:
        raise UsageProblem(f"{shown} is no URL: it names no host. Write https://host/file.csv.")
    if scheme == "http" and not is_loopback(host):
        raise UsageProblem(
            f"{shown} would be sent unencrypted. Use https; plain http is for a server on this "
            "machine."
        )
