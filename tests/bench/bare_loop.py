"""The reference for a client's cost: the same requests in a bare aiohttp loop, and nothing else.

    bare_loop.py ENDPOINT ROWS CHANGES [whole]

64 workers pull from one index. No retries, no pacing, no checks, no journal: only aiohttp is left.
Prints the seconds of the two passes, unless the whole process is measured.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import aiohttp
import orjson
import uvloop
from yarl import URL

WORKERS = 64
HEADERS = {
    "Authorization": "Bearer demo-token",
    "Cache-Control": "no-cache",
    "X-Api-Key": "demo-key",
    "Content-Type": "application/json;charset=utf-8",
}


async def states(endpoint: str) -> dict[str, bool]:
    async with aiohttp.ClientSession() as session, session.get(f"{endpoint}/_states") as answer:
        return dict(orjson.loads(await answer.read()))


async def passes(endpoint: str, keys: list[str], desired: list[bool]) -> float:
    base = f"{endpoint}/acme/campaign/profilesAndServices/profile/"
    found: list[bool] = [False] * len(keys)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def read(index: Iterator[int]) -> None:
            for at in index:
                url = URL(base + keys[at].replace("@", "%40"), encoded=True)
                async with session.get(url, headers=HEADERS) as answer:
                    found[at] = orjson.loads(await answer.read())["ccpaOptOut"]

        async def write(index: Iterator[int]) -> None:
            for at in index:
                url = URL(base + keys[at].replace("@", "%40"), encoded=True)
                body = orjson.dumps({"ccpaOptOut": desired[at]})
                async with session.patch(url, headers=HEADERS, data=body) as answer:
                    orjson.loads(await answer.read())

        began = time.perf_counter()
        index = iter(range(len(keys)))
        await asyncio.gather(*(read(index) for _ in range(WORKERS)))
        index = iter([at for at, state in enumerate(found) if state is not desired[at]])
        await asyncio.gather(*(write(index) for _ in range(WORKERS)))
        return time.perf_counter() - began


async def main() -> None:
    endpoint, rows, changes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    current = await states(endpoint)
    keys = list(current)[:rows]
    desired = [current[key] != (at < changes) for at, key in enumerate(keys)]
    seconds = await passes(endpoint, keys, desired)
    if "whole" not in sys.argv:
        print(seconds)


if __name__ == "__main__":
    uvloop.run(main())
