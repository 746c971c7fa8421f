"""A report in a bucket: written here first, then published; if that fails, it stays here."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from bulk_sync.errors import StopRun
from bulk_sync.remote import upload
from bulk_sync.remote.url import Url
from bulk_sync.report.destination import LocalFile
from bulk_sync.storage import atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a bucket.

    Attributes:
        url: where it goes.
        run_id: the run that it is about.
        folder: where it lies until then.
        digest: its SHA-256, once it is there.
    """

    url: Url
    run_id: str
    folder: Path
    digest: str = ""

    def __str__(self) -> str:
        return str(self.url)

    @property
    def name(self) -> str:
        """Return the last part of the URL."""
        return self.url.name

    def beside(self, name: str) -> "RemoteFile":
        """Return the file of another name in the same folder."""
        folder, slash, _ = self.url.key.rpartition("/")
        return replace(self, url=self.url.at(f"{folder}{slash}{name}"))

    def check(self) -> None:
        """Raise UsageProblem if it cannot be uploaded for a reason that is known already."""
        upload.check(self.url)
        self._here.check()

    def is_file(self, path: Path) -> bool:  # noqa: ARG002
        """Return False: it is no file of this machine."""
        return False

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open the file here; ``publish`` uploads it."""
        with self._here.writing() as file:
            yield file

    def publish(self) -> "RemoteFile | LocalFile":
        """Upload the file; return where it is now, which is here if that fails."""
        here = self._here
        digest = here.sha256()
        try:
            place = upload.publish(self.url, here.path, self.run_id, digest)
        except StopRun as problem:
            log.warning(
                "%s The file stays on this machine: %s. Copy it there by hand, or make the report "
                "again: bulk-sync report %s --report URL",
                problem,
                here,
                self.run_id,
            )
            return replace(here, instead_of=str(self.url))
        here.path.unlink(missing_ok=True)
        return replace(self, url=place, digest=digest)

    def remove(self) -> None:
        """Do nothing: nothing there is removed."""

    def sha256(self) -> str:
        """Return the SHA-256 of what was uploaded."""
        return self.digest

    @property
    def _here(self) -> LocalFile:
        atomic.make_folder(self.folder / self.run_id)
        return LocalFile(self.folder / self.run_id / self.name)
