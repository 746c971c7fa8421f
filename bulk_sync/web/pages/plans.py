"""The screen of plans: not built yet, and it says so."""

from aiohttp import web


async def _not_built(_request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    raise web.HTTPNotImplemented(
        text="This screen is not built yet. `bulk-sync help` lists the commands that do the same."
    )


async def show(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def ask(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def seen(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def approve(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def send_back(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def plan_again(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def raise_limit(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def stop(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)


async def events(request: web.Request) -> web.StreamResponse:
    """Answer that there is no such screen yet."""
    return await _not_built(request)
