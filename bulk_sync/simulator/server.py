"""Serving a simulator over HTTP: in a thread for tests, in the foreground for the command.

It is the low-level server of aiohttp without a router: a key may hold any character, so the path
must not be normalized or decoded before it is split.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

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
    started: Future[tuple[Simulator, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with serve(options or Options()) as simulator:
            started.set_result((simulator, asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(main())

    with ThreadPoolExecutor(1, "simulator") as pool:
        ended = pool.submit(run)
        either: list[Future[Any]] = [started, ended]
        wait(either, return_when=FIRST_COMPLETED)
        if not started.done():
            ended.result()
        simulator, loop, stop = started.result()
        try:
            yield simulator
        finally:
            loop.call_soon_threadsafe(stop.set)
            ended.result()


def serve_in_foreground(
    options: Options, host: str, port: int, listening: Callable[[Simulator], None]
) -> None:
    """Serve a simulator until SIGINT or SIGTERM.

    Args:
        options: how it behaves.
        host: where to listen.
        port: 0 is a free one.
        listening: called once requests are accepted.

    Raises:
        OSError: the port is taken, or the profiles' file cannot be read.
        ValueError: the profiles' file has an error.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with serve(options, host, port) as simulator:
            listening(simulator)
            await stop.wait()

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main())


@asynccontextmanager
async def serve(
    options: Options, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[Simulator]:
    """Serve a simulator in the running event loop; port 0 is a free one.

    Raises:
        OSError: the port is taken, or the profiles' file cannot be read.
        ValueError: the profiles' file has an error.
    """
    simulator = Simulator(options)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        call = Call(request.method, request.raw_path, request.headers, await request.read())
        if call.raw_path.startswith(control.PREFIX):
            return _response(control.answer(simulator, call))
        answer, fault = await simulator.answer(call)
        log.info("%s %s %s", call.method, call.target, answer.status if answer else "-")
        if answer is None:
            return _drop(request)
        return await _deliver(request, answer, fault)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        name = f"[{host}]" if ":" in host else host
        simulator.url = f"http://{name}:{runner.addresses[0][1]}"
        yield simulator
    finally:
        await runner.cleanup()


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
