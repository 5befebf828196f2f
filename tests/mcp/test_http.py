"""The MCP server inside the page's application, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.routing import Route
from tests.mcp.mcp_support import Served
from tests.web.web_support import TOKEN, Pages, send

from coatcheck._cli.mcp_endpoint import PATH, McpEndpoint
from coatcheck._installation import install_command
from coatcheck._server.http_protocol import limits_here
from coatcheck._server.listener import serving_app
from coatcheck._web.app import WebApp

BEARER = {"authorization": f"Bearer {TOKEN}"}


def test_both_eras_are_served_with_the_token_of_the_page(tmp_path: Path) -> None:
    """The official client submits, waits with progress, and reads, in one process with the page."""
    served, pages = Served(tmp_path / "work"), Pages(tmp_path / "page")
    session = served.session()
    app = WebApp(pages.site, token=TOKEN, extra=[Route(PATH, endpoint=McpEndpoint(session, served.options))])

    async def scenario(url: str, mode: Any) -> tuple[str, int]:
        reports: list[float] = []

        async def observe(progress: float, total: float | None, message: str | None) -> None:
            reports.append(progress)

        async with (
            httpx2.AsyncClient(headers=BEARER, timeout=240) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            submitted = await client.call_tool("submit_task", {"prompt": f"Add dark mode, {mode}"})
            ref = (submitted.structured_content or {})["ref"]
            ended = await client.call_tool("wait_for_task", {"ref": ref}, progress_callback=observe)
        return (ended.structured_content or {})["state"], len(reports)

    with serving_app(app.asgi, limits_here(), on_stop=app.live.end) as origin:
        results = [anyio.run(scenario, f"{origin}{PATH}", mode) for mode in ("legacy", "auto")]
    session.close()

    assert ["succeeded", "succeeded"] == [state for state, _ in results]
    assert all(count > 0 for _, count in results)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({**BEARER, "origin": "https://evil.example"}, 403),
        ({**BEARER, "sec-fetch-site": "cross-site"}, 403),
        ("cookie", 403),
    ],
)
def test_who_has_no_token_is_refused(tmp_path: Path, headers: Any, status: int) -> None:
    """Without it, from a page of another origin, and for a browser with the page's cookie; nothing is imported for them."""
    pages = Pages(tmp_path)
    endpoint = McpEndpoint(Served(tmp_path).session(), Served(tmp_path).options)
    pages.app = pages.browser.app = WebApp(pages.site, token=TOKEN, extra=[Route(PATH, endpoint=endpoint)])
    headers = pages.browser.headers if headers == "cookie" else headers
    answer = send(pages.app.asgi, "POST", PATH, {**headers, "content-type": "application/json"}, b"{}")

    assert (status, None) == (answer.status, endpoint._loading)


def test_without_the_sdk_the_address_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is 501, and the page is served all the same."""
    monkeypatch.setitem(__import__("sys").modules, "mcp.server", None)
    endpoint = McpEndpoint(Served(tmp_path).session(), Served(tmp_path).options)
    app = WebApp(Pages(tmp_path).site, token=TOKEN, extra=[Route(PATH, endpoint=endpoint)])
    answer = send(app.asgi, "POST", PATH, BEARER, b"{}")

    assert (501, True) == (answer.status, install_command("mcp") in answer.text)
