"""Requests from the wire; a path is split before it is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Call:
    """A request; its ``target`` is path and query, exactly as sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def raw_path(self) -> str:
        """The path as sent; a client with this server as its proxy sends a whole URL."""
        path = self.target.partition("?")[0]
        return urlsplit(path).path if path.startswith("http://") else path

    @property
    def query(self) -> str:
        """The query as sent, without its question mark."""
        return self.target.partition("?")[2]

    @cached_property
    def segments(self) -> list[str]:
        """The path's segments, decoded one by one.

        Empty ones are ignored, for ``profile//_count``. Plain ``.`` and ``..`` are resolved, as by
        any proxy; encoded as ``%2E`` they are text.
        """
        resolved: list[str] = []
        for segment in self.raw_path.split("/"):
            if segment == "..":
                resolved[-1:] = []
            elif segment not in ("", "."):
                wire = segment.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                resolved.append(unquote(wire))
        return resolved

    @cached_property
    def params(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """Parse the body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class ReceivedRequest(Call):
    """A request with its result.

    Attributes:
        status: of the answer; 0 if there was none, or not in time.
        at: seconds since the epoch.
    """

    status: int
    at: float
