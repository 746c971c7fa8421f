"""Publishes a file in a bucket: whole or not at all, and never over another one.

A file has the id of its run and its SHA-256 beside it. So an upload that was repeated, because its
answer was lost or its process was killed, is known again.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Final

from bulk_sync.errors import UsageProblem
from bulk_sync.remote.store import RemoteProblem, explained, open_store
from bulk_sync.remote.url import Url

_QUIET: Final = timedelta(minutes=30)
"""A store answers once it has everything, which a slow line takes long to send."""

_RUN: Final = "bulksyncrun"
_SHA256: Final = "bulksyncsha256"  # letters alone: Azure takes no others


def check(url: Url) -> None:
    """Raise UsageProblem if nothing can be published there; the store is not asked."""
    if not url.is_bucket or not url.name:
        raise UsageProblem(
            f"--report {url} cannot be written: it is no file in a bucket. Write it like "
            "s3://bucket/folder/{run_id}.csv."
        )
    open_store(url)


def publish(url: Url, path: Path, run_id: str, sha256: str) -> Url:
    """Upload a file, and return where it is.

    A file of the same run with other rows, from before it was resumed, stays: the new one has a
    number in its name.

    Raises:
        RemoteProblem: there is another file, or it cannot be written there.
        Unreachable: the store does not answer, or not now.
    """
    import obstore  # noqa: PLC0415 - an extra
    from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

    store = open_store(url, _QUIET)
    attributes = {_RUN: run_id, _SHA256: sha256}
    place = url
    for number in count(2):
        with explained(place):
            try:
                with content_of(path) as content:
                    obstore.put(store, place.key, content, mode="create", attributes=attributes)
            except AlreadyExistsError:
                there = obstore.get(store, place.key).attributes
            else:
                return place
        if there.get(_RUN) != run_id:
            raise RemoteProblem(f"{place} is there already, and is never overwritten.")
        if there.get(_SHA256) == sha256:
            return place
        place = _numbered(url, number)
    raise AssertionError


@contextmanager
def content_of(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Return the content of a file, in the disk's cache and not in our memory."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _numbered(url: Url, number: int) -> Url:
    folder, slash, name = url.key.rpartition("/")
    suffixes = "".join(PurePosixPath(name).suffixes[-2:])
    stem = name.removesuffix(suffixes)
    return url.at(f"{folder}{slash}{stem}.{number}{suffixes}")
