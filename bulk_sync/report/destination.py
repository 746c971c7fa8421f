"""The destination of a report: checked before the run; the report appears whole or not at all.

    --report TEXT --of_run--> Destination --check-------------> before the run
                                          '-writing, publish--> after it

A file of this machine, or of a bucket: that one is written here first.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from bulk_sync.errors import StoppedEarly, StopRun, UsageProblem, unwritable
from bulk_sync.remote import upload
from bulk_sync.remote.url import Url, is_url
from bulk_sync.storage import atomic

log = logging.getLogger(__name__)

RUN_ID: Final = "{run_id}"
"""The place of the run's id in the name of a destination."""

_USUAL: Final = f".{RUN_ID}.results.csv"
"""What follows the stem of the input in the name of a report, unless --report has one."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, readable by its owner alone; an older one is replaced.

    Attributes:
        path: where it is.
        instead_of: the URL it could not be uploaded to; "" if it belongs here.
    """

    path: Path
    instead_of: str = ""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.path.name

    def beside(self, name: str) -> "LocalFile":
        """Return the file of another name in the same folder."""
        return LocalFile(self.path.with_name(name))

    def check(self, option: str) -> None:
        """Raise UsageProblem if the folder takes no files, or another thing has the name."""
        try:
            with suppress(FileNotFoundError):
                if not S_ISREG(self.path.stat().st_mode):
                    raise UsageProblem(
                        f"{option} {self} cannot be written: what has this name is no file. Name "
                        "another path."
                    )
            with TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise unwritable(
                error,
                f"{option} {self} cannot be written: {error.strerror or error}. Name a path in a "
                "folder that exists, that has room, and that you may write to.",
            ) from error

    def is_file(self, path: Path) -> bool:
        """Return whether it is the same file."""
        return self.path.resolve() == path.resolve()

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open a file, to appear under its name when the block ends well."""
        with self._stopping(), atomic.replacing(self.path) as file:
            yield file

    def publish(self) -> "LocalFile":
        """Return the file: it is in its place."""
        return self

    def remove(self) -> None:
        """Remove the file, if it exists."""
        with self._stopping():
            self.path.unlink(missing_ok=True)

    def sha256(self) -> str:
        """Return the SHA-256 of the file."""
        with self.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(
                error,
                f"{self} could not be written: {error.strerror or error}. Make room, or name "
                "another path.",
                StoppedEarly,
            ) from error


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a bucket.

    Attributes:
        url: where it goes.
        run_id: the run it is about.
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

    def check(self, option: str) -> None:
        """Raise UsageProblem if it cannot be uploaded for a reason that is known already."""
        upload.check(self.url)
        self._make_place().check(option)

    def is_file(self, path: Path) -> bool:  # noqa: ARG002
        """Return False: it is no file of this machine."""
        return False

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open the file here; ``publish`` uploads it."""
        with self._make_place().writing() as file:
            yield file

    def publish(self) -> "Destination":
        """Upload the file; return where it is now, which is here if that fails."""
        here = self._make_place()
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

    def _make_place(self) -> LocalFile:
        atomic.make_folder(self.folder / self.run_id)
        return LocalFile(self.folder / self.run_id / self.name)


Destination = LocalFile | RemoteFile
"""A file for people; ``str`` names it in full, its suffix decides the format."""


def usual_report(stem: str) -> str:
    """Return the destination of a report without --report, by the stem of the input."""
    return f"{stem}{_USUAL}"


def of_run(text: str, run_id: str, state_dir: Path) -> Destination:
    """Return the destination in an option, with the run's id in the place of ``{run_id}``.

    A report for a bucket lies in ``state_dir`` until it is uploaded.

    Raises:
        UsageProblem: it names no file.
    """
    if is_url(text):
        url = Url.parse(text.replace(RUN_ID, run_id))
        return RemoteFile(url, run_id, state_dir.absolute() / "reports")
    path = Path(text)
    if not path.name:
        raise UsageProblem("--report names no file. Write it like --report results.csv.")
    return LocalFile(path.absolute().with_name(_named(path.name, run_id)))


def _named(name: str, run_id: str) -> str:
    """Return a name with the run's id in its place; the input's own name may hold that text too."""
    if run_id in name:  # of a resumed run
        return name
    if name.endswith(_USUAL):
        return name.removesuffix(_USUAL) + _USUAL.replace(RUN_ID, run_id)
    return name.replace(RUN_ID, run_id)


def is_unpublished(destination: Destination | None) -> bool:
    """Return whether a file is here because it could not be uploaded."""
    return isinstance(destination, LocalFile) and destination.instead_of != ""
