"""The two bindings over HTTP: a call as a request, and a response as the JSON of its result.

Invariants:

- calls have the same parameters in both bindings (A2A 1.0, section 5.3); only this module knows how they travel;
- a call that changes nothing may be repeated, also where it is a POST;
- an error is of one class, whichever binding reports it (A2A 1.0, section 5.4): by the HTTP status, and where that is
  not specific or is 200 (JSON-RPC) by the reason or the code in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from ...provider import (
    UNREADABLE,
    USER_AGENT,
    Pairs,
    Request,
    Response,
    check,
    decode_json,
    encoded,
    errors,
    read_json,
    scrub,
)
from . import wire
from .service import HTTP_JSON, JSON_RPC

T = TypeVar("T")

VERSION: Pairs = (("a2a-version", "1.0"),)
HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "application/a2a+json, application/json;q=0.9"), *VERSION)
STREAM_HEADERS: Pairs = (("user-agent", USER_AGENT), ("accept", "text/event-stream"), *VERSION)
# What every server takes; application/a2a+json is newer (A2A 1.0.1).
JSON_TYPE = ("content-type", "application/json")

# Reasons whose HTTP status is that of other errors as well: the SDK for Python sends 400 (A2A 1.0, section 5.4).
REASONS: Mapping[object, type[errors.ProviderError]] = {
    "TASK_NOT_FOUND": errors.NotFoundError,
    "TASK_NOT_CANCELABLE": errors.ConflictError,
}
# The HTTP status that means the same as a code of JSON-RPC (A2A 1.0, section 5.4); -32602 is JSON-RPC's own.
CODES: Mapping[int, tuple[type[errors.ProviderError], int]] = {
    -32001: (errors.NotFoundError, 404),
    -32002: (errors.ConflictError, 409),
    **dict.fromkeys((-32003, -32004, -32005, -32007, -32008, -32009), (errors.InvalidRequestError, 400)),
    **dict.fromkeys((-32700, -32600, -32601, -32602), (errors.InvalidRequestError, 400)),
}
_UNAVAILABLE = (errors.ProviderUnavailableError, 500)
MAX_DETAIL = 300


class Interface(msgspec.Struct, frozen=True):
    """How an agent is called: its binding, the path of its URL, its tenant, and whether it streams.

    `has_push` is whether it sends push notifications; a text has it not, since only the card of a submission matters.
    """

    binding: str
    path: str = ""
    tenant: str = ""
    is_streaming: bool = True
    has_push: bool = False

    def to_text(self) -> str:
        """Return it as one printable text without control characters, which `from_text` reads."""
        return " ".join((self.binding, str(int(self.is_streaming)), quote(self.tenant, safe=""), self.path))

    @classmethod
    def from_text(cls, text: str) -> Interface | None:
        """Return what `to_text` wrote, None for anything else."""
        parts = text.split(" ", 3)
        if len(parts) != 4 or parts[0] not in (HTTP_JSON, JSON_RPC):
            return None
        binding, streaming, tenant, path = parts
        return cls(binding, path, unquote(tenant), streaming == "1")


class Call(msgspec.Struct, frozen=True):
    """A call: its JSON-RPC method, its HTTP method and path, and its parameters.

    `id` is the task that the path names. A call with `is_change` creates or changes something.
    """

    name: str
    method: str
    path: str
    parameters: Mapping[str, object]
    id: str = ""
    is_change: bool = False
    is_stream: bool = False


def to_request(call: Call, interface: Interface) -> Request:
    """Return the request that makes *call* at *interface*."""
    build = _rpc_request if interface.binding == JSON_RPC else _http_request
    request = build(call, interface)
    headers = STREAM_HEADERS if call.is_stream else HEADERS
    return msgspec.structs.replace(
        request.with_headers(*headers),
        idempotent=not call.is_change,
        stream=call.is_stream,
        conditional=request.method == "GET" and not call.is_stream,
    )


def _http_request(call: Call, interface: Interface) -> Request:
    tenant = f"/{encoded(interface.tenant)}" if interface.tenant else ""
    path = f"{interface.path}{tenant}{call.path.replace('{id}', encoded(call.id))}"
    if call.method == "GET":
        return Request("GET", path, query=tuple((name, _text(value)) for name, value in call.parameters.items()))
    return Request(call.method, path, headers=(JSON_TYPE,), body=msgspec.json.encode(call.parameters))


def _rpc_request(call: Call, interface: Interface) -> Request:
    parameters = dict(call.parameters)
    if call.id:
        parameters["id"] = call.id
    if interface.tenant:
        parameters["tenant"] = interface.tenant
    document = {"jsonrpc": "2.0", "id": 1, "method": call.name, "params": parameters}
    return Request("POST", interface.path or "/", headers=(JSON_TYPE,), body=msgspec.json.encode(document))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_result(response: Response, shape: type[T]) -> T:
    """Return the result of a call as *shape*. Raises the error that the response reports, and `UnreadableResponseError`."""
    check_response(response)
    return read_document(response.body, shape, response=response)


def read_document(body: bytes | str, shape: type[T], *, response: Response | None = None) -> T:
    """Return the result in a successful document of either binding as *shape*."""
    data = body.encode() if isinstance(body, str) else body
    envelope = read_json(data, wire.RpcResponse, response=response)
    if envelope.error is not None:
        raise _rpc_error(envelope.error)
    if envelope.result is not msgspec.UNSET:
        return read_json(envelope.result, shape, response=response, at="$.result")
    if envelope.jsonrpc is not msgspec.UNSET:
        raise errors.UnreadableResponseError("the agent's answer has neither a result nor an error", path="$.result")
    return read_json(data, shape, response=response)


def check_response(response: Response) -> None:
    """Raise the error of an HTTP status, of the class that the reason in the body names."""
    try:
        check(response)
    except errors.ProviderError as error:
        kind = REASONS.get(_reason(response), type(error))
        if kind is type(error):
            raise
        raise kind(
            str(error), status=error.status, detail=error.detail, request_id=error.request_id, remedy=error.remedy
        ) from None


def _reason(response: Response) -> object:
    try:
        body = decode_json(response.body, wire.ErrorResponse)
    except UNREADABLE:
        return None
    details = (body.error.details if body.error else None) or ()
    return next((each.reason for each in details if isinstance(each.reason, str)), None)


def _rpc_error(error: wire.RpcError) -> errors.ProviderError:
    """Return the error of a JSON-RPC response; `is_refusal` where its code means that the call was not performed."""
    kind, status = CODES.get(error.code, _UNAVAILABLE)
    detail = " ".join(scrub(error.message).split())[:MAX_DETAIL] or None
    message = f"{kind.default_message()} (JSON-RPC {error.code})" + (f": {detail}" if detail else "")
    result = kind(message, status=status, detail=detail)
    result.is_refusal = error.code in CODES
    return result
