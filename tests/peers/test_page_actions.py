"""Chromium on the page of `coatcheck web`: actions on a real checkout, a bare repository and an address on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.checkouts import RepositoryCopies
from tests.fleet.fixtures import FirstCandidate, FleetFixture, spec_of
from tests.fleet.forge_fixtures import DIFF, make_repository
from tests.peers.browser_support import Chromium, needs_browser
from tests.peers.test_page import Server, browser, fleet, serving
from tests.web.test_compare import CHANGED, make_base
from tests.web.test_fleets import FleetPages
from tests.web.web_support import Pages

from coatcheck import Attempt, Outcome, Patch, Task, TaskRef, TaskState
from coatcheck._patches.git import git
from coatcheck._webhooks.outbox import Outbox
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

__all__ = ["browser", "fleet"]
pytestmark = [pytest.mark.peer, needs_browser]


def actions_of(server: Server) -> list[str]:
    """Return the actions in the audit log, the oldest first."""
    return [getattr(each.event, "action", "") for each in server.pages.site.events.last(100, family="action.")]


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_is_cancelled_and_a_new_server_shows_it(tmp_path: Path, browser: Chromium) -> None:
    """The service gets one request, the page shows it, and after a restart the task is shown as cancelled."""
    with serving(Pages(tmp_path, ScriptedCloud(["in_progress"]))) as server:
        ref = server.pages.submit()
        page = server.open(browser, f"/tasks/{ref}")
        page.press("#cancel-form > summary")
        page.press("form[action$='/cancel'] button")
        page.until_text("Requested the cancellation")
        page.press("form[action$='/refresh'] button")
        page.until_text("cancelled")
        server.restart(keeps_sessions=False)
        page.open(f"{server.origin}/tasks/{ref}")
        page.until_text("has no session")
        page.open(server.pages.site.new_link(server.origin))
        page.until_at(f"/tasks/{ref}")
        state = page.evaluate("document.querySelector('#summary .state').innerText")

        assert (["submit", "cancel"], True, 1) == (
            actions_of(server),
            "cancelled" in state,
            len(server.pages.cloud.seen("cancel_task")),
        )


def test_checks_run_on_the_base_and_on_each_attempt(
    tmp_path: Path, repositories: RepositoryCopies, browser: Chromium
) -> None:
    """Commands that are written on the page fail on the base, and pass on the attempt that makes them pass, by themselves."""
    checkout = repositories.copy(make_base, tmp_path / "checkout")
    scripts = [
        AttemptScript(timeline=["completed"], result=CloudResult(diff=CHANGED.format(word), messages=()))
        for word in ("thirty", "THIRTY")
    ]
    pages = Pages(tmp_path, ScriptedCloud(attempts=scripts), checkout=checkout, COATCHECK_SANDBOX="none")
    with serving(pages) as server:
        page = server.open(browser, f"/tasks/{pages.submit(attempts='2')}/compare")
        page.until_at("/compare")
        page.press("#check-form > summary")
        page.call("fill", "[name=checks]", "grep -q THIRTY f.txt")
        page.press("#check-form button")
        page.until("document.querySelectorAll('.card details summary').length === 2")
        verdicts = page.evaluate(
            "[...document.querySelectorAll('.card details summary')].map((each) => each.innerText)"
        )
        page.until("!document.querySelector('#checks[data-reload]')")

        assert (["failed on the base → failed", "failed on the base → passed"], "check") == (
            [" ".join(each.partition(": ")[2].split()) for each in verdicts],
            actions_of(server)[-1],
        )


# --- fleets -----------------------------------------------------------------------------------------------------------


class PinnedFleet(FleetFixture):
    """A fleet whose base is a commit of a repository on the disk."""

    commit = ""

    def resolve(self, name: str, base: str | None) -> str:
        """Return the commit."""
        return self.commit


@contextmanager
def serving_branches(folder: Path, count: int) -> Iterator[tuple[Server, FleetFixture, Path]]:
    """Serve the page of a fleet whose items are branches of bare repositories; yield also the folder of these."""
    root = folder / "remotes"
    names = [f"acme/api{number}" for number in range(count)]
    commits = [make_repository(root, name) for name in names]
    PinnedFleet.commit = commits[0]
    repositories = {name: str(root / f"{name}.git") for name in names}
    spec = spec_of(items={"repository": names}, repositories=repositories, task={"prompt": "Add types.", "base": "main"},
                   approve={}, deliver={"to": "branch"})  # fmt: skip
    pages = Pages(folder, COATCHECK_STATE_HOME=str(folder / "state"))
    fixture = PinnedFleet(folder, spec, clock=pages.clock, attempts=_attempts(DIFF.decode()))
    fixture.review = FirstCandidate(is_automatic=False)
    fixture.run()
    with serving(pages) as server:
        yield server, fixture, root


def _attempts(diff: str) -> Sequence[AttemptScript]:
    return [AttemptScript(timeline=["completed"], result=CloudResult(diff=diff, messages=()))]


def test_approved_items_are_delivered_to_a_real_remote(tmp_path: Path, browser: Chromium) -> None:
    """What is approved and delivered with keys is a commit on a branch of the bare repository; the rest is not pushed."""
    with serving_branches(tmp_path, 2) as (server, fixture, root):
        first, second = fixture.control.items("typing")
        page = server.open(browser, f"/fleets/typing/items/{first.id}")
        page.until_at("/items/")
        page.keys("a", "Enter")
        page.until_text("Approved 1 item")
        page.open(f"{server.origin}/fleets/typing/delivery")
        page.press("form[action$='/deliver'] button")
        page.until_text("has begun")
        job = server.pages.site.delivery_jobs.get("typing")
        assert job is not None
        page.until_text("delivered")
        assert job.thread is not None
        job.thread.join()
        assert job.error is None, str(job.error)
        page.open(f"{server.origin}/fleets/typing/items/{first.id}")
        shown = page.text
        branches = [_branches(root / f"{each.repository}.git") for each in (first, second)]
        states = [each.state.value for each in fixture.control.items("typing")]
        (branch,) = [each for each in branches[0] if each != "main"]
        text = git("show", f"{branch}:x.txt", folder=root / f"{first.repository}.git").decode()

        assert (["delivered", "waiting"], ["main"], "one\ntwo\n") == (states, branches[1], text)
        assert (branch in shown, ["deliver", "deliver"]) == (True, actions_of(server))


def _branches(repository: Path) -> list[str]:
    return git("for-each-ref", "--format=%(refname:short)", "refs/heads", folder=repository).decode().split()


def test_an_item_is_retried_and_a_stale_decision_is_refused(fleet: Server, browser: Chromium) -> None:
    """One browser rejects an item and sends it back to work; the other, whose page is older, decides nothing about it."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    first, second = (fleet.open(browser, pages.item("p0")) for _ in range(2))
    for page in (first, second):
        page.until_at("/items/")
    first.keys("r", "Enter")
    first.until_text("Rejected 1 item")
    first.press("[formaction$='/retry']")
    first.until_text("Sent back to work")
    second.keys("a", "Enter")
    second.until_text("has changed since it was shown")
    second.call("go_back")
    second.until_text("Candidates")

    assert ("open", False) == (pages.states()[0], "Approved" in second.text)


def test_back_and_forward_repeat_no_decision(fleet: Server, browser: Chromium) -> None:
    """After a decision, back shows the page before and forward the result; nothing is sent again."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    page = fleet.open(browser, "/fleets/typing")
    page.open(fleet.origin + pages.item("p0"))
    page.keys("a", "Enter")
    page.until_text("Approved 1 item")
    before = pages.events()
    for method in ("go_back", "go_back", "go_forward"):
        page.call(method)
        page.until("document.readyState === 'complete'")

    assert (before, ["approved", "waiting", "waiting"]) == (pages.events(), pages.states())


def test_a_page_of_a_fleet_is_live_again_after_its_stream_was_cut(fleet: Server, browser: Chromium) -> None:
    """What was decided while the server was down is shown when it is back, in two open pages of one browser."""
    pages = fleet.pages
    assert isinstance(pages, FleetPages)
    page = fleet.open(browser, "/fleets/typing")
    page.until_at("/fleets/typing")
    fleet.stop()
    page.until_text("Not live")
    pages.fleet.control.reject("typing", ["p2"], by="ann")
    fleet.restart(keeps_sessions=True)
    page.until("document.querySelector('[data-key=p2]').innerText.includes('rejected')")

    assert "" == page.evaluate("document.getElementById('connection').textContent")


# --- webhooks ---------------------------------------------------------------------------------------------------------


@contextmanager
def receiving() -> Iterator[tuple[str, list[str]]]:
    """Receive webhooks on loopback; yield the address, and the ids of the messages. The first answer is an error."""
    ids: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            ids.append(self.headers["webhook-id"])
            self.send_response(500 if len(ids) == 1 else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{receiver.server_port}", ids
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def test_a_delivery_is_sent_again_with_its_id(tmp_path: Path, browser: Chromium) -> None:
    """A delivery that failed is made due by its button; the receiver gets the same message, and the page shows it as sent."""
    pages = Pages(tmp_path)
    with receiving() as (origin, ids), serving(pages) as server:
        hooks = pages.site.hooks
        hooks.add(f"{origin}/hook", ("task.succeeded",), allowed=(origin,))
        outbox = Outbox(
            hooks.hooks, pages.site.events, hooks.secrets, clock=pages.clock, random=lambda: 0.5, allowed=(origin,)
        )
        pages.site.history.record(_ended_task())
        outbox.send_due()
        (delivery,) = hooks.deliveries(hook=None, limit=9)
        hooks.hooks.record_attempt(delivery, state="failed", due_at=None, status=500, detail=None)
        page = server.open(browser, "/hooks")
        page.press("[name=delivery]")
        page.until_text("is due again")
        outbox.send_due()
        page.open(f"{server.origin}/hooks")
        row = page.evaluate("document.querySelector('#deliveries tbody tr').innerText")

        assert (2, 1, True, ["replay"]) == (len(ids), len({*ids}), "sent" in row and "200" in row, actions_of(server))


def _ended_task() -> Task:
    outcome = Outcome(patch=Patch(DIFF))
    attempt = Attempt(id="a", placement=0, state=TaskState.SUCCEEDED, outcome=outcome)
    return Task(ref=TaskRef("codex", "task_e_1"), state=TaskState.SUCCEEDED, outcome=outcome, attempts=(attempt,))


# --- long diffs -------------------------------------------------------------------------------------------------------

ROWS = "document.querySelectorAll('.d tr').length"


def test_rows_far_away_are_no_elements_and_come_back(tmp_path: Path, browser: Chromium) -> None:
    """At the end of a long diff most rows are kept as text; the first ones are there again at the top, and for printing."""
    lines = "".join(f"+line {number}\n" for number in range(4000))
    diff = f"diff --git a/x.txt b/x.txt\nnew file mode 100644\n--- /dev/null\n+++ b/x.txt\n@@ -0,0 +1,4000 @@\n{lines}"
    pages = Pages(tmp_path)
    task = _ended_task()
    outcome = Outcome(patch=Patch(diff.encode()))
    attempt = Attempt(id="a", placement=0, state=TaskState.SUCCEEDED, outcome=outcome)
    pages.site.history.record(Task(ref=task.ref, state=task.state, outcome=outcome, attempts=(attempt,)))
    with serving(pages) as server:
        page = server.open(browser, f"/tasks/{task.ref}/compare")
        while page.evaluate("!!document.querySelector('.lazy')"):
            page.evaluate("document.querySelector('.lazy')?.scrollIntoView()")
            page.call("wait_for_timeout", 50)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.until(f"{ROWS} < 2500")
        height = page.evaluate("document.querySelector('details.file').offsetHeight")
        page.evaluate("scrollTo(0, 0)")
        page.until("!!document.querySelector('[id$=-R1]')")
        back = page.evaluate("document.querySelector('[id$=-R1]').innerText")
        page.evaluate("location.hash = document.querySelector('details.file').id + '-R2000'")
        page.until("document.querySelector('.at')?.getBoundingClientRect().top < innerHeight")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")

        assert ("line 0", "line 1999", 4000, True) == (
            back.strip(),
            page.evaluate("document.querySelector('.at').innerText").strip(),
            page.evaluate("document.querySelectorAll('.d tr.a').length"),
            height > 60_000,
        )


def test_a_file_is_marked_as_viewed_by_its_content(
    tmp_path: Path, repositories: RepositoryCopies, browser: Chromium
) -> None:
    """The key closes the file and goes to the next; the mark is kept for the same change of another candidate alone."""
    same = "diff --git a/g.txt b/g.txt\nnew file mode 100644\n--- /dev/null\n+++ b/g.txt\n@@ -0,0 +1 @@\n+same\n"
    scripts = [
        AttemptScript(timeline=["completed"], result=CloudResult(diff=CHANGED.format(word) + same, messages=()))
        for word in ("thirty", "THIRTY")
    ]
    checkout = repositories.copy(make_base, tmp_path / "checkout")
    with serving(Pages(tmp_path, ScriptedCloud(attempts=scripts), checkout=checkout)) as server:
        page = server.open(browser, f"/tasks/{server.pages.submit(attempts='2')}/compare")
        page.until_at("/compare")
        page.keys("n", "v", "v")
        closed = [page.evaluate(CLOSED)]
        count = page.evaluate("document.getElementById('viewed').innerText")
        page.keys("2")
        page.until_at("candidate=2")
        closed.append(page.evaluate(CLOSED))
        page.call("reload")
        page.until("document.readyState === 'complete' && document.querySelector('[data-viewed]:checked')")
        closed.append(page.evaluate(CLOSED))

        assert ([["f.txt", "g.txt"], ["g.txt"], ["g.txt"]], "2 of 2 viewed.", []) == (
            [sorted(each) for each in closed],
            count.strip(),
            page.messages,
        )


CLOSED = "[...document.querySelectorAll('details.file:not([open])')].map((each) => each.querySelector('bdi').innerText)"
