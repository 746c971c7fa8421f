"""A person in front of a browser, with nothing but a keyboard."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect
from serving import NAMES, PASSWORD, Served

from bulk_sync.web.identity import Role

WAIT_MS = 60_000
"""The longest time of a process; the tests wait for each state of the page."""


@dataclass(frozen=True)
class Reader:
    """A person; the browser runs the script or not."""

    page: Page
    has_script: bool = True

    def go(self, name: str, path: str = "*") -> None:
        """Follow a link to a path."""
        self._enter("link", name)
        self.page.wait_for_url(f"**/{path}")

    def press(self, name: str) -> None:
        """Press a button, and wait for the next screen."""
        self._reach(self.button(name))
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type(self, label: str, text: str) -> None:
        """Type into a field, or choose an option by the beginning of its text."""
        self._reach(self.page.get_by_label(label, exact=True))
        self.page.keyboard.type(text)

    def choose_file(self, path: Path) -> None:
        """Choose a file."""
        self._reach(self.page.get_by_label("Spreadsheet or CSV file", exact=True))
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Space")
        chooser.value.set_files(path)

    def download(self, name: str) -> Download:
        """Follow a link to a file."""
        with self.page.expect_download() as download:
            self._enter("link", name)
        return download.value

    def look_at_opt_ins(self) -> None:
        """Scroll through the opt-ins; without the script, confirm each page of them."""
        while self.button("Approve and apply").is_disabled():
            self.scroll()
        while not self.has_script and self.page.get_by_role("checkbox").count():
            self._reach(self.page.get_by_role("checkbox"))
            self.page.keyboard.press("Space")
            self.press("Confirm these rows")

    def scroll(self) -> None:
        """Scroll down a page; from the end, back to the top."""
        end = "scrollY + innerHeight >= document.documentElement.scrollHeight - 9"
        self.page.keyboard.press("Home" if self.page.evaluate(end) else "PageDown")
        self.page.wait_for_timeout(50)

    def wait_for(self, target: Locator) -> None:
        """Wait until an element is there; without the script, reload the page meanwhile."""
        if self.has_script:
            expect(target).to_be_visible(timeout=WAIT_MS)
            return
        for _ in range(600):
            if target.count():
                return
            self.page.wait_for_timeout(100)
            self.page.reload()
        pytest.fail(f"{target} does not appear")

    def wait_for_run(self) -> str:
        """Go to the run of a new approval, wait for its end, and return its address."""
        while "/plans/" in self.page.url:  # on a slow machine the run has not begun yet
            self.wait_for(self.page.get_by_role("link", name="show the run"))
            self.go("show the run", "runs/*")
        self.wait_for(self.page.get_by_role("link", name="Report (Excel)"))
        return self.page.url.partition("?")[0]

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def _enter(self, role: str, name: str) -> None:
        self._reach(self.page.get_by_role(role, name=name).first)  # type: ignore[arg-type]
        self.page.keyboard.press("Enter")

    def _reach(self, target: Locator) -> None:
        """Press Tab until the element has the focus."""
        element = target.element_handle(timeout=WAIT_MS)
        for _ in range(300):
            if element.evaluate("each => each == document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        pytest.fail(f"Tab does not lead to {target}")


@contextmanager
def reader(
    browser: Browser, served: Served, role: Role, *, has_script: bool = True
) -> Iterator[Reader]:
    """Sign a person in, by keyboard."""
    with browser.new_context(java_script_enabled=has_script) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        # From now on: a press that comes before it opens a window that no test sees.
        page.on("filechooser", lambda _: None)
        page.goto(served.url)
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type(NAMES[role])
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{served.url}/")
        yield Reader(page, has_script)
