"""Convert Anthropic's responses to coatcheck's values. Pure: no I/O.

Invariants:

- Every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong.
- A state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task.
- `ended` does not state a result: a batch succeeded if one of its requests did, otherwise it has the first state of `RESULTS` that a request has.
"""

from __future__ import annotations

from collections.abc import Mapping

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

NAME = "anthropic_batch"

# docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs": one state for every end.
STATES: Mapping[str, TaskState] = {
    "in_progress": TaskState.RUNNING,
    "canceling": TaskState.RUNNING,
    "ended": TaskState.SUCCEEDED,
}
# The type of a result, and what a batch is of which there is no success: the first of these that there is.
RESULTS: Mapping[str, TaskState] = {
    "succeeded": TaskState.SUCCEEDED,
    "errored": TaskState.FAILED,
    "expired": TaskState.EXPIRED,
    "canceled": TaskState.CANCELLED,
}


def batch(answer: Response) -> wire.Batch:
    """Return the batch that *answer* holds."""
    return read_json(answer.body, wire.Batch, response=answer)


def page(answer: Response) -> Page:
    """Return a page of the list."""
    batch_page = read_json(answer.body, wire.BatchPage, response=answer)
    cursor = batch_page.last_id if batch_page.has_more else None
    return Page(items=tuple(map(task, batch_page.data or ())), cursor=cursor, raw=answer.body)


def task(document: wire.Batch, *, results: bytes | None = None, raw: bytes = b"") -> Task:
    """Return the task that a batch is; *results* are the lines of its results, None where they were not requested."""
    counts = document.request_counts or wire.Counts()
    batch_result = batch_outcome(map(_item, read_json_lines(results, wire.Line))) if results is not None else None
    state = _state(document, counts)
    return Task(
        ref=TaskRef(NAME, document.id),
        state=state,
        raw_state=document.processing_status,
        created_at=instant(document.created_at),
        updated_at=instant(document.ended_at),
        progress=_progress(document, counts, state),
        outcome=batch_result,
        error=batch_error(batch_result) if state.is_terminal and state is not TaskState.SUCCEEDED else None,
        notices=partial_notices(batch_result),
        is_archived=instant(document.archived_at) is not None,
        raw=raw,
    )


def _state(document: wire.Batch, counts: wire.Counts) -> TaskState:
    state = STATES.get(document.processing_status or "", TaskState.UNKNOWN)
    if state is not TaskState.SUCCEEDED:
        return state
    return next((RESULTS[word] for word in RESULTS if getattr(counts, word)), TaskState.SUCCEEDED)


def _progress(document: wire.Batch, counts: wire.Counts, state: TaskState) -> str | None:
    """Return how far it is; while it runs the service counts nothing but how many there are."""
    numbers = [getattr(counts, word) or 0 for word in RESULTS]
    total = sum(numbers) + (counts.processing or 0)
    expires_at = None if state.is_terminal else instant(document.expires_at)
    return batch_progress(sum(numbers), counts.errored, total, expires_at=expires_at)


# -- results -----------------------------------------------------------------------------------------------------------


def _item(line: wire.Line) -> Item:
    result = line.result
    message = fields(result.message)
    state = RESULTS.get(result.type or "", TaskState.UNKNOWN)
    return Item(
        id=line.custom_id,
        state=state,
        raw_state=result.type,
        messages=tuple(
            Message(text=parts) for part in items(message.get("content")) if (parts := text(fields(part).get("text")))
        ),
        error=_failure(result) if state is not TaskState.SUCCEEDED else None,
        model=text(message.get("model")),
    )


def _failure(result: wire.Result) -> Failure:
    """Return why there is no message: the service's error stands inside an error response."""
    document = fields(result.error)
    document = fields(document.get("error")) or document
    return Failure(code=text(document.get("type")) or result.type, message=text(document.get("message")))
