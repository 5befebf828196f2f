"""The provider of threads of Codex Cloud: one exchange for each verb.

Invariants:

- a task is a thread. It is created by ``thread/start``, which starts nothing, and ``turn/start``, which is sent once. The
  thread's name and the turn's message carry the submission's key, by which a lost answer is found;
- the state of a task is that of its last turn, which is read over HTTPS;
- an interruption is confirmed by what is read afterwards, never by its answer;
- what nobody has observed is no verb: it raises `UnsupportedError` with that reason.

See docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads".
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from ....provider import (
    Capabilities,
    Events,
    Exchange,
    Login,
    Page,
    ProviderSetting,
    Request,
    StatusPage,
    Task,
    TaskFilter,
    TaskRef,
    TaskSpec,
    choose_environment,
    collect_pages,
    errors,
)
from .. import extract as threads, wire
from ..connection import HostConnection, call, change, checked
from ..endpoints import NAME, SETTINGS
from ..event_log import EventLog, position_of, wait_for
from ..event_logs import EventLogs, threads_of
from . import extract
from .capabilities import CAPABILITIES, UNOBSERVED
from .endpoints import LOGIN, CloudService, authorized
from .requests import CloudHistory, connect, fetch, fetch_raw, get, last_turn, read_thread, read_turns, thread_path
from .wire import EnvironmentConfig, EnvironmentPage

if TYPE_CHECKING:
    from ....provider import Environment, Intent, Model, Secret

# A page of the state of many tasks, and one for people.
STATUS_PAGE_SIZE, PAGE_SIZE = 100, 20
SCOPES = ("user", "workspace")
# Pages that a submission whose answer was lost is searched in at most, and how far clocks may differ (seconds).
FIND_PAGES, SKEW = 10, 7200.0
# How often the history is read until a turn that was started is in it, and the pause between two (seconds).
HISTORY_READS, HISTORY_PAUSE = 5, 1.0
# How long the end of a turn that was interrupted may take (seconds).
INTERRUPTION_SECONDS = 5.0


class CodexCloudProvider(msgspec.Struct, frozen=True):
    """Threads of Codex Cloud at `service`."""

    name: ClassVar[str] = NAME
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    login: ClassVar[Login] = LOGIN

    service: CloudService = CloudService()

    @property
    def origins(self) -> dict[str, str]:
        """The address for requests, and the one for WebSockets."""
        return {"api": self.service.https_url, "socket": self.service.socket_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a token is timeless
        """Return *request* with the token: in a subprotocol of a handshake, else in a header."""
        return authorized(request, secret)

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* where its environment starts from its branch. Raises `ConfigurationError` for another branch."""
        config = yield from fetch(get("v1", "environment-configs", spec.environment or ""), EnvironmentConfig)
        branch = extract.branch_of(config)
        if spec.branch and branch and spec.branch != branch:
            raise errors.ConfigurationError(
                f"the environment {config.name or config.id} starts from {branch}, not from {spec.branch}",
                remedy=f"pass --branch {branch}, or another environment",
            )
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Start a thread and its turn: only the second is sent once."""
        cloud = yield from connect(self.service)
        environment = {"environmentConfigId": spec.environment}
        parameters = {
            "environments": [environment],
            "deferredEnvironment": True,
            "pluginsMcp": {"productSku": "codex"},
        }
        started = yield from call(cloud, "thread/start", parameters, wire.Started)
        named = {"threadId": started.thread.id, "name": threads.thread_name(spec)}
        checked((yield from cloud.call("thread/name/set", named)))
        turn = {**_turn(started.thread.id, spec.prompt), "clientUserMessageId": spec.key}
        answer = checked((yield from cloud.call("turn/start", turn, is_change=True)))
        return extract.created(spec, started.thread, answer.decode(wire.StartedTurn).turn, bytes(answer.result))

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task of a submission: the thread with its key in the name and in the message of its first turn."""
        cursor: str | None = None
        for _ in range(FIND_PAGES):
            page = yield from self._page(STATUS_PAGE_SIZE, cursor)
            for thread in page.data:
                if (thread.name or "").endswith(threads.key_mark(intent.id)):
                    return (yield from self._started_by(thread.id, intent.id))
            newest = max((thread.createdAt or intent.at for thread in page.data), default=0.0)
            if page.nextCursor in (None, cursor) or newest < intent.at - SKEW:
                return None
            cursor = page.nextCursor
        return None

    def _started_by(self, id: str, key: str) -> Exchange[Task | None]:
        query = {"limit": 1, "sortDirection": "asc", "itemsView": "full"}
        path = thread_path(id, "turns", version="v2")
        turns = yield from fetch(get(*path, query=query), wire.TurnPage, id=id)
        return (yield from self._task(id)) if threads.has_key(turns, key) else None

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a thread with its last turn: two requests."""
        return self._task(ref.id)

    def _task(self, id: str) -> Exchange[Task]:
        raw = yield from self._document(id)
        return extract.task(threads.read_document(raw), raw=raw)

    def _document(self, id: str) -> Exchange[bytes]:
        thread = yield from fetch_raw(get(*thread_path(id)), id=id)
        turns = yield from fetch_raw(last_turn(id, view="full"), id=id)
        return threads.document(thread, turns)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the answers about a thread and its last turn, as one document."""
        return self._document(ref.id)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one document
        """Read a saved document."""
        return extract.task(threads.read_document(response), raw=response)

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page with the state of each task. Raises `UnsupportedError` for archived tasks."""
        if filter != "current":
            raise errors.UnsupportedError(f"{NAME} has no list of archived tasks: {UNOBSERVED} archiving a thread")
        page = yield from self._page(limit or PAGE_SIZE, cursor)
        tasks = []
        for thread in page.data:
            turns = None if threads.is_active(thread) else (yield from read_turns(thread.id, view="notLoaded"))
            task = extract.listed(thread, turns.data[0] if turns and turns.data else None)
            if environment in (None, task.environment):
                tasks.append(task)
        return Page(items=tuple(tasks), cursor=page.nextCursor)

    def _page(self, size: int, cursor: str | None) -> Exchange[wire.ThreadPage]:
        query = {"limit": min(size, STATUS_PAGE_SIZE), "cursor": cursor}
        return fetch(get("v1", "threads", query=query), wire.ThreadPage)

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered
        """Return which threads run or wait; one that does neither is polled by itself."""
        page = yield from self._page(STATUS_PAGE_SIZE, cursor)
        return StatusPage(tasks=tuple(extract.listed(each, None) for each in page.data), cursor=page.nextCursor)

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit what has happened in a thread after an event, then what happens until its turn ends."""
        position = position_of(after)
        cloud = yield from connect(self.service)
        yield from EventLog(cloud, ref, CloudHistory(), position=position).emit()

    def stream_events_of(self, refs: Sequence[TaskRef], *, after: str = "") -> Events:  # noqa: ARG002 - each thread has positions of its own
        """Emit the events of several threads as they happen, all from one connection."""
        cloud = yield from connect(self.service)
        listed = yield from threads_of(refs, self._status_page)
        yield from EventLogs(cloud, refs, CloudHistory(), subscribes=False).emit(listed)

    def _status_page(self, cursor: str | None) -> Exchange[tuple[wire.ThreadPage, str | None]]:
        page = yield from self._page(STATUS_PAGE_SIZE, cursor)
        return page, page.nextCursor

    # -- environments and models -------------------------------------------------------------------------------------

    def list_environments(self, *, repository: str | None = None) -> Exchange[tuple[Environment, ...]]:
        """Return the environments of the user and of the workspace. Raises `UnsupportedError` for a repository."""
        if repository is not None:
            raise errors.UnsupportedError(
                f"{NAME} cannot find the environments of {repository}: they name repositories by GitHub's numbers",
                remedy=f"list all of them: coatcheck environments --provider {NAME}",
            )
        known: dict[str, Environment] = {}
        for scope in SCOPES:
            environments = yield from collect_pages(_environment_pages(scope))
            known |= {each.id: each for each in environments}
        return tuple(known.values())

    def resolve_environment(self, name: str | None, *, repository: str | None = None) -> Exchange[Environment]:
        """Return the environment of this id or label. Raises `ConfigurationError` with the candidates."""
        known = yield from self.list_environments()
        if name is None:
            shown = ", ".join(f"{each.label or each.id}" for each in known[:PAGE_SIZE]) or "none"
            raise errors.ConfigurationError(
                f"{NAME} knows no environment for {repository or 'this directory'}: they name repositories by number",
                remedy=f"pass --environment with one of: {shown}",
            )
        return choose_environment(known, name)

    def list_models(self) -> Exchange[tuple[Model, ...]]:
        """Return the models that the service lists."""
        listed = yield from fetch(get("v2", "models"), wire.ModelPage)
        return tuple(map(threads.model, listed.data))

    # -- acting on a thread ------------------------------------------------------------------------------------------

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Interrupt the turn that runs. Raises `ConflictError` where none runs, or where it is still running afterwards."""
        turn = yield from _running_turn(ref.id)
        if turn is None:
            raise errors.ConflictError(f"no turn of {ref} runs", status=409)
        cloud = yield from self._resume(ref.id)
        yield from change(cloud, "turn/interrupt", {"threadId": ref.id, "turnId": turn.id}, id=ref.id)
        if (yield from wait_for(cloud, ref.id, "turn/completed", seconds=INTERRUPTION_SECONDS)):
            return
        if (yield from _running_turn(ref.id)) is not None:
            raise errors.ConflictError(
                f"the service took the interruption of {ref}, and its turn is still running",
                status=409,
                remedy=f"see its state with: coatcheck show {ref}",
            )

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Add to the turn that runs, or start another. Raises `UnsupportedError` for the answer to a question."""
        if mode != "code" or model is not None:
            raise errors.UnsupportedError(f"{UNOBSERVED} choosing a mode or a model", remedy="leave both out")
        thread = yield from read_thread(ref.id)
        if threads.waits_for(thread):
            raise errors.UnsupportedError(f"{ref} waits for an answer: {UNOBSERVED} giving one")
        running = yield from _running_turn(ref.id)
        cloud = yield from self._resume(ref.id)
        if running is not None:
            answer = yield from cloud.call(
                "turn/steer", {**_turn(ref.id, text), "expectedTurnId": running.id}, is_change=True
            )
            if answer.error is None:
                return extract.continued(thread, running)
            if (yield from _running_turn(ref.id)) is not None:
                checked(answer)
        answer = yield from change(cloud, "turn/start", _turn(ref.id, text), id=ref.id)
        turn = answer.decode(wire.StartedTurn).turn
        yield from _wait_for_history(cloud, ref.id, turn.id)
        return extract.continued(thread, turn)

    def _resume(self, id: str) -> Exchange[HostConnection]:
        """Return a connection that has subscribed to a thread."""
        cloud = yield from connect(self.service)
        yield from change(cloud, "thread/resume", {"threadId": id, "excludeTurns": True}, id=id)
        return cloud


def _turn(thread: str, prompt: str) -> dict[str, Any]:
    """Return the parameters of a turn."""
    return {"threadId": thread, "input": [{"type": "text", "text": prompt, "text_elements": []}]}


def _running_turn(id: str) -> Exchange[wire.Turn | None]:
    """Return the turn that runs in a thread."""
    turns = yield from read_turns(id, view="notLoaded")
    return turns.data[0] if turns.data and turns.data[0].status == "inProgress" else None


def _wait_for_history(cloud: HostConnection, thread: str, turn: str) -> Exchange[None]:
    """Wait until a turn is listed: before, the one before it would be taken for the last one."""
    for _ in range(HISTORY_READS):
        turns = yield from read_turns(thread, view="notLoaded")
        if turns.data and turns.data[0].id == turn:
            return
        yield from cloud.next_message(HISTORY_PAUSE)


def _environment_pages(scope: str) -> Any:
    """Return a function that requests one page of environments after a cursor."""

    def page(cursor: str | None) -> Generator[Any, Any, tuple[Sequence[Environment], str | None]]:
        query = {"scope": scope, "limit": STATUS_PAGE_SIZE, "cursor": cursor}
        listed = yield from fetch(get("v1", "environment-configs", query=query), EnvironmentPage)
        return tuple(map(extract.environment, listed.data)), listed.next_cursor

    return page
