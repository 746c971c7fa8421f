"""Real servers on loopback, one for each cloud, with a bucket for one test."""

import hmac
import io
import json
import os
import signal
import threading
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import npm
import obstore
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from obstore.store import AzureStore, GCSStore, S3Store
from pyarrow import parquet
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SECRET = "wJalrXUtnFEMIsecret0fTheTests"
TOKEN = "IQoJb3JpZ2luX2VjSessionTokenOfTheTests"
_AZURITE = Path(__file__).parent / "azurite"
AZURE_KEY = (  # of every Azurite, as documented
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


_TEXT = {"Content-Type": "text/plain"}


class Bucket:
    """A bucket, seen by another program."""

    def __init__(self, url: str, store: "ObjectStore") -> None:
        self.url, self._store = url, store
        self.server: Any = None

    def __truediv__(self, key: str) -> str:
        return f"{self.url}/{key}"

    @property
    def path(self) -> str:
        """Return the path of the bucket on its server."""
        return f"/{self.url.partition('://')[2]}"

    def put(self, key: str, content: bytes | str) -> str:
        """Put a file there, over an older one too, and return its URL."""
        obstore.put(self._store, key, content.encode() if isinstance(content, str) else content)
        return self / key

    def get(self, key: str) -> bytes:
        return bytes(obstore.get(self._store, key).bytes())

    def etag(self, key: str) -> str:
        return (obstore.head(self._store, key)["e_tag"] or "").strip('"')

    def remove(self, key: str) -> None:
        obstore.delete(self._store, key)

    @property
    def keys(self) -> list[str]:
        return sorted(each["path"] for chunk in obstore.list(self._store) for each in chunk)

    def everything(self) -> Iterator[bytes]:
        for key in self.keys:
            yield key.encode() + _plain(key, self.get(key))


class Watched:
    """Moto as a WSGI application for whole requests only, as S3, with a hook for tests."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self.before: Callable[[str, str], object] = lambda *_: None
        self.after: Callable[[str, str], object] = lambda *_: None
        self.requests: list[tuple[str, str]] = []
        self.signed: list[str] = []
        self.answer: tuple[str, str] | None = None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/moto-api"):
            return self._app(environ, start)
        self.requests.append((method, path))
        self.signed.append(environ.get("HTTP_AUTHORIZATION", ""))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        begun = environ["wsgi.input"].read(min(length, 1))
        self.before(method, path)
        if self.answer is not None:
            status, code = self.answer
            start(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code></Error>".encode()]
        body = begun + environ["wsgi.input"].read(length - len(begun))
        if len(body) < length:
            start("400 Bad Request", [])
            return [b"<Error><Code>IncompleteBody</Code></Error>"]
        environ["wsgi.input"] = io.BytesIO(body)
        answer = self._app(environ, start)
        self.after(method, path)
        return answer


class S3:
    """Moto's server, in threads of this process."""

    def __init__(self, app: Watched | None = None) -> None:
        self.app = app or Watched()
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make(self, name: str) -> Bucket:
        config: Any = {"endpoint": self.url, "allow_http": "true", "region": "us-east-1"}
        keys: Any = {"access_key_id": "a", "secret_access_key": "b"}
        send("PUT", f"{self.url}/{name}")
        return Bucket(f"s3://{name}", S3Store(name, config=config | keys))

    def forbid(self) -> None:
        """Refuse all credentials from now on."""
        send("POST", f"{self.url}/moto-api/reset-auth", b"0", _TEXT)

    def reset(self) -> None:
        """Remove the settings of a test."""
        self.app.before = self.app.after = lambda *_: None
        self.app.answer = None
        self.app.requests.clear()
        send("POST", f"{self.url}/moto-api/reset-auth", b"inf", _TEXT)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Azure:
    """Azurite, as a process."""

    def __init__(self) -> None:
        script = npm.installed(_AZURITE) / "node_modules/azurite/dist/src/blob/main.js"
        words = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
        words += ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        self._process = npm.start(script, *words)
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        line = next(line for line in lines if "listens on" in line)
        self.url = line.split()[-1]

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": self.url}

    def make(self, name: str) -> Bucket:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        account = "devstoreaccount1"
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
        lines = [f"{header}:{value}" for header, value in headers.items()]
        lines += [f"/{account}/{account}/{name}", "restype:container"]
        text = "\n".join(["PUT", *[""] * 11, *lines])
        digest = hmac.new(b64decode(AZURE_KEY), text.encode(), "sha256").digest()
        headers["Authorization"] = f"SharedKey {account}:{b64encode(digest).decode()}"
        send("PUT", f"{self.url}/{account}/{name}?restype=container", headers=headers)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in self.environment.items():
                patch.setenv(variable, value)
            return Bucket(f"az://{name}", AzureStore(name))

    def reset(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # it would wait for connections to end
        self._process.communicate()


class Google(S3):
    """Google Cloud Storage: its XML API is that of S3 but for names of headers, so Moto serves it.

    No registry has a stand-in with this API, and obstore uses it.
    """

    def __init__(self) -> None:
        super().__init__(_Translated())

    @property
    def environment(self) -> dict[str, str]:
        account = {"gcs_base_url": self.url, "disable_oauth": True, "client_email": ""}
        keys = {"private_key": "", "private_key_id": ""}
        return {
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account | keys),
            "GOOGLE_ALLOW_HTTP": "true",
        }

    def make(self, name: str) -> Bucket:
        send("PUT", f"{self.url}/{name}")
        key = self.environment["GOOGLE_SERVICE_ACCOUNT_KEY"]
        options: Any = {"allow_http": True}
        return Bucket(
            f"gs://{name}", GCSStore(name, service_account_key=key, client_options=options)
        )


class _Translated(Watched):
    """Moto with generations in place of ETags."""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        scope = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request"
        environ["HTTP_AUTHORIZATION"] = f"{scope}, SignedHeaders=host, Signature=0"
        for name in ("RAW_URI", "REQUEST_URI"):  # every character that is no letter is quoted
            path, mark, query = environ[name].partition("?")
            environ[name] = f"{quote(unquote(path))}{mark}{query}"
        generation = environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None)
        if generation == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        elif generation is not None:
            environ["HTTP_IF_MATCH"] = f'"{int(generation):032x}"'

        for name in [name for name in environ if name.startswith("HTTP_X_GOOG_META_")]:
            environ[name.replace("GOOG", "AMZ")] = environ.pop(name)

        def translated(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            etag = next((value for name, value in headers if name.lower() == "etag"), "").strip('"')
            headers = [(name.lower().replace("x-amz-", "x-goog-"), text) for name, text in headers]
            if etag:
                headers = [*headers, ("x-goog-generation", str(int(etag, 16)))]
            return start(status, headers, *more)

        return super().__call__(environ, translated)


def every_byte(folder: Path) -> bytes:
    """Return the files of a folder; compressed ones also uncompressed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"".join(_plain(path.name, path.read_bytes()) for path in files)


def _plain(name: str, content: bytes) -> bytes:
    if not name.endswith(".parquet"):
        return content
    table = parquet.read_table(io.BytesIO(content))
    return content + repr((table.schema.metadata, table.to_pylist())).encode()


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> None:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request):  # noqa: S310
        pass


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Print nothing."""


Cloud = S3 | Azure
CLOUDS: Mapping[str, type[Cloud]] = {"s3": S3, "az": Azure, "gs": Google}
