"""Memory: a file is downloaded in pieces, whatever its size."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import answering

_DOWNLOAD = """
import resource, sys
from pathlib import Path
from bulk_sync.remote.download import downloaded
with downloaded(sys.argv[1], Path("state"), lambda name: True, "") as download:
    print(download.sha256, download.copies[0].path.stat().st_size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
_PIECE = bytes(1 << 20)


@pytest.fixture
def store() -> Iterator[str]:
    """A server that answers any GET as a store does: as many MB as the name of the file says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            pieces = int(self.path.rpartition("/")[2].partition(".")[0])
            self.send_response(200)
            self.send_header("Content-Length", str(pieces * len(_PIECE)))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT")
            self.end_headers()
            try:
                for _ in range(pieces):
                    self.wfile.write(_PIECE)
            except OSError:  # it was only looked for
                self.close_connection = True

    with answering(Handler) as url:
        yield url


def peak_mb(url: str, store: str, megabytes: int, folder: Path) -> float:
    """Download a file in a process of its own, and return its peak of memory."""
    variables = {"AWS_ENDPOINT_URL": store, "AWS_ALLOW_HTTP": "true"}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    ended = subprocess.run(
        [sys.executable, "-c", _DOWNLOAD, url],
        env={**os.environ, **variables, **keys},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    _, size, peak = ended.stdout.split()
    assert int(size) == megabytes << 20
    return int(peak) / 1024


@pytest.mark.parametrize("kind", ["bucket", "web"])
def test_a_large_file_takes_no_more_memory_than_a_small_one(
    kind: str, store: str, tmp_path: Path
) -> None:
    place = "s3://inbox" if kind == "bucket" else store
    small, large = (
        peak_mb(f"{place}/{megabytes}.csv", store, megabytes, tmp_path) for megabytes in (1, 200)
    )
    assert large < small + 60
