"""Parts of bytes in memory and on disk are the same."""

from pathlib import Path

import pytest

from bulk_sync.rows.read import content
from bulk_sync.rows.read.content import Content, spooling

TEXT = b"PKey\n@a\r\n@b\r@c\n\n@d"


@pytest.fixture(params=["memory", "disk"])
def whole(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Content:
    """Return the text behind three other bytes, in blocks of four bytes."""
    monkeypatch.setattr(content, "BLOCK_BYTES", 4)
    file = spooling(1, None if request.param == "memory" else tmp_path)()
    file.write(b"..." + TEXT)
    return Content(file, 3)


def test_every_part_is_that_of_the_bytes(whole: Content) -> None:
    assert len(whole) == len(TEXT)
    assert bytes(whole.view()) == TEXT
    for start in range(len(TEXT)):
        assert bytes(whole.behind(start).view()) == TEXT[start:]
        for end in range(start, len(TEXT) + 1):
            assert whole.read(start, end) == TEXT[start:end]
            part = whole.part(start, end)
            assert (len(part), bytes(part.view())) == (end - start, TEXT[start:end])
            assert b"".join(block for _, block in whole.blocks(start, end)) == TEXT[start:end]
            assert whole.find(b"@", start, end) == TEXT.find(b"@", start, end)
    assert whole.read(0, 99) == TEXT
    assert [at for at, _ in whole.blocks()] == [0, 4, 8, 12, 16]


def test_lines_are_counted_as_in_an_editor(whole: Content) -> None:
    for offset in range(len(TEXT) + 1):
        lines = TEXT[:offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert whole.line_at(offset) == 1 + lines.count(b"\n")
    assert list(whole.lines(0)) == ["PKey\n", "@a\r\n", "@b\r", "@c\n", "\n", "@d"]
    assert list(whole.lines(9)) == ["@b\r", "@c\n", "\n", "@d"]
