"""Chromium, driven from a test: each `BrowserPage` is a page of a context with cookies of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from tests.peers.peer_support import bare_environ

PYTHON = Path(sys.prefix) / "peers" / "python" / "bin" / "python"
AXE = Path(sys.prefix) / "peers" / "node" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium", path=f"{Path(sys.prefix) / 'peers' / 'bin'}:/usr/bin") or ""
DRIVER = Path(__file__).with_name("browser_driver.py")
# How often a condition is evaluated, and the pause between two times (milliseconds): a limit that only a hang reaches.
MOST_ROUNDS, PAUSE = 2_400, 50

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")


class BrowserError(Exception):
    """Playwright has raised an error."""


class BrowserPage:
    """A page of the browser. A method is Playwright's, with dots as underscores twice."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process, self._name = process, name

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of Playwright's page; return its result where that is JSON."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([self._name, method, arguments, options]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["result"]

    def open(self, url: str) -> None:
        """Navigate to *url*."""
        self.call("goto", url)

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other; text of more than one letter is typed, unless it names a key."""
        for key in keys:
            is_key = len(key) == 1 or key in ("Enter", "Tab", "Escape", "Space", "Shift+Tab")
            self.call("keyboard.press" if is_key else "keyboard.type", key)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression is on the page."""
        return self.call("evaluate", expression)

    def until(self, expression: str) -> None:
        """Wait until an expression holds; the policy of our pages forbids Playwright's way, which evaluates text in them."""
        for _ in range(MOST_ROUNDS):
            try:
                if self.evaluate(expression):
                    return
            except BrowserError:  # the page is being replaced
                pass
            self.call("wait_for_timeout", PAUSE)
        raise TimeoutError(f"{expression}: {self.text}")

    def until_at(self, place: str) -> None:
        """Wait until the page whose path, or query, contains *place* is loaded and has keys."""
        is_there = f"(location.pathname + location.search).includes({json.dumps(place)})"
        has_keys = "document.readyState === 'complete' && document.documentElement.classList.contains('has-script')"
        self.until(f"{is_there} && {has_keys}")

    def until_text(self, text: str) -> None:
        """Wait until the page has a text."""
        self.until(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    def press(self, selector: str) -> None:
        """Focus what *selector* finds, and press Enter there."""
        self.call("press", selector, "Enter")

    @property
    def text(self) -> str:
        """The text that is visible."""
        return str(self.evaluate("document.body.innerText"))

    @property
    def path(self) -> str:
        """The path of the page."""
        return str(self.evaluate("location.pathname"))

    @property
    def messages(self) -> list[str]:
        """What the page has written to its console, and its errors."""
        return list(self.call("messages"))

    @property
    def is_too_wide(self) -> bool:
        """Whether the page scrolls sideways."""
        return bool(self.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def serious_violations(self) -> list[str]:
        """Return what axe-core finds that is serious or critical."""
        self.evaluate(f"{AXE.read_text()}; true")
        return list(
            self.evaluate(
                "axe.run().then((result) => result.violations.filter((each) => ['serious', 'critical'].includes(each.impact))"
                ".map((each) => `${each.id}: ${each.nodes[0].html.slice(0, 200)}`))"
            )
        )


class Chromium:
    """A browser; `page` opens a page in a context of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._count = process, 0

    def page(self) -> BrowserPage:
        """Open a page, as in another browser."""
        self._count += 1
        return BrowserPage(self._process, f"page {self._count}")


@contextmanager
def chromium(folder: Path, *names: str) -> Iterator[Chromium]:
    """Run a browser that resolves *names* to this machine."""
    command = [str(PYTHON), str(DRIVER), CHROMIUM, *names]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=bare_environ(folder)) as process:
        try:
            yield Chromium(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
