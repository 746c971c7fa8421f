"""A web server on loopback with one file, and the faults of real ones."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from loopback import answering


@dataclass
class Web:
    """The served file; ``before`` is called with the number of each request.

    ``statuses`` are used one by one; the last one repeats. ``head`` has the headers for HEAD; None
    if that is not permitted.
    """

    url: str = ""
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=lambda: [200])
    is_chunked: bool = False
    head: dict[str, str] | None = None
    before: Callable[[int], object] = lambda _: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


USER = "Basic " + b64encode(b"me:pass word").decode()


@contextmanager
def serving() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.requests.append((self.path, self.headers.get("Authorization") or ""))
            web.before(len(web.requests))
            status = web.statuses.pop(0) if len(web.statuses) > 1 else web.statuses[0]
            self.send_response(status)
            for name, value in web.headers.items():
                self.send_header(name, value)
            body = web.content if status == 200 else b""
            if web.is_chunked:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            elif "Content-Length" not in web.headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def do_HEAD(self) -> None:
            """Answer with the headers for it; it does not count as a request."""
            self.send_response(403 if web.head is None else 200)
            for name, value in (web.head or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.close_connection = True

        def do_CONNECT(self) -> None:
            """Refuse to be a proxy."""
            web.requests.append((self.path, self.headers.get("Proxy-Authorization") or ""))
            self.send_error(502)

    web = Web()
    with answering(Handler) as web.url:
        yield web
