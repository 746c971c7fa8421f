"""The same job by simple programs, as people write them: ``peers.py WAY ENDPOINT FILE``.

    requests   one after the other, in one session
    threads    requests, in 32 threads
    httpx      httpx, 64 at once
    aiohttp    a bare loop of 64 workers

Each reads the file, GETs every profile and PATCHes the changes. None retries, paces itself, keeps
a record or writes a report.
"""

import asyncio
import csv
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import aiohttp
import httpx
import requests
from yarl import URL

HEADERS = {
    "Authorization": "Bearer demo-token",
    "X-Api-Key": "demo-key",
    "Content-Type": "application/json;charset=utf-8",
}
Rows = list[tuple[str, bool]]


def one_by_one(rows: Rows) -> None:
    session = requests.Session()
    session.headers.update(HEADERS)
    for url, desired in rows:
        put(session, url, desired)


def put(session: requests.Session, url: str, desired: bool) -> None:
    if session.get(url).json()["ccpaOptOut"] is not desired:
        session.patch(url, json={"ccpaOptOut": desired}).raise_for_status()


def in_threads(rows: Rows) -> None:
    own = threading.local()

    def one(row: tuple[str, bool]) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.headers.update(HEADERS)
        put(own.session, *row)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(one, rows))


def with_httpx(rows: Rows) -> None:
    async def main() -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60) as client:
            index = iter(rows)

            async def worker() -> None:
                for url, desired in index:
                    if (await client.get(url)).json()["ccpaOptOut"] is not desired:
                        answer = await client.patch(url, json={"ccpaOptOut": desired})
                        answer.raise_for_status()

            await asyncio.gather(*(worker() for _ in range(64)))

    asyncio.run(main())


def with_aiohttp(rows: Rows) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            index = iter(rows)

            async def worker() -> None:
                for address, desired in index:
                    url = URL(address, encoded=True)
                    async with session.get(url) as answer:
                        state = (await answer.json())["ccpaOptOut"]
                    if state is not desired:
                        async with session.patch(url, json={"ccpaOptOut": desired}) as answer:
                            answer.raise_for_status()

            await asyncio.gather(*(worker() for _ in range(64)))

    asyncio.run(main())


WAYS: dict[str, Callable[[Rows], None]] = {
    "requests": one_by_one,
    "threads": in_threads,
    "httpx": with_httpx,
    "aiohttp": with_aiohttp,
}


def main() -> None:
    way, endpoint, file = sys.argv[1:]
    base = f"{endpoint}/acme/campaign/profilesAndServices/profile/"
    with Path(file).open(newline="") as file_rows:
        rows = [
            (base + quote(row["PKey"], safe=""), row["ccpaOptOut"] == "true")
            for row in csv.DictReader(file_rows)
        ]
    WAYS[way](rows)


if __name__ == "__main__":
    main()
