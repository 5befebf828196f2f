"""What the providers of hosted sessions share: everything but the routes, the structures and the end of a session.

Invariants:

- the log of a session decides: a stream of live events is opened before the log is read, so that nothing between the two is
  lost, and what both have is emitted once;
- a stream is read while the agent works; whether it has finished is decided by a poll.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from ...provider import (
    Close,
    Emit,
    EventStreamReader,
    Exchange,
    Read,
    Response,
    TaskSnapshot,
    check,
    errors,
    text_body,
)
from .change_files import BASE_FILE, PATCH_FILE, Change, ChangeFiles, change_of

if TYPE_CHECKING:
    from ...provider import Events, Request, ServerSentEvent, Task, TaskEvent, TaskRef


class SessionService(Protocol):
    """What the settings of each provider have."""

    @property
    def base_url(self) -> str:
        """The base URL of the API."""
        ...


class SessionReader(Protocol):
    """Turns what a session has stored, and what its stream sends, into events; it remembers the position in the log."""

    has_stopped: bool
    """Whether the agent has stopped working, as far as the events tell."""

    @property
    def memory(self) -> str:
        """The position after the last event, as `TaskSnapshot.memory`."""
        ...

    def read_log(self) -> Exchange[list[TaskEvent]]:
        """Return the events that are stored after the position, oldest first."""
        ...

    def take(self, sent: ServerSentEvent) -> list[TaskEvent]:
        """Return what an event of the stream adds to the log."""
        ...


class _AbstractStruct(msgspec.StructMeta, abc.ABCMeta):
    """The class of structures with abstract methods."""


class SessionProvider(msgspec.Struct, metaclass=_AbstractStruct, frozen=True):
    """The sessions of one service. A subclass sets the type of `service`, and defines the abstract methods."""

    service: SessionService

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

    # -- what differs --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a session as a task."""

    @abc.abstractmethod
    def _get(self, ref: TaskRef) -> Request:
        """Return the request for a session."""

    @abc.abstractmethod
    def _live_events(self, ref: TaskRef) -> Request:
        """Return the request for the stream of a session."""

    @abc.abstractmethod
    def _reader(self, ref: TaskRef, memory: str) -> SessionReader:
        """Return a reader that starts after *memory*."""

    @abc.abstractmethod
    def _is_working(self, response: Response) -> bool:
        """Whether the response for a session shows that its agent works."""

    @abc.abstractmethod
    def _message(self, text: str) -> Mapping[str, object]:
        """Return the event that sends a message."""

    @abc.abstractmethod
    def _send(self, ref: TaskRef, event: Mapping[str, object]) -> Exchange[None]:
        """Send an event to a session."""

    @abc.abstractmethod
    def _newest_files(self, ref: TaskRef) -> Exchange[Mapping[str, str]]:
        """Return the id of the newest file of each name that the agent has written."""

    @abc.abstractmethod
    def _file(self, ref: TaskRef, id: str) -> Request:
        """Return the request for the content of a file."""

    # -- what is the same ----------------------------------------------------------------------------------------------

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the response for a session, unchanged."""
        response: Response = yield from self._fetch(ref)
        return response.body

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a session, with the events since *memory* where it is watched."""
        del now
        task = shown if shown is not None else (yield from self.get_task(ref))
        if not is_watched:
            return TaskSnapshot(task=task, events=(), memory=memory)
        reader = self._reader(ref, memory)
        events = yield from reader.read_log()
        return TaskSnapshot(task=task, events=tuple(events), memory=reader.memory)

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit the events of a session after the event *after*: those that are stored, then those that happen."""
        stream: Response = yield self._live_events(ref)
        check(stream)
        is_working = self._is_working((yield from self._fetch(ref)))
        reader = self._reader(ref, after)
        for event in (yield from reader.read_log()):
            yield Emit(event)
        if is_working and not reader.has_stopped:
            yield from _follow(stream, reader)
        if stream.stream is not None:
            yield Close(stream.stream)

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Send a message: one POST, and the task. It is never sent twice: nothing identifies a message."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError(f"{ref.provider} takes a message's text and nothing else")
        yield from self._send(ref, self._message(text))
        return (yield from self.get_task(ref))

    def _fetch(self, ref: TaskRef) -> Exchange[Response]:
        response: Response = yield self._get(ref)
        check(response)
        return response

    def _change(self, ref: TaskRef, *, outputs: str) -> Exchange[Change]:
        """Return the change in the files that the agent has written to *outputs*."""
        newest = yield from self._newest_files(ref)
        patch = yield from self._content(ref, newest.get(PATCH_FILE))
        base = yield from self._content(ref, newest.get(BASE_FILE))
        return change_of(ChangeFiles(patch, base), outputs=outputs)

    def _content(self, ref: TaskRef, id: str | None) -> Exchange[bytes | None]:
        if id is None:
            return None
        return text_body((yield self._file(ref, id)))


def _follow(response: Response, reader: SessionReader) -> Events:
    """Emit what a stream sends, until the agent has stopped or the stream ends."""
    parser = EventStreamReader()
    while response.stream is not None and not reader.has_stopped and (chunk := (yield Read(response.stream))):
        for sent in parser.feed(chunk):
            for event in reader.take(sent):
                yield Emit(event)


def read_json_object(data: str) -> dict[str, Any]:
    """Return the data of an event of a stream, empty where it is not a JSON object."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return {}
