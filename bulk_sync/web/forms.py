"""The fields of a form, whatever bytes a browser sends."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

UNREADABLE: Final = (
    ValueError, LookupError, TypeError, AssertionError, RuntimeError,
    web.RequestPayloadError, HttpProcessingError,
)  # fmt: skip
"""What aiohttp raises if the body of a request is not what its headers say."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, by name; a field may stand several times in it."""

    fields: Mapping[str, Sequence[str]]

    @classmethod
    async def read(cls, request: web.Request) -> Self:
        """Read a form that holds no file.

        Raises:
            HTTPException: 400 if it is no form, 413 if it is too large.
        """
        try:
            data = await request.post()
        except UNREADABLE as error:
            raise web.HTTPBadRequest(
                text="The form could not be read, so nothing was done. Load the page again."
            ) from error
        fields = defaultdict[str, list[str]](list)
        for name, value in data.items():
            if isinstance(value, str):
                fields[name].append(clean(value))
        return cls(dict(fields))

    def text(self, name: str) -> str:
        """Return a field without outer blanks; "" if it is missing."""
        return self.fields.get(name, ("",))[0].strip()

    def secret(self, name: str) -> str:
        """Return a field as it was typed, blanks included; "" if it is missing."""
        return self.fields.get(name, ("",))[0]

    def texts(self, name: str) -> Sequence[str]:
        """Return all fields of a name."""
        return self.fields.get(name, ())


def clean(text: str) -> str:
    """Return a text that every database takes: valid Unicode without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
