"""Open pages in Chromium, and print when they were painted and when they changed: run by `web.py`.

Arguments: the browser, the number of rounds, and links that open a session, of servers whose first views are measured in turn.
Then, on the page of the last one: after a line ``watch``, prints ``ready``, and the time (milliseconds since the epoch) at
which the list of tasks changes; after a line ``link``, a new link that opens a session.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
WATCH = """
window.changed = 0;
new MutationObserver((changes, observer) => { window.changed = Date.now(); observer.disconnect(); })
  .observe(document.getElementById("tasks"), { childList: true, subtree: true });
"""


def wait(page: Page, expression: str) -> float:
    """Return what an expression is once it is not 0."""
    while not (value := page.evaluate(expression)):
        page.wait_for_timeout(10)
    return float(value)


def first_view(page: Page, url: str) -> float:
    """Return the milliseconds from the beginning of the navigation to the first paint."""
    page.goto("about:blank")
    page.goto(url)
    return wait(page, PAINTED)


def write(value: object) -> None:
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    links = sys.argv[3:]
    origins = ["{0.scheme}://{0.netloc}/".format(urlsplit(link)) for link in links]
    for link in links:
        page.goto(link)
    for origin in origins:  # the first time the store's pages are read from the disk
        first_view(page, origin)
    views: list[list[float]] = [[] for _ in origins]
    for _ in range(int(sys.argv[2])):
        for origin, times in zip(origins, views, strict=True):
            times.append(first_view(page, origin))
    write(views)
    for line in sys.stdin:
        if line.strip() == "link":
            page.goto(origins[-1] + "settings")
            page.click("form[action='/settings/link'] button")
            write(page.inner_text(".notice pre"))
            continue
        page.goto(origins[-1])
        page.wait_for_timeout(1000)  # until the stream of events is open
        page.evaluate(WATCH)
        write("ready")
        write(wait(page, "window.changed"))
    chromium.close()
