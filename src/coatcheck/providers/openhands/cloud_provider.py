"""The provider of OpenHands Cloud: it starts a conversation in a sandbox, whose agent-server does the rest.

Invariants:

- `create_task` is one POST, which is never repeated: no source says what the service does with an id that it knows. A lost
  answer is found by the id, which is made from the submission's key;
- a sandbox is sent its own key, at an https address or on loopback, and never the key of the Cloud.

See docs/reference/protocols/openhands-cloud.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import msgspec

from ...provider import (
    Capabilities,
    Exchange,
    Page,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    TaskFilter,
    TaskSnapshot,
    Verb,
    check,
    decode,
    errors,
    filter_page,
    is_loopback,
    origin_of,
    repository_named,
)
from . import cloud_extract as extract, cloud_wire as wire, events
from .cloud_endpoints import BASE_URL, LOGIN, NAME, CloudService
from .endpoints import Service, conversation_id
from .provider import OpenHandsProvider
from .requests import HEADERS, conversation_path, get, message, post

if TYPE_CHECKING:
    from ...provider import Intent, Login, Secret, Task, TaskRef, TaskSpec

T = TypeVar("T")
ExchangeOf: TypeAlias = Callable[[OpenHandsProvider], Exchange[T]]

CONVERSATIONS = "/api/v1/app-conversations"
PAGE_SIZE = 100
# How the start of a conversation ends (docs/reference/protocols/openhands-cloud.md, "3 Start").
ENDED_STARTS = frozenset({"READY", "ERROR"})
# Of an ended task whose sandbox does not run, the newest events that show how it ended.
NEWEST = 50
RESUME = "send it again in a minute"

CAPABILITIES = Capabilities(
    vendor="openhands",
    lost_answer="found by key",
    result="the difference of the checkout on the server, made by git",
    cost="tokens and cost: a notice of the task",
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
            Verb.DECIDE_PERMISSION,
            Verb.DELETE_TASK,
            Verb.GET_CURRENT_DIFF,
        ),
        Support.DOCUMENTED,
    ),
    reasons={
        Verb.STREAM_EVENTS: "events are read with each poll; the stream of a sandbox was not tried",
        Verb.APPROVE_PLAN: "OpenHands asks for permissions, not for the approval of a plan",
        Verb.LIST_ATTEMPTS: "a conversation is one attempt; submit several tasks instead",
        Verb.LIST_ENVIRONMENTS: "name a repository that the account can read: --repo OWNER/REPO",
        Verb.LIST_MODELS: "the service lists no models; its account has one, and --model names another",
        Verb.CREATE_PULL_REQUEST: "no call opens one; ask the agent for it in a message",
        Verb.ARCHIVE_TASK: "the service has no archive; delete the task instead",
        Verb.UNARCHIVE_TASK: "the service has no archive",
        Verb.GET_USAGE: "the service reports what one conversation used, which its task shows as a notice",
    },
    options=frozenset({"title", "model", "instructions", "key"}),
    # No figures are published; those of other agents in the cloud are minutes to an hour
    # (docs/reference/protocols/jules.md, "3.2 Intervals").
    typical_seconds=1200.0,
    needs_environment=False,
    notes=(
        "The change is read from the sandbox by git while the sandbox runs; a paused one is resumed by a message.",
        "The service was not tried: its description and its source are public.",
    ),
)


class OpenHandsCloudProvider(msgspec.Struct, frozen=True):
    """OpenHands Cloud, or any deployment of the same program, at `service`."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = (BASE_URL,)

    service: CloudService = CloudService()

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL; sandboxes have addresses of their own."""
        return {"api": self.service.base_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key of the Cloud on it."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its repository. Raises `ConfigurationError` for an environment that is none."""
        yield from ()
        named = spec.environment or spec.repository
        repository = repository_named(named) if named else None
        if named and repository is None:
            raise errors.ConfigurationError(f"{named!r} is not a repository", remedy="pass --repo OWNER/REPO")
        return msgspec.structs.replace(spec, environment=repository, repository=repository)

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Start a conversation: exactly one POST. The sandbox starts afterwards."""
        id = conversation_id(spec.key or "")
        response = yield post(CONVERSATIONS, _new_conversation(spec, id))
        started = decode(response, wire.StartTask)
        extract.check_id(started, id)
        created = extract.starting(started, id, base=self.service.base_url, raw=response.body)
        return msgspec.structs.replace(created, prompt=spec.prompt)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task of a submission by the id that its key makes, None where there is none."""
        try:
            return (yield from self.get_task(self.service.ref(conversation_id(intent.id))))
        except errors.NotFoundError:
            return None

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a conversation: one GET, and those of its sandbox's agent-server, its log, or its start."""
        response = yield from self._read_one(ref)
        document = extract.conversation(response)
        if document is None:
            return (yield from self._starting(ref))
        if extract.is_live(document):
            task = yield from self._in_sandbox(document, lambda server: server.get_task(ref))
            return extract.in_cloud(task, document, base=self.service.base_url)
        happened = yield from self._newest(ref)
        return extract.task(document, happened, base=self.service.base_url, raw=response.body)

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a conversation, with the events since *memory* while its sandbox runs."""
        if not is_watched:
            task = shown if shown is not None else (yield from self.get_task(ref))
            return TaskSnapshot(task=task, events=(), memory=memory)
        document = extract.conversation((yield from self._read_one(ref)))
        if document is None or not extract.is_live(document):
            return TaskSnapshot(task=(yield from self.get_task(ref)), events=(), memory=memory)
        snapshot = yield from self._in_sandbox(
            document,
            lambda server: server.get_snapshot(ref, memory=memory, is_watched=True, now=now),
        )
        found = tuple(msgspec.structs.replace(event, ref=ref) for event in snapshot.events or ())
        task = extract.in_cloud(snapshot.task, document, base=self.service.base_url)
        return TaskSnapshot(task=task, events=found, memory=snapshot.memory)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response about a conversation, unchanged."""
        return (yield from self._read_one(ref)).body

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one document
        """Read a saved conversation. Raises `UnreadableResponseError` for one that there is not."""
        document = extract.conversation(Response(200, body=response))
        if document is None:
            raise errors.UnreadableResponseError("there is no conversation in the response", path="$[0]")
        return extract.task(document, base=self.service.base_url, raw=response)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first; there is no archive, and *environment*, a repository, is filtered here."""
        if filter == "archived":
            return Page()
        return (
            yield from filter_page(
                self._conversations,
                lambda task: environment in (None, task.environment),
                limit=limit,
                cursor=cursor,
            )
        )

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred conversations; those that have stopped need further requests."""
        page = yield from self._conversations(cursor)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    def get_current_diff(self, ref: TaskRef, *, attempt: int | None = None) -> Exchange[str]:
        """Return the change in the sandbox as it is now."""
        document = yield from self._live(ref)
        return (yield from self._in_sandbox(document, lambda server: server.get_current_diff(ref, attempt=attempt)))

    # -- acting on a conversation ------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Stop the agent at once; the sandbox is kept. Raises `ConflictError` where no sandbox runs."""
        document = yield from self._live(ref)
        yield from self._in_sandbox(document, lambda server: server.cancel_task(ref))

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Send a message. A sandbox that is paused is resumed, which takes a while: raises `ConflictError` then."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError(f"{NAME} takes a message's text and nothing else")
        document = yield from self._live(ref, resume=True)
        task = yield from self._in_sandbox(document, lambda server: server.send_message(ref, text))
        return extract.in_cloud(task, document, base=self.service.base_url)

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Allow or reject the actions that wait."""
        document = yield from self._live(ref)
        yield from self._in_sandbox(document, lambda server: server.decide_permission(ref, request, option))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a conversation for good, and its sandbox where no other conversation uses it.

        Raises `ConflictError` for one that is being started: it is no conversation yet.
        """
        response = yield Request("DELETE", conversation_path(ref.id, root=CONVERSATIONS), headers=HEADERS)
        if response.status == 404:
            yield from self._starting(ref)
            raise _being_started(ref)
        check(response)

    # -- sandboxes ---------------------------------------------------------------------------------------------------

    def _live(self, ref: TaskRef, *, resume: bool = False) -> Exchange[wire.CloudConversation]:
        """Return a conversation whose agent-server answers. Raises `ConflictError` for any other."""
        document = extract.conversation((yield from self._read_one(ref)))
        if document is None:
            yield from self._starting(ref)
            raise _being_started(ref)
        if extract.is_live(document):
            return document
        word = (document.sandbox_status or "not there").lower()
        if resume and document.sandbox_status == "PAUSED" and document.sandbox_id:
            path = f"/api/v1/sandboxes/{document.sandbox_id}/resume"
            check((yield post(path, {}, idempotent=True)))
            raise errors.ConflictError(
                f"the sandbox of {ref} was paused and is being resumed", status=409, remedy=RESUME
            )
        raise errors.ConflictError(f"the sandbox of {ref} is {word}", status=409, remedy=f"see: coatcheck show {ref}")

    def _in_sandbox(self, document: wire.CloudConversation, exchange_of: ExchangeOf[T]) -> Exchange[T]:
        """Perform an exchange with the agent-server of a sandbox, at its address and with its key."""
        base = (document.conversation_url or "").partition("/api/conversations/")[0]
        _check_address(base, self.service.base_url)
        upstream = f"origin/{document.selected_branch or 'HEAD'}"
        exchange = exchange_of(OpenHandsProvider(Service(base_url=base), upstream))
        key = (("x-session-api-key", document.session_api_key),) if document.session_api_key else ()
        try:
            request: Any = next(exchange)  # of the verbs that are used here each effect is a request
            while True:
                moved = msgspec.structs.replace(request, url=base + request.path, is_public=True)
                try:
                    response = yield moved.with_headers(*key)
                except errors.CoatcheckError as error:
                    request = exchange.throw(error)
                else:
                    _check_sandbox(request, response)
                    request = exchange.send(response)
        except StopIteration as stop:
            result: T = stop.value
            return result

    # -- requests ----------------------------------------------------------------------------------------------------

    def _read_one(self, ref: TaskRef) -> Exchange[Response]:
        conversation_path(ref.id)  # raises for what is no id
        response: Response = yield get(CONVERSATIONS, ("ids", ref.id))
        check(response)
        return response

    def _starting(self, ref: TaskRef) -> Exchange[Task]:
        """Return a conversation that is being started. Raises `NotFoundError` where none is."""
        started = extract.started_with((yield from self._starts()), ref.id)
        if started is None:
            raise errors.NotFoundError(f"there is no conversation {ref.id}", status=404)
        return extract.starting(started, ref.id, base=self.service.base_url)

    def _starts(self) -> Exchange[Sequence[wire.StartTask]]:
        """Return the newest start tasks: all pages with one that has not ended, and the first one after them."""
        started: list[wire.StartTask] = []
        cursor: str | None = ""
        while cursor is not None:
            more = (("page_id", cursor),) if cursor else ()
            response = yield get(f"{CONVERSATIONS}/start-tasks/search", ("limit", str(PAGE_SIZE)), *more)
            page = decode(response, wire.StartPage)
            started += page.items or ()
            is_last = all(each.status in ENDED_STARTS for each in page.items or ())
            cursor = None if is_last else page.next_page_id or None
        return started

    def _conversations(self, cursor: str | None) -> Exchange[Page]:
        """Return a page of conversations; the first one begins with those that are being started."""
        more = (("page_id", cursor),) if cursor else ()
        response = yield get(f"{CONVERSATIONS}/search", ("limit", str(PAGE_SIZE)), *more)
        check(response)
        page = extract.page(response, base=self.service.base_url)
        if cursor is not None:
            return page
        starting = extract.unlisted((yield from self._starts()), base=self.service.base_url)
        return msgspec.structs.replace(page, items=(*starting, *page.items))

    def _newest(self, ref: TaskRef) -> Exchange[list[events.Happening]]:
        order = (("sort_order", "TIMESTAMP_DESC"), ("limit", str(NEWEST)))
        response = yield get(f"/api/v1/conversation/{ref.id}/events/search", *order)
        check(response)
        return events.read_page(response)[0]


def _being_started(ref: TaskRef) -> errors.ConflictError:
    return errors.ConflictError(f"{ref} is being started", status=409, remedy="try again in a minute")


def _new_conversation(spec: TaskSpec, id: str) -> Mapping[str, object]:
    """Return the body that starts a conversation, without fields that are not set."""
    body = {
        "conversation_id": id,
        "initial_message": message(spec.prompt),
        "selected_repository": spec.repository,
        "selected_branch": spec.branch,
        "title": spec.title,
        "llm_model": spec.model,
        "system_message_suffix": spec.instructions,
    }
    return {name: value for name, value in body.items() if value is not None}


def _check_sandbox(request: Request, response: Response) -> None:
    """Raise `ProviderUnavailableError` for a sandbox that does not know its conversation or its key: another takes its place."""
    if request.method == "GET" and response.status in (401, 403, 404):
        raise errors.ProviderUnavailableError(
            f"the sandbox does not serve its conversation (HTTP {response.status})", status=response.status
        )


def _check_address(base: str, service: str) -> None:
    """Raise `UnreadableResponseError` for an address of a sandbox that may not be sent its key."""
    try:
        scheme, host, _ = origin_of(base)
    except ValueError:
        scheme, host = "", ""
    is_local = is_loopback(host) and is_loopback(origin_of(service)[1])
    if not host or not (scheme == "https" or (scheme == "http" and is_local)):
        raise errors.UnreadableResponseError("the address of the sandbox is no https URL", path="$[0].conversation_url")
