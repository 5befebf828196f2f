"""The A2A provider: one exchange per verb, at an interface that the agent's card names.

Invariants:

- a task is created by one message, which is never sent twice: agents need not recognise a message that comes again;
- the message's id, and the context where the client names it, is the key of the submission, by which a task
  whose response was lost is found;
- a task that has ended never starts again: a message to it is a new task in the same context (A2A 1.0, section 3.4);
- the card is requested before each call, with a condition; a wait requests it once, and a configured binding never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from ...provider import (
    Capabilities,
    Emit,
    Exchange,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    TaskFilter,
    TaskSnapshot,
    TaskSpec,
    Verb,
    collect_pages,
    errors,
    format_time,
    read_json,
)
from . import extract, messages, wire
from .agent_card import CARD_PATH, choose_interface
from .bindings import HEADERS, Call, Interface, check_response, read_result, to_request
from .service import AUTH, BASE_URL, BINDING, CONTEXT, LOGIN, NAME, PUSH_URL, Push, Service, native_id

if TYPE_CHECKING:
    from ...provider import Events, Intent, Login, Page, Secret, Task, TaskRef, Webhooks

# The largest page (A2A 1.0, section 3.1.4).
PAGE_SIZE = 100
# How far an agent's clock may differ from ours when a lost task is searched (seconds).
CLOCK_SKEW = 7200.0
# After these a message may have been received.
LOST = (errors.TransportError, errors.ProviderUnavailableError, errors.UnreadableResponseError)

CAPABILITIES = Capabilities(
    result="a part of an artifact, by a convention",
    cost="not reported",
    verbs=dict.fromkeys(
        (
            Verb.CREATE_TASK,
            Verb.FIND_TASK,
            Verb.GET_TASK,
            Verb.GET_SNAPSHOT,
            Verb.LIST_TASKS,
            Verb.GET_STATUS_PAGE,
            Verb.CANCEL_TASK,
            Verb.SEND_MESSAGE,
            Verb.STREAM_EVENTS,
        ),
        Support.DOCUMENTED,
    ),
    reasons={
        Verb.APPROVE_PLAN: "A2A has no plans; an agent that waits for an approval takes it as a message",
        Verb.ARCHIVE_TASK: "A2A has no archive",
        Verb.UNARCHIVE_TASK: "A2A has no archive",
        Verb.CREATE_PULL_REQUEST: "A2A has no repositories; apply the patch and push it",
        Verb.DECIDE_PERMISSION: "A2A has no permission requests; an agent that waits for one takes it as a message",
        Verb.DELETE_TASK: "A2A cannot delete a task",
        Verb.GET_CURRENT_DIFF: "an agent sends its artifacts, not its work in progress",
        Verb.GET_USAGE: "A2A does not report it",
        Verb.LIST_ATTEMPTS: "a task is one attempt",
        Verb.LIST_ENVIRONMENTS: "A2A has no environments",
        Verb.LIST_MODELS: "the agent chooses the model",
    },
    options=frozenset({"instructions", "starting_diff"}),
    needs_environment=False,
    notes=(
        "Repository, branch and environment are sent as metadata, which an agent may ignore: name them in the prompt.",
        "Which part of an artifact is the patch is a convention: see its page.",
    ),
)


class A2AProvider(msgspec.Struct, frozen=True):
    """The agent of `service`."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BASE_URL, BINDING, AUTH, CONTEXT, PUSH_URL)

    service: Service

    @property
    def webhooks(self) -> Webhooks:
        """The push notifications of the agent."""
        from .webhooks import WEBHOOKS  # only what receives them needs it

        return WEBHOOKS

    @property
    def origins(self) -> Mapping[str, str]:
        """The origin of the base URL; none where no agent is configured."""
        return {"api": self.service.origin} if self.service.base_url else {}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a token is timeless here
        """Return *request* with the token in the header of the settings."""
        header = self.service.header
        return request.with_headers((header, f"Bearer {secret.token}" if header == "authorization" else secret.token))

    # -- submitting --------------------------------------------------------------------------------------------------

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Send the message that creates the task: one POST, after a GET of the card. *spec* has been prepared."""
        interface = yield from self._interface()
        response = yield from self._call(messages.new_task(spec, self.service, push=self._push(interface)), interface)
        return extract.sent(response, spec, self.service)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task that was created with the intent's key: in its context, else by the id of the message.

        An agent that does not filter its list by context, or that names contexts itself, is searched as a whole.
        """
        interface = yield from self._interface()
        if self.service.has_own_context:
            inside = yield from self._tasks(interface, contextId=intent.id)
            if task := messages.created_by([task for task in inside if task.context_id == intent.id], intent.id):
                return (yield from self._get(task.id or "", interface))
        since = format_time(max(0.0, intent.at - CLOCK_SKEW))
        recent = yield from self._tasks(interface, statusTimestampAfter=since)
        task = next((task for task in recent if extract.has_message(task, intent.id)), None)
        return None if task is None else (yield from self._get(task.id or "", interface))

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Send a message to a task that needs input or works; to one that has ended, as a new task of its context."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError(f"{NAME} takes a message's text and nothing else")
        interface = yield from self._interface()
        response = yield from self._call(_get_call(_required_id(ref)), interface)
        before = read_result(response, wire.Task)
        call = messages.follow_up(before, text, push=self._push(interface))
        try:
            response = yield from self._call(call, interface)
            return extract.sent(response, TaskSpec(prompt=text), self.service)
        except LOST as error:
            task = yield from self._received(before, messages.id_of(call), interface)
            if task is None:
                raise messages.not_sent_again(error, ref) from error
            return task

    def _received(self, before: wire.Task, id: str, interface: Interface) -> Exchange[Task | None]:
        """Return the task that received the message *id*, whose response was lost; None where the agent shows none."""
        try:
            inside = yield from self._tasks(interface, contextId=before.context_id or "")
        except errors.CoatcheckError:
            return None
        task = next((task for task in inside if extract.has_message(task, id)), None)
        return None if task is None else (yield from self._get(task.id or "", interface))

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a task with its artifacts: one call."""
        response = yield from self._fetch_task(ref)
        return extract.task_from(response, self.service)

    def get_snapshot(
        self,
        ref: TaskRef,
        *,
        memory: str = "",
        is_watched: bool,  # noqa: ARG002 - there are no events
        now: float,  # noqa: ARG002 - as above
        shown: Task | None = None,  # noqa: ARG002 - a page has no artifacts
    ) -> Exchange[TaskSnapshot]:
        """Poll a task of a wait; the memory is the interface, so that the card is requested once."""
        interface = Interface.from_text(memory)
        if interface is not None:
            try:
                task = yield from self._get(_required_id(ref), interface)
                return TaskSnapshot(task=task, memory=memory)
            except errors.NotFoundError:  # the agent may have moved
                pass
        interface = yield from self._interface()
        task = yield from self._get(_required_id(ref), interface)
        return TaskSnapshot(task=task, memory=interface.to_text())

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the body of the response for a task, unchanged."""
        response = yield from self._fetch_task(ref)
        return response.body

    def stream_events(self, ref: TaskRef) -> Events:
        """Emit the events of a task until the agent ends the stream; of one that does not run, its messages, diff and state.

        Raises `UnsupportedError` where the agent does not stream.
        """
        from . import stream  # waits poll

        interface = yield from self._interface()
        task = yield from self._get(_required_id(ref), interface)
        if not task.state.ends_wait:
            if not interface.is_streaming:
                raise errors.UnsupportedError(
                    f"the agent of {ref} does not stream", remedy=f"poll it with: coatcheck watch {ref}"
                )
            call = Call("SubscribeToTask", "POST", "/tasks/{id}:subscribe", {}, id=native_id(ref), is_stream=True)
            try:
                return (yield from stream.stream(self._authorized(to_request(call, interface)), ref, self.service))
            except errors.InvalidRequestError:  # it may have ended meanwhile
                task = yield from self._get(native_id(ref), interface)
                if not task.state.ends_wait:
                    raise
        for event in stream.events_of(task):
            yield Emit(event)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - one answer is whole
        """Read a saved or live response of either binding."""
        return extract.saved_task(response, self.service)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first, of at most 100 tasks, without their artifacts."""
        if filter == "archived":
            from ...provider import Page

            return Page()
        if environment is not None:
            raise errors.UnsupportedError(
                f"{NAME} has no environments", remedy="leave out --environment; one setting names one agent"
            )
        interface = yield from self._interface()
        size = min(limit or PAGE_SIZE, PAGE_SIZE)
        response = yield from self._call(_list_call(cursor, pageSize=size), interface)
        return extract.page(response, self.service)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:
        """Return the state of up to a hundred tasks; those that have ended need a further request."""
        del refs
        interface = yield from self._interface()
        response = yield from self._call(_list_call(cursor, pageSize=PAGE_SIZE, historyLength=0), interface)
        page = extract.page(response, self.service)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    # -- acting ------------------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel a task."""
        interface = yield from self._interface()
        call = Call("CancelTask", "POST", "/tasks/{id}:cancel", {}, id=_required_id(ref), is_change=True)
        check_call((yield from self._call(call, interface)))

    # -- calls -------------------------------------------------------------------------------------------------------

    def _interface(self) -> Exchange[Interface]:
        """Return the interface: the configured one, or the one that the card names."""
        service = self.service
        if service.binding is not None:
            return Interface(service.binding, service.path)
        path = f"{service.path}{CARD_PATH}"
        response: Response = yield self._authorized(Request("GET", path, headers=HEADERS, conditional=True))
        if response.status == 404:
            raise errors.ConfigurationError(
                f"there is no agent card at {service.base_url}{CARD_PATH}",
                remedy="set a2a.base_url to the agent's address, or a2a.binding if base_url is an interface",
            )
        check_response(response)
        return choose_interface(read_json(response.body, wire.AgentCard, response=response), service)

    def _push(self, interface: Interface) -> Push | None:
        """Return where the agent sends push notifications, None where it sends none, or none are wanted."""
        return self.service.push if interface.has_push else None

    def _call(self, call: Call, interface: Interface) -> Exchange[Response]:
        response: Response = yield self._authorized(to_request(call, interface))
        return response

    def _authorized(self, request: Request) -> Request:
        return request if self.service.header else msgspec.structs.replace(request, is_public=True)

    def _fetch_task(self, ref: TaskRef) -> Exchange[Response]:
        interface = yield from self._interface()
        response = yield from self._call(_get_call(_required_id(ref)), interface)
        check_call(response)
        return response

    def _get(self, id: str, interface: Interface) -> Exchange[Task]:
        response = yield from self._call(_get_call(id), interface)
        return extract.task_from(response, self.service)

    def _tasks(self, interface: Interface, **parameters: object) -> Exchange[list[wire.Task]]:
        """Return all tasks of a list, with their messages."""

        def fetch(cursor: str | None) -> Exchange[tuple[Sequence[wire.Task], str | None]]:
            response = yield from self._call(_list_call(cursor, pageSize=PAGE_SIZE, **parameters), interface)
            page = read_result(response, wire.TaskPage)
            return page.tasks or (), page.next_page_token or None

        return (yield from collect_pages(fetch))


def check_call(response: Response) -> None:
    """Raise the error that the response to a call reports."""
    read_result(response, object)


def _get_call(id: str) -> Call:
    return Call("GetTask", "GET", "/tasks/{id}", {}, id=id)


def _list_call(cursor: str | None, **parameters: object) -> Call:
    return Call("ListTasks", "GET", "/tasks", {**parameters, **({"pageToken": cursor} if cursor else {})})


def _required_id(ref: TaskRef) -> str:
    """Return the agent's id of a task; raises `UnsupportedError` for an answer that was no task."""
    if ref.id.startswith(extract.MESSAGE_ONLY):
        raise errors.UnsupportedError(
            f"{ref} is no task: the agent answered with a message, which came with the submission and only there",
            remedy=f"print it with: coatcheck show {ref}",
        )
    return native_id(ref)
