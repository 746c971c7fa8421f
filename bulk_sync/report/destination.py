"""The destination of a report: checked before the run; the report appears whole or not at all.

    --report TEXT --of_run--> Destination --check-------------> before the run
                                          '-writing, publish--> after it

A local path, or a URL of a bucket: see ``remote_file.py``. Another kind is a class with the same
methods in a module of its own, and a line in ``parse``.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Protocol

from bulk_sync.errors import StoppedEarly, UsageProblem, unwritable
from bulk_sync.remote.url import Url, is_url
from bulk_sync.storage import atomic

RUN_ID: Final = "{run_id}"
"""The place of the run's id in the name of a destination."""


class Destination(Protocol):
    """A file for people; ``str`` names it in full."""

    @property
    def name(self) -> str:
        """Return its last part; the suffix decides the format."""

    def beside(self, name: str) -> "Destination":
        """Return the destination of another name in the same place."""

    def check(self) -> None:
        """Raise UsageProblem, before a run, if nothing can be written there."""

    def is_file(self, path: Path) -> bool:
        """Return whether it is the same local file."""

    def writing(self) -> AbstractContextManager[BinaryIO]:
        """Open a file, to appear when the block ends well; raise StoppedEarly if that fails."""

    def publish(self) -> "Destination":
        """Bring a written file to its place; return where it is, which is here if that fails."""

    def remove(self) -> None:
        """Remove an older file, if any; raise StoppedEarly if that fails."""

    def sha256(self) -> str:
        """Return the SHA-256 of the content."""


def of_run(text: str, run_id: str, state_dir: Path) -> Destination:
    """Return the destination in an option, with the run's id in the place of ``{run_id}``.

    Args:
        text: the option.
        run_id: the run.
        state_dir: where a report lies until it is uploaded.

    Raises:
        UsageProblem: it names no file.
    """
    if is_url(text):
        # Late: few reports need it.
        from bulk_sync.report.remote_file import RemoteFile  # noqa: PLC0415

        url = Url.parse(text.replace(RUN_ID, run_id))
        return RemoteFile(url, run_id, state_dir.absolute() / "reports")
    path = Path(text)
    if not path.name:
        raise UsageProblem("--report names no file. Write it like --report results.csv.")
    return LocalFile(path.absolute().with_name(path.name.replace(RUN_ID, run_id)))


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, readable by its owner alone; an older one is replaced.

    Attributes:
        path: where it is.
        instead_of: the URL that it could not be uploaded to; "" if it belongs here.
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

    def check(self) -> None:
        """Raise UsageProblem if the folder takes no files, or another thing has the name."""
        try:
            with suppress(FileNotFoundError):
                if not S_ISREG(self.path.stat().st_mode):
                    raise UsageProblem(
                        f"The report {self} cannot be written: what has this name is no file. Name "
                        "another path."
                    )
            with TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise unwritable(
                error,
                f"The report {self} cannot be written: {error.strerror or error}. Name a path in a "
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


def is_unpublished(destination: Destination | None) -> bool:
    """Return whether a file is here because it could not be uploaded."""
    return isinstance(destination, LocalFile) and destination.instead_of != ""
