"""Compare three attempts and apply one, with the keyboard alone: run by `test_compare_page.py` in Chromium.

Arguments: the browser, a link that opens a session, the address of a comparison, and the width of the window. Prints what was
seen as JSON.
"""

from __future__ import annotations

import json
import sys

from playwright.sync_api import Page, sync_playwright

MOST_ROUNDS = 2_000

SEEN = """() => ({
  url: location.pathname + location.search,
  file: document.activeElement.closest("details.file")?.querySelector("bdi:last-of-type").textContent,
  lines: [...document.querySelectorAll(".d .a.x, .d .a .x, .d .r.x, .d .r .x")].map((each) => each.textContent),
  view: document.querySelector(".compare").dataset.view,
  overflow: document.documentElement.scrollWidth > innerWidth,
  isHacked: window.hacked === true,
})"""


def wait(page: Page, until: str) -> None:
    """Wait until an expression holds; the page's own policy forbids Playwright's way, which evaluates text in it."""
    for _ in range(MOST_ROUNDS):
        if page.evaluate(until):
            return
        page.wait_for_timeout(50)
    raise TimeoutError(until)


def press(page: Page, keys: str, until: str) -> dict[str, object]:
    """Press keys, wait until the expression *until* holds, and return what is seen."""
    for key in keys.split():
        page.keyboard.press(key)
    wait(page, until)
    return dict(page.evaluate(SEEN))


def compare(page: Page, address: str) -> dict[str, object]:
    """Find the difference between the attempts, and apply the second one."""
    page.goto(address.removesuffix("/compare"))
    wait(page, "document.documentElement.classList.contains('has-script')")
    page.keyboard.press("c")
    page.wait_for_url("**/compare")
    seen: dict[str, object] = {
        "files": press(page, "n n", "document.activeElement.closest('details.file')"),
        "second": press(page, "2", "location.search.includes('candidate=2')"),
        "difference": press(page, "d", "location.search.includes('against=1')"),
        "next": press(page, "d", "location.search.includes('against=3')"),
        "whole": press(page, "d", "!location.search.includes('against')"),
        "again": press(page, "d", "location.search.includes('against=1')"),
        "split": press(page, "u", "document.querySelector('.compare').dataset.view === 'split'"),
        "third": press(page, "3", "location.search.includes('candidate=3')"),
    }
    page.go_back()
    wait(page, "location.search.includes('against=1')")
    seen["back"] = page.evaluate(SEEN)
    seen["checks"] = press(page, "c", "document.activeElement.name === 'checks'")
    page.evaluate("document.activeElement.blur()")
    page.locator("a.ex").first.focus()
    page.keyboard.press("Enter")
    wait(page, "document.querySelectorAll('.d tr').length > 20")
    seen["expanded"] = page.evaluate("document.querySelectorAll('.d tr').length")
    page.keyboard.press("a")
    page.wait_for_url("**/apply?attempt=2")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice")
    seen["applied"] = page.locator(".notice p").inner_text()
    return seen


with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
    tab = chromium.new_page(viewport={"width": int(sys.argv[4]), "height": 800})
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.goto(sys.argv[2])
    sys.stdout.write(json.dumps({**compare(tab, sys.argv[3]), "messages": messages}))
    chromium.close()
