"""What is served to whom: links, sessions, origins, headers, tokens."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import pytest
from tests.web.web_support import ORIGIN, TOKEN, Browser, Pages, send

from coatcheck._server.middleware import CheckHead, LoopbackOnly

FORM = {"content-type": "application/x-www-form-urlencoded"}


def link_of(pages: Pages) -> str:
    """Return a new link without its origin."""
    return urlsplit(pages.site.new_link(ORIGIN))._replace(scheme="", netloc="").geturl()


def test_a_link_opens_one_session(pages: Pages) -> None:
    """The first request gets a cookie that scripts and other sites do not have; the second and a prefetch get none."""
    link = link_of(pages)
    prefetched = send(pages.app.asgi, "GET", link, {"sec-purpose": "prefetch"})
    first, second = send(pages.app.asgi, "GET", link), send(pages.app.asgi, "GET", link)
    flags = first.headers["set-cookie"].split("; ")[1:]

    assert (403, 303, "/", 403) == (prefetched.status, first.status, first.location, second.status)
    assert ["HttpOnly", "SameSite=Strict", "Path=/"] == flags
    assert "set-cookie" not in prefetched.headers
    assert "set-cookie" not in second.headers
    assert "coatcheck web" in second.words


@pytest.mark.parametrize("path", ["/", "/tasks/codex:1", "/gates", "/settings", "/events", "/api/v1/tasks", "/nowhere"])
def test_nothing_is_served_without_a_session(pages: Pages, path: str) -> None:
    """A browser gets a page with the remedy, a program a problem document, and both a 401."""
    browser = send(pages.app.asgi, "GET", path)
    program = send(pages.app.asgi, "GET", path, {"accept": "application/json"})
    wrong = send(pages.app.asgi, "GET", path, {"accept": "*/*", "authorization": f"Bearer {TOKEN}x"})
    forged = send(pages.app.asgi, "GET", path, {"cookie": 'coatcheck_8700="a\\073b"; coatcheck_8700=x'})

    assert [401] * 4 == [each.status for each in (browser, program, wrong, forged)]


@pytest.mark.parametrize("path", ["/static/x/y", "/static/", "/open/x", "/openx", "/health/x", "/tasks/codex:1"])
def test_a_refusal_has_nothing_of_the_user(pages: Pages, path: str) -> None:
    """Without a session an error names no folder, no task and no number of gates."""
    answer = send(pages.app.asgi, "GET", path)

    assert (True, False) == (answer.status in (401, 404), "open-gates" in answer.text or "Patches" in answer.text)


CROSS = {"sec-fetch-site": "cross-site"}
SAME_SITE = {"sec-fetch-site": "same-site"}
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", CROSS, 403),
        ("GET", {**CROSS, **LINK}, 200),
        ("GET", {**SAME_SITE, "sec-fetch-mode": "cors", "origin": "http://127.0.0.1:9"}, 403),
        ("GET", {**CROSS, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        ("GET", {"sec-fetch-site": "none", **LINK}, 200),
        ("GET", {"origin": "https://evil.example"}, 403),
        ("GET", {"origin": "null"}, 403),
        ("POST", {**CROSS, **LINK}, 403),
        ("POST", {"origin": "http://127.0.0.1:9"}, 403),
        ("POST", {"origin": "http://localhost:8700"}, 403),
        ("POST", {"origin": "null", **CROSS}, 403),
        ("POST", {"origin": "null"}, 403),
    ],
)
def test_a_page_of_another_origin_reads_and_changes_nothing(
    pages: Pages, method: str, headers: dict[str, str], status: int
) -> None:
    """Only a link to a page is followed; every other request that another origin causes is refused."""
    given = {"cookie": pages.browser.headers["cookie"], **headers, **FORM}
    answer = send(pages.app.asgi, method, "/" if method == "GET" else "/settings/link", given)

    assert status == answer.status


def test_a_change_has_the_token_of_its_session(pages: Pages) -> None:
    """No token, and one of another session, are refused with a remedy; the page's own is accepted."""
    other = Browser(pages.app).get("/settings").fields("/settings/link")
    own = pages.browser.get("/settings").fields("/settings/link")
    answers = [pages.browser.post("/settings/link", fields) for fields in ({}, {"csrf": ""}, other, own)]

    assert [403, 403, 403, 200] == [each.status for each in answers]
    assert "load the page again" in answers[0].words
    assert "/open?token=" in answers[3].text


def test_a_rebound_name_gets_nothing(pages: Pages) -> None:
    """A Host header of another name is refused before anything else (DNS rebinding)."""
    app = CheckHead(LoopbackOnly(pages.app.asgi))
    answers = [
        send(app, "GET", "/", {**pages.browser.headers, "host": host}).status
        for host in ("evil.example", "x.localhost:8700")
    ]

    assert [421, 421] == answers


def test_every_response_has_a_strict_policy(pages: Pages) -> None:
    """Pages, errors, files and refusals forbid inline script, frames, other hosts and caching of what is private."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    page = pages.browser.get("/")
    script = next(part for part in page.text.split('"') if part.endswith(".js"))
    answers = [page, pages.browser.get("/nowhere"), pages.browser.get(script), send(pages.app.asgi, "GET", "/")]
    private = [each.headers["cache-control"] for each in answers if each is not answers[2]]

    assert {policy} == {each.headers["content-security-policy"] for each in answers}
    assert {"nosniff"} == {each.headers["x-content-type-options"] for each in answers}
    assert {"no-referrer"} == {each.headers["referrer-policy"] for each in answers}
    assert {"same-origin"} == {each.headers["cross-origin-resource-policy"] for each in answers}
    assert ["no-store"] * 3 == private
    assert "immutable" in answers[2].headers["cache-control"]


def test_pages_have_no_inline_script_or_style(pages: Pages) -> None:
    """What the policy would refuse is in no page."""
    ref = pages.submit()
    texts = [
        pages.browser.get(path).text for path in ("/", f"/tasks/{ref}", "/submit", "/gates", "/checkout", "/settings")
    ]
    found = [
        text for text in texts if " style=" in text or "<style" in text or "<script>" in text or " onclick" in text
    ]

    assert [] == found


def test_the_cookie_of_another_server_opens_nothing(pages: Pages) -> None:
    """Browsers send the cookies of all ports of a host: each server has a name of its own for its cookie."""
    answer = send(pages.app.asgi, "GET", "/", pages.browser.headers, port=8701)

    assert 401 == answer.status


def open_after(pages: Pages, path: str, cookie: str | None = None) -> str:
    """Request *path* without a session, then open a link with the cookie of the answer; return where that leads to."""
    refused = send(pages.app.asgi, "GET", path)
    sent = cookie or refused.headers.get("set-cookie", "").partition(";")[0]
    return send(pages.app.asgi, "GET", link_of(pages), {"cookie": sent} if sent else {}).location


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tasks/codex:1/compare?candidate=2&view=split", "/tasks/codex:1/compare?candidate=2&view=split"),
        ("/fleets/a%20b/items/3", "/fleets/a%20b/items/3"),
        ("/", "/"),
        ("/api/v1/tasks", "/"),
        ("/events", "/"),
        ("/open", "/"),
        (f"/?q={'x' * 5000}", "/"),
    ],
)
def test_a_link_leads_to_the_page_that_was_requested(pages: Pages, path: str, expected: str) -> None:
    """What a browser without a session has requested is opened by the next link, if it is a page."""
    assert expected == open_after(pages, path)


@pytest.mark.parametrize(
    "page",
    ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:x", "evil", "/\t/evil.example", "", "é"],
)
def test_a_cookie_of_another_server_leads_nowhere_else(pages: Pages, page: str) -> None:
    """A link redirects to paths of this server alone, also where another server of the machine has set the cookie."""
    value = base64.urlsafe_b64encode(page.encode()).decode()
    answers = [open_after(pages, "/", f"coatcheck_8700_page={each}") for each in (value, value[:-1], page[:3])]

    assert ["/"] * 3 == answers
