"""Serving a simulator over HTTP: in a thread for tests, in the foreground for the command.

It is the low-level server of aiohttp without a router: a key may hold any character, so the path
must not be normalized or decoded before it is split.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from bulk_sync.simulator import control
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.behavior import Options
from bulk_sync.simulator.call import Call
from bulk_sync.simulator.faults import Fault
from bulk_sync.simulator.simulation import Simulator

_new_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop

    _new_loop = uvloop.new_event_loop
except ImportError:  # PyPy has none
    _new_loop = asyncio.new_event_loop

log = logging.getLogger(__name__)

_SHUTDOWN_S: Final = 0.1
"""Requests that hang on purpose would otherwise hold up the end."""

_MISSING_BYTES: Final = 20


@contextmanager
def running(options: Options | None = None) -> Generator[Simulator]:
    """Serve a simulator on a free port of 127.0.0.1, in a thread, until the block ends.

    Raises:
        OSError: no port is free, or the profiles' file cannot be read.
        ValueError: the profiles' file has an error.
    """
    simulator = Simulator(options or Options())
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        server = runner.run(_start(simulator, "127.0.0.1", 0))
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever, name="simulator")
        thread.start()
        try:
            yield simulator
        finally:
            asyncio.run_coroutine_threadsafe(server.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def serve_in_foreground(
    options: Options, host: str, port: int, listening: Callable[[Simulator], None]
) -> None:
    """Serve a simulator until SIGINT or SIGTERM; port 0 is a free one.

    ``listening`` is called once requests are accepted.

    Raises:
        OSError: the port is taken, or the profiles' file cannot be read.
        ValueError: the profiles' file has an error.
    """
    simulator = Simulator(options)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await _start(simulator, host, port)
        try:
            listening(simulator)
            await stop.wait()
        finally:
            await server.cleanup()

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main())


async def _start(simulator: Simulator, host: str, port: int) -> web.ServerRunner:
    """Listen, and set the simulator's URL."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        call = Call(request.method, request.raw_path, request.headers, await request.read())
        if call.raw_path.startswith(control.PREFIX):
            return _response(control.answer(simulator, call))
        answer, fault = await simulator.answer(call)
        log.info("%s %s %s", call.method, call.target, answer.status if answer else "-")
        if answer is None:
            return _drop(request)
        return await _deliver(request, answer, fault)

    server = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=_SHUTDOWN_S)
    await server.setup()
    await web.TCPSite(server, host, port, backlog=1024).start()
    name = f"[{host}]" if ":" in host else host
    simulator.url = f"http://{name}:{server.addresses[0][1]}"
    return server


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        charset="utf-8",
        headers=answer.headers,
    )


def _drop(request: web.BaseRequest) -> web.Response:
    """Cut the connection; the returned response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _deliver(
    request: web.BaseRequest, answer: Answer, fault: Fault | None
) -> web.StreamResponse:
    match fault:
        case Fault.CUT_JSON:
            half = answer.body[: len(answer.body) // 2]
            return _response(Answer(answer.status, half, answer.content_type))
        case Fault.TRUNCATED_JSON:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            response.content_length = len(answer.body) + _MISSING_BYTES
            await response.prepare(request)
            await response.write(answer.body[: len(answer.body) // 2])
            if request.transport is not None:
                request.transport.close()
            return response
        case _:
            return _response(answer)
