"""The provider of Claude Managed Agents: one exchange per verb (docs/reference/providers/claude-agents.md).

Invariants:

- `create_task` is one POST, whose metadata has the key of the submission; the service takes no idempotency key, so a
  session whose response was lost is found in the list by that key, and nothing is sent again.
- `get_task` is one GET while the agent works. Of a session that has stopped, the last events are requested as well, and
  the files of the change once it has ended.
- A decision is sent only for a tool use that waits for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...provider import (
    Capabilities,
    Exchange,
    Page,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    TaskFilter,
    TaskState,
    Webhooks,
    check,
    choose_environment,
    collect_pages,
    decode,
    encoded,
    errors,
    filter_page,
)
from .._sessions.session_provider import SessionProvider
from . import extract, session_events, wire
from .capabilities import CAPABILITIES
from .endpoints import (
    ENVIRONMENTS,
    FILE_HEADERS,
    FILE_PAGE_SIZE,
    FILES,
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
from .new_session import new_session
from .session_events import Ending, Happening

if TYPE_CHECKING:
    from ...provider import Environment, Intent, Login, PermissionRequest, Secret, Task, TaskRef, TaskSpec


class ClaudeAgentsProvider(SessionProvider, frozen=True):
    """The sessions of a workspace at Anthropic, or at any service with the same API."""

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
        """Return *request* with the key on it, as the documentation sends it; the SDK sends the same key as a bearer."""
        return request.with_headers(("x-api-key", secret.token))

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its environment. Raises `ConfigurationError` where no agent or no environment is known."""
        if not self.service.agent:
            raise errors.ConfigurationError(
                "no agent is set", remedy=f"make one at https://platform.claude.com and set {NAME}.agent to its id"
            )
        if spec.environment:
            return spec
        environment = yield from self.resolve_environment(None, repository=spec.repository)
        return msgspec.structs.replace(spec, environment=environment.id)

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Create the session with its first message: exactly one POST. *spec* has been prepared."""
        response = yield _post(SESSIONS, new_session(spec, self.service))
        created = extract.task(decode(response, wire.Session), raw=response.body)
        state = created.state if not created.state.is_interrupted else TaskState.QUEUED
        return msgspec.structs.replace(
            created,
            state=state,
            prompt=spec.prompt,
            mode=spec.mode,
            environment=created.environment or spec.environment,
            repository=created.repository or spec.repository,
            branch=created.branch or spec.branch,
        )

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the session that was submitted with the key of *intent*, of those that are the newest.

        The list cannot be filtered by metadata, but by time: sessions are read from an hour before the submission.
        """
        since = extract.search_start(intent.at)

        def fetch(cursor: str | None) -> Exchange[tuple[Sequence[Task], str | None]]:
            page = yield from self._sessions(cursor, has_archived=True, since=since)
            return page.items, page.cursor

        tasks = yield from collect_pages(fetch)
        return next((task for task in tasks if extract.key_in(task) == intent.id), None)

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a session: one GET while it runs, with its last events and the files of its change once it has stopped."""
        response = yield from self._fetch(ref)
        document = extract.session(response)
        details = yield from self._details(document)
        return extract.task(document, details, raw=response.body)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Read a saved or live session; *siblings* is a page of its events, the newest first."""
        document = extract.session(Response(200, body=response))
        if siblings is None:
            return extract.task(document, raw=response)
        happened, _ = session_events.read_page(Response(200, body=siblings))
        ending = session_events.ending_of(happened)
        permissions = session_events.permissions_of(happened, ending.pending)
        return extract.task(document, extract.Details(ending=ending, permissions=permissions), raw=response)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first, with the last events of the sessions that have stopped.

        The service filters neither archived sessions nor environments: it is done here, so a page may hold few tasks
        and not be the last.
        """

        def is_included(task: Task) -> bool:
            is_kept = filter == "all" or bool(task.is_archived) == (filter == "archived")
            return is_kept and environment in (None, task.environment)

        page = yield from filter_page(
            lambda cursor: self._sessions(cursor, has_archived=filter != "current"),
            is_included,
            limit=limit,
            cursor=cursor,
        )
        tasks: list[Task] = []
        for task in page.items:
            tasks += ((yield from self._with_ending(task)),)
        return msgspec.structs.replace(page, items=tuple(tasks))

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return the state of up to a hundred sessions; those that have stopped need further requests."""
        page = yield from self._sessions(cursor, has_archived=True)
        return StatusPage(tasks=page.items, cursor=page.cursor)

    # -- environments ------------------------------------------------------------------------------------------------

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return the environments; none belongs to a *repository*, so each can be used for any."""
        del repository

        def page(cursor: str | None) -> Exchange[tuple[Sequence[wire.Environment], str | None]]:
            response = yield _list(ENVIRONMENTS, cursor)
            found = decode(response, wire.EnvironmentPage)
            return found.data or (), found.next_page or None

        known = yield from collect_pages(page)
        return tuple(extract.environment(each) for each in known if each.archived_at is None)

    def resolve_environment(self, name: str | None, *, repository: str | None = None) -> Exchange[Environment]:
        """Return the environment *name* (id or name), else that of the settings, else the only one there is."""
        del repository
        wanted = (name or self.service.environment or "").strip()
        known = yield from self.list_environments()
        if not known:
            raise errors.ConfigurationError(
                "the workspace has no environment", remedy="make one at https://platform.claude.com"
            )
        if not wanted and len(known) > 1:
            names = ", ".join(each.label or each.id for each in known)
            raise errors.ConfigurationError(
                f"there are {len(known)} environments: {names}",
                remedy=f"pass --environment NAME, or set {NAME}.environment",
            )
        return choose_environment(known, wanted) if wanted else next(iter(known))

    # -- acting on a session -----------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Interrupt the agent; the session becomes idle and takes further messages."""
        yield from self._send(ref, {"type": session_events.INTERRUPT})

    def archive_task(self, ref: TaskRef) -> Exchange[None]:
        """Archive a session, which ends it."""
        check((yield _post(session_path(ref, "/archive"), {})))

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete a session with its events and files."""
        check((yield Request("DELETE", session_path(ref), headers=HEADERS)))

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Allow or deny a tool use that waits. Raises `ConflictError` where it does not, or was decided otherwise."""
        if option not in {each.id for each in session_events.OPTIONS}:
            raise errors.ConfigurationError(f"there is no option {option!r}", remedy="use one of: allow, deny")
        types = (*session_events.ENDING_TYPES, session_events.CONFIRMATION)
        happened = yield from self._newest(ref, types)
        decisions = (each.event for each in happened if each.event.type == session_events.CONFIRMATION)
        decided = next((each.result for each in decisions if each.tool_use_id == request), None)
        if decided == option:
            return
        if decided is not None or request not in session_events.ending_of(happened).pending:
            raise errors.ConflictError(
                f"{ref} does not wait for the permission {request}",
                status=409,
                remedy=f"see what it waits for: coatcheck show {ref}",
            )
        yield from self._send(ref, {"type": session_events.CONFIRMATION, "tool_use_id": request, "result": option})

    def _send(self, ref: TaskRef, event: Mapping[str, object]) -> Exchange[None]:
        """Send an event. Raises `ConflictError` where the session takes none any more."""
        response = yield _post(session_path(ref, "/events"), {"events": [event]})
        if response.status == 400 and extract.session((yield from self._fetch(ref))).status == extract.TERMINATED:
            raise errors.ConflictError(
                f"{ref} has been archived or has ended for good, and takes no message",
                status=409,
                remedy="submit another task",
            )
        check(response)

    # -- what belongs to a session -----------------------------------------------------------------------------------

    def _details(self, document: wire.Session) -> Exchange[extract.Details]:
        """Return what decides a session that has stopped; nothing is requested about one that runs."""
        if document.status not in extract.STOPPED:
            return extract.Details()
        ref = extract.task(document).ref
        ending = session_events.ending_of((yield from self._newest(ref, session_events.ENDING_TYPES)))
        state = extract.state_of(document, ending)
        permissions = yield from self._permissions(ref, ending)
        is_final = state.is_terminal or state is TaskState.PAUSED
        change = (yield from self._change(ref, outputs=OUTPUTS)) if is_final and extract.has_change(document) else None
        return extract.Details(ending=ending, change=change, permissions=permissions)

    def _permissions(self, ref: TaskRef, ending: Ending) -> Exchange[tuple[PermissionRequest, ...]]:
        if not ending.pending:
            return ()
        uses = yield from self._newest(ref, session_events.TOOL_TYPES)
        return session_events.permissions_of(uses, ending.pending)

    def _newest_files(self, ref: TaskRef) -> Exchange[Mapping[str, str]]:
        """Return the id of the newest file of each name that the agent has written."""

        def page(cursor: str | None) -> Exchange[tuple[Sequence[wire.File], str | None]]:
            response = yield _list(FILES, cursor, ("scope_id", ref.id), size=FILE_PAGE_SIZE, headers=FILE_HEADERS)
            found = decode(response, wire.FilePage)
            return found.data or (), found.next_page or None

        return extract.files_of((yield from collect_pages(page)))

    def _file(self, ref: TaskRef, id: str) -> Request:
        """Return the request for the content of a file."""
        del ref
        return Request("GET", f"{FILES}/{encoded(id)}/content", headers=FILE_HEADERS)

    def _with_ending(self, task: Task) -> Exchange[Task]:
        """Return a task of a list with the state that its last events show."""
        if task.raw_state not in extract.STOPPED:
            return task
        document = extract.session(Response(200, body=task.raw))
        ending = session_events.ending_of((yield from self._newest(task.ref, session_events.ENDING_TYPES)))
        return extract.task(document, extract.Details(ending=ending), raw=task.raw)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _get(self, ref: TaskRef) -> Request:
        """Return the request for a session."""
        return Request("GET", session_path(ref), headers=HEADERS)

    def _live_events(self, ref: TaskRef) -> Request:
        """Return the request for the stream of a session, which sends the events of the log as they are stored."""
        return Request("GET", session_path(ref, "/events/stream"), headers=STREAM_HEADERS, stream=True)

    def _reader(self, ref: TaskRef, memory: str) -> session_events.EventLog:
        """Return a reader of the events after *memory*."""
        return session_events.EventLog(ref, memory, lambda since: self._events_since(ref, since))

    def _is_working(self, response: Response) -> bool:
        """Whether the response for a session shows that its agent works."""
        return extract.session(response).status not in extract.STOPPED

    def _message(self, text: str) -> Mapping[str, object]:
        """Return the event that sends a message."""
        return {"type": session_events.MESSAGE, "content": [{"type": "text", "text": text}]}

    def _sessions(self, cursor: str | None, *, has_archived: bool, since: str | None = None) -> Exchange[Page]:
        options = {"include_archived": "true" if has_archived else None, "created_at[gte]": since}
        more = ((name, value) for name, value in options.items() if value)
        response = yield _list(SESSIONS, cursor, *more)
        return extract.page(response)

    def _newest(self, ref: TaskRef, types: Iterable[str]) -> Exchange[list[Happening]]:
        """Return the newest events of some types: one page."""
        kinds = (("types[]", each) for each in types)
        response = yield _list(session_path(ref, "/events"), None, ("order", "desc"), *kinds)
        check(response)
        return session_events.read_page(response)[0]

    def _events_since(self, ref: TaskRef, time: str) -> Exchange[list[Happening]]:
        """Return the events since *time*, oldest first."""
        since = (("created_at[gte]", time),) if time else ()

        def page(cursor: str | None) -> Exchange[tuple[Sequence[Happening], str | None]]:
            response = yield _list(session_path(ref, "/events"), cursor, ("order", "asc"), *since)
            check(response)
            return session_events.read_page(response)

        return list((yield from collect_pages(page)))


def _list(
    path: str, cursor: str | None, *query: tuple[str, str], size: int = PAGE_SIZE, headers: Pairs = HEADERS
) -> Request:
    more = (("page", cursor),) if cursor else ()
    return Request("GET", path, query=(("limit", str(size)), *query, *more), headers=headers)


def _post(path: str, body: Mapping[str, object]) -> Request:
    return Request("POST", path, headers=POST_HEADERS, body=msgspec.json.encode(body))
