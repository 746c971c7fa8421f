"""The style sheet, the script, and the path for probes."""

from typing import Final

from aiohttp import web

from bulk_sync.web.rendering import static_file

_TYPES: Final = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_KEPT: Final = {"Cache-Control": "public, max-age=86400"}


async def healthz(_request: web.Request) -> web.Response:
    """Answer probes."""
    return web.Response(text="ok")


async def file(request: web.Request) -> web.Response:
    """Return a file of ``static/``; there are no others."""
    name = request.match_info["name"]
    if name not in _TYPES:
        raise web.HTTPNotFound(text="There is no such file.")
    return web.Response(
        body=static_file(name), content_type=_TYPES[name], charset="utf-8", headers=_KEPT
    )
