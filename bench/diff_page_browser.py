"""Open pages in Chromium, and print when their first file was visible and which tasks were long: run by `diff_page.py`.

Arguments: the browser, a link that opens a session, the number of rounds, and paths, of which the last one is scrolled through.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

# The time of the first frame in which a line of a file can be seen, and tasks of more than 50 ms (Long Tasks API).
WATCH = """
new PerformanceObserver((list) => (window.tasks ??= []).push(...list.getEntries().map((each) => each.duration)))
  .observe({ type: "longtask" });
const look = () => {
  if (document.querySelector("details.file .d tr")) requestAnimationFrame(() => { window.first = performance.now(); });
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
# What there is after scrolling: long tasks, files, the height, the rows that are elements, and the parts that were not loaded.
SCROLLED = """[window.tasks, document.querySelectorAll('details.file').length, document.body.scrollHeight,
  document.querySelectorAll('.d tr').length, document.querySelectorAll('.lazy').length]"""
IS_LOADING = """[...document.querySelectorAll(".lazy")].some((each) => {
  const { top, bottom } = each.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
})"""
STEP, PAUSE = 800, 40  # pixels, and milliseconds between two steps of the wheel
MOST_STEPS, STEPS_AT_END = 4_000, 25


def first_visible(page: Page, url: str) -> float:
    """Return the milliseconds from the beginning of the navigation until the first file was visible."""
    page.goto("about:blank")
    page.goto(url, wait_until="commit")
    while not (first := page.evaluate("window.first")):
        page.wait_for_timeout(20)
    return float(first)


def scroll(page: Page) -> None:
    """Turn the wheel until the end of the page is reached, and stays the end for a while; a step waits for its frame and for what it shows."""
    page.mouse.move(400, 400)
    at_end = 0
    for _ in range(MOST_STEPS):
        page.mouse.wheel(0, STEP)
        page.evaluate("new Promise((end) => requestAnimationFrame(() => requestAnimationFrame(end)))")
        page.wait_for_timeout(PAUSE)
        while page.evaluate(IS_LOADING):
            page.wait_for_timeout(PAUSE)
        at_end = at_end + 1 if page.evaluate("scrollY + innerHeight >= document.body.scrollHeight - 2") else 0
        if at_end > STEPS_AT_END:
            return


def measure(browser: str, link: str, rounds: int, paths: list[str]) -> dict[str, object]:
    """Return the times of each path, and the long tasks while the last one was scrolled."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(WATCH)
        page.goto(link)
        for path in paths:  # the first time a store's page is read from the disk
            first_visible(page, origin + path)
        first: dict[str, list[float]] = {path: [] for path in paths}
        for _ in range(rounds):
            for path in paths:
                first[path].append(first_visible(page, origin + path))
        page.evaluate("window.tasks = []")
        chromium.start_tracing(page=page, categories=["toplevel"])
        scroll(page)
        tasks, files, height, rows, waiting = page.evaluate(SCROLLED)
        busy = task_times(json.loads(chromium.stop_tracing()))
        chromium.close()
    return {
        "first": first,
        "tasks": tasks,
        "busy": busy,
        "files": files,
        "height": height,
        "rows": rows,
        "waiting": waiting,
    }


def task_times(trace: dict[str, Any]) -> list[float]:
    """Return the CPU time of each task of more than 20 ms on the main threads of pages (milliseconds)."""
    events = trace["traceEvents"]
    mains = {(each["pid"], each["tid"]) for each in events if (each.get("args") or {}).get("name") == "CrRendererMain"}
    times = [
        each.get("tdur", 0) / 1000
        for each in events
        if each.get("name") == "ThreadControllerImpl::RunTask" and (each["pid"], each["tid"]) in mains
    ]
    return [each for each in times if each > 20]


print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])))
