"""Chromium on the page of `coatcheck web`: every action, two browsers, restarts, access, hostile content, other origins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.checkouts import RepositoryCopies
from tests.peers.browser_support import BrowserPage, Chromium, chromium, needs_browser
from tests.web.test_compare import BASE, CHANGED, make_base
from tests.web.test_fleets import FleetPages
from tests.web.web_support import Pages

from coatcheck import Attempt, Message, Outcome, Patch, Task, TaskRef, TaskState
from coatcheck._server.http_protocol import limits_here
from coatcheck._server.listener import serving_app
from coatcheck._store.reviews import ReviewSubmission
from coatcheck._web.app import WebApp
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

pytestmark = [pytest.mark.peer, needs_browser]

REBOUND = "rebound.example"
REVIEW = "a-review-with-a-rather-long-name-that-was-chosen-by-a-person"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for all tests; each page of it has cookies of its own."""
    with chromium(tmp_path_factory.mktemp("browser"), REBOUND) as opened:
        yield opened


class Server:
    """The page of *pages*, served on loopback; `restart` serves it again on the same port, as a new process would."""

    def __init__(self, pages: Pages) -> None:
        self.pages, self._stack, self._port = pages, ExitStack(), 0
        self.start()

    def start(self) -> None:
        """Serve the page."""
        app = self.pages.app
        self.origin = self._stack.enter_context(
            serving_app(app.asgi, limits_here(), port=self._port, on_stop=app.live.end)
        )
        self._stack.enter_context(app.running())
        self._port = int(self.origin.rpartition(":")[2])

    def stop(self) -> None:
        """End the server, and every connection to it."""
        self._stack.close()

    def restart(self, *, keeps_sessions: bool) -> None:
        """Serve the page again; without its sessions as a new process."""
        self.stop()
        if not keeps_sessions:
            self.pages.site.sessions = type(self.pages.site.sessions)()
        self.pages.app = WebApp(self.pages.site)
        self.start()

    def open(self, browser: Chromium, path: str = "/") -> BrowserPage:
        """Open a page with a link of its own."""
        page = browser.page()
        page.open(self.pages.site.new_link(self.origin, path))
        return page


@contextmanager
def serving(pages: Pages) -> Iterator[Server]:
    """Serve *pages*."""
    server = Server(pages)
    try:
        yield server
    finally:
        server.stop()
        pages.site.close()


@pytest.fixture
def server(tmp_path: Path, repositories: RepositoryCopies) -> Iterator[Server]:
    """A page with a checkout, in front of a cloud whose attempts differ in one line."""
    checkout = repositories.copy(make_base, tmp_path / "checkout")
    scripts = [
        AttemptScript(timeline=["completed"], result=CloudResult(diff=CHANGED.format(word), messages=("Done.",)))
        for word in ("thirty", "THIRTY")
    ]
    with serving(Pages(tmp_path, ScriptedCloud(attempts=scripts), checkout=checkout)) as opened:
        yield opened


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Server]:
    """A page with a fleet of which every item waits for a decision, and a webhook."""
    pages = FleetPages(tmp_path, approve={})
    pages.fleet.run()
    pages.site.hooks.add("https://example.com/hook", (), allowed=())
    with serving(pages) as opened:
        yield opened


def test_a_task_is_submitted_compared_applied_and_undone_by_keyboard(server: Server, browser: Chromium) -> None:
    """From an empty page to a changed checkout and back, with keys alone; every step is in the audit log."""
    page, checkout = server.open(browser), Path(server.pages.site.checkout or "")
    page.until_at("/")
    page.keys("g", "n")
    page.until_at("/submit")
    page.call("focus", "[name=prompt]")
    page.keys("Make it louder")
    page.call("focus", "[name=environment]")
    page.keys("owner/repo")
    page.call("fill", "[name=attempts]", "2")
    page.press("[name=environment]")
    page.until_at("/tasks/")
    ref = page.path.removeprefix("/tasks/")
    page.open(f"{server.origin}/tasks/{ref}/compare")
    page.until("document.querySelectorAll('details.file').length && document.readyState === 'complete'")
    page.keys("2")
    page.until_at("candidate=2")
    page.keys("a")
    page.until_at("/apply")
    page.keys("a", "Enter")
    page.until_text("Applied 1 file")
    applied = (checkout / "f.txt").read_text()
    page.open(f"{server.origin}/checkout")
    page.press("form[method=post] button")
    page.until_text("restored")
    page.open(f"{server.origin}/tasks/{ref}")
    page.press("#message-form > summary")
    page.call("focus", "[name=text]")
    page.keys("And longer")
    page.press("form[action$='/message'] button")
    page.until_text("The message was sent")
    actions = [getattr(each.event, "action", None) for each in server.pages.site.events.last(100, family="action.")]

    assert (["submit", "apply", "undo", "message"], BASE.replace("line 30\n", "THIRTY\n"), BASE, []) == (
        actions,
        applied,
        (checkout / "f.txt").read_text(),
        page.messages,
    )


def _open_gate(pages: Pages) -> str:
    """Open a gate that holds a submission; return its path."""
    hidden = pages.browser.get("/submit").fields("/submit")
    fields = {**hidden, "prompt": "Add dark mode " * 9, "environment": "owner/repo", "gate": "yes"}
    return pages.browser.post("/submit", fields).location


def test_two_browsers_decide_a_gate_once(server: Server, browser: Chromium) -> None:
    """What one browser decides the other shows by itself; the task is submitted once."""
    first, second = server.open(browser, "/gates"), server.open(browser, "/gates")
    _open_gate(server.pages)
    for page in (first, second):
        page.until("!document.getElementById('changed').hidden || document.querySelector('[data-press=a]')")
        page.keys(".")
        page.until("document.querySelector('[data-press=a]')")
    first.keys("a", "Enter")
    first.until_at("/tasks/")
    second.until("document.getElementById('open-gates').textContent === ''")
    second.press("[data-press=a]")
    second.until("document.querySelector('.notice, .error-page') || location.pathname.startsWith('/tasks/')")

    assert (1, []) == (len(server.pages.cloud.tasks), first.messages)


def test_a_page_continues_after_its_connection_was_cut(server: Server, browser: Chromium) -> None:
    """A page says that it is not live while the server is down, and shows what was stored meanwhile when it is back."""
    page = server.open(browser)
    server.stop()
    page.until_text("Not live")
    server.pages.submit("Stored while nothing was served")
    server.restart(keeps_sessions=True)
    page.until("document.getElementById('connection').textContent === ''")
    page.until("!document.getElementById('changed').hidden || document.querySelector('#tasks [data-key]')")
    page.keys(".")
    page.until_text("Stored while nothing was served")

    assert ["/", False] == [page.path, page.is_too_wide]


def test_a_new_server_asks_for_a_new_link(server: Server, browser: Chromium) -> None:
    """A page of an ended server shows nothing of the new one's: it names the command that prints a link."""
    page = server.open(browser)
    ref = server.pages.submit("Private words")
    server.restart(keeps_sessions=False)
    page.open(f"{server.origin}/tasks/{ref}")

    assert (True, False) == ("coatcheck web" in page.text, "Private words" in page.text)


def test_back_and_forward_show_the_pages_that_were_left(server: Server, browser: Chromium) -> None:
    """Back and forward go through the list, its filter, a task and the candidates of a comparison."""
    ref = server.pages.submit(attempts="2")
    page = server.open(browser)
    steps = ["/", "/?q=dark", f"/tasks/{ref}", f"/tasks/{ref}/compare", f"/tasks/{ref}/compare?candidate=2"]
    for step in steps[1:]:
        page.open(server.origin + step)
    seen = []
    for method, count in (("go_back", 4), ("go_forward", 4)):
        for _ in range(count):
            page.call(method)
            seen.append(page.evaluate("location.pathname + location.search"))

    assert [*steps[3::-1], *steps[1:]] == seen


def test_a_fleet_is_decided_by_keyboard(fleet: Server, browser: Chromium) -> None:
    """One item is opened and approved, another is ticked and rejected, the fleet is paused and resumed, with keys alone."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    page = fleet.open(browser)
    page.until_at("/")
    page.keys("g", "f")
    page.until_at("/fleets")
    page.keys("j", "Enter")
    page.until_at("/fleets/typing")
    page.press(f"a[href='{pages.item('p0')}']")
    page.until_at("/items/")
    page.keys("a", "Enter")
    page.until_text("Approved 1 item")
    page.keys("u")
    page.until_at("/fleets/typing")
    page.call("focus", "[name=key][value=p1]")
    page.keys("Space")
    page.press("[name=action][value=reject]")
    page.until_text("Rejected 1 item")
    page.press("form[action$='/pause'] button")
    page.until_text("typing is paused")
    page.press("form[action$='/resume'] button")
    page.until_text("may run again")

    assert (["approved", "rejected", "waiting"], []) == (pages.states(), page.messages)


def test_an_open_page_of_a_fleet_shows_what_another_process_decides(fleet: Server, browser: Chromium) -> None:
    """A decision of the command line changes the row of the item in an open page; nothing moves."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    page = fleet.open(browser, "/fleets/typing")
    top = "document.querySelector('[data-key=p1]').getBoundingClientRect().top"
    before = page.evaluate(top)
    pages.fleet.control.reject("typing", ["p1"], by="ann")
    page.until("document.querySelector('[data-key=p1]').innerText.includes('rejected')")

    assert before == page.evaluate(top)


def test_times_are_in_the_zone_of_the_reader(fleet: Server, browser: Chromium) -> None:
    """Times in the text and below the bars of the chart are five and a half hours after UTC in India."""
    page = fleet.open(browser, "/fleets/typing")
    page.until_at("/fleets/typing")
    texts = "[...document.querySelectorAll('%s')].map((each) => [each.dataset.time ?? each.dateTime, each.textContent])"
    zone = timezone(timedelta(hours=5, minutes=30))
    shown = [*page.evaluate(texts % "text[data-time]"), *page.evaluate(texts % "td time")]
    expected = [f"{datetime.fromisoformat(at).astimezone(zone):%Y-%m-%d %H:%M}" for at, _ in shown]

    assert [True] * len(expected) == [long.endswith(text) for long, (_, text) in zip(expected, shown, strict=True)]
    assert {5, 16} == {len(text) for _, text in shown}


def test_the_items_of_a_fleet_are_printed(fleet: Server, browser: Chromium) -> None:
    """On paper the table of items is there although it is part of a form; buttons and fields are not."""
    page = fleet.open(browser, "/fleets/typing")
    page.call("emulate_media", media="print")
    heights = (
        "['#item-rows tr', '#decide ~ form', '.button'].map((each) => document.querySelector(each).offsetHeight > 0)"
    )

    assert [True, False, False] == page.evaluate(heights)


def _every_path(pages: FleetPages, ref: str) -> list[str]:
    item = pages.item("p0")
    paths = [
        "/",
        "/?q=nothing",
        "/submit",
        "/reviews",
        f"/reviews/{REVIEW}",
        "/fleets",
        "/fleets/typing",
        item,
        f"{item}/compare",
    ]
    paths += ["/fleets/typing/delivery", "/gates", "/checkout", "/hooks", "/log", "/settings", "/nowhere"]
    return [*paths, f"/tasks/{ref}", f"/tasks/{ref}/compare", f"/tasks/{ref}/compare?view=split"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_on_any_page(fleet: Server, browser: Chromium, scheme: str, width: int) -> None:
    """No page has a serious violation of WCAG that axe-core finds, and none scrolls sideways, in either scheme and width."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    ref = pages.submit()
    _open_gate(pages)
    failed = [ReviewSubmission(number=1, provider="jules", error="there is no login")]
    pages.site.reviews.create(iter([REVIEW]), failed, title="Add dark mode " * 9)
    page = fleet.open(browser)
    page.call("emulate_media", color_scheme=scheme)
    page.call("set_viewport_size", {"width": width, "height": 844})
    problems = []
    for path in _every_path(pages, ref):
        page.open(fleet.origin + path)
        problems += [f"{path}: {each}" for each in page.serious_violations()]
        problems += [f"{path} scrolls sideways"] if page.is_too_wide else []

    assert [] == problems


# --- hostile content --------------------------------------------------------------------------------------------------

SCRIPT = "<script>hacked=true</script><img src=x onerror=hacked=true><svg onload=hacked=true>"
MARKDOWN = f"""{SCRIPT}

[link](javascript:hacked=true) [two](<JaVaScRiPt:hacked=true>) ![x](x" onerror="hacked=true)
<a href="data:text/html,<script>hacked=true</script>">x</a> <iframe srcdoc="<script>parent.hacked=true</script>"></iframe>
<style>* {{ display: none }}</style> <form action="/gates/x"><button>y</button></form> <base href="https://evil.example/">

| {"x" * 3000} | \u202e{SCRIPT} |
|---|---|
| `{SCRIPT}` | {"w" * 5000} |
"""
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='hacked=true'><script>parent.hacked=true</script></svg>"
NAME = "<img src=x onerror=hacked=true>\u202e" + "n" * 200


def added(path: str, *lines: str) -> str:
    """Return the diff that adds a file."""
    body = "".join(f"+{line}\n" for line in lines)
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}"


HOSTILE_DIFFS = {
    "script": added(NAME, SCRIPT, "\u202e\u2066\u200b", "</td></table>") + added("evil.svg", SVG),
    "long-line": added("long.js", "x" * 5_000_000) + added("long.txt", SCRIPT * 50_000),
    "many-files": "".join(added(f"folder/{number}/{SCRIPT}", "line") for number in range(5_000)),
}


def hostile_task(name: str, diff: str) -> Task:
    """Return an ended task with hostile text in every field."""
    outcome = Outcome(patch=Patch(diff.encode()), messages=(Message(role="assistant", text=MARKDOWN),))
    return Task(
        ref=TaskRef("codex", f"task_{name}"),
        state=TaskState.SUCCEEDED,
        title=SCRIPT + "t" * 5000,
        prompt=MARKDOWN,
        repository=SCRIPT,
        environment_label=SCRIPT,
        url="javascript:hacked=true",
        outcome=outcome,
        attempts=tuple(
            Attempt(id=SCRIPT, placement=number, state=TaskState.SUCCEEDED, outcome=outcome) for number in range(2)
        ),
        attempt_total=2,
    )


@pytest.mark.parametrize("name", list(HOSTILE_DIFFS))
@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_content_neither_runs_nor_breaks_the_layout(
    name: str, width: int, tmp_path: Path, browser: Chromium
) -> None:
    """Script in titles, messages, paths, diffs and SVG does not run, bidi characters are escapes, and no page is too wide."""
    pages = Pages(tmp_path)
    task = hostile_task(name, HOSTILE_DIFFS[name])
    pages.site.history.record(task)
    path = f"/tasks/{task.ref}"
    problems = []
    with serving(pages) as server:
        page = server.open(browser)
        page.call("set_viewport_size", {"width": width, "height": 844})
        for each in (
            "/",
            path,
            f"{path}/compare",
            f"{path}/compare?view=split",
            f"{path}/compare?candidate=2&against=1",
        ):
            page.open(server.origin + each)
            page.call("mouse.wheel", 0, 4000)
            page.call("wait_for_timeout", 100)
            problems += [f"{each}: script has run"] if page.evaluate("window.hacked === true") else []
            problems += [f"{each} scrolls sideways"] if page.is_too_wide else []
            problems += [f"{each} has hidden characters"] if "\u202e" in page.text else []
            problems += (
                [f"{each}: no navigation"] if not page.evaluate("!!document.querySelector('header nav a')") else []
            )
        links = page.evaluate("[...document.querySelectorAll('a[href]')].map((each) => each.protocol)")
        problems += [f"{each} is linked" for each in {*links} - {"http:", "https:"}]

    assert ([], []) == (problems, page.messages)


# --- other origins ----------------------------------------------------------------------------------------------------

ATTACK = """<!DOCTYPE html><title>attack</title><script>
const target = location.hash.slice(1), seen = [];
const record = (name) => (value) => seen.push([name, String(value)]);
const read = (name, promise) => promise.then(record(name), record(`${name} failed`));
(async () => {
  for (const path of ["/", "/gates", "/events", "/api/v1/tasks"]) {
    await read(`read ${path}`, fetch(target + path, {credentials: "include"}).then((each) => each.text()));
    await read(`no-cors ${path}`, fetch(target + path, {credentials: "include", mode: "no-cors"}).then((each) => each.text()));
  }
  for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/json"])
    await read(`post ${type}`, fetch(target + "/submit", {method: "POST", credentials: "include", mode: "no-cors",
      headers: {"content-type": type}, body: "prompt=stolen&environment=owner/repo"}).then((each) => each.text()));
  for (const tag of ["iframe", "img", "script", "link"]) {
    const element = document.createElement(tag);
    const loaded = new Promise((end) => { element.onload = () => end("loaded"); element.onerror = () => end("refused"); });
    if (tag === "link") { element.rel = "stylesheet"; element.href = target + "/"; } else element.src = target + "/";
    document.body.append(element);
    await loaded;
    if (tag === "iframe") try { record("iframe text")(element.contentDocument?.body?.innerText ?? ""); } catch { }
  }
  const source = new EventSource(target + "/events", {withCredentials: true});
  await new Promise((end) => { source.onmessage = (each) => { record("event")(each.data); end(); }; source.onerror = end; });
  source.close();
  const form = document.body.appendChild(document.createElement("form"));
  form.method = "post"; form.target = "sent"; form.action = target + "/submit";
  for (const [name, value] of [["prompt", "stolen"], ["environment", "owner/repo"]]) {
    const field = form.appendChild(document.createElement("input")); field.name = name; field.value = value;
  }
  const frame = document.createElement("iframe"); frame.name = "sent"; document.body.append(frame);
  await new Promise((end) => { frame.onload = end; form.submit(); });
  window.seen = seen;
})();
</script><body></body>"""


@contextmanager
def attacking() -> Iterator[str]:
    """Serve the page of an attacker on another port; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    attacker = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=attacker.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{attacker.server_port}/"
    finally:
        attacker.shutdown()
        thread.join()
        attacker.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_reads_and_changes_nothing(server: Server, browser: Chromium, host: str) -> None:
    """In a browser with a session, a page of another port gets no text, no event and no effect, by any element or request."""
    server.pages.submit("Private words")
    page = server.open(browser)
    before = len(server.pages.cloud.tasks), server.pages.events()
    with attacking() as attacker:
        page.open(f"{attacker}#{server.origin.replace('127.0.0.1', host)}")
        page.until("window.seen")
        seen = page.evaluate("window.seen")
    stolen = [each for each in seen if "Private" in each[1] or "csrf" in each[1] or each[0] == "event"]

    assert ([], before) == (stolen, (len(server.pages.cloud.tasks), server.pages.events()))


def test_a_name_that_is_rebound_to_this_machine_gets_nothing(server: Server, browser: Chromium) -> None:
    """A page under another name that resolves to the server's address is refused, with the link and with the session."""
    server.pages.submit("Private words")
    page = server.open(browser)
    rebound = server.origin.replace("127.0.0.1", REBOUND)
    texts = []
    for url in (
        f"{rebound}/",
        server.pages.site.new_link(rebound),
        f"{rebound}/static/x/coatcheck.js",
        f"{rebound}/health",
    ):
        page.open(url)
        texts.append(page.text)

    assert [] == [text for text in texts if "Private" in text or "Tasks" in text or '"' not in text]
