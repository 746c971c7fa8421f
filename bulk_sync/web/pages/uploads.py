"""The screen of uploads: not built yet, and it says so."""

from aiohttp import web


async def _not_built(_request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    raise web.HTTPNotImplemented(
        text="This screen is not built yet. `bulk-sync help` lists the commands that do the same."
    )


async def new(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def receive(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def template(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def show(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def check(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def compare(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def rows_to_correct(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)
