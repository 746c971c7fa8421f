"""Memory: files are downloaded in pieces, and a bucket may hold any number of files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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
_LISTING = """
import sys, tracemalloc
from bulk_sync.remote.mirror import all_mirrored
all_mirrored(sys.argv[1])
tracemalloc.start()
print(len(all_mirrored(sys.argv[1])), tracemalloc.get_traced_memory()[1])
"""
_PIECE = bytes(1 << 20)


@pytest.fixture
def store() -> Iterator[str]:
    """Yield the URL of a store; a file has as many MB as its name says."""

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
            except OSError:  # the client wanted only the headers
                self.close_connection = True

    with answering(Handler) as url:
        yield url


@pytest.fixture
def crowded_store() -> Iterator[str]:
    """Yield the URL of a store with other files; a folder has pages of 1,000 by its name."""
    file = "<Contents><Key>{}/other/{:04}</Key><Size>1</Size><ETag>1</ETag><LastModified>{}"
    file += "</LastModified></Contents>"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            folder = query["prefix"][0].strip("/")
            page = int(query.get("continuation-token", ["1"])[0])
            files = [file.format(folder, at, "2026-11-28T00:00:00.000Z") for at in range(1000)]
            more = page < int(folder)
            after = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if more else ""
            parts = f"<IsTruncated>{str(more).lower()}</IsTruncated>", after, *files
            body = f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with answering(Handler) as url:
        yield url


def peak_mb(url: str, store: str, megabytes: int, folder: Path) -> float:
    """Download a file in a process of its own, and return its peak of memory."""
    size, peak = run_script(_DOWNLOAD, url, store, folder)[1:]
    assert int(size) == megabytes << 20
    return int(peak) / 1024


def run_script(script: str, url: str, store: str, folder: Path) -> list[str]:
    """Run a script for a URL of a store, and return its printed words."""
    variables = {"AWS_ENDPOINT_URL": store, "AWS_ALLOW_HTTP": "true"}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    ended = subprocess.run(
        [sys.executable, "-c", script, url],
        env={**os.environ, **variables, **keys},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.split()


@pytest.mark.parametrize("kind", ["bucket", "web"])
def test_a_large_file_takes_no_more_memory_than_a_small_one(
    kind: str, store: str, tmp_path: Path
) -> None:
    place = "s3://inbox" if kind == "bucket" else store
    small, large = (
        peak_mb(f"{place}/{megabytes}.csv", store, megabytes, tmp_path) for megabytes in (1, 200)
    )
    assert large < small + 60


def test_files_of_others_in_the_bucket_of_checkpoints_take_no_memory(
    crowded_store: str, tmp_path: Path
) -> None:
    found, peak = run_script(_LISTING, "s3://runs/10", crowded_store, tmp_path)
    assert (found, int(peak) < 2_000_000) == ("0", True)
