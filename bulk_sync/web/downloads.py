"""Files to download: as attachments, under a name that every browser and file system takes."""

from collections.abc import Mapping
from urllib.parse import quote


def attachment(name: str) -> Mapping[str, str]:
    """Return the header with which a browser saves an answer as a file.

    Args:
        name: of the file; characters that are none of ASCII are kept where the browser knows them.
    """
    plain = "".join(char if char.isascii() and char.isprintable() else "_" for char in name)
    plain = plain.translate(str.maketrans('"\\/', "___"))
    named = quote(name, safe="", errors="replace")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}"}
