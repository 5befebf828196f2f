"""Convert AWS's responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A state's native word is kept; a word that a table lacks is UNKNOWN, which never ends a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...provider import (
    UNREADABLE,
    Failure,
    Outcome,
    Page,
    Response,
    Task,
    TaskRef,
    TaskState,
    check,
    decode_json,
    error_for,
    fields,
    instant,
    read_json,
    text,
)
from . import wire
from .functions import Service
from .payload import outcome, outcome_of_text, payload_fields

# docs/reference/protocols/services.md, "3.2 Durable functions". An execution that is being deleted has ended, and its
# end is no longer reported.
STATES: Mapping[str, TaskState] = {
    "RUNNING": TaskState.RUNNING,
    "PAUSING": TaskState.RUNNING,
    "PAUSED": TaskState.PAUSED,
    "SUCCEEDED": TaskState.SUCCEEDED,
    "FAILED": TaskState.FAILED,
    "TIMED_OUT": TaskState.EXPIRED,
    "STOPPED": TaskState.CANCELLED,
    "DELETING": TaskState.UNKNOWN,
}

# The `condition` of a destination record (docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke").
CONDITIONS: Mapping[str, TaskState] = {
    "Success": TaskState.SUCCEEDED,
    "RetriesExhausted": TaskState.FAILED,
    "EventAgeExceeded": TaskState.EXPIRED,
}

# What AWS calls what went wrong, and what can be done about it.
REMEDIES: Mapping[str, str] = {
    "ResourceNotFoundException": "check the name of the function and the region; ended executions are kept 1 to 90 days",
    "DurableExecutionAlreadyStartedException": "this key was used for other work: give another, or none",
    "InvalidParameterValueException": "durable functions are named with a version or an alias: NAME:live",
    "RequestTooLargeException": "put what is large where the function can fetch it",
    "AccessDeniedException": "the AWS user lacks the permission for this action on this function or queue",
    "UnrecognizedClientException": "the access key is none of this account: aws sts get-caller-identity",
    "InvalidSignatureException": "check the secret access key, and that this machine's clock is right",
    "ExpiredTokenException": "the AWS session has ended: log in again, for example with aws sso login",
    "QueueDoesNotExist": "check the URL of the queue, and its region",
}


def checked(response: Response) -> Response:
    """Return *response*, or raise the error for its status, with the remedy for AWS's error type."""
    if response.status < 300:
        return response
    error = error_for(response)
    error.remedy = REMEDIES.get(_error_type(response))
    raise error


def _error_type(response: Response) -> str:
    """Return AWS's code of an error: in a header, or in the body, with or without a namespace.

    See docs/reference/protocols/services.md, "3.3 Testing on one machine, no docker, no internet".
    """
    word = response.headers.get("x-amzn-errortype")
    if word is None:
        values: Mapping[str, object] = _body_fields(response)
        word = text(values.get("__type")) or text(values.get("Type")) or ""
    return word.partition(":")[0].rpartition("#")[2].rpartition(".")[2]


def _body_fields(response: Response) -> Mapping[str, object]:
    try:
        return fields(decode_json(response.body, object))
    except UNREADABLE:
        return {}


# -- durable executions ------------------------------------------------------------------------------------------------


def execution_task(answer: Response, service: Service) -> Task:
    """Return the task of one execution's answer."""
    check(answer)
    return task(read_json(answer.body, wire.Execution, response=answer), service, raw=answer.body)


def page(answer: Response, service: Service) -> Page:
    """Return a page of executions; a list has neither their input nor their result."""
    execution_page = read_json(answer.body, wire.ExecutionPage, response=answer)
    tasks = tuple(task(each, service) for each in execution_page.durable_executions or ())
    return Page(items=tasks, cursor=execution_page.next_marker or None, raw=answer.body)


def ref_named(name: str, answer: Response, service: Service) -> TaskRef | None:
    """Return the first execution of a page with the name *name*, which need not be part of its ARN."""
    execution_page = read_json(answer.body, wire.ExecutionPage, response=answer)
    arns = (
        each.durable_execution_arn
        for each in execution_page.durable_executions or ()
        if each.durable_execution_name == name
    )
    return next(map(service.ref, arns), None)


def task(execution: wire.Execution, service: Service, *, raw: bytes = b"") -> Task:
    """Return the task that an execution is."""
    state = STATES.get(execution.status or "", TaskState.UNKNOWN)
    why = _failure(execution.error) if state.is_terminal and state is not TaskState.SUCCEEDED else None
    return Task(
        ref=service.ref(execution.durable_execution_arn),
        state=state,
        raw_state=execution.status,
        created_at=instant(execution.start_timestamp),
        updated_at=instant(execution.end_timestamp),
        environment=text(execution.function_arn),
        outcome=outcome_of_text(execution.result, error=why) if state.is_terminal and raw else None,
        error=why,
        raw=raw,
        **_request_of(execution.input_payload),
    )


def _request_of(payload_field: object) -> dict[str, Any]:
    """Return the fields of a task that are in its payload."""
    values = payload_fields(payload_field)
    known = {name: text(values.get(name)) for name in ("prompt", "repository", "branch", "title", "model")}
    mode = values.get("mode")
    return known | {"mode": mode if mode in ("code", "ask") else None}


def _failure(error: wire.ErrorObject | None) -> Failure | None:
    if error is None:
        return None
    return Failure(code=text(error.error_type), message=text(error.error_message))


# -- destination records -----------------------------------------------------------------------------------------------


def record_task(body: bytes, service: Service) -> Task:
    """Return the task whose end a destination record reports. Raises `UnreadableResponseError` for anything else."""
    record = read_json(body, wire.Record)
    about = record.request_context
    state = CONDITIONS.get(about.condition or "", TaskState.UNKNOWN)
    is_error = bool(record.response_context and record.response_context.function_error)
    why = _function_failure(record, about) if is_error or state is not TaskState.SUCCEEDED else None
    result_outcome = Outcome(error=why) if is_error else outcome(record.response_payload, error=why)
    return Task(
        ref=service.ref(about.request_id),
        state=TaskState.FAILED if is_error and state is TaskState.SUCCEEDED else state,
        raw_state=about.condition,
        environment=text(about.function_arn),
        updated_at=instant(record.timestamp),
        outcome=result_outcome,
        error=why,
        raw=body,
        **_request_of(record.request_payload),
    )


def _function_failure(record: wire.Record, about: wire.RequestContext) -> Failure:
    """Return the function's own error, else AWS's condition."""
    document = fields(record.response_payload)
    code, message = text(document.get("errorType")), text(document.get("errorMessage"))
    return Failure(code=code or about.condition, message=message)
