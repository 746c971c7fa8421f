"""A real browser, and pages checked for people and for assistive tools."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

import npm
from playwright.sync_api import Browser, Page, sync_playwright

_NEW_SURFACE: Final = "CDPScreenshotNewSurface"
"""With it one of 16 pictures of long pages failed."""

Look = Literal["light", "dark", "print"]
LOOKS: Final[tuple[Look, ...]] = get_args(Look)

_WCAG: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
_COLOURS: Final = ("color-contrast",)
"""The rules that depend on the theme."""


@dataclass
class Shown:
    """A page in a browser."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """The messages of the console."""
    requests: list[str] = field(default_factory=list)

    def look(self, look: Look) -> None:
        """Show the page in another way."""
        if look == "print":
            self.page.emulate_media(media="print", color_scheme="light")
        else:
            self.page.emulate_media(media="screen", color_scheme=look)

    def check(self) -> None:
        """Fail if the page is unreadable for some people, in the light or in the dark theme."""
        self.look("dark")
        assert self.violations(_COLOURS) == []
        self.look("light")
        assert self.violations() == []

    def violations(self, rules: Sequence[str] = _WCAG) -> list[str]:
        """Check the page in its present state against WCAG 2.2, levels A and AA, by axe."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        found: list[dict[str, Any]] = self.page.evaluate(
            "rules => axe.run({runOnly: rules}).then(result => result.violations)", rules
        )
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]}: {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
        ]


@contextmanager
def running() -> Iterator[Browser]:
    """Run Chromium: the system's, or else the one from npm."""
    system = shutil.which("chromium")
    own = {
        "LD_LIBRARY_PATH": f"{_packages() / 'al2023' / 'lib'}",
        "FONTCONFIG_FILE": f"{_packages() / 'fonts.conf'}",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system or _packages() / "chromium",
            args=["--no-sandbox", "--disable-gpu", f"--disable-features={_NEW_SURFACE}"],
            env={**os.environ, **({} if system else own)},
        )
        yield browser
        browser.close()


@contextmanager
def shown(browser: Browser) -> Iterator[Shown]:
    """Open a page in a window of its own."""
    with browser.new_context() as context, context.new_page() as page:
        seen = Shown(page)
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(error.message))
        page.on("request", lambda request: seen.requests.append(request.url))
        yield seen


@cache
def _axe() -> str:
    return (_packages() / "node_modules/axe-core/axe.min.js").read_text()


def _packages() -> Path:
    return npm.installed(Path(__file__).parent / "browser" / "packages")
