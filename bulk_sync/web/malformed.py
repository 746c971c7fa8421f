"""What the log holds of a request that is no valid HTTP: that there was one.

aiohttp logs the line that it could not read, with the address of its sender. That line may be one
with a cookie, with the token of a sign-in, or with a key.
"""

import logging

from aiohttp.http_exceptions import HttpProcessingError


def without_content(record: logging.LogRecord) -> bool:
    """Remove the content of such a request from a record of the log, and let the record pass."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "A request that is no valid HTTP was refused.", ()
        record.exc_info = record.exc_text = None
    return True
