"""The local cloud: Codex Cloud's protocol, and the routes that only the local cloud has.

A task whose agent waits for a permission needs input; `decide_permission` chooses one of the agent's options.
Its events are `TaskEvent` documents in a stream with ids (docs/guides/streaming.md), so a stream resumes after the id
of the last event; its diffs are available while an attempt runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    UNREADABLE,
    Emit,
    EventStreamReader,
    Exchange,
    Read,
    Request,
    Response,
    ServerSentEvent,
    Support,
    TaskEvent,
    UnknownEvent,
    Verb,
    check,
    decode_json,
    encoded,
    errors,
    task_event_from_dict,
)
from .local_extension import with_details, with_list
from .provider import CAPABILITIES, HEADERS, POST_HEADERS, VERBS, CodexProvider

if TYPE_CHECKING:
    from ...provider import Events, Page, Task, TaskFilter, TaskRef

# WHAM's routes are below this; the cloud's own are beside it.
WHAM_PATH = "/backend-api"
GONE = 410


# The local cloud: any command is an agent there, from a script of seconds to a model of minutes.
LOCAL_CAPABILITIES = msgspec.structs.replace(
    CAPABILITIES,
    verbs={
        **{
            verb: support for verb, support in VERBS.items() if verb not in (Verb.LIST_MODELS, Verb.CREATE_PULL_REQUEST)
        },
        Verb.STREAM_EVENTS: Support.DOCUMENTED,
        Verb.GET_CURRENT_DIFF: Support.DOCUMENTED,
        Verb.DECIDE_PERMISSION: Support.DOCUMENTED,
    },
    reasons={
        **CAPABILITIES.reasons,
        Verb.LIST_MODELS: "the agent's command decides which models there are",
        Verb.CREATE_PULL_REQUEST: "the local cloud has no pull requests; coatcheck apply REF --branch NAME makes a branch",
    },
    vendor=None,  # its agent is anybody's
    typical_seconds=30.0,
    notes=(),
    result="the difference of the agent's clone, made by git",
    cost="reported by ACP agents: a notice of the task",
    has_resumable_stream=True,
)


class LocalProvider(CodexProvider, frozen=True):
    """The local cloud at `service`."""

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL of WHAM's routes, and that of the cloud's own."""
        base = self.service.base_url
        return {"api": base, "own": base.removesuffix(WHAM_PATH)}

    def task_of(self, details: Response, ref: TaskRef) -> Task:
        """Return the task that details describe, with what its agent waits for."""
        return with_details(CodexProvider.task_of(self, details, ref), details.body)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first, as `CodexProvider.list_tasks` does."""
        page = yield from CodexProvider.list_tasks(
            self, filter=filter, environment=environment, limit=limit, cursor=cursor
        )
        return with_list(page, page.raw)

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Choose an option of a permission request: one POST, which is no error where the same was chosen before."""
        response: Response = yield Request(
            "POST",
            f"/tasks/{encoded(ref.id)}/permissions/{encoded(request)}",
            headers=POST_HEADERS,
            body=msgspec.json.encode({"option": option}),
            origin="own",
        )
        check(response)

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit the events of a task after the one with the id *after*, until the stream ends.

        Where the events after it are not kept any more, those that are kept follow.
        """
        yield from self._events(f"/tasks/{encoded(ref.id)}/events", after, lambda event: _event_of(event, ref))

    def stream_events_of(self, refs: Sequence[TaskRef], *, after: str = "") -> Events:
        """Emit the events of several tasks as `stream_events` does for one, all from one stream."""
        wanted = {str(ref): ref for ref in refs}
        yield from self._events("/events", after, lambda event: _event_of_any(event, wanted))

    def _events(self, path: str, after: str, read: Callable[[ServerSentEvent], TaskEvent | None]) -> Events:
        response = yield self._stream(path, after)
        if response.status == GONE:
            response = yield self._stream(path, "")
        check(response)
        parser = EventStreamReader()
        while response.stream is not None and (chunk := (yield Read(response.stream))):
            for each in parser.feed(chunk):
                if (event := read(each)) is not None:
                    yield Emit(event)

    def get_current_diff(self, ref: TaskRef, *, attempt: int | None = None) -> Exchange[str]:
        """Return the diff of an attempt (its number; None: the first) as it is now, "" where nothing has changed."""
        query = (("attempt", str(attempt or 1)),)
        response: Response = yield Request(
            "GET", f"/tasks/{encoded(ref.id)}/diff", query=query, headers=HEADERS, origin="own"
        )
        check(response)
        return response.body.decode("utf-8", "replace")

    def _stream(self, path: str, after: str) -> Request:
        position = (("last-event-id", after),) if after else ()
        headers = (*HEADERS, *position)
        return Request("GET", path, headers=headers, origin="own", stream=True)


def _event_of_any(event: ServerSentEvent, wanted: Mapping[str, TaskRef]) -> TaskEvent | None:
    """Return the event in *event*, None for one of a task that is not *wanted*."""
    try:
        ref = wanted.get(str(decode_json(event.data, dict[str, object]).get("ref")))
    except (*UNREADABLE, errors.CoatcheckError):
        return None
    return None if ref is None else _event_of(event, ref)


def _event_of(event: ServerSentEvent, ref: TaskRef) -> TaskEvent:
    """Return the event in *event*; one that cannot be read is an `UnknownEvent`: it does not end the stream."""
    try:
        document = {**decode_json(event.data, dict[str, object]), "ref": str(ref), "id": event.id}
        return task_event_from_dict(document)
    except (*UNREADABLE, errors.CoatcheckError):
        return UnknownEvent(ref=ref, id=event.id, kind=event.event, text=event.data)
