"""The events of a task as its agent streams them (A2A 1.0, section 3.1.6).

Invariants:

- the first event is the task as it is; later ones are updates. The events have no ids, so a stream is not resumed;
- an event that cannot be read is an `UnknownEvent` with its data: it does not end the stream;
- what is appended to an artifact is progress; a diff is counted together with what it is appended to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from ...provider import (
    STATE_EVENTS,
    Emit,
    Events,
    EventStreamReader,
    Message,
    Patch,
    Read,
    Request,
    Response,
    TaskDiff,
    TaskMessage,
    TaskNotice,
    TaskProgress,
    UnknownEvent,
    count_diff,
    errors,
    instant,
)
from . import extract, wire
from .bindings import check_response, read_document
from .parts import ArtifactContents, collect, text_of

if TYPE_CHECKING:
    from datetime import datetime

    from ...provider import Task, TaskEvent, TaskRef, TaskState
    from .service import Service

# A response that is no stream is an error; more than this is not read of it (bytes).
MAX_ERROR_BYTES = 1024 * 1024


def stream(request: Request, ref: TaskRef, service: Service) -> Events:
    """Emit the events of a task until the agent ends the stream. Raises the error that it sends in place of one."""
    response: Response = yield request
    check_response(response)
    if "event-stream" not in response.headers.get("content-type", ""):
        yield from _refuse(response)
    reader, updates = EventStreamReader(), Updates(ref, service)
    while response.stream is not None and (chunk := (yield Read(response.stream))):
        for each in reader.feed(chunk):
            for event in updates.events_in(each.data):
                yield Emit(event)


def _refuse(response: Response) -> Events:
    """Raise the error in a response that is no stream, as JSON-RPC sends it."""
    body = response.body
    while response.stream is not None and len(body) < MAX_ERROR_BYTES and (chunk := (yield Read(response.stream))):
        body += chunk
    read_document(body, object, response=response)
    raise errors.UnreadableResponseError("the agent sent no event stream", status=response.status)


def events_of(task: Task) -> Iterator[TaskEvent]:
    """Yield a task as events: its messages, its diff, its notices and its state."""
    outcome, at = task.outcome, task.updated_at
    for message in outcome.messages if outcome else ():
        yield TaskMessage(ref=task.ref, at=at, message=message, text=message.text)
    if outcome and outcome.stats:
        yield TaskDiff(ref=task.ref, at=at, stats=outcome.stats)
    for notice in task.notices:
        yield TaskNotice(ref=task.ref, at=at, notice=notice, text=notice.text)
    yield from _state_event(task.ref, task.state, task.raw_state, at)


def _state_event(ref: TaskRef, state: TaskState, word: str | None, at: datetime | None) -> Iterator[TaskEvent]:
    if (kind := STATE_EVENTS.get(state)) is not None:
        yield cast("TaskEvent", kind(ref=ref, at=at, state=state, raw_state=word))


class Updates:
    """Turns the events of a stream into ours."""

    def __init__(self, ref: TaskRef, service: Service) -> None:
        self._ref, self._service = ref, service
        self._diffs: dict[str | None, bytes] = {}

    def events_in(self, data: str) -> Iterator[TaskEvent]:
        """Yield the events in the data of one server-sent event."""
        try:
            yield from self._read(read_document(data, wire.StreamResponse))
        except errors.UnreadableResponseError:
            yield UnknownEvent(ref=self._ref, kind="unreadable", data=data)

    def _read(self, sent: wire.StreamResponse) -> Iterator[TaskEvent]:
        if sent.task is not None:
            yield from events_of(extract.task(sent.task, self._service, at="$.task"))
        elif sent.status_update is not None:
            yield from self._status(sent.status_update.status or extract.NO_STATUS)
        elif sent.artifact_update is not None and sent.artifact_update.artifact is not None:
            yield from self._artifact(sent.artifact_update.artifact, is_more=bool(sent.artifact_update.append))
        elif sent.message is not None:
            yield from self._message(text_of(sent.message), None)
        else:
            yield UnknownEvent(ref=self._ref, kind="unknown")

    def _status(self, status: wire.TaskStatus) -> Iterator[TaskEvent]:
        at = instant(status.timestamp)
        yield from self._message(text_of(status.message), at)
        yield from _state_event(self._ref, extract.state_of(status), status.state, at)

    def _artifact(self, artifact: wire.Artifact, *, is_more: bool) -> Iterator[TaskEvent]:
        contents = collect([artifact])
        for message in contents.texts:
            if is_more:
                yield TaskProgress(ref=self._ref, text=message.text)
            else:
                yield from self._message(message.text, None)
        yield from self._diff(artifact.artifact_id, contents, is_more=is_more)
        for notice in contents.notices:
            yield TaskNotice(ref=self._ref, notice=notice, text=notice.text)

    def _diff(self, artifact: str | None, contents: ArtifactContents, *, is_more: bool) -> Iterator[TaskEvent]:
        if not contents.diffs:
            return
        content = b"".join(content for _, content in contents.diffs)
        self._diffs[artifact] = (self._diffs.get(artifact, b"") if is_more else b"") + content
        if (stats := count_diff(Patch(self._diffs[artifact]))) is not None:
            yield TaskDiff(ref=self._ref, stats=stats)

    def _message(self, content: str, at: datetime | None) -> Iterator[TaskEvent]:
        if content:
            yield TaskMessage(ref=self._ref, at=at, message=Message(text=content), text=content)
