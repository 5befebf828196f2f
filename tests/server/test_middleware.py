"""Requests that are refused before an application sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from coatcheck._server.middleware import CheckHead, LimitBody, LoopbackOnly, RequireBearer

LOOPBACK = (b"host", b"localhost")


def scope(*headers: tuple[bytes, bytes], target: bytes = b"/a", **changes: object) -> dict[str, Any]:
    """Return the scope of a request."""
    plain = {"type": "http", "method": "POST", "raw_path": target, "path": target.decode(), "query_string": b""}
    return {**plain, "headers": list(headers), **changes}


def run(middleware: Any, request: dict[str, Any], body: Iterable[bytes] = ()) -> tuple[int, dict[str, Any], bool]:
    """Return the status of an answer, what the application saw of the request, and whether the body was read."""
    seen: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []
    chunks = [*body]
    before = len(chunks)

    async def app(inner: Any, receive: Any, send: Any) -> None:
        message = await receive()
        seen.update(inner, body=message.get("body"))
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> dict[str, Any]:
        if not before:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(middleware(app)(request, receive, send))
    if sent[0]["status"] >= 400:
        problem = msgspec.json.decode(sent[1]["body"])
        assert (b"content-type", b"application/problem+json") in sent[0]["headers"]
        assert problem["status"] == sent[0]["status"]
    return sent[0]["status"], seen, len(chunks) < before


@pytest.mark.parametrize(
    ("middleware", "request_scope", "status"),
    [
        (CheckHead, scope((b"x", b"a" * 17_000)), 431),
        (CheckHead, scope(target=b"/" + b"a" * 17_000), 431),
        (CheckHead, scope((b"content-length", b"1"), (b"transfer-encoding", b"chunked")), 400),
        (CheckHead, scope((b"transfer-encoding", b"chunked"), http_version="1.0"), 400),
        (CheckHead, scope(LOOPBACK), 204),
        (LoopbackOnly, scope((b"host", b"evil.example")), 421),
        (LoopbackOnly, scope(LOOPBACK), 204),
        (LimitBody, scope((b"content-length", b"65537")), 413),
        (lambda app: RequireBearer(app, "t".__eq__), scope(), 401),
        (lambda app: RequireBearer(app, "t".__eq__), scope((b"authorization", b"Bearer x")), 401),
        (lambda app: RequireBearer(app, "t".__eq__), scope((b"authorization", b"Basic t")), 401),
        (lambda app: RequireBearer(app, "t".__eq__), scope((b"authorization", b"bearer t")), 204),
    ],
)
def test_a_refusal_is_a_problem_document_and_reads_no_body(
    middleware: Any, request_scope: dict[str, Any], status: int
) -> None:
    """Each check answers with RFC 9457 before the body is read, and passes what is right."""
    answer, _, has_read = run(middleware, request_scope, [b"x"])

    assert (status, status == 204) == (answer, has_read)


def test_a_whole_url_becomes_a_path_and_a_host() -> None:
    """The authority of an absolute target replaces the Host header, and the path is decoded."""
    request = scope((b"host", b"evil.example"), target=b"http://localhost:1/a%20b")
    _, seen, _ = run(CheckHead, request)

    assert (b"/a%20b", "/a b", [(b"host", b"localhost:1")]) == (seen["raw_path"], seen["path"], seen["headers"])


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"ab", b"cd"], (204, b"abcd")),
        ([], (204, b"")),
        ([b"x" * 3, b"y" * 3], (413, None)),
    ],
)
def test_a_chunked_body_is_whole_or_refused(chunks: list[bytes], expected: tuple[int, bytes | None]) -> None:
    """An application behind the limit gets one complete body."""
    request = scope((b"transfer-encoding", b"chunked"))
    status, seen, _ = run(lambda app: LimitBody(app, limit=5), request, chunks)

    assert expected == (status, seen.get("body"))


def test_a_body_that_does_not_arrive_is_a_408() -> None:
    """The deadline of a body is the server's."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(LimitBody(lambda *_: None, seconds=0)(scope(), receive, send))  # type: ignore[arg-type]

    assert 408 == sent[0]["status"]
