"""The client's work on the pages of a scan, or the reference: only to parse their bytes.

    scan_pages.py ENDPOINT ours|parse

One page of 1,000 profiles of the simulator stands for 200 pages of other profiles, and the client
looks for every one of them. Prints the seconds.
"""

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
from side_door import get_json

from bulk_sync.campaign.list_pages import parser_of, read
from bulk_sync.campaign.responses import Response
from bulk_sync.engines.journal import Recorder
from bulk_sync.engines.scan import ListedStates
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop

PAGES = 200
LIST = "/acme/campaign/profileAndServices/profile?_lineCount=1000&_forcePagination=true"
HEADERS = {"Authorization": "Bearer demo-token", "X-Api-Key": "demo-key"}


def copied_pages(endpoint: str) -> list[bytes]:
    """Read one page, and return it many times with other keys."""
    page = get_json(endpoint + LIST, HEADERS)
    pages = []
    for number in range(PAGES):
        for profile in page["content"]:
            profile["PKey"] = f"@{number:06d}{profile['PKey'][-80:]}"
        pages.append(orjson.dumps(page))
    return pages


async def ours(pages: list[bytes]) -> float:
    keys = [each["PKey"] for page in pages for each in orjson.loads(page)["content"]]
    with ThreadPoolExecutor(1) as thread:
        kept = Recorder(lambda _: None, thread, Stop())
        listing = ListedStates(Texts.wrap(keys), Steps.blank(len(keys)), "ccpaOptOut", kept)
        parse = parser_of(listing.fields)
        began = time.perf_counter()
        for page in pages:
            listing.take(read(parse(Response(200, page)), LIST))
        seconds = time.perf_counter() - began
        await kept.close()
    assert not listing.missing
    return seconds


def parse(pages: list[bytes]) -> float:
    began = time.perf_counter()
    for page in pages:
        orjson.loads(page)
    return time.perf_counter() - began


if __name__ == "__main__":
    copies = copied_pages(sys.argv[1])
    print(asyncio.run(ours(copies)) if sys.argv[2] == "ours" else parse(copies))
