"""The provider of OpenAI's Agents API: one exchange per verb (docs/reference/providers/openai-agents.md).

Invariants:

- `create_task` is one POST, whose metadata has the key of the submission; the service takes no idempotency key there, so
  a session whose response was lost is found by that key, and nothing is sent again.
- `get_task` is one GET while the agent works. Of a session that is idle the newest turns are requested as well, and the
  items and artifacts of one that has ended.
- A decision has an idempotency key, so it may be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

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
    TaskState,
    Verb,
    Webhooks,
    check,
    collect_pages,
    encoded,
    errors,
)
from .._sessions.session_provider import SessionProvider
from . import extract, session_items, wire
from .endpoints import (
    HEADERS,
    LOGIN,
    NAME,
    OUTPUTS,
    PAGE_SIZE,
    POST_HEADERS,
    SESSIONS,
    SETTINGS,
    STREAM_HEADERS,
    Service,
    session_path,
)
from .new_session import message, name_of, new_session
from .session_items import Saved

if TYPE_CHECKING:
    from ...provider import Intent, Login, Secret, Task, TaskRef, TaskSpec

CAPABILITIES = Capabilities(
    vendor="openai",
    result="a file that the agent writes, `change.patch`",
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
            Verb.STREAM_EVENTS,
        ),
        Support.DOCUMENTED,
    ),
    reasons={
        Verb.APPROVE_PLAN: "an agent asks for permissions, not for the approval of a plan",
        Verb.ARCHIVE_TASK: "the service has no archive of sessions",
        Verb.CREATE_PULL_REQUEST: "the service opens none; apply the patch and push it",
        Verb.GET_CURRENT_DIFF: "artifacts are published when a turn has completed",
        Verb.GET_USAGE: "the API reports usage for each session; see the notices of a task",
        Verb.LIST_ATTEMPTS: "a session is one attempt; submit several tasks with: coatcheck run --on openai_agents",
        Verb.LIST_ENVIRONMENTS: "each session gets a hosted environment of its own",
        Verb.LIST_MODELS: "the account decides which models there are; name one",
    },
    options=frozenset({"title", "model", "instructions"}),
    modes=frozenset({"code", "ask"}),
    # A guess that the first tasks correct: a turn of an agent takes minutes, and no documentation has a duration.
    typical_seconds=600.0,
    needs_environment=False,
    has_resumable_stream=True,
    notes=(
        "The change is a file that the agent writes (change.patch); its prompt says how, in a text of its own.",
        "A list requests the newest turns of each idle session: only they say how it ended.",
    ),
)


class OpenAIAgentsProvider(SessionProvider, frozen=True):
    """The sessions of a project at OpenAI, or at any service with the same API."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS

    service: Service = Service()

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the service."""
        from .webhooks import WEBHOOKS  # only what receives them needs it

        return WEBHOOKS

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a key is timeless
        """Return *request* with the key on it."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec*. Raises `ConfigurationError` for an environment, and where no model and no agent is known."""
        yield from ()
        name_of(spec)
        if spec.environment:
            raise errors.ConfigurationError(
                f"{NAME} has no environments to choose from", remedy="leave out --environment"
            )
        if not (spec.model or self.service.model or self.service.agent):
            raise errors.ConfigurationError(
                "no model is set", remedy=f"pass --model, or set {NAME}.model or {NAME}.agent"
            )
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the session with its first message: exactly one POST. *spec* has been prepared."""
        response = yield _post(SESSIONS, new_session(spec, self.service))
        check(response)
        created = extract.task(extract.session(response), extract.Details(), raw=response.body)
        return msgspec.structs.replace(created, prompt=spec.prompt, mode=spec.mode)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the session that was submitted with the key of *intent*: the service filters by metadata."""
        page = yield from self._sessions(None, (f"metadata[{extract.KEY}]", intent.id))
        return next((task for task in page.items if extract.key_in(task) == intent.id), None)

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a session: one GET while it runs; its turn, items and artifacts as well once it has ended."""
        response = yield from self._fetch(ref)
        document = extract.session(response)
        details = yield from self._details(ref, document)
        return extract.task(document, details, raw=response.body)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live session; *siblings* is a page of its turns, the newest first."""
        document = extract.session(Response(200, body=response))
        if siblings is None:
            return extract.task(document, raw=response)
        turn = extract.newest_turn(Response(200, body=siblings))
        return extract.task(document, extract.Details(turn=turn), raw=response)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first, with the newest turns of the sessions that are idle. None is archived."""
        if environment is not None or filter == "archived":
            return Page()
        page = yield from self._sessions(cursor, size=limit)
        tasks: list[Task] = []
        for task in page.items:
            tasks += ((yield from self._with_turn(task)),)
        return msgspec.structs.replace(page, items=tuple(tasks))

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred sessions; those that have stopped need further requests."""
        page = yield from self._sessions(cursor)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    # -- acting on a session -----------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Cancel the turn that runs; the session takes further messages."""
        yield from self._send(ref, {"type": "agent.session.input.cancel"})

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a session."""
        check((yield Request("DELETE", session_path(ref), headers=HEADERS)))

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Approve or deny a tool that waits; the same decision twice is one, by its idempotency key."""
        if option not in {each.id for each in extract.OPTIONS}:
            raise errors.ConfigurationError(f"there is no option {option!r}", remedy="use one of: approve, deny")
        event = {
            "type": "agent.session.input.mcp_approval_request_result",
            "request_id": request,
            "response": {"type": "mcp_tool_call", "decision": option},
        }
        yield from self._send(ref, event, key=f"{request}-{option}")

    def _send(self, ref: TaskRef, event: Mapping[str, object], *, key: str | None = None) -> Exchange[None]:
        """Send an event; with a *key* the service performs it once, however often it is sent."""
        request = _post(session_path(ref, "/events"), {"events": [event]})
        if key is not None:
            keyed = request.with_headers(("idempotency-key", key))
            request = msgspec.structs.replace(keyed, idempotent=True)
        check((yield request))

    # -- what belongs to a session -----------------------------------------------------------------------------------

    def _details(self, ref: TaskRef, document: wire.Session) -> Exchange[extract.Details]:
        """Return what decides a session that is idle or failed; nothing is requested about one that runs or waits."""
        if document.status not in (extract.IDLE, "failed"):
            return extract.Details()
        turn = yield from self._newest_turn(ref)
        details = extract.Details(turn=turn)
        if turn is None or not extract.state_of(document, details).is_terminal:
            return details
        response = yield _list(session_path(ref, f"/turns/{encoded(turn.id)}/items"), None, ("order", "desc"))
        check(response)
        saved, _ = session_items.read_page(response)
        is_published = extract.state_of(document, details) is TaskState.SUCCEEDED and extract.has_change(document)
        change = (yield from self._change(ref, outputs=OUTPUTS)) if is_published else None
        return msgspec.structs.replace(details, message=session_items.last_message(saved), change=change)

    def _newest_turn(self, ref: TaskRef) -> Exchange[wire.Turn | None]:
        response = yield _list(session_path(ref, "/turns"), None, ("order", "desc"))
        check(response)
        return extract.newest_turn(response)

    def _with_turn(self, task: Task) -> Exchange[Task]:
        """Return a task of a list with the state that its newest turn shows."""
        if task.raw_state != extract.IDLE:
            return task
        turn = yield from self._newest_turn(task.ref)
        document = extract.session(Response(200, body=task.raw))
        return extract.task(document, extract.Details(turn=turn), raw=task.raw)

    def _newest_files(self, ref: TaskRef) -> Exchange[Mapping[str, str]]:
        """Return the id of the newest artifact of each name."""

        def page(cursor: str | None) -> Exchange[tuple[Sequence[wire.Artifact], str | None]]:
            response = yield _list(session_path(ref, "/artifacts"), cursor, ("order", "asc"))
            check(response)
            return extract.read_list(response, wire.Artifact, lambda each: each.id)

        return extract.files_of((yield from collect_pages(page)))

    def _file(self, ref: TaskRef, id: str) -> Request:
        """Return the request for the content of an artifact."""
        return Request("GET", session_path(ref, f"/artifacts/{encoded(id)}/content"), headers=HEADERS)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _get(self, ref: TaskRef) -> Request:
        """Return the request for a session."""
        return Request("GET", session_path(ref), headers=HEADERS)

    def _live_events(self, ref: TaskRef) -> Request:
        """Return the request for the live events of a session, without the padding that hides their lengths."""
        query = (("include_obfuscation", "false"),)
        return Request("GET", session_path(ref, "/events"), query=query, headers=STREAM_HEADERS, stream=True)

    def _reader(self, ref: TaskRef, memory: str) -> session_items.ItemLog:
        """Return a reader of the items after *memory*."""
        return session_items.ItemLog(ref, memory, lambda last: self._items(ref, last))

    def _is_working(self, response: Response) -> bool:
        """Whether the response for a session shows that its agent works."""
        return extract.session(response).status == "in_progress"

    def _message(self, text: str) -> Mapping[str, object]:
        """Return the event that sends a message; it starts a turn or steers the one that runs."""
        return message(text)

    def _sessions(self, cursor: str | None, *query: tuple[str, str], size: int | None = None) -> Exchange[Page]:
        response = yield _list(SESSIONS, cursor, *query, size=min(size or PAGE_SIZE, PAGE_SIZE))
        return extract.page(response)

    def _items(self, ref: TaskRef, last: str) -> Exchange[list[Saved]]:
        """Return the items after the item *last*, oldest first."""

        def page(cursor: str | None) -> Exchange[tuple[Sequence[Saved], str | None]]:
            response = yield _list(session_path(ref, "/items"), cursor or last or None, ("order", "asc"))
            check(response)
            return session_items.read_page(response)

        return list((yield from collect_pages(page)))


def _list(path: str, cursor: str | None, *query: tuple[str, str], size: int = PAGE_SIZE) -> Request:
    more = (("after", cursor),) if cursor else ()
    return Request("GET", path, query=(("limit", str(size)), *query, *more), headers=HEADERS)


def _post(path: str, body: Mapping[str, object]) -> Request:
    return Request("POST", path, headers=POST_HEADERS, body=msgspec.json.encode(body))
