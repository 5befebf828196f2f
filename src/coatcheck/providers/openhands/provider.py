"""The provider of an agent-server of OpenHands: one exchange for each verb.

Invariants:

- a task is a conversation. Its id is made from the submission's key, and the server answers a create that is repeated with
  the conversation that exists: no second one is created (docs/reference/protocols/openhands.md, "8 Idempotency");
- what an agent has changed is read by git on the server;
- nothing starts an agent that waits for a decision, except the decision: the server takes any start for an approval
  (docs/reference/protocols/openhands.md, "5 Confirmation").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from ...provider import (
    STATE_EVENTS,
    Capabilities,
    Emit,
    Exchange,
    Failure,
    Page,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    TaskFilter,
    TaskSnapshot,
    check,
    choose_environment,
    decode,
    errors,
    filter_page,
    text as text_of,
)
from . import checkouts, confirmations, events, extract, wire
from .capabilities import CAPABILITIES
from .endpoints import NAME, SETTINGS, Service, conversation_id
from .event_log import EventLog, position_of
from .requests import (
    CANCELLED_TAG,
    CONVERSATIONS,
    HEADERS,
    MESSAGE_SECONDS,
    conversation_path,
    get,
    message,
    new_conversation,
    newest_events,
    patch,
    post,
)

if TYPE_CHECKING:
    from ...provider import Environment, Events, Intent, Login, Model, Secret, Task, TaskRef, TaskSpec

# The largest page of the list.
PAGE_SIZE = 100
# The longest title that the server takes (docs/reference/protocols/openhands.md, "2 Endpoints").
MAX_TITLE = 200
WAITING, RUNNING, PAUSED, IDLE = "waiting_for_confirmation", "running", "paused", "idle"
ENDED = frozenset({"finished", "error", "stuck"})
NEVER_CONFIRM = "NeverConfirm"
MODEL_REMEDY = f"store it on the server, or choose one of: coatcheck models --provider {NAME}"


class OpenHandsProvider(msgspec.Struct, frozen=True):
    """The agent-server that `service` describes. `upstream` is the branch that workspaces of others were made from."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS

    service: Service
    upstream: str | None = None

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL, and that of the WebSockets with events."""
        return {"api": self.service.base_url, "events": self.service.events_url}

    @property
    def login(self) -> Login:
        """How the key of the server is found."""
        return self.service.login

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key on it, where there is one."""
        return request.with_headers(("x-session-api-key", secret.token)) if secret.token else request

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with the path of its environment. Raises `ConfigurationError` for what cannot be submitted."""
        if not (spec.title is None or spec.title.strip()) or len(spec.title or "") > MAX_TITLE:
            raise errors.ConfigurationError(
                f"a title of {len(spec.title or '')} characters is not taken",
                remedy=f"give 1 to {MAX_TITLE}: --title TITLE",
            )
        if spec.environment is not None and not spec.environment.startswith("/"):
            known = yield from self.list_environments()
            if known:
                chosen = choose_environment(known, spec.environment)
                spec = msgspec.structs.replace(spec, environment=chosen.id)
        checkouts.check_spec(spec)
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Make a checkout, then create the conversation in it: one POST, which may be repeated."""
        id = conversation_id(spec.key or "")
        profile = extract.profile_id((yield from self._read("/api/agent-profiles")), self.service.agent_profile)
        folder = yield from checkouts.check_out(spec, self.service, id)
        body = new_conversation(spec, self.service, id=id, profile=profile, folder=folder)
        response = yield post(CONVERSATIONS, body, idempotent=True)
        if 400 <= response.status < 500:
            with suppress(errors.CoatcheckError):  # the refusal is the error
                yield from checkouts.remove(folder, id)
        _check_launch(response)
        document = extract.conversation(response)
        if spec.title is not None:
            with suppress(errors.CoatcheckError):  # the task exists
                check((yield patch(conversation_path(id), {"title": spec.title})))
        details = extract.NO_DETAILS if response.status == 201 else (yield from self._details(document))
        return extract.submitted(extract.task(document, details, raw=response.body), spec)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task of a submission by the id that its key makes, None where there is none."""
        try:
            return (yield from self.get_task(self.service.ref(conversation_id(intent.id))))
        except errors.NotFoundError:
            return None

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return the folders that are saved on the server; it does not know their repositories."""
        del repository
        return extract.environments((yield from self._read("/api/workspaces")))

    def list_models(self) -> Exchange[tuple[Model, ...]]:
        """Return the models that are stored on the server."""
        return extract.models((yield from self._read("/api/profiles")))

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a conversation: one GET while it runs, and what it waits for or has made once it has stopped."""
        response = yield from self._read(conversation_path(ref.id))
        document = extract.conversation(response)
        details = yield from self._details(document)
        return extract.task(document, details, raw=response.body)

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a conversation, with the events since *memory* where it is watched."""
        del now
        task = shown if shown is not None else (yield from self.get_task(ref))
        if not is_watched:
            return TaskSnapshot(task=task, events=(), memory=memory)
        log = EventLog(ref, position=events.Position.read(memory).event)
        fresh = yield from log.read()
        # The state is in the task.
        kept = tuple(event for event in fresh if not isinstance(event, tuple(STATE_EVENTS.values())))
        return TaskSnapshot(task=task, events=kept, memory=log.memory)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response about a conversation, unchanged."""
        response = yield from self._read(conversation_path(ref.id))
        return response.body

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one document
        """Read a saved conversation; its change is on the server."""
        document = extract.conversation(Response(200, body=response))
        return extract.task(document, extract.Details(change=checkouts.Change()), raw=response)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first; there is no archive, and *environment* is filtered here."""
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

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit what has happened in a conversation after an event, then what happens until its run ends."""
        log = EventLog(ref, position=position_of(after))
        for event in (yield from log.read()):
            yield Emit(event)
        yield from log.follow()

    def get_current_diff(self, ref: TaskRef, *, attempt: int | None = None) -> Exchange[str]:
        """Return the change in the workspace of a conversation as it is now."""
        if attempt not in (None, 1):
            raise errors.ConfigurationError(f"{ref} has one attempt", remedy="leave out --attempt")
        document = yield from self._document(ref)
        change = yield from checkouts.read_change(document, ref.id, upstream=self.upstream)
        if change.problem:
            raise errors.TaskError(f"the change of {ref} cannot be read from the server: {change.problem}", ref=ref)
        return bytes(change.patch).decode("utf-8", "replace") if change.patch else ""

    # -- acting on a conversation ------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Stop the agent at once; a message would continue it. Raises `ConflictError` where it has ended."""
        document = yield from self._document(ref)
        if document.execution_status in ENDED or extract.state_of(document).is_terminal:
            raise errors.ConflictError(f"{ref} has ended", status=409, remedy=f"see: coatcheck show {ref}")
        if document.execution_status == WAITING:
            yield from self._reject(ref, "The task was cancelled.")
        if document.execution_status != PAUSED:
            check((yield post(conversation_path(ref.id, "/interrupt"), {}, idempotent=True)))
        yield from self._set_tags(ref, {**_tags(document), CANCELLED_TAG: "true"})

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Send a message, which the agent reads at its next step, or which starts it again.

        The server takes no key, so it is never sent twice. Raises `ConflictError` where the task waits for a decision.
        """
        if mode != "code":
            raise errors.UnsupportedError(f"a message to {NAME} cannot change the mode", remedy="submit another task")
        document = yield from self._document(ref)
        if document.execution_status == WAITING:
            raise errors.ConflictError(
                f"{ref} waits for a decision, which a message would take for an approval",
                status=409,
                remedy=f"decide first: coatcheck approve {ref}, or: coatcheck reject {ref}",
            )
        if model is not None:
            yield from self._switch_model(ref, model)
        if CANCELLED_TAG in _tags(document):
            yield from self._set_tags(ref, {k: v for k, v in _tags(document).items() if k != CANCELLED_TAG})
        yield from self._say(ref, document, text)
        return (yield from self.get_task(ref))

    def _switch_model(self, ref: TaskRef, model: str) -> Exchange[None]:
        response = yield post(conversation_path(ref.id, "/switch_profile"), {"profile_name": model}, idempotent=True)
        if response.status == 404:
            raise errors.ConfigurationError(f"the server has no model {model!r}", remedy=MODEL_REMEDY)
        check(response)

    def _say(self, ref: TaskRef, document: wire.Conversation, text: str) -> Exchange[None]:
        """Send a message. To an agent that runs and may come to wait meanwhile it is sent without a start."""
        is_safe = document.execution_status != RUNNING or document.confirmation == NEVER_CONFIRM
        body = {**message(text), "run": is_safe}
        check((yield post(conversation_path(ref.id, "/events"), body, timeout=MESSAGE_SECONDS)))
        if is_safe:
            return
        later = yield from self._document(ref)
        if later.execution_status not in (RUNNING, WAITING):
            yield from self._start(ref)

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Allow or reject the actions that wait. Raises `ConflictError` where that was decided otherwise."""
        if option not in {each.id for each in confirmations.OPTIONS}:
            raise errors.ConfigurationError(f"there is no option {option!r}", remedy="use one of: accept, reject")
        document = yield from self._document(ref)
        newest = [each.event for each in (yield from self._newest(ref))]
        waiting = confirmations.pending(newest)
        is_next = bool(waiting) and waiting[0].id == request
        if not is_next or document.execution_status != WAITING:
            # An action that was allowed is answered by no event while its tool runs.
            decided = "accept" if is_next else confirmations.decision_of(newest, request)
            if decided != option:
                raise errors.ConflictError(
                    f"{ref} does not wait for the permission {request}",
                    status=409,
                    remedy=f"see what it waits for: coatcheck show {ref}",
                )
        elif option == "accept":
            check((yield post(self._confirmation(ref), {"accept": True})))
        else:
            yield from self._reject(ref, "A person rejected the action.")
            yield from self._start(ref)

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a conversation for good, and the checkout that was made for it."""
        document = yield from self._document(ref)
        check((yield Request("DELETE", conversation_path(ref.id), headers=HEADERS)))
        directory = document.workspace.working_dir if document.workspace else None
        yield from checkouts.remove(directory or "", ref.id)

    # -- what belongs to a conversation ------------------------------------------------------------------------------

    def _details(self, document: wire.Conversation) -> Exchange[extract.Details]:
        """Return what a conversation that has stopped waits for or has made; nothing is requested of one that runs."""
        status, ref = document.execution_status, self.service.ref(extract.id_of(document))
        if status in ENDED:
            return (yield from self._result(document, ref, is_error=status == "error"))
        if status not in (WAITING, PAUSED, IDLE):
            return extract.NO_DETAILS
        newest = yield from self._newest(ref)
        if events.is_started(newest):
            return extract.Details(is_started=True)
        if status == WAITING:
            waiting = confirmations.pending(each.event for each in newest)
            return extract.Details(permission=confirmations.permission(waiting))
        if status == IDLE:
            return extract.Details(is_unstarted=events.is_read(newest))
        result = yield from self._result(document, ref)
        return msgspec.structs.replace(result, is_interrupted=events.is_interrupted(newest))

    def _result(
        self, document: wire.Conversation, ref: TaskRef, *, is_error: bool = False
    ) -> Exchange[extract.Details]:
        change = yield from checkouts.read_change(document, ref.id, upstream=self.upstream)
        answer = yield from self._read(conversation_path(ref.id, "/agent_final_response"))
        reply = decode(answer, wire.FinalResponse).response
        error = (yield from self._error(ref)) if is_error else None
        return extract.Details(change=change, message=reply, error=error)

    def _error(self, ref: TaskRef) -> Exchange[Failure | None]:
        """Return why a conversation failed; after a restart of the server that is the error of the tool that ran."""
        newest = [each.event for each in (yield from self._newest(ref))]
        for kind in (events.CONVERSATION_ERROR, confirmations.AGENT_ERROR):
            if (event := next((each for each in newest if each.kind == kind), None)) is not None:
                return Failure(code=text_of(event.error_code), message=text_of(event.detail) or text_of(event.error))
        return None

    # -- requests ----------------------------------------------------------------------------------------------------

    def _read(self, path: str, *query: tuple[str, str]) -> Exchange[Response]:
        response: Response = yield get(path, *query)
        check(response)
        return response

    def _document(self, ref: TaskRef) -> Exchange[wire.Conversation]:
        return extract.conversation((yield from self._read(conversation_path(ref.id))))

    def _conversations(self, cursor: str | None) -> Exchange[Page]:
        more = (("page_id", cursor),) if cursor else ()
        return extract.page((yield from self._read(f"{CONVERSATIONS}/search", ("limit", str(PAGE_SIZE)), *more)))

    def _newest(self, ref: TaskRef) -> Exchange[list[events.Happening]]:
        """Return the newest events, the newest first: one page."""
        answer = yield newest_events(ref.id)
        check(answer)
        return events.read_page(answer)[0]

    def _confirmation(self, ref: TaskRef) -> str:
        return conversation_path(ref.id, "/events/respond_to_confirmation")

    def _reject(self, ref: TaskRef, reason: str) -> Exchange[None]:
        """Reject the actions that wait; the agent is idle then."""
        check((yield post(self._confirmation(ref), {"accept": False, "reason": reason}, idempotent=True)))

    def _start(self, ref: TaskRef) -> Exchange[None]:
        """Start the agent of a conversation that does not wait for a decision; one that runs is left alone."""
        response = yield post(conversation_path(ref.id, "/run"), {})
        if response.status != 409:
            check(response)

    def _set_tags(self, ref: TaskRef, tags: Mapping[str, Any]) -> Exchange[None]:
        check((yield patch(conversation_path(ref.id), {"tags": tags})))


def _check_launch(response: Response) -> None:
    """Raise the error of a create, whose reason is often a model that is not stored on the server."""
    try:
        check(response)
    except errors.InvalidRequestError as error:
        if "LLM profile" in (error.detail or ""):
            error.remedy = MODEL_REMEDY
        raise


def _tags(document: wire.Conversation) -> Mapping[str, object]:
    return document.tags or {}
