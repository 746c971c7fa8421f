"""Downloads an input to this machine, once.

    URL --find--> files with ETags --get, hashed on the way--> copies --find again--> unchanged?

A copy is read by its owner alone, and removed with the folder of its download. What a killed
process left is removed by the next download. Memory: a chunk.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bulk_sync.errors import InputProblem, StopRun, unwritable
from bulk_sync.remote.store import RemoteProblem, changed, explained, open_store
from bulk_sync.remote.url import InputUrl, Url
from bulk_sync.rows.parse.formats import TEXT
from bulk_sync.storage import atomic, scratch

if TYPE_CHECKING:
    from obstore import Bytes, GetResult, ObjectMeta
    from obstore.store import ObjectStore
    from typing_extensions import Buffer

_UNSENT: Final = "Nothing was sent to Campaign. Run again later."
_CHUNK: Final = 1 << 20
_SPECIAL: Final = "*?["
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a remote input, on this machine.

    Attributes:
        path: of the copy; its name is the last part of the URL, with .gz if it is packed all the
            same: stores keep a file so (``Content-Encoding``), and give it as it lies there.
        url: where it came from, as it may be shown.
        name: its URL without the part that all files of the input share.
        etag: of the file there; "" if it has none.
        sha256: of the content.
    """

    path: Path
    url: str
    name: str
    etag: str
    sha256: str

    @property
    def facts(self) -> dict[str, str]:
        """Return what the ledger keeps of it."""
        return {"url": self.url, "etag": self.etag, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Download:
    """A remote input on this machine.

    Attributes:
        copies: its files, sorted by their URLs.
        is_one: it is one file by its very name, not a folder or a pattern.
        skipped: names of other files in that place.
    """

    copies: Sequence[Copy]
    is_one: bool
    skipped: Sequence[str] = ()

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the file; of several files that of the output of ``sha256sum``."""
        if self.is_one:
            return self.copies[0].sha256
        lines = (f"{copy.sha256}  {copy.url}\n" for copy in self.copies)
        return sha256("".join(lines).encode("utf-8", "replace")).hexdigest()


@contextmanager
def downloaded(
    source: str, state_dir: Path, is_data: Callable[[str], bool], suffixes: str
) -> Iterator[Download]:
    """Download an input, and remove it when the block ends.

    ``source`` is the URL of a file, a folder that ends with ``/``, or a glob. ``is_data`` returns
    whether a file of the latter two is read, by its name; ``suffixes`` says which, for messages.

    Raises:
        RemoteProblem: it is not there, may not be read, or changed meanwhile.
        StoppedEarly: the store cannot be reached, or the disk is full.
    """
    whole = source.whole if isinstance(source, InputUrl) else source
    url = Url.parse(whole)
    if not url.is_bucket:
        with scratch.folder(state_dir, scratch.DOWNLOADS) as folder:
            yield Download([_of_web(url, whole, folder)], is_one=True)
        return
    store = open_store(url)
    with scratch.folder(state_dir, scratch.DOWNLOADS) as folder:
        is_one = bool(url.name) and _first_special(url.key) == len(url.key)
        before = _found(store, url, is_one=is_one)
        is_one = is_one or [each["path"] for each in before] == [url.key]
        taken = [each for each in before if is_one or is_data(_last(each["path"]))]
        if not taken:
            raise InputProblem(
                f"{url} names no data file. Looked for the suffixes {suffixes}; reports of earlier "
                "runs do not count."
            )
        folder_key = "".join(url.key[: _first_special(url.key)].rpartition("/")[:2])
        copies = []
        for number, each in enumerate(taken):
            place, etag = url.at(each["path"]), _etag(each)
            path = folder / f"{number:06}" / _last(each["path"])
            digest = _get(store, place, path, etag)
            name = each["path"].removeprefix(folder_key)
            copies.append(Copy(_with_packing(path), str(place), name, etag, digest))
        if _versions(_found(store, url, is_one=is_one)) != _versions(before):
            raise changed(url)
        # An empty object often stands for a folder.
        others = [_last(each["path"]) for each in before if each not in taken and each["size"]]
        yield Download(copies, is_one, [] if is_one else others)


def _found(store: "ObjectStore", url: Url, *, is_one: bool) -> "list[ObjectMeta]":
    import obstore  # noqa: PLC0415 - an extra

    with explained(url, _UNSENT):
        if is_one:
            try:
                return [obstore.get(store, url.key).meta]  # of HEAD, an error has no code
            except FileNotFoundError:
                if not any(obstore.list(store, url.key, chunk_size=1)):
                    raise
                raise RemoteProblem(
                    f"{url} is a folder. To read its files, add a / at the end of the URL."
                ) from None
        prefix = url.key[: _first_special(url.key)].rpartition("/")[0]
        if not url.name:
            found = list(obstore.list_with_delimiter(store, prefix or None)["objects"])
        else:
            listed = obstore.list(store, prefix or None)
            parts = url.key.split("/")
            found = [
                each
                for chunk in listed
                for each in chunk
                if _matches(each["path"].split("/"), parts)
            ]
    return sorted(found, key=lambda each: each["path"])


def _of_web(url: Url, whole: str, folder: Path) -> Copy:
    from bulk_sync.remote import web  # noqa: PLC0415 - few inputs need its libraries

    name = url.name or "input"
    with _writing(folder / name, url) as file:
        version = web.fetch(url, whole, file.begin)
    return Copy(_with_packing(folder / name), str(url), name, version, file.sha256)


def _get(store: "ObjectStore", url: Url, path: Path, etag: str) -> str:
    """Download a file if it is still the one with this ETag, and return its SHA-256."""
    import obstore  # noqa: PLC0415 - an extra

    options: Any = {"if_match": f'"{etag}"'} if etag else {}
    with explained(url, _UNSENT):
        result = obstore.get(store, url.key, options=options)
    with _writing(path, url) as file:
        write = file.begin()
        for chunk in _chunks(result, url):
            write(chunk)
    if file.size != result.meta["size"]:
        raise changed(url)
    return file.sha256


def _chunks(result: "GetResult", url: Url) -> "Iterator[Bytes]":
    with explained(url, _UNSENT):
        yield from result.stream(min_chunk_size=_CHUNK)


def _with_packing(path: Path) -> Path:
    """Rename a packed text that does not say so, and return its path."""
    if path.suffix.lower() not in TEXT.suffixes:
        return path
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    return path.rename(f"{path}.gz") if is_packed else path


class _Hashed:
    """A new file, hashed while it is written."""

    def __init__(self, file: BinaryIO, problem: Callable[[OSError], StopRun]) -> None:
        self._file, self._problem = file, problem
        self.size, self._digest = 0, sha256()

    def begin(self) -> "Callable[[Buffer], None]":
        """Begin, or begin again, and return what writes a chunk."""
        self._file.seek(0)
        self._file.truncate()
        self.size, self._digest = 0, sha256()
        return self._write

    def _write(self, chunk: "Buffer") -> None:
        self._digest.update(chunk)
        try:
            self.size += self._file.write(chunk)
        except OSError as error:
            raise self._problem(error) from error

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def _writing(path: Path, url: Url) -> Iterator[_Hashed]:

    def problem(error: OSError) -> StopRun:
        return unwritable(
            error,
            f"{url} could not be kept in {path.parent}: {error.strerror or error}. Nothing was "
            "sent to Campaign. Make room, or name another folder with --state-dir.",
        )

    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        file = open(path, "xb", opener=atomic.private)  # noqa: SIM115
    except OSError as error:
        raise problem(error) from error
    with file:
        yield _Hashed(file, problem)


def _versions(found: "Sequence[ObjectMeta]") -> list[tuple[object, ...]]:
    return [
        (each["path"], _etag(each), each["size"], None if _etag(each) else each["last_modified"])
        for each in found
    ]


def _etag(found: "ObjectMeta") -> str:
    """Return an ETag without the quotes, which Azure's lists leave out."""
    return (found["e_tag"] or "").strip('"')


def _first_special(key: str) -> int:
    """Return where the pattern begins in a key; its length if it is none."""
    return min((key.find(char) for char in _SPECIAL if char in key), default=len(key))


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a key match those of a glob; ``**`` stands for any number."""
    if not pattern or not parts:
        return not pattern and not parts
    head, rest = pattern[0], pattern[1:]
    if head == "**":
        return any(_matches(parts[at:], rest or ["*"]) for at in range(len(parts)))
    return fnmatchcase(parts[0], head) and _matches(parts[1:], rest)


def _last(key: str) -> str:
    return key.rpartition("/")[2]
