"""Run Chromium for `browser_support.py`: calls of Playwright arrive as lines of JSON, and their results leave as lines.

Arguments: the browser, and names that it resolves to this machine. A line has the name of the page, which a new context has
where it is not known yet, the method with dots, and its arguments.
"""

from __future__ import annotations

import json
import sys
from functools import reduce
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

RULES = ", ".join(f"MAP {name} 127.0.0.1" for name in sys.argv[2:])


class Pages:
    """The open pages by their names; `messages` are what each has written to its console, and its errors."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._pages: dict[str, Page] = {}
        self.messages: dict[str, list[str]] = {}

    def get(self, name: str) -> Page:
        """Return a page."""
        if name not in self._pages:
            page = self._chromium.new_page(viewport={"width": 1280, "height": 800}, timezone_id="Asia/Kolkata")
            said = self.messages[name] = []
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: said.append(f"error: {error}"))
            page.set_default_timeout(120_000)
            self._pages[name] = page
        return self._pages[name]

    def call(self, name: str, method: str, arguments: list[Any], options: dict[str, Any]) -> object:
        """Call a method of a page; what is no JSON is returned as None."""
        page = self.get(name)
        if method == "messages":
            return self.messages[name]
        result = reduce(getattr, method.split("."), page)(*arguments, **options)
        return result if isinstance(result, str | int | float | bool | list | dict) else None


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=sys.argv[1], args=["--no-sandbox", f"--host-resolver-rules={RULES}"]
    )
    pages = Pages(browser)
    for line in sys.stdin:
        try:
            answer = {"result": pages.call(*json.loads(line))}
        except Error as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    browser.close()
