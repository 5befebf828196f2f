"""The provider of a Codex host: one exchange for each verb.

Invariants:

- a task is a thread, with forks of it where it has several attempts (`attempts.py`). It is created by ``thread/start``,
  which costs nothing and is not listed, and ``turn/start``, which is sent once for each attempt. The thread's name and the
  turn's message carry the submission's key, by which a lost answer is found;
- what the state of a task is comes from its last turn, what it has changed from git on the host;
- acting on a task reads its thread first, so that an unknown task and a wrong state have different errors.

See docs/reference/protocols/codex-app-server.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import msgspec

from ...provider import (
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
    collect_pages,
    errors,
    repeatable,
)
from . import approvals, attempts, checkouts, extract, wire
from .capabilities import CAPABILITIES, PROGRAM_CAPABILITIES
from .connection import HostConnection, call, change, checked, connect, require_thread
from .endpoints import NAME, SETTINGS, Service
from .event_log import EventLog, HostHistory, position_of, wait_for_start
from .event_logs import EventLogs, threads_of

if TYPE_CHECKING:
    from ...provider import Attempt, Intent, Model, Secret, Usage

T = TypeVar("T")

# A page of the status of many tasks, and one for people.
STATUS_PAGE_SIZE, PAGE_SIZE = 100, 20
# The cursor of a list continues with the archived threads after the current ones.
ARCHIVED = "archived:"


class CodexAppServerProvider(msgspec.Struct, frozen=True):
    """The Codex host that `service` describes."""

    name: ClassVar[str] = NAME
    settings: ClassVar[tuple[ProviderSetting, ...]] = SETTINGS

    service: Service

    @property
    def capabilities(self) -> Capabilities:
        """What the host can do; less where it is a program."""
        return PROGRAM_CAPABILITIES if self.service.is_program else CAPABILITIES

    @property
    def origins(self) -> Mapping[str, str]:
        """The address of the host."""
        return {"api": self.service.base_url}

    @property
    def login(self) -> Login:
        """How the token of the host is found."""
        return self.service.login

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a token is timeless
        """Return the handshake with the token on it, where there is one."""
        return request.with_headers(("authorization", f"Bearer {secret.token}")) if secret.token else request

    # -- submitting --------------------------------------------------------------------------------------------------

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* where its repository can be named. Raises `ConfigurationError` for one that cannot."""
        yield from ()
        checkouts.check_spec(spec)
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Make a checkout and a thread in it for each attempt, and start their turns: only these are sent once."""
        host = yield from connect(self.service)
        if (existing := (yield from self._find(host, spec.key or ""))) is not None:
            return existing
        threads = yield from attempts.prepare(host, spec, self.service)
        return (yield from attempts.start(host, spec, threads))

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task of a submission, found by its key; None where no turn was started for it."""
        return (yield from self._reading(lambda host: self._find(host, intent.id)))

    def _reading(self, read: Callable[[HostConnection], Generator[Any, Any, T]]) -> Generator[Any, Any, T]:
        """Run *read* with a connection, and once more with another where that is lost."""

        def over_new_connection() -> Generator[Any, Any, T]:
            host = yield from connect(self.service)
            return (yield from read(host))

        return (yield from repeatable(over_new_connection))

    def _find(self, host: HostConnection, key: str) -> Generator[Any, Any, Task | None]:
        parameters = {"searchTerm": key, "limit": STATUS_PAGE_SIZE}
        listed = yield from call(host, "thread/list", parameters, wire.ThreadPage)
        for thread in sorted(listed.data, key=attempts.age):  # a person's fork has the name and the turn of its source
            if not (thread.name or "").endswith(extract.key_mark(key)):
                continue
            first = {"threadId": thread.id, "limit": 1, "sortDirection": "asc", "itemsView": "full"}
            turns = yield from call(host, "thread/turns/list", first, wire.TurnPage)
            if extract.has_key(turns, key):
                return (yield from self._task(host, thread.id))
        return None

    # -- polling -----------------------------------------------------------------------------------------------------

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a thread with its last turn: what it waits for, and once it has ended its change."""
        return (yield from self._reading(lambda host: self._task(host, ref.id)))

    def _task(self, host: HostConnection, id: str) -> Generator[Any, Any, Task]:
        raw = yield from attempts.read_document(host, id)
        read = extract.read_document(raw)
        threads = yield from attempts.threads_of(host, read.thread)
        state, _ = extract.state_of(read.thread, extract.turn_of(read))
        has_ended = state.is_terminal and not any(map(extract.is_active, threads.values()))
        change = (yield from checkouts.read_change(host, read.thread, self.service)) if has_ended else None
        task = extract.with_threads(extract.task(read, raw=raw, change=change), threads.values())
        waiting = attempts.waiting_in(threads)
        if not waiting:
            return task
        number = min(waiting)
        pending = yield from approvals.pending_request(host, waiting[number].id)
        permission = pending.permission if pending else None
        question = pending.question if pending and not permission else None
        return extract.waiting_task(task, number, permission=permission, question=question)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the answers about a thread and its last turn, as one document."""
        return (yield from self._reading(lambda host: attempts.read_document(host, ref.id)))

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - a task is one document
        """Read a saved document; the change of the task is on the host."""
        return extract.task(extract.read_document(response), raw=response, change=checkouts.Change())

    def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Exchange[Page]:
        """Return one page, newest first; *environment* is the folder of a checkout on the host."""

        def read(host: HostConnection) -> Generator[Any, Any, Page]:
            listed, following = yield from self._list(host, filter, environment, limit or PAGE_SIZE, cursor)
            turns = yield from self._last_turns(host, listed)
            return Page(items=extract.page(listed, turns), cursor=following)

        return (yield from self._reading(read))

    def _list(
        self, host: HostConnection, filter: TaskFilter, environment: str | None, size: int, cursor: str | None
    ) -> Generator[Any, Any, tuple[wire.ThreadPage, str | None]]:
        is_archived = filter == "archived" or (cursor or "").startswith(ARCHIVED)
        position = (cursor or "").removeprefix(ARCHIVED)
        parameters: dict[str, Any] = {
            "limit": min(size, STATUS_PAGE_SIZE),
            "archived": is_archived,
            "sortKey": "created_at",
            "sortDirection": "desc",
        }
        parameters |= {"cursor": position} if position else {}
        parameters |= {"cwd": environment} if environment else {}
        listed = yield from call(host, "thread/list", parameters, wire.ThreadPage)
        following = listed.nextCursor
        if is_archived and following is not None:
            return listed, f"{ARCHIVED}{following}"
        if filter == "all" and not is_archived and following is None:
            return listed, ARCHIVED
        return listed, following

    def _last_turns(
        self, host: HostConnection, listed: wire.ThreadPage
    ) -> Generator[Any, Any, Mapping[str, wire.Turn | None]]:
        """Return the last turn of each thread of a page that does not run: their list does not show how they ended."""
        idle = [thread.id for thread in listed.data if not extract.is_active(thread)]
        calls = [("thread/turns/list", {**attempts.LAST_TURN, "threadId": id, "itemsView": "notLoaded"}) for id in idle]
        answers = yield from host.call_all(calls)
        turns = {}
        for id, answer in zip(idle, answers, strict=True):
            page = None if answer.error else answer.decode(wire.TurnPage)  # deleted meanwhile
            turns[id] = page.data[0] if page and page.data else None
        return turns

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:  # noqa: ARG002 - the list cannot be filtered by refs
        """Return which of up to a hundred threads run or wait; one that does neither is polled by itself."""
        listed, following = yield from self._reading(
            lambda host: self._list(host, "current", None, STATUS_PAGE_SIZE, cursor)
        )
        return StatusPage(tasks=extract.page(listed, {}), cursor=following)

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit what has happened in a thread after an event, then what happens until its turn ends."""
        position = position_of(after)
        host = yield from connect(self.service)
        yield from EventLog(host, ref, HostHistory(host), position=position).emit()

    def stream_events_of(self, refs: Sequence[TaskRef], *, after: str = "") -> Events:  # noqa: ARG002 - each thread has positions of its own
        """Emit the events of several threads as they happen, all from one connection."""
        host = yield from connect(self.service)
        listed = yield from threads_of(refs, lambda cursor: self._list(host, "current", None, STATUS_PAGE_SIZE, cursor))
        yield from EventLogs(host, refs, HostHistory(host), subscribes=True).emit(listed)

    def get_current_diff(self, ref: TaskRef, *, attempt: int | None = None) -> Exchange[str]:
        """Return the change in the checkout of a task as it is now."""

        def read(host: HostConnection) -> Generator[Any, Any, checkouts.Change]:
            threads = yield from attempts.threads_of(host, (yield from self._read(host, ref.id)))
            if (attempt or 1) not in threads:
                numbers = ", ".join(map(str, threads))
                raise errors.ConfigurationError(
                    f"{ref} has no attempt {attempt}", remedy=f"its attempts are: {numbers}"
                )
            return (yield from checkouts.read_change(host, threads[attempt or 1], self.service))

        change = yield from self._reading(read)
        if change.problem:
            raise errors.TaskError(f"the change of {ref} cannot be read from the host: {change.problem}", ref=ref)
        return bytes(change.patch).decode("utf-8", "replace") if change.patch else ""

    def list_attempts(self, task: Task) -> Exchange[tuple[Attempt, ...]]:
        """Return every attempt of a task, with the outcomes of those that have ended."""

        def read(host: HostConnection) -> Generator[Any, Any, tuple[Attempt, ...]]:
            thread = yield from self._read(host, task.ref.id)
            return (yield from attempts.read(host, thread, self.service))

        return (yield from self._reading(read))

    def list_models(self) -> Exchange[tuple[Model, ...]]:
        """Return the models of the host's login."""

        def read(host: HostConnection) -> Generator[Any, Any, tuple[Model, ...]]:
            def page(cursor: str | None) -> Generator[Any, Any, tuple[Sequence[Model], str | None]]:
                parameters = {"limit": STATUS_PAGE_SIZE} | ({"cursor": cursor} if cursor else {})
                listed = yield from call(host, "model/list", parameters, wire.ModelPage)
                return tuple(map(extract.model, listed.data)), listed.nextCursor

            return tuple((yield from collect_pages(page)))

        return (yield from self._reading(read))

    def get_usage(self) -> Exchange[Usage]:
        """Return the limits of the account that the host is logged in with."""
        answer = yield from self._reading(lambda host: host.call("account/rateLimits/read"))
        if answer.error is not None and answer.error.code == -32600:
            raise errors.UnsupportedError(
                f"{NAME} has no usage: the host is not logged in with ChatGPT", remedy="log in on the host: codex login"
            )
        return extract.usage(checked(answer).decode(wire.RateLimitAnswer).rateLimits)

    # -- acting on a thread ------------------------------------------------------------------------------------------

    def _read(self, host: HostConnection, id: str) -> Generator[Any, Any, wire.Thread]:
        answer = yield from host.call("thread/read", {"threadId": id})
        return require_thread(answer, id).decode(wire.Started).thread

    def _running_turn(self, host: HostConnection, id: str) -> Generator[Any, Any, str | None]:
        last = {**attempts.LAST_TURN, "threadId": id, "itemsView": "notLoaded"}
        turns = yield from call(host, "thread/turns/list", last, wire.TurnPage)
        return turns.data[0].id if turns.data and turns.data[0].status == "inProgress" else None

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        """Interrupt the turns that run; they end a moment later. Raises `ConflictError` where none runs."""
        host = yield from connect(self.service)
        threads = yield from attempts.threads_of(host, (yield from self._read(host, ref.id)))
        has_run = False
        for thread in threads.values():
            turn = yield from self._running_turn(host, thread.id)
            if turn is not None:
                yield from change(host, "turn/interrupt", {"threadId": thread.id, "turnId": turn}, id=thread.id)
                has_run = True
        if not has_run:
            raise errors.ConflictError(f"no turn of {ref} runs", status=409)

    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Exchange[Task]:
        """Answer the question of a task, add to the turn that runs, or start another. A permission is not decided by it."""
        if mode != "code":
            raise errors.UnsupportedError(f"a message to {NAME} cannot change the mode", remedy="submit another task")
        host = yield from connect(self.service)
        thread = yield from self._read(host, ref.id)
        if not (yield from self._answer(host, ref, thread, text)):
            yield from self._send_turn(host, thread, text, model)
        return (yield from self._task(host, ref.id))

    def _answer(self, host: HostConnection, ref: TaskRef, thread: wire.Thread, text: str) -> Generator[Any, Any, bool]:
        """Answer the question that an attempt waits with; return False where none waits for an answer."""
        for waiting in (yield from attempts.waiting_threads(host, thread)).values():
            pending = yield from approvals.pending_request(host, waiting.id)
            if pending is None or pending.permission is not None:
                continue
            if not pending.is_question:
                raise errors.UnsupportedError(f"{ref}: {pending.question}", remedy="answer it where Codex runs")
            yield from approvals.answer(host, pending, pending.answers(text))
            return True
        return False

    def _send_turn(
        self, host: HostConnection, thread: wire.Thread, text: str, model: str | None
    ) -> Generator[Any, Any, None]:
        """Add *text* to the turn that runs, else start a turn with it."""
        turn = yield from self._running_turn(host, thread.id)
        if turn is not None:
            parameters = {**attempts.turn_parameters(thread.id, text), "expectedTurnId": turn}
            answer = yield from host.call("turn/steer", parameters, is_change=True)
            if answer.error is None:
                return
            if (yield from self._running_turn(host, thread.id)) is not None:
                checked(answer)
        yield from change(host, "thread/resume", {"threadId": thread.id, "excludeTurns": True}, id=thread.id)
        yield from change(host, "turn/start", attempts.turn_parameters(thread.id, text, model=model), id=thread.id)
        yield from wait_for_start(host, thread.id)

    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Choose an option of what a task waits for. Raises `ConflictError` where that was decided otherwise."""
        host = yield from connect(self.service)
        thread = yield from self._read(host, ref.id)
        for waiting in (yield from attempts.waiting_threads(host, thread)).values():
            pending = yield from approvals.pending_request(host, waiting.id)
            if pending is not None and pending.id == request:
                yield from approvals.answer(host, pending, pending.decided_by(option))
                return
        decided = approvals.effect_in((yield from attempts.last_items(host, thread)), request)
        if decided is None or decided != approvals.effect_of(option):
            raise errors.ConflictError(
                f"{ref} does not wait for the permission {request}",
                status=409,
                remedy=f"see what it waits for: coatcheck show {ref}",
            )

    def archive_task(self, ref: TaskRef) -> Exchange[None]:
        """Archive the threads of a task."""
        yield from self._act(ref, "thread/archive")

    def unarchive_task(self, ref: TaskRef) -> Exchange[None]:
        """Unarchive the threads of a task."""
        yield from self._act(ref, "thread/unarchive")

    def _act(self, ref: TaskRef, method: str) -> Exchange[None]:
        """Call *method* for each thread of a task, its own last: repeating it does what an interruption left."""
        host = yield from connect(self.service)
        threads = yield from attempts.threads_of(host, (yield from self._read(host, ref.id)))
        for number, thread in sorted(threads.items(), reverse=True):
            try:
                yield from change(host, method, {"threadId": thread.id}, id=thread.id)
            except errors.ConflictError:
                if number == 1:
                    raise

    def delete_task(self, ref: TaskRef) -> Exchange[None]:
        """Delete the threads of a task for good, and the checkouts that were made for it.

        Raises `ConflictError` while another thread works in one of them.
        """
        host = yield from connect(self.service)
        thread = yield from self._read(host, ref.id)
        threads = yield from attempts.threads_of(host, thread)
        folder = host.folder(self.service)
        others = yield from attempts.others_in(host, threads, folder)
        is_persons_fork = thread.forkedFromId in {other.id for other in others}
        if others and not is_persons_fork:
            raise attempts.error_for_others(ref, others)
        for _, each in sorted(threads.items(), reverse=True):  # the host deletes no thread that has forks
            yield from change(host, "thread/delete", {"threadId": each.id}, id=each.id)
            if not is_persons_fork:
                yield from checkouts.remove(host, each, folder)
