"""The local cloud's backend: tasks in SQLite, agents in clones.

Invariant: no response holds invented data. There is no host for pull requests, so none is created; usage is not
metered, so none is reported.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._model.events import TaskEvent, TaskNeedsInput, TaskStarted
from .._model.outcome import Artifact
from .._model.states import TaskState
from .._workspaces.command_process import log_error
from .._workspaces.workspace import WorkspaceManager
from .attempt_runner import Agent, Runner
from .attempts import Conclusion, Job, Listener
from .conclusion_reports import PAUSES
from .event_feed import EventFeed
from .models import (
    CANCELLED,
    FAILED,
    RUNNING,
    CloudAttempt,
    CloudEnvironment,
    CloudFailure,
    CloudLog,
    CloudTask,
    TaskOrder,
    TaskPage,
    TaskQuery,
    count_changes,
)
from .permission_requests import PermissionRequests
from .requests import FollowUp
from .responses import Refusal, detail
from .size_events import SizeEvents
from .task_events import OutputEvents, ref_of
from .task_store import Store, change_attempts
from .transitions import find_environment, plan_follow_up, plan_task
from .turn_stream import EventSource, Recording, log_line

if TYPE_CHECKING:
    from .._app.gates import Gates
    from .._model.gates import PermissionRequest

# So much of what an agent does is shown in a task (characters).
MAX_PROGRESS = 300

RESTARTED = CloudFailure(code="server_restarted", message="the server was restarted while this attempt ran")

# Clients accept any word for a plan and null for what is not limited (docs/reference/protocols/codex-wham.md, 7.1).
USAGE: Mapping[str, object] = {
    "plan_type": "local",
    "rate_limit": None,
    "credits": None,
    "additional_rate_limits": None,
    "rate_limit_reached_type": None,
}
RATE_LIMIT: Mapping[str, object] = {
    "allowed": True,
    "limit_reached": False,
    "limit": None,
    "remaining": None,
    "resets_after": None,
    "resets_after_text": None,
    "user_plan_type": "local",
    "windows": [],
}

NO_HOST = "This cloud runs on your machine and has no host for pull requests: apply the diff and push it yourself"


class LocalCloud:
    """The `coatcheck.cloud.router.Backend` behind ``coatcheck serve``."""

    def __init__(
        self,
        environments: Iterable[CloudEnvironment],
        agent: Agent,
        *,
        store: Store,
        workspaces: WorkspaceManager,
        max_parallel: int,
        time: Callable[[], float] = time.time,
        task_prefix: str = "task_e_",
        on_task: Callable[[CloudTask], None] | None = None,
        pauses: Sequence[float] = PAUSES,
        gates: Callable[[], Gates] | None = None,
        permission_timeout: float | None = None,
    ) -> None:
        self._environments = tuple(environments)
        self._store = store
        self.feed = EventFeed(store)
        self._outputs: dict[str, OutputEvents] = {}
        self._workspaces = workspaces
        self._time = time
        self._task_prefix, self._on_task = task_prefix, on_task
        self._recordings: dict[str, Recording] = {}
        self._unsaved: dict[str, Conclusion] = {}
        self._progress: dict[str, str] = {}
        self._waited_at: dict[str, float] = {}
        self._has_sessions, self._permission_timeout = agent.permissions is not None, permission_timeout
        self.permissions = PermissionRequests(gates=gates, on_change=self._on_permission_change)
        listener = Listener(
            on_start=self._on_start,
            on_line=self._on_line,
            on_event=self._on_event,
            on_permission=self._on_permission,
            on_withdrawn=self.permissions.withdraw,
            on_end=self._on_end,
            on_unsaved=self._on_unsaved,
        )
        self._runner = Runner(agent, workspaces, listener, max_parallel=max_parallel, pauses=pauses)
        self._sizes = SizeEvents(
            self._runner.workspaces.diff_of, self.feed.add, is_read=lambda job: self.feed.has_readers(job.task_id)
        )

    def start(self) -> None:
        """Clean up after a server that was killed, and begin to work. Raises `ConfigurationError`."""
        self._workspaces.sweep()
        try:
            self._recover()
        except (OSError, sqlite3.Error) as error:
            raise errors.ConfigurationError(
                f"the tasks of an earlier server cannot be changed: {error}",
                remedy="free space in the data folder, or give another --data",
            ) from None
        self.feed.start()
        self._sizes.start()
        self._runner.start()

    def close(self) -> None:
        """End every agent, and every stream of events."""
        self._sizes.close()
        self._runner.close()
        self.permissions.close()
        try:
            self._recover()
        except (OSError, sqlite3.Error) as error:
            log_error(error, "unfinished attempts cannot be ended; the next start does it")
        for recording in list(self._recordings.values()):
            recording.end()
        self.feed.close()

    def _recover(self) -> None:
        now = self._time()
        for task in self._store.unfinished():
            self.permissions.withdraw_stored(task.id)
            self._store.change_task(
                task.id, lambda task: change_attempts(task, lambda each: _ended(each, now), now=now)
            )

    def list_environments(self) -> Sequence[CloudEnvironment]:
        """Return what the server was started with."""
        return self._environments

    def list_tasks(self, query: TaskQuery) -> TaskPage:
        """Return a page of tasks."""
        page = self._store.list_tasks(query)
        return msgspec.structs.replace(page, tasks=tuple(map(self._shown, page.tasks)))

    def get_task(self, id: str) -> CloudTask | None:
        """Return a task with its results."""
        task = self._store.get_task(id)
        return task and self._shown(task)

    def _shown(self, task: CloudTask) -> CloudTask:
        """Return a task with what is not stored: what its agents do and wait for, and ends that the store has refused."""
        requests = self.permissions.of_task(task.id) if self._has_sessions else ()
        if not (self._unsaved or self._progress or requests):
            return task

        def shown(attempt: CloudAttempt) -> CloudAttempt:
            attempt = _concluded(attempt, self._unsaved.get(attempt.id), task.updated_at)
            if attempt.is_over:
                return attempt
            own = tuple(each.to_dict() for each in requests if each.attempt == attempt.placement + 1)
            return msgspec.structs.replace(attempt, requests=own, progress=self._progress.get(attempt.id))

        return change_attempts(task, shown, now=max(task.updated_at, self._waited_at.get(task.id, 0.0)))

    def create_task(self, order: TaskOrder) -> CloudTask:
        """Keep the task, then queue its attempts."""
        environment = find_environment(self._environments, order.environment_id)
        task = plan_task(order, environment, id=self._new_id(), now=self._time())
        self._store.add_task(task)
        self._submit(task, environment, previous=None)
        self._announce(task)
        return task

    def _announce(self, task: CloudTask) -> None:
        """Call `on_task`; the task is taken already, so an error there (a closed terminal) does not refuse it."""
        try:
            if self._on_task is not None:
                self._on_task(task)
        except Exception as error:  # noqa: BLE001 - whatever a callback raises
            log_error(error, f"announcing task {task.id}")

    def _new_id(self) -> str:
        """Return an id in the service's form: 32 hexadecimal digits, the first of them from the prefix."""
        return f"{self._task_prefix}{secrets.token_hex(16)}"[: len("task_e_") + 32]

    def follow_up(self, follow_up: FollowUp) -> CloudTask | None:
        """Add a round that starts from the changes of the turn before."""
        before = self._store.get_task(follow_up.task_id)
        attempt = _attempt_of(before, follow_up.turn_id)
        task = self._store.change_task(
            follow_up.task_id,
            lambda task: plan_follow_up(task, follow_up.order, turn_id=follow_up.turn_id, now=self._time()),
        )
        if task is None:
            return None
        environment = find_environment(self._environments, task.environment_id)
        self._submit(task, environment, previous=attempt)
        return task

    def _submit(self, task: CloudTask, environment: CloudEnvironment, *, previous: CloudAttempt | None) -> None:
        round_ = task.last
        for attempt in round_.attempts:
            session = previous.session if previous is not None and attempt.placement == 0 else None
            self._recordings[attempt.id] = Recording()
            self._runner.submit(
                Job(
                    task_id=task.id,
                    attempt_id=attempt.id,
                    number=attempt.placement + 1,
                    total=len(round_.attempts),
                    environment_id=environment.id,
                    source=environment.path or "",
                    branch=task.branch,
                    prompt=round_.prompt,
                    mode=round_.mode,
                    model=round_.model,
                    starting_diff=task.rounds[0].starting_diff,
                    previous_diff=previous.result.diff if previous is not None and previous.result else None,
                    workspace=session.workspace if session else attempt.id,
                    session=session,
                )
            )

    def _on_start(self, job: Job) -> bool:
        now = self._time()

        def begun(attempt: CloudAttempt) -> CloudAttempt:
            return attempt if attempt.is_over else msgspec.structs.replace(attempt, state=RUNNING, started_at=now)

        task = self._store.change_attempt(job.task_id, job.attempt_id, begun, now=now)
        attempt = _attempt_of(task, job.attempt_id)
        is_running = attempt is not None and attempt.state == RUNNING
        if is_running:
            self._outputs[job.attempt_id] = OutputEvents(
                ref_of(job.task_id), job.number, is_reporting=self._has_sessions
            )
            self._sizes.add(job)
        return is_running

    def _on_line(self, job: Job, name: str, line: str) -> None:
        if output := self._outputs.get(job.attempt_id):
            self.feed.add(tuple(output.of(name, line, self._time())))
        if recording := self._recordings.get(job.attempt_id):
            recording.add(log_line(CloudLog(name=name, text="", created_at=self._time()), line))

    def _on_event(self, job: Job, event: TaskEvent) -> None:
        words = event.text or ""
        if output := self._outputs.get(job.attempt_id):
            self.feed.add(tuple(output.limited(event, len(words) + sum(map(_artifact_size, event.artifacts)))))
        if event.type != "task.message" and words:
            self._progress[job.attempt_id] = words[:MAX_PROGRESS]
        if recording := self._recordings.get(job.attempt_id):
            for line in words.splitlines():
                recording.add(log_line(CloudLog(name="agent", text="", created_at=self._time()), line))

    def _on_permission(self, job: Job, request: PermissionRequest, resolve: Callable[[str | None], None]) -> str | None:
        return self.permissions.add(job, request, seconds=self._permission_timeout, resolve=resolve)

    def _on_permission_change(self, job: Job, request: PermissionRequest | None) -> None:
        """Emit that a task waits for a permission, or, with None, that it waits no more."""
        now, ref = self._time(), ref_of(job.task_id)
        self._waited_at[job.task_id], at = now, datetime.fromtimestamp(now, UTC)
        if request is not None:
            state = TaskState.INPUT_REQUIRED
            event: TaskEvent = TaskNeedsInput(ref=ref, at=at, state=state, raw_state=RUNNING, text=request.title)
        elif self.permissions.of_task(job.task_id) or job.attempt_id not in self._outputs:
            return
        else:
            event = TaskStarted(ref=ref, at=at, state=TaskState.RUNNING, raw_state=RUNNING)
        self.feed.add((event,))

    def _on_end(self, job: Job, conclusion: Conclusion) -> None:
        now = self._time()
        self._end_output(job)

        def ended(task: CloudTask) -> CloudTask:
            changed = change_attempts(
                task,
                lambda attempt: _concluded(attempt, conclusion, now) if attempt.id == job.attempt_id else attempt,
                now=now,
            )
            return msgspec.structs.replace(changed, is_unread=True)

        self._store.change_task(job.task_id, ended)
        self._unsaved.pop(job.attempt_id, None)
        self._end_recording(job)

    def _on_unsaved(self, job: Job, conclusion: Conclusion) -> None:
        self._unsaved[job.attempt_id] = conclusion
        self._end_output(job)
        self._end_recording(job)
        self.feed.end_readers(job.task_id)

    def _end_output(self, job: Job) -> None:
        """Store what the agent wrote last."""
        self._sizes.remove(job)
        self._outputs.pop(job.attempt_id, None)
        self._progress.pop(job.attempt_id, None)
        self.permissions.withdraw_all(job.attempt_id)
        self._waited_at.pop(job.task_id, None)
        self.feed.flush()

    def _end_recording(self, job: Job) -> None:
        if recording := self._recordings.pop(job.attempt_id, None):
            recording.end()

    def cancel_task(self, id: str) -> bool:
        """End the attempts that run, and cancel those that wait."""
        now = self._time()
        task = self._store.change_task(
            id, lambda task: change_attempts(task, lambda each: _cancelled(each, now), now=now)
        )
        if task is None:
            return False
        ids = [attempt.id for attempt in task.last.attempts]
        self._runner.cancel(ids)
        for attempt in task.last.attempts:
            if attempt.is_over and (recording := self._recordings.pop(attempt.id, None)):
                recording.end()
        return True

    def mark_task(self, id: str, *, is_archived: bool | None = None, is_unread: bool | None = None) -> bool:
        """Change the marks."""
        marks = {"is_archived": is_archived, "is_unread": is_unread}
        given = {name: mark for name, mark in marks.items() if mark is not None}
        return self._store.change_task(id, lambda task: msgspec.structs.replace(task, **given)) is not None

    def delete_task(self, id: str) -> bool:
        """Cancel the task and delete it."""
        is_deleted = self.cancel_task(id) and self._store.delete_task(id)
        self.feed.forget(id)
        return is_deleted

    def current_diff(self, id: str, number: int | None) -> str | None:
        """Return the diff of an attempt of the last round as it is now; None where there is no such attempt.

        Without a *number* it is the first attempt. Raises `NoDiffError` where its agent runs and its clone cannot be
        read now.
        """
        attempt = _numbered(self.get_task(id), number or 1)
        if attempt is None:
            return None
        running = self._runner.workspaces.diff_of(attempt.id)
        if running is not None:
            return running
        ended = _numbered(self.get_task(id), number or 1)  # it may have ended since it was read
        return ended.result.diff if ended is not None and ended.result is not None else ""

    def create_pull_request(self, id: str, turn_id: str, *, draft: bool) -> None:  # noqa: ARG002 - it is refused anyway
        """Refuse: there is no host for one."""
        raise Refusal(detail(NO_HOST, status=400))

    def get_logs(self, id: str, turn_id: str) -> Sequence[CloudLog]:
        """Return what the agent wrote."""
        attempt = _attempt_of(self._store.get_task(id), turn_id)
        return attempt.result.logs if attempt and attempt.result else ()

    def follow(self, id: str, turn_id: str) -> EventSource | None:  # noqa: ARG002 - turn ids hold their task's
        """Return the lines of an agent that waits or runs."""
        return self._recordings.get(turn_id)

    def get_usage(self) -> Mapping[str, object]:
        """Return the usage document: nothing is metered."""
        return USAGE

    def get_rate_limit(self) -> Mapping[str, object]:
        """Return the rate-limit block: nothing is limited."""
        return RATE_LIMIT


def _artifact_size(artifact: Artifact) -> int:
    return len(artifact.output or "") + len(artifact.content)


def _numbered(task: CloudTask | None, number: int) -> CloudAttempt | None:
    attempts = task.last.attempts if task else ()
    return next((attempt for attempt in attempts if attempt.placement + 1 == number), None)


def _attempt_of(task: CloudTask | None, turn_id: str) -> CloudAttempt | None:
    found = task.find_turn(turn_id) if task else None
    return found[1] if found else None


def _concluded(attempt: CloudAttempt, conclusion: Conclusion | None, now: float) -> CloudAttempt:
    """Return an attempt with its *conclusion*, unchanged without one."""
    if conclusion is None:
        return attempt
    result = conclusion.result
    return msgspec.structs.replace(
        attempt,
        state=conclusion.state,
        ended_at=now,
        error=conclusion.error,
        session=conclusion.session or attempt.session,
        usage=conclusion.usage,
        result=result,
        stats=count_changes(result.diff) if result else None,
    )


def _ended(attempt: CloudAttempt, now: float) -> CloudAttempt:
    if attempt.is_over:
        return attempt
    if attempt.cancellation_requested_at is not None:
        return msgspec.structs.replace(attempt, state=CANCELLED, ended_at=now)
    return msgspec.structs.replace(attempt, state=FAILED, ended_at=now, error=RESTARTED)


def _cancelled(attempt: CloudAttempt, now: float) -> CloudAttempt:
    if attempt.is_over:
        return attempt
    if attempt.state == RUNNING:  # the runner reports its end
        return msgspec.structs.replace(attempt, cancellation_requested_at=now)
    return msgspec.structs.replace(attempt, state=CANCELLED, cancellation_requested_at=now, ended_at=now)
