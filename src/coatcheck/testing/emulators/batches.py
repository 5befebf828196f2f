"""Emulators of OpenAI's and Anthropic's batches.

Invariants:

- a batch takes its next state at each request, and results are in another order than the requests, as documented;
- a batch that was cancelled or has expired has the results of every other request, from the first on.

See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs".
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import json_reply
from ._service import HttpService, worded

KEY = "batch-test-key"
BatchRequests: TypeAlias = list[tuple[str, dict[str, Any]]]
Route: TypeAlias = tuple[str, re.Pattern[str], str, str]


class Batch(msgspec.Struct):
    """A batch with its requests by id, and the states that follow."""

    id: str
    requests: BatchRequests
    life: list[str]
    created: float
    state: str
    metadata: Mapping[str, str] = {}
    file: str = ""
    files: tuple[str | None, str | None] = (None, None)
    ended: float | None = None


class _Emulator(HttpService):
    """What both have in common. *life* are the states of new batches, *fails* the ids of requests that fail."""

    ROUTES: ClassVar[tuple[Route, ...]] = ()
    LIFE: ClassVar[tuple[str, ...]] = ()
    ENDS: ClassVar[frozenset[str]] = frozenset()
    PREFIX: ClassVar[str] = ""

    def __init__(
        self,
        life: Iterable[str] = (),
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        fails: Collection[str] = (),
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life = tuple(life) or self.LIFE
        self.fails = frozenset(fails)
        self.token = KEY
        self._batches: dict[str, Batch] = {}

    @property
    def tasks(self) -> tuple[Batch, ...]:
        """Every batch, oldest first."""
        return tuple(self._batches.values())

    def _route_of(self, request: Request) -> str:
        return self._route(request)[0]

    def _answer(self, request: Request) -> Response:
        verb, answer, parts = self._route(request)
        if not verb:
            return self.problem(404, "No such route.")
        if not self._is_known(dict(request.headers)):
            return self.problem(401, "Incorrect API key provided.")
        reply: Callable[..., Response] = getattr(self, answer)
        return reply(request, *parts)

    def _route(self, request: Request) -> tuple[str, str, tuple[str, ...]]:
        at = re.search(r"/v1/", request.path)
        path = request.path[at.start() :] if at else ""
        for method, pattern, verb, answer in self.ROUTES:
            if method == request.method and (found := pattern.fullmatch(path)):
                return verb, answer, found.groups()
        return "", "", ()

    @abc.abstractmethod
    def _is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the key."""

    @abc.abstractmethod
    def problem(self, status: int, text: str) -> Response:
        """Return an error response of the service."""

    def _worded(self, fault: Fault, response: Response) -> Response:
        return worded(fault, response, self.problem)

    def _create(self, requests: BatchRequests, **fields: Any) -> Batch:
        batch = Batch(
            id=f"{self.PREFIX}{len(self._batches) + 1:04d}",
            requests=requests,
            life=list(self.life[1:]),
            created=self.clock.time(),
            state=self.life[0],
            **fields,
        )
        self._batches[batch.id] = batch
        return batch

    def _advance(self, batch: Batch) -> Batch:
        if batch.life and batch.state not in self.ENDS:
            batch.state = batch.life.pop(0)
            if batch.state in self.ENDS:
                batch.ended = self.clock.time()
        return batch

    def _page(self, request: Request, after: str) -> tuple[list[Batch], bool]:
        query, newest = dict(request.query), list(reversed(self._batches.values()))
        ids = [batch.id for batch in newest]
        start = ids.index(query[after]) + 1 if query.get(after) in ids else 0
        end = start + int(query.get("limit", "20"))
        return newest[start:end], end < len(newest)

    def ends(self, batch: Batch, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield id, request and end ("done", "failed" or "lost") of each request, the last one first."""
        for number, (id, body) in reversed(list(enumerate(batch.requests))):
            is_lost = not is_whole and number % 2 == 1
            yield id, body, "lost" if is_lost else "failed" if id in self.fails else "done"


def _lines(documents: Iterable[object]) -> bytes:
    return b"".join(msgspec.json.encode(document) + b"\n" for document in documents)


# -- OpenAI ------------------------------------------------------------------------------------------------------------


class OpenAIBatchEmulator(_Emulator):
    """OpenAI's files and batches. *life* are the states of new batches, *fails* the ids of requests that fail."""

    LIFE = ("validating", "in_progress", "finalizing", "completed")
    ENDS = frozenset({"completed", "failed", "expired", "cancelled"})
    PREFIX = "batch_"
    ROUTES = tuple(
        (method, re.compile(path), verb, answer)
        for method, path, verb, answer in (
            ("POST", r"/v1/files", "upload_file", "_upload"),
            ("GET", r"/v1/files/([^/]+)/content", "get_results", "_content"),
            ("POST", r"/v1/batches", "create_task", "_create_batch"),
            ("GET", r"/v1/batches", "list_tasks", "_list"),
            ("GET", r"/v1/batches/([^/]+)", "get_task", "_get"),
            ("POST", r"/v1/batches/([^/]+)/cancel", "cancel_task", "_cancel"),
        )
    )

    def __init__(self, life: Iterable[str] = (), **options: Any) -> None:
        super().__init__(life, **options)
        self.files: dict[str, bytes] = {}

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {KEY}"

    def problem(self, status: int, text: str) -> Response:
        """Return an error response."""
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
        return json_reply({"error": error}, status=status)

    def _upload(self, request: Request) -> Response:
        parts = form_parts(request)
        if parts.get("purpose") != b"batch" or not parts.get("file"):
            return self.problem(400, "A file with the purpose 'batch' is needed.")
        id = self._keep(parts["file"])
        return json_reply(
            {
                "id": id,
                "object": "file",
                "bytes": len(parts["file"]),
                "created_at": int(self.clock.time()),
                "filename": "requests.jsonl",
                "purpose": "batch",
                "status": "processed",
            }
        )

    def _keep(self, body: bytes) -> str:
        id = f"file-{len(self.files) + 1:04d}"
        self.files[id] = body
        return id

    def _content(self, request: Request, id: str) -> Response:
        del request
        if id not in self.files:
            return self.problem(404, f"No such File object: {id}")
        return Response(200, {"content-type": "application/octet-stream"}, self.files[id])

    def _create_batch(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body)
        file = self.files.get(body.get("input_file_id"))
        if file is None:
            return self.problem(400, f"No such File object: {body.get('input_file_id')}")
        if body.get("completion_window") != "24h" or not str(body.get("endpoint", "")).startswith("/v1/"):
            return self.problem(400, "Invalid value: 'completion_window' or 'endpoint'.")
        lines = [msgspec.json.decode(line) for line in file.splitlines()]
        requests = [(line["custom_id"], line["body"]) for line in lines]
        batch = self._create(requests, metadata=body.get("metadata") or {}, file=body["input_file_id"])
        return json_reply(self._document(batch))

    def _get(self, request: Request, id: str) -> Response:
        del request
        if id not in self._batches:
            return self.problem(404, f"No batch found with id '{id}'.")
        return json_reply(self._document(self._advance(self._batches[id])))

    def _list(self, request: Request) -> Response:
        batches, has_more = self._page(request, "after")
        documents = [self._document(batch) for batch in batches]
        ids = {"first_id": batches[0].id, "last_id": batches[-1].id} if batches else {}
        return json_reply({"object": "list", "data": documents, **ids, "has_more": has_more})

    def _cancel(self, request: Request, id: str) -> Response:
        del request
        batch = self._batches.get(id)
        if batch is None:
            return self.problem(404, f"No batch found with id '{id}'.")
        if batch.state in self.ENDS:
            return self.problem(409, f"Cannot cancel a batch with status '{batch.state}'.")
        batch.state, batch.life = "cancelling", ["cancelled"]
        return json_reply(self._document(batch))

    def _document(self, batch: Batch) -> dict[str, object]:
        if batch.state in self.ENDS and batch.state != "failed" and batch.files == (None, None):
            batch.files = self._results(batch)
        ended = {f"{batch.state}_at": int(batch.ended)} if batch.ended else {}
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/responses",
            "input_file_id": batch.file,
            "completion_window": "24h",
            "status": batch.state,
            "output_file_id": batch.files[0],
            "error_file_id": batch.files[1],
            "created_at": int(batch.created),
            "expires_at": int(batch.created) + 86_400,
            **ended,
            "errors": _refused() if batch.state == "failed" else None,
            "request_counts": self._counts(batch),
            "metadata": dict(batch.metadata),
        }

    def _counts(self, batch: Batch) -> dict[str, int]:
        if batch.state not in self.ENDS or batch.state == "failed":
            return {"total": len(batch.requests), "completed": 0, "failed": 0}
        ends = [end for _, _, end in self.ends(batch, is_whole=batch.state == "completed")]
        return {"total": len(ends), "completed": ends.count("done"), "failed": len(ends) - ends.count("done")}

    def _results(self, batch: Batch) -> tuple[str | None, str | None]:
        """Write the results into two files and return their ids; an empty file is not written."""
        ends = list(self.ends(batch, is_whole=batch.state == "completed"))
        good = [_answered(id, body) for id, body, end in ends if end == "done"]
        bad = [_unanswered(id, end, batch.state) for id, _, end in ends if end != "done"]
        return (self._keep(_lines(good)) if good else None, self._keep(_lines(bad)) if bad else None)


def _answered(id: str, body: Mapping[str, Any]) -> dict[str, object]:
    content = [{"type": "output_text", "text": f"Done: {body.get('input')}", "annotations": []}]
    message = {"type": "message", "role": "assistant", "status": "completed", "content": content}
    answer = {
        "id": f"resp_{id}",
        "object": "response",
        "status": "completed",
        "model": body["model"],
        "output": [message],
    }
    response = {"status_code": 200, "request_id": f"req_{id}", "body": answer}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": response, "error": None}


def _unanswered(id: str, end: str, state: str) -> dict[str, object]:
    if end == "failed":
        error = {"message": "The model is overloaded.", "type": "server_error", "code": "server_error"}
        response = {"status_code": 500, "request_id": f"req_{id}", "body": {"error": error}}
        return {"id": f"batch_req_{id}", "custom_id": id, "response": response, "error": None}
    gone = {"code": f"batch_{state}", "message": "This request was not executed before the end of the batch."}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": None, "error": gone}


def _refused() -> dict[str, object]:
    error = {"code": "invalid_json_line", "message": "This line is not parseable as JSON.", "line": 1, "param": None}
    return {"object": "list", "data": [error]}


def form_parts(request: Request) -> dict[str, bytes]:
    """Return the fields of a multipart form by name."""
    match = re.search(r'boundary="?([^";]+)', dict(request.headers).get("content-type", ""))
    parts: dict[str, bytes] = {}
    for part in request.body.split(b"--" + match[1].encode())[1:-1] if match else ():
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if name := re.search(rb'[; ]name="([^"]+)"', head):
            parts[name[1].decode()] = content.removesuffix(b"\r\n")
    return parts


# -- Anthropic ---------------------------------------------------------------------------------------------------------


class AnthropicBatchEmulator(_Emulator):
    """Anthropic's message batches.

    *life* are the states of new batches; after "expired" some requests have no result. *fails* are the ids of requests
    that fail.
    """

    LIFE = ("in_progress", "in_progress", "ended")
    ENDS = frozenset({"ended", "expired", "canceled"})
    PREFIX = "msgbatch_"
    ROUTES = tuple(
        (method, re.compile(path), verb, answer)
        for method, path, verb, answer in (
            ("POST", r"/v1/messages/batches", "create_task", "_create_batch"),
            ("GET", r"/v1/messages/batches", "list_tasks", "_list"),
            ("GET", r"/v1/messages/batches/([^/]+)", "get_task", "_get"),
            ("DELETE", r"/v1/messages/batches/([^/]+)", "delete_task", "_delete"),
            ("POST", r"/v1/messages/batches/([^/]+)/cancel", "cancel_task", "_cancel"),
            ("GET", r"/v1/messages/batches/([^/]+)/results", "get_results", "_results"),
        )
    )

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether the key is in `x-api-key`, as documented, or is a bearer token, as Anthropic's SDK 2 sends it."""
        is_right = KEY in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer "))
        return is_right and "anthropic-version" in headers

    def problem(self, status: int, text: str) -> Response:
        """Return an error response."""
        words = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
        error = {"type": words.get(status, "invalid_request_error" if status < 500 else "api_error"), "message": text}
        return json_reply({"type": "error", "error": error}, status=status)

    def _create_batch(self, request: Request) -> Response:
        requests = msgspec.json.decode(request.body).get("requests") or ()
        requests = [(each["custom_id"], each["params"]) for each in requests]
        if not requests or len(dict(requests)) < len(requests):
            return self.problem(400, "requests: at least one is needed, and each custom_id once.")
        if any(not {"model", "max_tokens", "messages"} <= set(params) for _, params in requests):
            return self.problem(400, "requests.0.params: Field required")
        return json_reply(self._document(self._create(requests), request))

    def _get(self, request: Request, id: str) -> Response:
        if id not in self._batches:
            return self.problem(404, f"Message batch {id} not found.")
        return json_reply(self._document(self._advance(self._batches[id]), request))

    def _list(self, request: Request) -> Response:
        batches, has_more = self._page(request, "after_id")
        documents = [self._document(batch, request) for batch in batches]
        first, last = (batches[0].id, batches[-1].id) if batches else (None, None)
        return json_reply({"data": documents, "has_more": has_more, "first_id": first, "last_id": last})

    def _delete(self, request: Request, id: str) -> Response:
        del request
        batch = self._batches.get(id)
        if batch is None:
            return self.problem(404, f"Message batch {id} not found.")
        if batch.ended is None:
            return self.problem(400, "Message batches can only be deleted once they have ended.")
        del self._batches[id]
        return json_reply({"id": id, "type": "message_batch_deleted"})

    def _cancel(self, request: Request, id: str) -> Response:
        batch = self._batches.get(id)
        if batch is None:
            return self.problem(404, f"Message batch {id} not found.")
        if batch.ended is None:
            batch.state, batch.life = "canceling", ["canceled"]
        return json_reply(self._document(batch, request))

    def _results(self, request: Request, id: str) -> Response:
        del request
        batch = self._batches.get(id)
        if batch is None or batch.ended is None:
            return self.problem(404, f"Message batch {id} has no results.")
        lost = batch.state if batch.state != "ended" else "expired"
        ends = self.ends(batch, is_whole=batch.state == "ended")
        documents = [{"custom_id": id, "result": _result(id, body, end, lost)} for id, body, end in ends]
        return Response(200, {"content-type": "application/binary"}, _lines(documents))

    def _document(self, batch: Batch, request: Request) -> dict[str, object]:
        has_ended = batch.ended is not None
        host = dict(request.headers).get("host") or request.url.partition("://")[2].partition("/")[0]
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if has_ended else batch.state,
            "request_counts": self._counts(batch),
            "created_at": format_time(batch.created),
            "expires_at": format_time(batch.created + 86_400),
            "ended_at": format_time(batch.ended) if batch.ended is not None else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"http://{host}/v1/messages/batches/{batch.id}/results" if has_ended else None,
        }

    def _counts(self, batch: Batch) -> dict[str, int]:
        """Return the counts: until the end, all but `processing` are zero."""
        words: Sequence[str] = ("succeeded", "errored", "canceled", "expired")
        if batch.ended is None:
            return {"processing": len(batch.requests), **dict.fromkeys(words, 0)}
        lost = batch.state if batch.state != "ended" else "expired"
        named = {"done": "succeeded", "failed": "errored", "lost": lost}
        ends = [named[end] for _, _, end in self.ends(batch, is_whole=batch.state == "ended")]
        return {"processing": 0, **{word: ends.count(word) for word in words}}


def _result(id: str, params: Mapping[str, Any], end: str, lost: str) -> dict[str, object]:
    if end == "failed":
        error = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
        return {"type": "errored", "error": error}
    if end == "lost":
        return {"type": lost}
    content = [{"type": "text", "text": f"Done: {params['messages'][0]['content']}"}]
    message = {
        "id": f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": params["model"],
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    return {"type": "succeeded", "message": message}
