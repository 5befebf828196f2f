"""The page of a task shows its result, escaped, to the user who runs the server."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from starlette.routing import BaseRoute

from coatcheck._protocol.effects import Request, Response
from coatcheck._server.socket_owner import is_same_user
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.models import CloudFailure, CloudLog, CloudResult
from coatcheck.cloud.page import TaskPages
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

from .conftest import Caller
from .test_http_server import call

HOSTILE = "</pre><script>alert(1)</script>\u202e\u200b\x1b[2J\x85"
RESULT = CloudResult(
    messages=(HOSTILE,), diff=HOSTILE, title=HOSTILE, body=HOSTILE, logs=(CloudLog(name=HOSTILE, text=HOSTILE),)
)
KEY = "k3y"
# Whether the system shows which user owns a socket.
OWNERS = Path("/proc/net/tcp").exists()


class Tags(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def cloud() -> ScriptedCloud:
    """A cloud with one ended task, everything about it hostile."""
    failure = CloudFailure(code=HOSTILE, message=HOSTILE)
    cloud = ScriptedCloud(attempts=[AttemptScript(timeline=["completed"], result=RESULT, error=failure)])
    Caller(cloud).create(HOSTILE)
    return cloud


def ask(cloud: ScriptedCloud, method: str = "GET", *, is_owner: bool, task: str = "", body: bytes = b"") -> Response:
    """Return the answer for the page of the cloud's only task."""
    pages = TaskPages(cloud._backend, is_key=lambda given: given == KEY)
    task = task or cloud.tasks[0].id
    return pages.page(Request(method, f"/codex/tasks/{task}", body=body), task=task, is_owner=is_owner)


def pages_of(cloud: ScriptedCloud) -> Sequence[BaseRoute]:
    """Return the routes of the pages, which no key opens."""
    return TaskPages(cloud._backend, is_key=lambda _: False).routes()


def test_hostile_text_is_only_text(cloud: ScriptedCloud) -> None:
    """No tag, no control, bidirectional or invisible character of an agent is in the page, and all of it is shown."""
    page = ask(cloud, is_owner=True)
    shown = Tags(page.body)

    assert set() == {"script", "img", "iframe", "object", "form"} & shown.tags
    assert not set("\u202e\u200b\x1b\x85") & set(page.body.decode())
    assert 200 == page.status
    assert "</pre><script>alert(1)</script>\\u202e\\u200b\\u001b[2J\\u0085" in shown.text


def test_a_page_loads_and_runs_nothing(cloud: ScriptedCloud) -> None:
    """The policy allows one style by its digest, and no page may frame, cache or sniff it."""
    headers = ask(cloud, is_owner=True).headers
    policy = headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ("no-store", "nosniff", "no-referrer") == (
        headers["cache-control"],
        headers["x-content-type-options"],
        headers["referrer-policy"],
    )


@pytest.mark.parametrize(
    ("is_owner", "body", "status"),
    [(True, b"", 200), (False, b"", 403), (False, b"key=wrong", 403), (False, b"key=k3y", 200)],
)
def test_a_page_is_for_the_user_of_the_server_and_for_who_has_the_key(
    cloud: ScriptedCloud, is_owner: bool, body: bytes, status: int
) -> None:
    """Other users get a form for the approval key, and nothing of the task."""
    page = ask(cloud, "POST" if body else "GET", is_owner=is_owner, body=body)

    assert (status, status == 200) == (page.status, b"alert" in page.body)


@pytest.mark.parametrize("id", ["task_e_none", "%00", "%ff", "%3Cscript%3E", "%0A"])
def test_a_page_of_no_task_is_a_404(cloud: ScriptedCloud, id: str) -> None:
    """An unknown id is a page with status 404 that does not repeat it."""
    with serving(cloud, routes=pages_of(cloud)) as url:
        status, _, body = call(url.removesuffix("/backend-api"), cloud, "GET", f"/codex/tasks/{id}")

    assert (404 if OWNERS else 403, False) == (status, b"script" in body)


def test_another_method_is_a_405(cloud: ScriptedCloud) -> None:
    """Other methods are a problem document that names the right ones."""
    with serving(cloud, routes=pages_of(cloud)) as url:
        path = f"/codex/tasks/{cloud.tasks[0].id}"
        status, headers, _ = call(url.removesuffix("/backend-api"), cloud, "DELETE", path)

    assert (405, {"GET", "HEAD", "POST"}, "application/problem+json") == (
        status,
        set(headers["allow"].split(", ")),
        headers["content-type"],
    )


@pytest.mark.parametrize(("size", "status"), [(70_000, 413), (4, 200 if OWNERS else 403)])
def test_the_body_of_a_page_is_small(cloud: ScriptedCloud, size: int, status: int) -> None:
    """What is sent to a page has 64 KiB at most."""
    with serving(cloud, routes=pages_of(cloud)) as url:
        path = f"/codex/tasks/{cloud.tasks[0].id}"
        answer = call(url.removesuffix("/backend-api"), cloud, "POST", path, {"key": "x" * size})[0]

    assert status == answer


def test_a_mounted_cloud_answers_what_is_no_page(cloud: ScriptedCloud) -> None:
    """Beside pages WHAM answers in its form, and `health` needs no token."""
    with serving(cloud, routes=pages_of(cloud)) as url:
        origin = url.removesuffix("/backend-api")
        answers = [call(origin, cloud, "GET", path) for path in ("/backend-api/wham/usage", "/no/such", "/health")]
    actual = [(status, headers["content-type"], sorted(msgspec.json.decode(body))) for status, headers, body in answers]

    assert [
        (200, "application/json", ["additional_rate_limits", "credits", "plan_type", "rate_limit"]),
        (404, "application/json", ["detail"]),
        (200, "application/json", ["status", "version"]),
    ] == [(status, kind, keys[:4]) for status, kind, keys in actual]


def test_the_page_of_a_running_task_reloads() -> None:
    """Without a script, until it has ended."""
    cloud = ScriptedCloud(["in_progress"])
    Caller(cloud).create("x")

    assert b'http-equiv="refresh"' in ask(cloud, is_owner=True).body


@pytest.mark.skipif(not OWNERS, reason="only Linux shows the owner of a socket")
def test_the_address_that_is_printed_opens_the_page(cloud: ScriptedCloud) -> None:
    """A browser of the same user needs no key: the kernel shows whose connection it is."""
    with serving(cloud, routes=pages_of(cloud)) as url:
        status, headers, _ = call(url.removesuffix("/backend-api"), cloud, "GET", f"/codex/tasks/{cloud.tasks[0].id}")

    assert (200, "text/html; charset=utf-8") == (status, headers["content-type"])


ROW = "  0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000 {uid} 0 1\n"
ROW6 = (
    "  0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:0050 01"
    " 00000000:00000000 00:00000000 00000000 {uid} 0 1\n"
)


@pytest.mark.skipif(os.name != "posix" or __import__("sys").byteorder != "little", reason="rows of such a machine")
@pytest.mark.parametrize("row", [ROW, ROW6], ids=["tcp", "tcp6"])
@pytest.mark.parametrize(("offset", "port", "expected"), [(0, 8080, True), (1, 8080, False), (0, 8081, False)])
def test_the_owner_of_a_connection_is_read_from_the_kernels_table(
    tmp_path: Path, row: str, offset: int, port: int, expected: bool
) -> None:
    """The row of exactly this connection counts, in either family."""
    table = tmp_path / "tcp"
    table.write_text("header\n" + row.format(uid=os.getuid() + offset))

    assert expected == is_same_user(("127.0.0.1", port), ("127.0.0.1", 80), tables=[tmp_path / "none", table])


def test_an_unknown_connection_has_no_owner() -> None:
    """Where the kernel does not show the owner, the key is required."""
    assert not is_same_user(("127.0.0.1", 1), ("127.0.0.1", 2), tables=[])
    assert not is_same_user(None, None)


def test_guesses_of_the_approval_key_are_limited() -> None:
    """After twenty wrong keys in a minute even the right one is refused, and a minute later it is accepted."""
    now = [0.0]
    from coatcheck.cloud.issued_tokens import Account, TokenBook
    from coatcheck.cloud.oauth_server import MAX_GUESSES, OAuthServer

    oauth = OAuthServer(TokenBook(account=Account(), time=lambda: now[0]), time=lambda: now[0], key=KEY)
    wrong = [oauth.is_key("guess") for _ in range(MAX_GUESSES)]
    right = oauth.is_key(KEY)
    now[0] = 60.0

    assert (False, False, True) == (any(wrong), right, oauth.is_key(KEY))


def test_a_login_never_puts_other_characters_into_a_header() -> None:
    """An address to return to with a line end or a letter beyond ASCII is refused, not an error of the server."""
    cloud = ScriptedCloud()
    form = "response_type=code&code_challenge_method=S256&code_challenge=x&redirect_uri=http%3A//127.0.0.1/"
    statuses = [
        cloud.handle(Request("POST", "/oauth/authorize", body=f"{form}{end}".encode())).status
        for end in ("%0D%0Ax:y", "%E2%82%AC", "%00", "ok")
    ]

    assert [400, 400, 400, 302] == statuses


DEEP = b'{"a":' * 100_000
BODIES = [DEEP, b"[" * 100_000, b'{"grant_type":"\xff"}', b"null", b"[]", b"1", b"\0", b'"\\ud800"', b'{"a":NaN}', b"{"]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/codex/device", "/backend-api/wham/tasks"])
def test_bodies_that_are_no_json_object_are_4xx(path: str) -> None:
    """Deep nesting, bad UTF-8 and wrong types included."""
    cloud = ScriptedCloud()
    headers = (("content-type", "application/json"), ("authorization", f"Bearer {cloud.tokens.access_token}"))
    statuses = [cloud.handle(Request("POST", path, headers=headers, body=body)).status // 100 for body in BODIES]

    assert [4] * len(BODIES) == statuses


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "9" * 5000},
        {"limit": "٣"},
        {"limit": "0"},
        {"limit": "1e3"},
        {"cursor": f"+RID:~x==#RT:1#TRC:{'9' * 5000}#RTD:"},
        {"cursor": f"+RID:~x==#RT:1#TRC:{'9' * 400}#RTD:"},
        {"cursor": "+RID:~x==#RT:1#TRC:٣#RTD:"},
        {"task_filter": "\0"},
    ],
)
def test_queries_that_mean_nothing_are_400(query: dict[str, str]) -> None:
    """Numbers of any length and of other alphabets included."""
    assert 400 == Caller(ScriptedCloud()).ask("GET", "/tasks/list", **query).status


@pytest.mark.parametrize("field", ["prompt", "branch", "model"])
def test_a_nul_is_refused_when_a_task_is_submitted(field: str) -> None:
    """No argument and no variable of an agent can hold one, so no attempt is started with it."""
    from .conftest import create_body

    body = create_body("a\0b" if field == "prompt" else "a")
    if field == "branch":
        body["new_task"]["branch"] = "a\0b"
    if field == "model":
        body["metadata"] = {"model_slug": "a\0b"}
    answer = Caller(ScriptedCloud()).ask("POST", "/tasks", body)

    assert (400, True) == (answer.status, "NUL" in msgspec.json.decode(answer.body)["error"]["message"])


def test_a_path_names_its_methods() -> None:
    """Another method is a 405 that names them (RFC 9110 section 15.5.6), and HEAD is GET."""
    caller = Caller(ScriptedCloud())
    wrong, head = caller.ask("PUT", "/usage"), caller.ask("HEAD", "/usage")

    assert (405, "GET, HEAD", 200) == (wrong.status, wrong.headers["allow"], head.status)


def test_the_other_end_of_a_socket_is_ours() -> None:
    """A connection that this process made belongs to its user."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        expected = Path("/proc/net/tcp").exists()

        assert expected == is_same_user(client.getsockname(), server.getsockname())
