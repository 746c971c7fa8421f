"""The store of a URL, and what its errors mean.

    error of a store --problem--> Unreachable        exit 6   nothing answers, or not now
                                  Changed            exit 2   it is another file by now
                                  RemoteProblem      exit 2   not there, not allowed, wrong settings

The errors of obstore are texts. They are sorted by the codes that the clouds put there.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bulk_sync.errors import InputProblem, StoppedEarly, StopRun, UsageProblem
from bulk_sync.remote.url import Url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CONNECT: Final = timedelta(seconds=10)
_WHOLE: Final = timedelta(hours=12)
"""Of one request: a large file takes long, so ``quiet`` ends a request that does not move."""

_PREFIXES: Final = ("AWS", "AZURE", "GOOGLE")
_RETRY: Final[Any] = {"max_retries": 6, "retry_timeout": timedelta(minutes=2)}


class RemoteProblem(InputProblem):
    """A remote file is not there, or may not be read."""


class Changed(RemoteProblem):
    """A remote file is another one than before."""


class Unreachable(StoppedEarly):
    """A store does not answer, or not now."""


_NO_BUCKET: Final = "there is no such bucket. Check its name, and the account of the credentials."
_REGION: Final = "the bucket is in another region. Set AWS_REGION to the region of the bucket."
_REFUSED: Final = "the store does not accept the credentials. They may have expired; renew them."
_NO_CREDENTIALS: Final = (
    "no credentials were found for it. Set them by the rules of the cloud: its variables, a "
    "profile, or the role of this machine."
)
_FORBIDDEN: Final = "the store does not permit it. Let its owner grant these credentials access."

_NOT_ENCRYPTED: Final = (
    "the address of the store in the environment begins with http://, which is not encrypted. "
    "Write https://, or, for a store on this machine or network, set AWS_ALLOW_HTTP=true (of other "
    "clouds: AZURE_ALLOW_HTTP, GOOGLE_ALLOW_HTTP)."
)

_AT_ONCE: Final = {
    r"BadScheme": _NOT_ENCRYPTED,
    r"NoSuchBucket|ContainerNotFound|bucket does not exist": _NO_BUCKET,
    r"without LOCATION|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocation": _REGION,
    r"169\.254\.169\.254|metadata\.google|MissingAccount": _NO_CREDENTIALS,
}
_NOT_NOW: Final = (
    r"kind: (Connect|Timeout|Request|Interrupted|Decode)|error sending|status: (5\d\d|429|408)"
)
_FOR_GOOD: Final = {
    r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|InvalidClientTokenId": (
        _REFUSED
    ),
    r"AuthenticationFailed|AuthorizationFailure\b|status: 401|invalid_grant": _REFUSED,
    r"[Cc]redential": _NO_CREDENTIALS,
    r"status: 403|PermissionDenied|AccessDenied|Forbidden": _FORBIDDEN,
}
_ABSENT: Final = r"status: 404|NotFound"


@contextmanager
def explained(name: object, then: str = "") -> Iterator[None]:
    """Raise the errors of a store as ours; ``then`` is what follows if it cannot be reached."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise problem(name, error, then) from None  # its text may hold a secret


def problem(name: object, error: Exception, then: str) -> StopRun:
    """Return what an error of a store means."""
    from obstore.exceptions import PreconditionError  # noqa: PLC0415

    if isinstance(error, PreconditionError):
        return changed(name)
    text = str(error)
    if why := _why(text, _AT_ONCE):
        return RemoteProblem(f"{name} cannot be used: {why}")
    if re.search(_NOT_NOW, text):
        return Unreachable(
            f"{name} cannot be reached: the store does not answer, or not now. {then}".rstrip()
        )
    if why := _why(text, _FOR_GOOD):
        return RemoteProblem(f"{name} cannot be used: {why}")
    if re.search(_ABSENT, text):
        return RemoteProblem(f"{name} is not there. Check the name.")
    return RemoteProblem(
        f"{name} cannot be used: the store's answer makes no sense. Check the URL, and the "
        "settings of the cloud in the environment."
    )


def _why(text: str, causes: Mapping[str, str]) -> str | None:
    return next((why for pattern, why in causes.items() if re.search(pattern, text)), None)


def changed(name: object) -> Changed:
    """Return the error about a file that was replaced."""
    return Changed(
        f"{name} changed while it was read. Run again when it is complete; nothing was sent."
    )


def open_store(url: Url, quiet: timedelta = timedelta(minutes=1)) -> "ObjectStore":
    """Open the bucket of a URL; no request may be without a byte for longer than ``quiet``.

    Raises:
        UsageProblem: the extra is missing, or there are no credentials.
    """
    try:
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError as error:
        raise UsageProblem(
            f"{url} needs an extra library. Install it: pip install 'bulk-sync[cloud]'."
        ) from error
    times = {"connect_timeout": _CONNECT, "timeout": _WHOLE, "read_timeout": quiet}
    with explained(url):
        if url.scheme == "s3" and os.environ.get("AWS_SKIP_SIGNATURE", "").lower() != "true":
            return _s3(url, times)
        is_plain = any(os.environ.get(f"{name}_ALLOW_HTTP") == "true" for name in _PREFIXES)
        options: Any = {**times, "allow_http": is_plain}
        return from_url(f"{url.scheme}://{url.bucket}", client_options=options, retry_config=_RETRY)


def _s3(url: Url, times: dict[str, timedelta]) -> "ObjectStore":
    """Open a bucket with the credentials that the AWS command line would use, profiles included."""
    from boto3.session import Session  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    try:
        session = Session()
        provider = Boto3CredentialProvider(session)
    except (BotoCoreError, ValueError):
        raise RemoteProblem(f"{url} cannot be used: {_NO_CREDENTIALS}") from None
    region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    texts = {name: f"{int(time.total_seconds())}s" for name, time in times.items()}
    config: Any = {**texts, "region": region}  # beside what the environment says
    return S3Store(url.bucket, config=config, credential_provider=provider, retry_config=_RETRY)
