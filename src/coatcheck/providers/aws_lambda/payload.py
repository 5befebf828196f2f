"""The payload and the result of a function: JSON objects that follow a convention.

In: ``prompt``, and of ``repository``, ``branch``, ``mode``, ``title``, ``model``, ``instructions``, ``starting_diff``
and ``working_branch`` those that are set. Out: ``message``, ``patch`` (a diff), ``base_commit`` and
``pull_request`` (``url``, ``title``, ``body``), each where there is one; a text alone is the message, and anything else
is shown as the JSON that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    UNREADABLE,
    Failure,
    Message,
    Outcome,
    Patch,
    PatchState,
    PullRequest,
    count_diff,
    decode_json,
    errors,
    fields,
    text,
)

if TYPE_CHECKING:
    from ...provider import TaskSpec

# "The maximum payload size is ... 1 MB for asynchronous invocations" (AWS's description of Invoke;
# docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke").
MAX_PAYLOAD = 1024 * 1024
OPTIONS = ("title", "model", "instructions", "starting_diff", "working_branch")
_FIELDS = ("prompt", "repository", "branch", "mode", *OPTIONS)


def payload(spec: TaskSpec) -> bytes:
    """Return the payload: the same bytes for the same task. Raises `ConfigurationError` for too many."""
    options = {name: value for name in _FIELDS if (value := getattr(spec, name)) is not None}
    encoded = msgspec.json.encode(options)
    if len(encoded) > MAX_PAYLOAD:
        raise errors.ConfigurationError(
            f"the task is {len(encoded):,} bytes, and AWS Lambda takes {MAX_PAYLOAD:,} for an asynchronous invocation",
            remedy="put what is large where the function can fetch it",
        )
    return encoded


def payload_fields(sent: object) -> Mapping[str, object]:
    """Return the fields of a payload, which is JSON text or an object already decoded."""
    return fields(_read(sent) if isinstance(sent, str) else sent)


def outcome(fields_returned: object, *, error: Failure | None = None) -> Outcome:
    """Return the outcome in a function's result."""
    if not isinstance(fields_returned, dict):
        message = (
            None
            if fields_returned is None
            else fields_returned
            if isinstance(fields_returned, str)
            else msgspec.json.encode(fields_returned).decode()
        )
        return Outcome(messages=_messages(message), error=error)
    diff = text(fields_returned.get("patch"))
    patch = Patch(diff.encode()) if diff else None
    known = {"message", "patch", "base_commit", "pull_request"} & set(fields_returned)
    return Outcome(
        messages=_messages(
            text(fields_returned.get("message")) if known else msgspec.json.encode(fields_returned).decode()
        ),
        patch=patch,
        patch_state=PatchState.PRESENT if patch else PatchState.NONE,
        base_commit=text(fields_returned.get("base_commit")),
        stats=count_diff(patch),
        pull_request=_pull_request(fields_returned.get("pull_request")),
        error=error,
    )


def outcome_of_text(result: str | None, *, error: Failure | None = None) -> Outcome:
    """Return the outcome in the text of a result; text that is not JSON is the message."""
    return outcome(None if result is None else _read(result), error=error)


def _read(sent: str) -> object:
    try:
        return decode_json(sent, object)
    except UNREADABLE:
        return sent


def _messages(message: str | None) -> tuple[Message, ...]:
    return (Message(text=message),) if message else ()


def _pull_request(value: object) -> PullRequest | None:
    """Return a pull request, which may be its address alone."""
    pull_fields = {"url": value} if isinstance(value, str) else fields(value)
    url, title, body = (text(pull_fields.get(name)) for name in ("url", "title", "body"))
    return PullRequest(url=url, title=title, body=body) if url or title or body else None
