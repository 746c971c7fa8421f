"""Takes pictures of HTML reports on screens and paper, and of workbooks on paper.

    .venv/bin/python tests/browser/screenshots.py [REPORT ...]

Without a name, of the reports of ``filed_reports.py``. The pictures are in ``.cache/screenshots``.
Paper needs ``pdftoppm`` (poppler-utils), workbooks need ``soffice`` (libreoffice-calc).
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import chromium
import filed_reports
from playwright.sync_api import Browser

_ENDS = ("html", "xlsx")
# The browser lays out the rest of the page only then.
_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_HIGHEST = 8_000
PICTURES = Path(__file__).parents[2] / ".cache" / "screenshots"


def main() -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    reports = [Path(word) for word in sys.argv[1:]]
    if not reports:
        filed_reports.write_all(PICTURES)
        reports = [PICTURES / f"{name}.{end}" for name in filed_reports.REPORTS for end in _ENDS]
    with chromium.running() as browser:
        for report in reports:
            if report.suffix == ".html":
                _take(browser, report)
    for report in reports:
        pdf = PICTURES / f"{report.name}.pdf"
        if report.suffix == ".xlsx":
            _call("soffice", "--convert-to", "pdf", "--outdir", PICTURES, report)
            (PICTURES / f"{report.stem}.pdf").rename(pdf)
        _call("pdftoppm", "-png", "-r", "70", pdf, f"{pdf}.page")
    sys.stdout.write("".join(f"{path}\n" for path in sorted(PICTURES.glob("*.png"))))


def _call(*words: str | Path) -> None:
    subprocess.run(words, check=True, timeout=120, stdout=subprocess.DEVNULL)


def _take(browser: Browser, report: Path) -> None:
    """Take pictures of an HTML report, and print it."""
    name = str(PICTURES / report.name)
    for look, width in (("screen", 1280), ("dark", 1280), ("phone", 390)):
        page = browser.new_page(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if look == "dark" else "light",
        )
        page.goto(report.resolve().as_uri())
        # Chromium takes no higher picture.
        height = min(_HIGHEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(_TWO_FRAMES)
        page.screenshot(path=f"{name}.{look}.png")
        if look == "screen":
            page.pdf(path=f"{name}.pdf", prefer_css_page_size=True, print_background=True)
        page.close()


if __name__ == "__main__":
    main()
