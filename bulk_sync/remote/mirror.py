"""The checkpoint of a run in a bucket too, so that another machine can resume the run.

    STATE_URL/RUN_ID/manifest.json                  which objects are the checkpoint, and who writes
    STATE_URL/RUN_ID/WRITER-000001-rows.parquet     its files, each under a name of its own

A file is uploaded first. Then the manifest that names it replaces the one that this process wrote
last, and no other. So half an upload is never seen, and a process that was cut off while another
one took the run over cannot add anything: it stops, and the lock in the ledger decides who works.
"""

import logging
import re
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from bulk_sync.errors import StoppedEarly, StopRun, UsageProblem, unwritable
from bulk_sync.remote.store import explained, open_store
from bulk_sync.remote.upload import content_of
from bulk_sync.remote.url import Url
from bulk_sync.settings import RUN_ID_PATTERN
from bulk_sync.storage import atomic

log = logging.getLogger(__name__)

_MANIFEST: Final = "manifest.json"
_TRIES: Final = 3
_CHUNK: Final = 1 << 20


class Mirror:
    """The checkpoint of one run, in the folder of all runs in a bucket.

    Raises:
        UsageProblem: it is no URL of a bucket, or the extra or the credentials are missing.
    """

    def __init__(self, state_url: str, run_id: str) -> None:
        url = _folder(state_url)
        self._folder = url.at(f"{url.key}/{run_id}".lstrip("/"))
        self._run_id, self._writer = run_id, secrets.token_hex(4)
        self._store = open_store(url)
        self._files: dict[str, tuple[str, str]] = {}  # object and SHA-256, by name
        self._version: Any = None
        self._count, self._lock = 0, threading.Lock()

    def exists(self) -> bool:
        """Return whether a checkpoint is there; raise StoppedEarly if that cannot be known."""
        with _stopping(self._folder):
            return self._manifest() is not None

    def keep(self, path: Path) -> None:
        """Upload a file of the checkpoint, in place of an older one of its name.

        Raises:
            StoppedEarly: it cannot be uploaded, or another process has taken the run over.
        """
        import obstore  # noqa: PLC0415 - an extra

        with self._lock, _stopping(self._folder), content_of(path) as content:
            self._count += 1
            name = f"{self._writer}-{self._count:06}-{path.name}"
            obstore.put(self._store, self._key(name), content, use_multipart=False)
            self._files[path.name] = name, sha256(content).hexdigest()
            self._replace_manifest()

    def drop(self, name: str) -> None:
        """Take a file out of the checkpoint, if it is there."""
        with self._lock, _stopping(self._folder):
            if self._files.pop(name, None) is not None:
                self._replace_manifest()

    def take_over(self) -> bool:
        """Become the only process that can change the checkpoint; return whether there is one."""
        for tries_left in reversed(range(_TRIES)):
            with _stopping(self._folder):
                found = self._manifest()
                if found is None:
                    return False
                self._files, self._version = found
                try:
                    self._replace_manifest()
                except _TakenOver:
                    if not tries_left:
                        raise
                else:
                    return True
        raise AssertionError

    def fetch(self, folder: Path) -> bool:
        """Download the checkpoint into a folder; return whether there is one.

        Raises:
            StoppedEarly: it cannot be downloaded, or not all of it is there.
        """
        import obstore  # noqa: PLC0415

        with _stopping(self._folder):
            found = self._manifest()
            if found is None:
                return False
            atomic.make_folder(folder)
            for old in (*folder.glob("*.parquet"), *folder.glob("*.json")):
                if old.name not in found[0]:
                    old.unlink()
            for name, (there, digest) in found[0].items():
                chunks = obstore.get(self._store, self._key(there)).stream(min_chunk_size=_CHUNK)
                with _writing(folder / name) as file:
                    hashed = sha256()
                    for chunk in chunks:
                        hashed.update(chunk)
                        file.write(chunk)
                    if hashed.hexdigest() != digest:
                        raise StoppedEarly(f"{self._folder.at(self._key(there))} is damaged.")
        return True

    def remove(self) -> bool:
        """Remove the checkpoint, the manifest first; log a warning and return False if it stays."""
        import obstore  # noqa: PLC0415

        try:
            with explained(self._folder):
                listed = obstore.list(self._store, self._folder.key)
                keys = [each["path"] for chunk in listed for each in chunk]
                keys.sort(key=lambda key: not key.endswith(f"/{_MANIFEST}"))
                for key in keys:
                    obstore.delete(self._store, key)
        except StopRun as problem:
            log.warning("The checkpoint of run %s was not removed: %s", self._run_id, problem)
            return False
        return True

    def _manifest(self) -> tuple[dict[str, tuple[str, str]], Any] | None:
        import obstore  # noqa: PLC0415

        try:
            result = obstore.get(self._store, self._key(_MANIFEST))
        except FileNotFoundError as error:
            if "NoSuchKey" in str(error) or "BlobNotFound" in str(error):
                return None
            raise
        files = orjson.loads(bytes(result.bytes()))["files"]
        return {name: (there, digest) for name, (there, digest) in files.items()}, _version(
            result.meta
        )

    def _replace_manifest(self) -> None:
        """Write the manifest in place of the one known here; raise StoppedEarly for another."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415

        content = orjson.dumps({"writer": self._writer, "files": self._files})
        mode: Any = self._version or "create"
        try:
            put = obstore.put(self._store, self._key(_MANIFEST), content, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            raise _TakenOver(
                f"Run {self._run_id} stopped: another process has taken it over, by the manifest "
                f"in {self._folder}. Nothing more is sent from here."
            ) from None
        self._version = _version(put)

    def _key(self, name: str) -> str:
        return f"{self._folder.key}/{name}"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A checkpoint that was found in a bucket, with its size in bytes."""

    state_url: str
    run_id: str
    size: int
    changed: datetime

    def __str__(self) -> str:
        return f"{str(_folder(self.state_url)).rstrip('/')}/{self.run_id}"

    def remove(self) -> bool:
        """Remove it, and return whether it is gone."""
        return Mirror(self.state_url, self.run_id).remove()


def all_mirrored(state_url: str) -> list[Mirrored]:
    """Return the checkpoints in a bucket. Memory: what is known of their files.

    Raises:
        UsageProblem: it is no URL of a bucket, or the extra or the credentials are missing.
        StoppedEarly: they cannot be listed.
    """
    import obstore  # noqa: PLC0415

    url = _folder(state_url)
    store = open_store(url)
    found: dict[str, list[Any]] = defaultdict(list)
    with _stopping(url):
        for chunk in obstore.list(store, url.key or None):
            for each in chunk:
                run_id = each["path"].removeprefix(f"{url.key}/").partition("/")[0]
                if re.fullmatch(RUN_ID_PATTERN, run_id):
                    found[run_id].append(each)
    return [
        Mirrored(
            state_url,
            run_id,
            size=sum(each["size"] for each in files),
            changed=max(each["last_modified"] for each in files),
        )
        for run_id, files in found.items()
    ]


def _folder(state_url: str) -> Url:
    url = Url.parse(state_url)
    if not url.is_bucket:
        raise UsageProblem(
            f"--state-url {url} is no URL of a bucket. Write it like s3://bucket/folder."
        )
    return url.at(url.key.strip("/"))


def _version(meta: Any) -> dict[str, str]:
    """Return what tells one manifest from another: an ETag, or Google's generation."""
    return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """Write a file on this machine; raise StoppedEarly if that fails here, not in the store."""
    try:
        with atomic.replacing(path) as file:
            yield file
    except OSError as error:
        if error.errno is None:  # an error of the store
            raise
        raise unwritable(
            error, f"{path} could not be written: {error.strerror}. Make room.", StoppedEarly
        ) from error


class _TakenOver(StoppedEarly):
    """Another process has replaced the manifest."""


@contextmanager
def _stopping(folder: Url) -> Iterator[None]:
    """Raise StoppedEarly if a file cannot be kept or read."""
    try:
        with explained(folder):
            yield
    except StoppedEarly:
        raise
    except StopRun as problem:
        raise StoppedEarly(
            f"{problem} Nothing is sent to Campaign that could not be found again (--state-url)."
        ) from problem
