"""The screen of runs: not built yet, and it says so."""

from aiohttp import web


async def _not_built(_request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    raise web.HTTPNotImplemented(
        text="This screen is not built yet. `bulk-sync help` lists the commands that do the same."
    )


async def show(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def events(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def report(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def stop(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def resume(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def retry(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def undo(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def audit(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)
