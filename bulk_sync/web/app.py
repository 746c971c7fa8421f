"""The application, and how it is served: until Ctrl-C or SIGTERM.

The processes that the page has started go on.
"""

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bulk_sync.errors import StopRun, UsageProblem
from bulk_sync.web import old_files, security
from bulk_sync.web.page import PAGE, Page
from bulk_sync.web.routes import ROUTES
from bulk_sync.web.settings import PageSettings

log = logging.getLogger(__name__)

_FORM_BYTES: Final = 256 * 1024
_SHUTDOWN_S: Final = 2.0


def make(settings: PageSettings) -> web.Application:
    """Return the application; call it in the event loop.

    Raises:
        UsageProblem: its database cannot be opened.
    """
    logging.getLogger("aiohttp.server").addFilter(_without_content)
    app = web.Application(middlewares=[security.guard], client_max_size=_FORM_BYTES)
    app[PAGE] = page = Page(settings)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
    app.on_response_prepare.append(security.add_headers)

    async def running(_app: web.Application) -> AsyncIterator[None]:
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(_delete_old_files(page))]
        if not settings.is_local:
            tasks.append(asyncio.create_task(page.blocking(security.own_names)))
        yield
        for task in tasks:
            task.cancel()
        page.close()

    app.cleanup_ctx.append(running)
    return app


def _without_content(record: logging.LogRecord) -> bool:
    """Remove from the log what a request holds that is no valid HTTP: a cookie, a token or a key.

    aiohttp logs the line that it could not read, with the address of its sender.
    """
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "A request that is no valid HTTP was refused.", ()
        record.exc_info = record.exc_text = None
    return True


async def _delete_old_files(page: Page) -> None:
    """Delete what is older than ``--keep``, once a day."""
    folder, keep_days = page.settings.folder, page.settings.keep_days
    while True:
        try:
            await page.blocking(old_files.delete, folder, keep_days, page.paperwork, page.jobs)
        except (StopRun, OSError) as error:  # tomorrow again
            log.warning("Files older than --keep were not deleted: %s", error)
        await asyncio.sleep(old_files.EVERY_S)


async def serve(settings: PageSettings, announce: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or SIGTERM; announce the URL once it listens.

    Raises:
        UsageProblem: it cannot listen, or its files cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    app = make(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        context = _tls(settings.tls_cert, settings.tls_key)
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            # asyncio repeats host and port; numbers of resolvers are below 0.
            code = error.errno or 0
            why = os.strerror(code) if code > 0 else error.strerror or error
            raise UsageProblem(
                f"The page cannot listen on {settings.host}, port {settings.port}: {why}. --port 0 "
                "takes a free port."
            ) from error
        port = runner.addresses[0][1]
        announce(_url(settings, port, app[PAGE].sessions.token))
        await stop.wait()
    finally:
        await runner.cleanup()


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageProblem(
            f"--tls-cert {cert} and --tls-key {key}: {error.strerror or error}. Both are PEM "
            "files, and the key is that of the certificate, without a password."
        ) from error
    return context


def _url(settings: PageSettings, port: int, token: str | None) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}/" + (f"sign-in?token={token}" if token else "")
