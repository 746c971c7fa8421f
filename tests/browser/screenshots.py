"""Takes pictures of HTML reports, on a screen, in the dark, on a phone, on paper.

    .venv/bin/python tests/browser/screenshots.py [REPORT ...]

Without a name, of those that ``filed_reports.py`` makes. They are in ``.cache/screenshots``; the
pages of paper become pictures if ``pdftoppm`` (poppler-utils) is there.
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import chromium
import filed_reports
from playwright.sync_api import Browser

_HIGHEST = 8_000
PICTURES = Path(__file__).parents[2] / ".cache" / "screenshots"


def main() -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    reports = [Path(word) for word in sys.argv[1:]]
    if not reports:
        filed_reports.write_all(PICTURES)
        reports = [PICTURES / f"{report}.html" for report in filed_reports.REPORTS]
    with chromium.running() as browser:
        for report in reports:
            _take(browser, report)
    sys.stdout.write("".join(f"{path}\n" for path in sorted(PICTURES.glob("*.png"))))


def _take(browser: Browser, report: Path) -> None:
    """Take all pictures of one report."""
    name = str(PICTURES / report.stem)
    for look, width in (("screen", 1280), ("dark", 1280), ("phone", 390)):
        page = browser.new_page(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if look == "dark" else "light",
        )
        page.goto(report.resolve().as_uri())
        # Chromium takes no picture that is higher.
        height = min(_HIGHEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=f"{name}.{look}.png")
        if look == "screen":
            page.pdf(path=f"{name}.pdf", prefer_css_page_size=True, print_background=True)
        page.close()
    if shutil.which("pdftoppm"):
        words = ["pdftoppm", "-png", "-r", "70", f"{name}.pdf", f"{name}.page"]
        subprocess.run(words, check=True, timeout=120)


if __name__ == "__main__":
    main()
