"""Run attempts, a limited number at once: workspace, agent, changes, result.

Invariants:
- whatever happens to an attempt, it ends with a state and a reason, its processes end, its workspace is removed, and
  its thread takes the next one;
- one `CancelScope` covers an attempt from the clone to collecting its result; collecting the partial changes of an
  agent that timed out has a deadline of its own, `COLLECTING_TIMEOUT`;
- what an agent prints is data: it is capped, and not interpreted beyond the JSON object that it may write.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec

from .._values.value import Value
from .._workspaces.cancellation import CancelScope, Stopped, TimedOut
from .._workspaces.command_process import MARK, log_error
from .._workspaces.git import WorkspaceError
from .._workspaces.workspace import Workspace, WorkspaceManager
from .acp.permissions import Permissions
from .attempts import AgentEnding, Conclusion, Job, Listener, failed
from .collect_changes import Changes, collect_changes
from .command_agent import run_command, why_not_started
from .conclusion_reports import PAUSES, RETRY_INTERVAL, ConclusionReports
from .current_diff import RunningWorkspaces
from .long_messages import end_of_message, without_mark
from .models import (
    CANCELLED,
    COMPLETED,
    FAILED,
    CloudFailure,
    CloudFile,
    CloudLog,
    CloudResult,
    title_of,
    title_of_message,
)
from .tree_walk import read_regular

# An agent's result file larger than this is not a message, a title and some files.
MAX_RESULT_FILE = 4 * 1024 * 1024
# So many notes on a result are shown, so much of each.
MAX_NOTES, MAX_NOTE = 100, 600
# The official client calls a task without any message an error (docs/reference/protocols/codex-wham.md, 4), so there
# always is one.
SILENCE = "(The agent printed nothing.)"
TIMEOUT = 3600.0
# How long collecting the changes of an agent that timed out may take, after its deadline (seconds).
COLLECTING_TIMEOUT = 60.0
PARTIAL = "the agent failed, so the diff is partial: what it had changed until then"
MAX_PARALLEL = 2


class Agent(Value, frozen=True, kw_only=True):
    """What is run for every attempt: a command in which ``{prompt}`` stands for the prompt, and its limits in seconds.

    With `permissions` it is an ACP agent, whose permission requests they decide.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"environ"})

    command: tuple[str, ...]
    permissions: Permissions | None = None
    timeout: float | None = TIMEOUT
    environ: Mapping[str, str] = {}


class Runner:
    """Threads that run jobs in the order in which they came."""

    def __init__(
        self,
        agent: Agent,
        workspaces: WorkspaceManager,
        listener: Listener,
        *,
        max_parallel: int = MAX_PARALLEL,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._agent = agent
        self._manager = workspaces
        self._listener = listener
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._running: dict[str, CancelScope] = {}
        self.workspaces = RunningWorkspaces()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reports = ConclusionReports(listener, self._closing, pauses=pauses)
        self._threads = [
            threading.Thread(target=self._work, name=f"agent-{number}", daemon=True) for number in range(max_parallel)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        self._jobs.put(job)

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """End these attempts where they run."""
        with self._lock:
            scopes = [self._running[id] for id in attempt_ids if id in self._running]
        for scope in scopes:
            scope.cancel()

    def close(self, *, timeout: float = 10.0) -> None:
        """End every attempt, drop queued jobs, and wait for the threads so many seconds; also before `start`."""
        self._closing.set()
        with self._lock:
            scopes = list(self._running.values())
        for scope in scopes:
            scope.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._reports.retry()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                job = self._jobs.get(timeout=RETRY_INTERVAL if self._reports.has_unsaved else None)
            except queue.Empty:
                job = None
            self._reports.retry()
            if job is not None and not self._closing.is_set():
                self._attempt(job)

    def _attempt(self, job: Job) -> None:
        scope = CancelScope(self._agent.timeout)
        with self._lock:
            self._running[job.attempt_id] = scope
        if self._closing.is_set():  # `close` may not have seen this one
            scope.cancel()
        try:
            if self._listener.on_start(job):
                self._end(job, self._conclude(job, scope))
        except Exception as error:  # noqa: BLE001 - a store that refuses the start must not lose the attempt
            log_error(error, f"attempt {job.attempt_id}")
            self._end(job, failed("not_started", f"the start cannot be kept: {type(error).__name__}: {error}"))
        finally:
            with self._lock:
                del self._running[job.attempt_id]

    def _end(self, job: Job, conclusion: Conclusion) -> None:
        if not self._closing.is_set():  # what `close` ended is ended in the store by its caller
            self._reports.report(job, conclusion)

    def _open_workspace(self, job: Job, scope: CancelScope) -> Workspace:
        return self._manager.open(
            job.workspace or job.attempt_id,
            mirror=job.environment_id,
            source=Path(job.source),
            branch=job.branch,
            starting_diff=job.starting_diff,
            previous_diff=job.previous_diff,
            scope=scope,
        )

    def _conclude(self, job: Job, scope: CancelScope) -> Conclusion:
        try:
            try:
                workspace = self._open_workspace(job, scope)
            except FileExistsError:  # the folder of the turn that is continued could not be removed
                job = msgspec.structs.replace(job, workspace=job.attempt_id, session=None)
                workspace = self._open_workspace(job, scope)
            try:
                return self._run(job, workspace)
            finally:
                self._remove(workspace)
        except (Stopped, WorkspaceError) as error:
            return interrupted(error, self._agent.timeout, "while its clone was made")
        except Exception as error:  # noqa: BLE001 - an unexpected error must end the attempt, with a reason
            log_error(error, f"attempt {job.attempt_id}")
            return failed("internal_error", f"{type(error).__name__}: {error}")

    @staticmethod
    def _remove(workspace: Workspace) -> None:
        try:
            workspace.remove()
        except Exception as error:  # noqa: BLE001 - clean-up must not change the result
            log_error(error, f"cleaning up {workspace.folder}")

    def _run(self, job: Job, workspace: Workspace) -> Conclusion:
        workspace.prompt_file.write_text(job.prompt, encoding="utf-8")
        try:
            with self.workspaces.showing(job.attempt_id, workspace):
                ending = self._run_agent(job, workspace)
        except (OSError, ValueError) as error:
            return failed("agent_not_started", why_not_started(self._agent.command[0], error))
        workspace.end_processes()
        return conclude(job, ending, workspace, timeout=self._agent.timeout)

    def _run_agent(self, job: Job, workspace: Workspace) -> AgentEnding:
        agent, environ = self._agent, agent_environment(self._agent.environ, job, workspace)
        if agent.permissions is None:
            on_line = partial(self._listener.on_line, job)
            return run_command(agent.command, job.prompt, workspace, environ, on_line)
        from .acp.attempt import run_acp  # a second of imports, for servers with such an agent

        return run_acp(agent.command, job, workspace, environ, self._listener, permissions=agent.permissions)


def interrupted(
    error: Stopped | WorkspaceError, timeout: float | None, when: str, *, logs: tuple[CloudLog, ...] = ()
) -> Conclusion:
    """Return the conclusion of an attempt that was cancelled, whose time is up, or whose clone is unusable."""
    result = CloudResult(logs=logs) if logs else None
    if isinstance(error, WorkspaceError):
        return failed(error.code, str(error), result=result)
    if isinstance(error, TimedOut):
        return failed("timed_out", f"the attempt timed out after {timeout:g} s, {when}", result=result)
    return Conclusion(state=CANCELLED, result=result)


def agent_environment(environ: Mapping[str, str], job: Job, workspace: Workspace) -> dict[str, str]:
    """Return an agent's environment: the server's, without what belongs to the server or to another repository."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(("GIT_", "COATCHECK_"))}
    return {
        **inherited,
        "PWD": str(workspace.work),
        "GIT_CEILING_DIRECTORIES": str(workspace.folder),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "COATCHECK_TASK_ID": job.task_id,
        "COATCHECK_ATTEMPT": str(job.number),
        "COATCHECK_ATTEMPTS": str(job.total),
        "COATCHECK_MODE": job.mode,
        "COATCHECK_BRANCH": job.branch,
        "COATCHECK_MODEL": job.model or "",
        "COATCHECK_PROMPT_FILE": str(workspace.prompt_file),
        MARK: str(workspace.result_file),
    }


def conclude(job: Job, ending: AgentEnding, workspace: Workspace, *, timeout: float | None) -> Conclusion:
    """Return the conclusion of an attempt whose agent has ended."""
    now = time.time()
    logs = tuple(CloudLog(name=name, text=text, created_at=now) for name, text in ending.outputs if text)
    kept = _conclusion_of(job, ending, workspace, logs, timeout=timeout)
    return msgspec.structs.replace(kept, session=ending.session, usage=ending.usage)


def _conclusion_of(
    job: Job, ending: AgentEnding, workspace: Workspace, logs: tuple[CloudLog, ...], *, timeout: float | None
) -> Conclusion:
    if ending.is_cancelled:
        return Conclusion(state=CANCELLED, result=CloudResult(logs=logs))
    if failure := failure_of(ending, timeout):
        return Conclusion(state=FAILED, error=failure, result=partial_result(job, ending, workspace, logs))
    try:
        changes = collect_changes(workspace) if job.mode == "code" else Changes()
    except (Stopped, WorkspaceError) as error:
        return interrupted(error, timeout, "while its changes were collected", logs=logs)
    report, note = read_report(workspace.result_file)
    result = result_of(job, ending, changes, report, notes=(*ending.notes, *changes.notes, *filter(None, [note])))
    return Conclusion(
        state=COMPLETED, result=msgspec.structs.replace(result, logs=logs, base_commit=workspace.base_commit)
    )


def failure_of(ending: AgentEnding, timeout: float | None) -> CloudFailure | None:
    """Return why an agent failed, None for one that did not."""
    if ending.is_timeout:
        return CloudFailure(code="timed_out", message=f"the agent timed out after {timeout:g} s")
    return ending.failure


def partial_result(job: Job, ending: AgentEnding, workspace: Workspace, logs: tuple[CloudLog, ...]) -> CloudResult:
    """Return what an agent that failed had changed until then, and say that it is partial."""
    if job.mode != "code":
        return CloudResult(logs=logs)
    if ending.is_timeout:
        workspace.scope.extend(COLLECTING_TIMEOUT)
    try:
        changes = collect_changes(workspace)
    except (Stopped, WorkspaceError) as error:
        reason = "it was not done in time" if isinstance(error, Stopped) else str(error)
        changes = Changes(notes=(f"the changes of the agent until it failed are not in this result: {reason}",))
    if not changes.diff:
        return CloudResult(messages=notes_message(changes.notes), logs=logs)
    messages = notes_message((PARTIAL, *changes.notes))  # what a failed agent printed is in its logs
    return CloudResult(
        messages=messages,
        diff=changes.diff,
        title=changes.subject or title_of(job.prompt),
        body="".join(messages),
        files=changes.files,
        commit_message=changes.subject,
        logs=logs,
        base_commit=workspace.base_commit,
    )


class _ReportedFile(msgspec.Struct):
    path: str
    content: str


class Report(msgspec.Struct):
    """What an agent may write to the file that ``COATCHECK_RESULT`` names; it wins over what it printed."""

    message: str | None = None
    title: str | None = None
    body: str | None = None
    files: list[_ReportedFile] | None = None


def read_report(path: Path) -> tuple[Report, str]:
    """Return the agent's report, and a note where there is one that cannot be read; the diff is not lost for that."""
    if not os.path.lexists(path):
        return Report(), ""
    content = read_regular(path.parent, os.fsencode(path.name), limit=MAX_RESULT_FILE + 1)
    if content is None:
        return Report(), "the agent's result file is not used: it is not a regular file that can be read"
    if len(content) > MAX_RESULT_FILE:
        return Report(), f"the agent's result file is not used: it is larger than {MAX_RESULT_FILE // 2**20} MiB"
    try:
        return msgspec.json.decode(content, type=Report), ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Report(), f"the agent's result file is not used, it cannot be read: {error}"


def result_of(
    job: Job, ending: AgentEnding, changes: Changes, report: Report, *, notes: Sequence[str] = ()
) -> CloudResult:
    """Combine what the agent printed and what it changed; the notes are a further message."""
    output = end_of_message(ending.message.strip())
    message = output if report.message is None else report.message
    title = report.title or changes.subject or title_of_message(without_mark(message)) or title_of(job.prompt)
    files = changes.files
    if report.files is not None:
        files = tuple(CloudFile(path=file.path, content=file.content) for file in report.files)
    return CloudResult(
        messages=(message or SILENCE, *notes_message(notes)),
        diff=changes.diff,
        title=title if changes.diff else None,
        body=(message if report.body is None else report.body) if changes.diff else None,
        files=files,
        commit_message=changes.subject,
        is_message_shown=ending.is_message_shown and message == output != "",
    )


def notes_message(notes: Sequence[str]) -> tuple[str, ...]:
    """Return the notes on a result as one message, none for none."""
    if not notes:
        return ()
    more = (f"- and {len(notes) - MAX_NOTES} more",) if len(notes) > MAX_NOTES else ()
    return ("\n".join(("Notes on this result:", *(f"- {note[:MAX_NOTE]}" for note in notes[:MAX_NOTES]), *more)),)
