"""Opens a page in a running browser, and prints the seconds until it has loaded."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import chromium

with chromium.running() as browser, browser.new_page() as page:
    began = time.monotonic()
    page.goto(Path(sys.argv[1]).as_uri(), wait_until="load")
    print(time.monotonic() - began)
