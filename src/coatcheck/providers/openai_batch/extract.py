"""Convert OpenAI's responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
- A batch that completed may hold failed requests: `completed` is a success only where one of them is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from ...provider import (
    Failure,
    Item,
    Message,
    Page,
    Response,
    Task,
    TaskRef,
    TaskState,
    batch_error,
    batch_outcome,
    batch_progress,
    fields,
    instant,
    items,
    partial_notices,
    read_json,
    read_json_lines,
    text,
)
from . import wire

NAME = "openai_batch"

# docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs".
STATES: Mapping[str, TaskState] = {
    "validating": TaskState.QUEUED,
    "in_progress": TaskState.RUNNING,
    "finalizing": TaskState.RUNNING,
    "cancelling": TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "expired": TaskState.EXPIRED,
    "cancelled": TaskState.CANCELLED,
}
# Codes of the error file for requests that were never made (OpenAI's API description, `BatchRequestOutputError`).
CODES: Mapping[str, TaskState] = {"batch_expired": TaskState.EXPIRED, "batch_cancelled": TaskState.CANCELLED}

# The metadata of a batch that are read back.
KEY, TITLE = "coatcheck_key", "title"


def batch(answer: Response) -> wire.Batch:
    """Return the batch that *answer* holds."""
    return read_json(answer.body, wire.Batch, response=answer)


def page(answer: Response) -> Page:
    """Return a page of the list; its cursor is the last id."""
    batch_page = read_json(answer.body, wire.BatchPage, response=answer)
    batches = batch_page.data or []
    cursor = batches[-1].id if batch_page.has_more and batches else None
    return Page(items=tuple(map(task, batches)), cursor=cursor, raw=answer.body)


def keys(answer: Response) -> Mapping[str, wire.Batch]:
    """Return the batches of a page by the key that they carry."""
    batch_page = read_json(answer.body, wire.BatchPage, response=answer)
    return {key: each for each in batch_page.data or () if (key := text(fields(each.metadata).get(KEY)))}


def task(document: wire.Batch, *, results: bytes | None = None, raw: bytes = b"") -> Task:
    """Return the task that a batch is; *results* are the lines of its files, None where they were not requested."""
    state = STATES.get(document.status or "", TaskState.UNKNOWN)
    why = _failure(document)
    counts = document.request_counts or wire.Counts()
    batch_result = (
        batch_outcome(map(_item, read_json_lines(results, wire.Line)), error=why) if results is not None else None
    )
    if state is TaskState.SUCCEEDED and counts.failed and not counts.completed:
        state = TaskState.FAILED
    error = why or (batch_error(batch_result) if state is not TaskState.SUCCEEDED else None)
    return Task(
        ref=TaskRef(NAME, document.id),
        state=state,
        raw_state=document.status,
        title=text(fields(document.metadata).get(TITLE)),
        model=text(document.model),
        created_at=instant(document.created_at),
        started_at=instant(document.in_progress_at),
        updated_at=_ended_at(document),
        progress=_progress(document, counts, state),
        outcome=batch_result,
        error=error if state.is_terminal else None,
        notices=partial_notices(batch_result),
        raw=raw,
    )


def _ended_at(document: wire.Batch) -> datetime | None:
    moments = (document.completed_at, document.failed_at, document.expired_at, document.cancelled_at)
    return next(filter(None, map(instant, moments)), None)


def _progress(document: wire.Batch, counts: wire.Counts, state: TaskState) -> str | None:
    """Return how far it is, and when it expires."""
    done = (counts.completed or 0) + (counts.failed or 0)
    expires_at = None if state.is_terminal else instant(document.expires_at)
    return batch_progress(done, counts.failed, counts.total, expires_at=expires_at)


def _failure(document: wire.Batch) -> Failure | None:
    """Return why the batch itself was refused."""
    errors = (document.errors.data if document.errors else None) or ()
    return next((Failure(code=text(error.code), message=text(error.message)) for error in errors), None)


# -- results -----------------------------------------------------------------------------------------------------------


def _item(line: wire.Line) -> Item:
    answer = line.response or wire.LineResponse()
    body = fields(answer.body)
    why = _item_failure(line, body)
    code = text(line.error.code) if line.error else None
    state = CODES.get(code or "", TaskState.FAILED) if why else TaskState.SUCCEEDED
    return Item(
        id=line.custom_id,
        state=state,
        raw_state=code or (str(answer.status_code) if answer.status_code else None),
        messages=() if why else tuple(Message(text=each) for each in _texts(body)),
        error=why,
        model=text(body.get("model")),
    )


def _item_failure(line: wire.Line, body: Mapping[str, object]) -> Failure | None:
    """Return why a request failed: it was not made, was refused, or was answered with an error."""
    if line.error is not None:
        return Failure(code=text(line.error.code), message=text(line.error.message))
    status = line.response.status_code if line.response else None
    document = fields(body.get("error"))
    if document or status is None or status >= 300:
        return Failure(
            code=text(document.get("code")) or text(document.get("type")), message=text(document.get("message"))
        )
    return None


def _texts(body: Mapping[str, object]) -> Iterator[str]:
    """Yield a model's messages, in the format of Responses or of Chat Completions."""
    for part in items(body.get("output")):
        for content in items(fields(part).get("content")):
            if message_texts := text(fields(content).get("text")):
                yield message_texts
    for choice in items(body.get("choices")):
        if message_texts := text(fields(fields(choice).get("message")).get("content")):
            yield message_texts
