"""The structures of AWS's responses: only the fields that are read; unknown fields and values are accepted.

Typed fields decide; fields of type ``object`` are only shown and are read by `loose`.

See docs/reference/protocols/services.md, "3 AWS Lambda".
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, rename="pascal"):
    """A shape of Lambda's or SQS's."""


class ErrorObject(Wire, frozen=True):
    """Why an execution ended without success (docs/reference/protocols/services.md, "3.2 Durable functions")."""

    error_type: object = None
    error_message: object = None


class Execution(Wire, frozen=True):
    """A durable execution; a list has fewer fields (docs/reference/protocols/services.md, "3.2 Durable functions")."""

    durable_execution_arn: str
    durable_execution_name: object = None
    function_arn: object = None
    status: str | None = None
    start_timestamp: object = None
    end_timestamp: object = None
    input_payload: str | None = None
    result: str | None = None
    error: ErrorObject | None = None


class ExecutionPage(Wire, frozen=True):
    """A page of durable executions, newest first (docs/reference/protocols/services.md, "3.2 Durable functions")."""

    durable_executions: list[Execution] | None = None
    next_marker: str | None = None


class HistoryPage(Wire, frozen=True):
    """A page of what happened; each event has its details under the name of its kind.

    See docs/reference/protocols/services.md, "3.2 Durable functions".
    """

    events: list[dict[str, object]]
    next_marker: str | None = None


class QueueMessage(Wire, frozen=True):
    """A message as SQS hands it out."""

    receipt_handle: str
    body: str = ""


class Received(Wire, frozen=True):
    """What SQS hands out at once; nothing at all when there is nothing."""

    messages: list[QueueMessage] | None = None


class RequestContext(msgspec.Struct, frozen=True, rename="camel"):
    """Whose result a destination record is (docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke")."""

    request_id: str
    function_arn: object = None
    condition: str | None = None
    approximate_invoke_count: object = None


class ResponseContext(msgspec.Struct, frozen=True, rename="camel"):
    """How the function ended (docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke")."""

    function_error: str | None = None


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """A record as a function's destination receives it.

    See docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke".
    """

    request_context: RequestContext
    timestamp: object = None
    request_payload: object = None
    response_context: ResponseContext | None = None
    response_payload: object = None
