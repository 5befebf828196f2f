"""The page in this process: a browser without script, in front of a scripted cloud."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from coatcheck._app.workspace import Workspace
from coatcheck._runtime.config import Config
from coatcheck._web.app import WebApp
from coatcheck._web.site import Site
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

ORIGIN = "http://127.0.0.1:8700"
TOKEN = "program-token-of-32-characters-or-more"
FORM = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """A response; `text` without its tags is `words`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text)).split())

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    def fields(self, action: str) -> dict[str, str]:
        """Return the hidden fields of the form that is sent to *action*."""
        forms = re.findall(r'<form[^>]* method="post".*?</form>', self.text, re.DOTALL)
        [form] = [each for each in forms if f'action="{action}"' in each]
        pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
        return {name: html.unescape(value) for name, value in pairs}


def send(
    app: Any, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, port: int = 8700
) -> Answer:
    """Send one request to an ASGI application."""
    url, sent = urlsplit(target), []
    given = {"host": f"127.0.0.1:{port}", "accept": "text/html", **(headers or {})}
    if body:
        given["content-length"] = str(len(body))
    scope = {
        "type": "http",
        "method": method,
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in given.items()],
        "server": ("127.0.0.1", port),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "http_version": "1.1",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, collect))
    pairs = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], pairs, b"".join(each.get("body", b"") for each in sent[1:]))


class Browser:
    """A browser that has opened a link of *app* and keeps its cookie."""

    def __init__(self, app: WebApp) -> None:
        self.app, self.headers = app, {"sec-fetch-site": "same-origin"}
        opened = send(app.asgi, "GET", urlsplit(app.site.new_link(ORIGIN))._replace(scheme="", netloc="").geturl())
        cookie = SimpleCookie(opened.headers["set-cookie"])
        self.headers["cookie"] = "; ".join(f"{name}={each.value}" for name, each in cookie.items())

    def get(self, target: str) -> Answer:
        """Request a page."""
        return send(self.app.asgi, "GET", target, self.headers)

    def post(self, target: str, fields: Mapping[str, str]) -> Answer:
        """Send a form as a browser does under ``Referrer-Policy: no-referrer``."""
        headers = {**self.headers, "content-type": FORM, "origin": "null"}
        return send(self.app.asgi, "POST", target, headers, urlencode(fields).encode())

    def submit(self, page: str, action: str, **fields: str) -> Answer:
        """Fill in the form of *page* that is sent to *action*, and send it; return the page that follows."""
        hidden = self.get(page).fields(action)
        return self.follow(self.post(action, {**hidden, **fields}))

    def follow(self, answer: Answer) -> Answer:
        """Return the page that a redirection leads to; the answer itself where it is none."""
        return self.get(answer.location) if answer.status == 303 else answer


class Pages:
    """The page of one user, in front of a scripted cloud."""

    def __init__(self, folder: Path, cloud: Any = None, *, checkout: Path | None = None, **environ: str) -> None:
        self.cloud = ScriptedCloud() if cloud is None else cloud
        self.clock = FakeClock()
        token = self.cloud.tokens.access_token if isinstance(self.cloud, ScriptedCloud) else "made-up-token"
        self.environ = {"HOME": str(folder / "home"), "CODEX_ACCESS_TOKEN": token, **environ}
        config = Config(environ=self.environ)
        workspace = Workspace(str(folder), config=config, environ=self.environ, provider="codex")
        self.site = Site(
            workspace,
            clock=self.clock,
            checkout=None if checkout is None else str(checkout),
            transport=EmulatorTransport(self.cloud),
        )
        self.app = WebApp(self.site, token=TOKEN)
        self.browser = Browser(self.app)

    def api(self, method: str, path: str, document: object = None) -> Answer:
        """Send a request of a program with the token."""
        headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/json"}
        body = b"" if document is None else msgspec.json.encode(document)
        if body:
            headers["content-type"] = "application/json"
        return send(self.app.asgi, method, f"/api/v1{path}", headers, body)

    def submit(self, prompt: str = "Add dark mode", **fields: str) -> str:
        """Submit a task by the form; return its ref."""
        fields = {"environment": "owner/repo", "prompt": prompt, **fields}
        hidden = self.browser.get("/submit").fields("/submit")
        answer = self.browser.post("/submit", {**hidden, **fields})
        assert answer.status == 303, answer.words
        return answer.location.removeprefix("/tasks/")

    def events(self) -> list[tuple[str, str]]:
        """Return the type and the subject of every event of the store."""
        return [(each.event.type, each.event.subject) for each in self.site.events.last(100)]


def query_of(target: str) -> dict[str, str]:
    """Return the query of a URL."""
    return dict(parse_qsl(urlsplit(target).query))
