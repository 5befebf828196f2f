"""The JSON API: typed, by token or session, with the same effects as the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.checkouts import git
from tests.web.test_views import checkout, done, hold
from tests.web.web_support import Pages, send

__all__ = ["checkout", "done"]


def test_a_program_submits_reads_and_applies(done: Pages, checkout: Path) -> None:
    """With the token a task is submitted, read, previewed, applied and undone, and each change is recorded as api."""
    created = done.api("POST", "/tasks", {"prompt": "Add dark mode", "environment": "owner/repo"})
    ref = created.json["task"]["ref"]
    [listed] = done.api("GET", "/tasks?q=dark").json["tasks"]
    read, patch = done.api("GET", f"/tasks/{ref}").json, done.api("GET", f"/tasks/{ref}/patch")
    check = done.api("POST", f"/tasks/{ref}/apply", {"check": True}).json
    before = git(checkout, "status", "--porcelain")
    applied = done.api("POST", f"/tasks/{ref}/apply", {"digest": check["digest"]}).json
    [application] = done.api("GET", "/checkout").json["applications"]
    undone = done.api("POST", "/checkout/undo").json
    actions = [(each.event.action, each.event.via) for each in done.site.events.last(9, family="action.")]  # type: ignore[union-attr]

    assert (201, ref, "succeeded", True) == (created.status, listed["ref"], read["state"], read["is_current"])
    assert (b"diff --git", "text/x-diff") == (patch.body[:10], patch.headers["content-type"])
    assert (True, "", False, ref) == (check["is_check"], before, applied["is_check"], application["task"])
    assert (["hello.txt"], [("submit", "api"), ("apply", "api"), ("undo", "api")]) == (undone["restored"], actions)


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (("POST", "/tasks", {"prompt": "x", "colour": "red"}), 422, "colour"),
        (("POST", "/tasks", {"prompt": 1}), 422, "$.prompt"),
        (("POST", "/tasks", {"prompt": "x", "attempts": 0}), 422, "$.attempts"),
        (("POST", "/tasks", None), 422, "the body is of no type"),
        (("POST", "/tasks", {"template": "/etc/passwd"}), 400, "is a path"),
        (("GET", "/tasks?state=lost", None), 422, "$.state"),
        (("GET", "/tasks?limit=1&limit=2", None), 422, "'limit' twice"),
        (("GET", "/tasks?cursor=x", None), 400, "is not the cursor of a page"),
        (("GET", "/tasks/codex", None), 400, "is not a task reference"),
        (("GET", "/tasks/codex:task_e_0", None), 404, "task_e_0"),
        (("GET", "/gates/none", None), 404, "there is no gate"),
        (("POST", "/checkout/undo", None), 400, "no checkout was named"),
        (("GET", "/nowhere", None), 404, ""),
        (("DELETE", "/tasks", None), 405, ""),
    ],
)
def test_what_is_wrong_is_a_problem_document(
    pages: Pages, call: tuple[str, str, object], status: int, words: str
) -> None:
    """Each error has its status, names what is wrong, and is of the type of problem documents."""
    answer = pages.api(*call)

    assert (status, status, True) == (answer.status, answer.json["status"], words in answer.json["detail"])
    assert "application/problem+json" == answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/submit"])
def test_a_wrong_method_names_the_right_ones(pages: Pages, path: str) -> None:
    """The header Allow lists every method of the path (RFC 9110, section 15.5.6)."""
    answer = send(pages.app.asgi, "DELETE", path, {**pages.browser.headers, "accept": "*/*"})

    assert (405, {"GET", "HEAD", "POST"}) == (answer.status, set(answer.headers["allow"].split(", ")))


def test_a_browser_needs_the_token_of_its_session(pages: Pages) -> None:
    """A change by the cookie alone is refused; with the header that the page's script sends it is made."""
    csrf = pages.browser.get("/settings").fields("/settings/link")["csrf"]
    gate = hold(pages)
    path, body = f"/api/v1/gates/{gate.id}/decision", b'{"option": "reject", "why": "no"}'
    plain = {**pages.browser.headers, "content-type": "application/json"}
    refused = send(pages.app.asgi, "POST", path, plain, body)
    decided = send(pages.app.asgi, "POST", path, {**plain, "x-csrf-token": csrf}, body)

    assert (403, 200, "rejected", []) == (
        refused.status,
        decided.status,
        decided.json["outcome"],
        pages.cloud.seen("create_task"),
    )


def test_settings_and_events_are_read_without_secrets(pages: Pages) -> None:
    """A password in the URL of the store is hidden, and events resume after a number."""
    ref = pages.submit()
    events = pages.api("GET", "/events").json["events"]
    later = pages.api("GET", f"/events?after={events[0]['id']}").json["events"]
    names = [each["name"] for each in pages.api("GET", "/settings").json["settings"]]
    token = pages.environ["CODEX_ACCESS_TOKEN"]

    assert (events[1:], True) == (later, "database" in names)
    assert token not in pages.api("GET", "/settings").text
    assert ref in str(events)


def test_a_request_with_a_key_submits_one_task(pages: Pages) -> None:
    """A request that is repeated gets the same task, one with another key another task, and another prompt a conflict."""
    body = {"prompt": "Add dark mode", "environment": "owner/repo", "key": "k1"}
    calls = [body, body, {**body, "key": "k2"}, {**body, "prompt": "Other"}, {**body, "is_held": True}]
    answers = [pages.api("POST", "/tasks", each) for each in calls]
    refs = [each.json["task"]["ref"] for each in answers[:3]]
    repeated = [each.json["is_repeated"] for each in answers[:3]]

    assert ([201, 201, 201, 409, 400], [False, True, False]) == ([each.status for each in answers], repeated)
    assert (refs[0], True, 2) == (refs[1], refs[0] != refs[2], len(pages.cloud.seen("create_task")))
