"""Removes this program's own credentials from all quotes, logs and errors.

A short secret may be a part of any word, so in prose it stays: "S***opped by SIGTERM" helps no
reader. It goes where a header, a URL or a form shows it whole.
"""

import re
from typing import Final
from urllib.parse import quote

from bulk_sync.campaign.responses import Response, clean
from bulk_sync.errors import BulkSyncError, RetryLater, RowFailed
from bulk_sync.settings import Connection

_INSTEAD: Final = "***"
_LONG: Final = 16
_SHORT: Final = 8
"""Secrets with fewer characters stay in prose."""

_SHOWN: Final = r"""(?ix)
    ( \b(?:bearer|basic)\s+
    | (?:authorization|token|secret|passw(?:or)?d|pwd|credentials?)["']?\s*[=:]\s*["']?
    | [?&;][^\s=&;#?]+=
    | //[^\s/:@]*:(?=[^\s@]*@)
    )"""
_ENDS: Final = r"(?![\w%~.+-])"
"""What stands before and after a secret where one is shown as such."""


class Redaction:
    """The credentials of one run so far, plain and percent-encoded."""

    def __init__(self, connection: Connection) -> None:
        self._secrets: list[str] = []
        self._short: list[re.Pattern[str]] = []
        for secret in (connection.credentials.access_token, connection.credentials.client_secret):
            if secret is not None:
                self.add(secret.value)

    def add(self, secret: str) -> None:
        """Add a secret; long ones come first, because others may be parts of them."""
        known = {secret, quote(secret, safe="")}
        if len(secret) < _SHORT:
            spelled = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
            self._short.append(re.compile(f"{_SHOWN}(?-i:{spelled}){_ENDS}"))
        else:
            self._secrets = sorted({*self._secrets, *known}, key=len, reverse=True)

    def response(self, response: Response) -> Response:
        """Remove long secrets from a response before it is quoted and cut short.

        Short ones are left to ``error``: they may be parts of decisive words, and a part of
        them gives nothing away.
        """
        body, location = response.body, response.location or ""
        for secret in self._secrets:
            if len(secret) >= _LONG:
                body = body.replace(secret.encode(), _INSTEAD.encode())
                location = location.replace(secret, _INSTEAD)
        return response._replace(body=body, location=location)

    def text_of(self, error: BaseException) -> str:
        """Return the text of a library's error as one line, without secrets."""
        return clean(self._text(str(error) or type(error).__name__))

    def error(self, error: BulkSyncError) -> None:
        """Remove secrets from an error; every error of a request passes here."""
        error.args = tuple(self._text(str(each)) for each in error.args)
        if isinstance(error, RetryLater | RowFailed):
            error.detail = self._text(error.detail)

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _INSTEAD)
        for shown in self._short:
            text = shown.sub(rf"\1{_INSTEAD}", text)
        return text
