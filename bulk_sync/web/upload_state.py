"""How an upload stands, always from its newest check: a process, with its files.

    jobs/CHECK/choices.json    what was chosen about the columns, before the check began
              /outline.json    sheets, first rows, columns, and what was read as what
              /rows.parquet    every row with its verdict
              /marked.xlsx     the workbook with its bad cells marked
              /upload.todo.*   just the rows to correct

checking --> checked | unreadable | broken off: by a crash, or a power cut
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson

from bulk_sync.errors import Exit
from bulk_sync.outcomes import Outcome
from bulk_sync.storage import atomic
from bulk_sync.web import choices as choosing
from bulk_sync.web.choices import Choices
from bulk_sync.web.forms import Form
from bulk_sync.web.identity import Person, Right
from bulk_sync.web.jobs import PageJob
from bulk_sync.web.page import Page
from bulk_sync.web.paperwork import new_id
from bulk_sync.web.progress import Progress, last_object
from bulk_sync.web.records import Upload

ROWS: Final = "rows.parquet"
_CHOICES: Final = "choices.json"
_OUTLINE: Final = "outline.json"
_MARKED: Final = "marked.xlsx"
_COMMAND: Final = "validate"
_JUDGED: Final = (Exit.DONE, Exit.ROWS_LEFT)


class UploadStage(StrEnum):
    """How far an upload is."""

    CHECKING = "being checked"
    CHECKED = "checked"
    UNREADABLE = "not readable as it is"
    BROKEN_OFF = "the check broke off"
    DELETED = "no longer kept"


@dataclass(frozen=True, slots=True)
class UploadState:
    """How an upload stands.

    Attributes:
        check: the newest check; None if it could not be started.
        progress: of that check.
        choices: with which the file was checked; empty if they name columns that it has not.
        outline: what the file holds; empty if that is not known.
    """

    upload: Upload
    stage: UploadStage
    check: PageJob | None = None
    progress: Progress = field(default_factory=lambda: Progress(is_alive=False))
    choices: Choices = field(default_factory=dict)
    outline: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Mapping[str, Any]:
        """Return the summary of the check; empty if the file was not judged."""
        return (self.progress.summary or {}) if self.stage is UploadStage.CHECKED else {}

    @property
    def found(self) -> Mapping[str, Any] | None:
        """Return what was read as what; None if the file is not readable as it is."""
        read: Mapping[str, Any] | None = self.outline.get("read")
        return read if self.stage is UploadStage.CHECKED else None

    @property
    def values(self) -> dict[str, str]:
        """Return the values of the form."""
        place = {name: self.outline.get(name) for name in choosing.PLACE} if self.outline else {}
        if self.is_place_open:
            place.pop("header_row", None)
        place["key_column"] = self.outline.get("key_column")
        return choosing.values({**_texts(place), **self.choices}, self.found)

    def chosen(self, form: Form) -> dict[str, str]:
        """Return what a person has chosen in the form."""
        return choosing.from_form(form, self.choices, self.values, is_place_open=self.is_place_open)

    @property
    def is_place_open(self) -> bool:
        """Return whether a person must say where the header is."""
        return bool(self.outline.get("is_place_open"))

    @property
    def columns(self) -> Sequence[Mapping[str, Any]]:
        """Return the columns, with samples."""
        return self.outline.get("columns") or ()

    def may_be_discarded_by(self, person: Person) -> bool:
        """Return whether a person may discard the file: their own, or any as an admin."""
        return person.is_same(self.upload.who) or person.may(Right.RAISE)

    @property
    def is_partial(self) -> bool:
        """Return whether the file has just the rows to correct of another one."""
        names = {each["name"] for each in self.columns}
        return self.upload.corrects is not None and "original_row" in names

    @property
    def rejected(self) -> int:
        """Return how many rows cannot be used."""
        return int(self.verdict.get("outcomes", {}).get(Outcome.REJECTED, 0))

    @property
    def usable(self) -> int:
        """Return how many rows can be used."""
        return int(self.verdict.get("usable") or 0)

    @property
    def to_correct(self) -> Path | None:
        """Return the file with the rows to correct, if there are any."""
        named = [*(self.verdict.get("marked") or ()), self.verdict.get("todo")]
        paths = [Path(each) for each in named if each]
        return next((path for path in paths if path.is_file()), None)

    @property
    def is_marked(self) -> bool:
        """Return whether that file is a workbook with marks in it."""
        return bool(self.verdict.get("marked"))

    @property
    def notes(self) -> Sequence[str]:
        """Return the warnings of the check, but those about files that the person never sees."""
        texts = map(self.in_words, self.progress.warnings)
        return [text for text in texts if not text.startswith(f"{_MARKED}: ")]

    @property
    def is_list_alone(self) -> bool:
        """Return whether that file is a new workbook with the list of the person's own."""
        return self.upload.file_name.lower().endswith((".xls", ".ods"))

    def in_words(self, text: str) -> str:
        """Return a message of the check as a person in front of the page understands it."""
        folders = [f"{path.parent}/" for path in (self._path, self.to_correct) if path is not None]
        if self.check is not None:
            folders.append(f"{self.check.folder}/")
        if self._path is not None:
            text = text.replace(str(self._path), self.upload.file_name)
        for folder in folders:
            text = text.replace(folder, "")
        return choosing.in_words(text)

    @property
    def _path(self) -> Path | None:
        source = (self.progress.summary or {}).get("input")
        return Path(str(source)) if source else None


def read(page: Page, upload_id: str) -> UploadState | None:
    """Return how an upload stands; None if there is none. Blocks."""
    upload = page.paperwork.upload(upload_id)
    if upload is None:
        return None
    check = next(iter(page.jobs.list_about(upload.id, _COMMAND)), None)
    if upload.is_deleted or path_of(page, upload) is None:
        return UploadState(upload, UploadStage.DELETED)
    if check is None:
        return UploadState(upload, UploadStage.BROKEN_OFF, choices=upload.choices)
    progress = check.progress()
    chosen, outline = (last_object(check.folder / name) or {} for name in (_CHOICES, _OUTLINE))
    stage = _stage(progress, check)
    if stage is UploadStage.UNREADABLE and not choosing.fit(chosen, outline.get("columns") or ()):
        chosen = {}  # of another file of the job
    return UploadState(upload, stage, check, progress, chosen, outline)


def left_by(page: Page, part: UploadState) -> Upload | None:
    """Return the upload whose other rows wait until it is compared too; None if none do. Blocks."""
    before = read(page, part.upload.corrects or "") if part.is_partial else None
    if before is None or before.is_marked or not before.usable:
        return None
    return None if page.paperwork.plans(upload=before.upload.id, most=1) else before.upload


def check(page: Page, upload: Upload, who: str, choices: Choices) -> PageJob:
    """Begin to check a file with some choices. Blocks.

    Raises:
        UsageProblem: the check cannot be started.
    """
    check_id, path = new_id(), path_of(page, upload)
    folder = page.jobs.folder_of(check_id)
    atomic.make_folder(folder)
    with atomic.replacing(folder / _CHOICES) as file:
        file.write(orjson.dumps(dict(choices)))
    page.paperwork.choose(upload.id, choices)
    reports = [ROWS, _MARKED] if path is not None and path.suffix in _BOOKS else [ROWS]
    typed = [
        str(path),
        f"--job={upload.job}",
        f"--outline={folder / _OUTLINE}",
        *(f"--report={folder / name}" for name in reports),
        "--todo",
        *choosing.words(choices),
    ]
    return page.jobs.start(_COMMAND, typed, about=upload.id, who=who, job_id=check_id)


def path_of(page: Page, upload: Upload) -> Path | None:
    """Return where the file of an upload is; None if it is gone."""
    found = (page.settings.folder / "uploads" / upload.id).glob("upload.*")
    return next(iter(sorted(found)), None)


_BOOKS: Final = (".xlsx", ".xls", ".ods")


def _stage(progress: Progress, check: PageJob) -> UploadStage:
    if progress.is_alive:
        return UploadStage.CHECKING
    if progress.summary is None:
        return UploadStage.BROKEN_OFF
    is_judged = progress.summary.get("exit") in _JUDGED and (check.folder / ROWS).is_file()
    return UploadStage.CHECKED if is_judged else UploadStage.UNREADABLE


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
