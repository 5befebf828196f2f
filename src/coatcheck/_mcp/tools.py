"""The tools: one table, and the function of each, which calls one function of `_app`.

Guarantees:
- the tools are in a fixed order, so that a client's cache of prompts holds;
- descriptions are constants: no text of a repository, a task or a service is in them;
- a tool that changes something has `readOnlyHint` false, and is missing from a server that only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .. import errors
from . import answers, arguments
from .arguments import Arguments
from .error_text import message_of

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .._model.gates import Gate
    from .._model.tasks import Task, TaskRef

Toolset: TypeAlias = Literal["tasks", "apply", "cancel", "messages", "approvals"]
TOOLSETS: tuple[Toolset, ...] = ("tasks", "apply", "cancel", "messages", "approvals")
DEFAULT_TOOLSETS: frozenset[Toolset] = frozenset({"tasks"})
# The seconds of delay that one poll is worth, as for commands: somebody waits for the answer.
POLL_COST = 0.1
ALLOW_FOLDER = "a person can allow it: coatcheck mcp --folder PATH"
# The shortest and the longest pause between two polls of a task (seconds).
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 15.0


class ServerOptions(NamedTuple):
    """What the person allows: toolsets, changes, and the folders of checkouts that may be changed."""

    toolsets: frozenset[Toolset] = DEFAULT_TOOLSETS
    is_read_only: bool = False
    folders: tuple[str, ...] = ()

    @property
    def can_decide(self) -> bool:
        """Whether gates are decided over MCP."""
        return "approvals" in self.toolsets and not self.is_read_only


class Call(NamedTuple):
    """One call: the session of the server, its options, and what reports the progress of a wait."""

    session: TaskSession
    options: ServerOptions
    report: Callable[[Task], None] | None = None


class Hints(NamedTuple):
    """The annotations of a tool; see https://modelcontextprotocol.io/specification/2025-11-25/server/tools."""

    is_read_only: bool
    is_destructive: bool = False
    is_idempotent: bool = True
    is_open_world: bool = True


class ToolEntry(NamedTuple):
    """A tool: its texts, its arguments, its answer, and the function that performs it in a thread."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    answer: type[answers.Answer]
    hints: Hints
    perform: Callable[[Call, Any], answers.Answer]
    toolset: Toolset = "tasks"


# --- reading ----------------------------------------------------------------------------------------------------------


def get_task(call: Call, given: arguments.GetTask) -> answers.TaskOut:
    """Return a task as it is now."""
    from .._app.bounded_wait import current_task

    return task_out(call, current_task(call.session, call.session.ref(given.ref)))


def wait_for_task(call: Call, given: arguments.WaitForTask) -> answers.Waited:
    """Wait for a task, or for several, for a bounded time."""
    from .._app.bounded_wait import wait_at_most

    session, texts = call.session, require_texts(given)
    if given.ref is not None:
        task = wait_at_most(session, session.ref(given.ref), given.max_seconds, on_change=call.report)
        return answers.waited(task_out(call, task))
    deadline = session.clock.monotonic() + given.max_seconds
    tasks: dict[TaskRef, answers.TaskOut] = {}
    failed: list[answers.FailedRef] = []
    for text in texts:  # they run meanwhile, so one after the other takes no longer
        try:
            ref = session.ref(text)
            if ref not in tasks:
                remaining = max(0.0, deadline - session.clock.monotonic())
                tasks[ref] = task_out(call, wait_at_most(session, ref, remaining, on_change=call.report))
        except Exception as error:  # noqa: BLE001 - what is wrong with one task hides no other
            failed.append(answers.FailedRef(ref=text, error=message_of(error), is_retryable=is_retryable(error)))
    return answers.waited_for_all(list(tasks.values()), failed)


def require_texts(given: arguments.WaitForTask) -> Sequence[str]:
    """Return the texts that name tasks, each once. Raises `ConfigurationError` unless there is either ref or refs."""
    if (given.ref is None) == (not given.refs):
        raise errors.ConfigurationError("give either ref or refs", remedy="ref is one task, refs are several")
    return [given.ref] if given.ref is not None else list(dict.fromkeys(given.refs))


def is_retryable(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, errors.TransportError | errors.RateLimitError | errors.ProviderUnavailableError)


def list_tasks(call: Call, given: arguments.ListTasks) -> answers.TaskListOut:
    """Return a part of a service's list."""
    from .._app.listing import list_tasks as list_tasks_of

    client = call.session.client(given.provider)
    try:
        listed = list_tasks_of(
            client, filter=given.filter, environment=given.environment, limit=given.limit, cursor=given.cursor
        )
    finally:
        call.session.history.save()
    return answers.TaskListOut(
        tasks=[answers.listed(task) for task in listed.tasks], cursor=listed.cursor, warning=listed.stop_reason
    )


def get_result(call: Call, given: arguments.GetResult) -> answers.ResultOut:
    """Return a part of a task's result."""
    from .._app.bounded_wait import current_task
    from .._app.result_parts import read_part

    ref = call.session.ref(given.ref)
    part = read_part(current_task(call.session, ref), given.attempt, given.what, given.path)
    text = part.text[given.offset : given.offset + given.limit]
    end = given.offset + len(text)
    is_last = not text or end == len(part.text)
    return answers.ResultOut(
        ref=str(ref),
        what=given.what,
        attempt=part.attempt,
        text=text,
        notice=answers.NOTICE,
        total=len(part.text),
        next_offset=None if is_last else end,
        next=None if is_last else answers.how_to_read_on(given.what, given.path, offset=end, left=len(part.text) - end),
        warning=part.warning,
    )


def list_providers(call: Call, given: arguments.ListProviders) -> answers.ProvidersOut:
    """Return the services that can be used."""
    from .._app.provider_list import list_providers as list_known

    del given
    return answers.ProvidersOut(
        providers=[
            answers.ProviderOut(
                name=each.name,
                verbs=list(each.verbs),
                is_logged_in=each.is_logged_in,
                is_default=each.is_default,
                problem=each.problem,
            )
            for each in list_known(call.session)
        ]
    )


# --- changing ---------------------------------------------------------------------------------------------------------


def submit_task(call: Call, given: arguments.SubmitTask) -> answers.SubmittedOut:
    """Submit a task, once for calls that are repeated."""
    from .._app.repeatable_submission import submit_once

    submitted = submit_once(call.session, request_of(call.session, given), via="mcp")
    is_repeated = submitted.task is None
    task = submitted.task or _known_task(call.session, submitted.ref)
    summary = "the task was submitted; it runs at its service and does not need this connection"
    if is_repeated:
        summary = "an earlier call submitted this task, and nothing was sent now"
        if submitted.is_other_content:
            summary += "; the key is that of another prompt or place: give a new key to submit this one"
    return answers.SubmittedOut(
        ref=str(submitted.ref),
        state=task.state.value if task else "unknown",
        is_repeated=is_repeated,
        summary=summary,
        next="keep the ref; wait_for_task with it until is_terminal",
        url=task.url if task else None,
        warning=submitted.warning,
    )


def _known_task(session: TaskSession, ref: TaskRef) -> Task | None:
    """Return a task of an earlier call as it is now, None where its service does not answer."""
    from .._app.bounded_wait import current_task

    try:
        return current_task(session, ref)
    except errors.CoatcheckError:
        return None


def request_of(session: TaskSession, given: arguments.SubmitTask) -> Any:
    """Return what is submitted: the prompt, or that of the template, and the options."""
    from .._app.repeatable_submission import RepeatableRequest
    from .._app.submit import SubmitOptions

    if (given.prompt is None) == (given.template is None):
        raise errors.ConfigurationError("give either prompt or template", remedy="a template makes the prompt")
    names = ("repository", "environment", "branch", "attempts", "mode", "model", "title")
    chosen = {name: value for name in names if (value := getattr(given, name)) is not None}
    provider = given.provider or session.workspace.provider
    if given.template is None:
        if given.arguments:
            raise errors.ConfigurationError("arguments are for a template", remedy="leave out arguments")
        return RepeatableRequest(given.prompt or "", SubmitOptions(**chosen), provider, given.key)
    from .prompts import render_template

    rendered, settings = render_template(session.workspace, given.template, given.arguments)
    provider = given.provider or settings.pop("provider", None) or provider
    settings.pop("provider", None)
    if "environment" in chosen or "repository" in chosen:
        settings.pop("environment", None)
    has_titles = "title" in session.client(provider).capabilities.options
    title = {"title": rendered.title} if has_titles else {}
    options = SubmitOptions(**{**title, **settings, **chosen})
    return RepeatableRequest(rendered.prompt, options, provider, given.key, (rendered.template, rendered.digest))


def apply_patch(call: Call, given: arguments.ApplyPatch) -> answers.AppliedOut:
    """Apply a task's patch to a checkout, or find out whether it fits."""
    from .._app.allowed_folders import allowed_checkout
    from .._app.apply import ApplyOptions, apply_patch as apply_to
    from .._app.bounded_wait import current_task
    from .._app.outcomes import choose_patch

    root = allowed_checkout(given.directory, call.options.folders, remedy=ALLOW_FOLDER)
    task = current_task(call.session, call.session.ref(given.ref))
    chosen = choose_patch(task, task.attempts, given.attempt)
    report = apply_to(root, chosen, ApplyOptions(check=given.check_only), task=task)
    files = [
        answers.FileOut(path=each.path, status=each.status, reason=each.detail or each.kind or None)
        for each in report.applied.files
    ]
    next = "; ".join(report.applied.next_steps) or "apply_patch with check_only false changes the files"
    return answers.AppliedOut(
        ref=str(task.ref),
        directory=root,
        is_changed=not given.check_only and bool(report.applied.applied),
        is_complete=report.is_complete,
        files=files,
        conflicts=[each.path for each in report.applied.conflicted],
        findings=[str(finding) for finding in report.findings],
        next=next,
    )


def send_message(call: Call, given: arguments.SendMessage) -> answers.TaskOut:
    """Send a follow-up to a task, which runs again."""
    from .._protocol.provider import Verb

    ref = call.session.ref(given.ref)
    client = call.session.client(ref.provider, refs=[ref])
    client.capabilities.require(Verb.SEND_MESSAGE, ref.provider)
    try:
        return task_out(call, client.send_message(ref, given.text, mode=given.mode))
    finally:
        call.session.history.save()


def cancel_task(call: Call, given: arguments.CancelTask) -> answers.ActedOut:
    """Request that a task stops."""
    from .._app.actions import cancel_task as cancel

    ref = call.session.ref(given.ref)
    try:
        cancel(call.session.client(ref.provider, refs=[ref]), ref)
    except errors.UnsupportedError as error:
        return answers.ActedOut(
            ref=str(ref), status="unsupported", summary=str(error), next="the task is still running; call wait_for_task"
        )
    except errors.TaskError as error:
        return answers.ActedOut(ref=str(ref), status="already_ended", summary=str(error), next="get_result")
    finally:
        call.session.history.save()
    return answers.ActedOut(ref=str(ref), status="requested", summary="cancellation requested", next="wait_for_task")


def decide(call: Call, given: arguments.Decide) -> answers.ActedOut:
    """Decide the gate of a task, and carry out the decision."""
    from .decisions import decide_gate

    session = call.session
    gate = session.gates.find(given.gate)
    if gate.subject != str(session.ref(given.ref)):
        raise errors.ConfigurationError(f"{gate.address} is not about {given.ref}", remedy="give the ref of its task")
    decided = decide_gate(session, gate, given.decision, given.comment)
    return answers.ActedOut(
        ref=gate.subject,
        status=given.decision + ("ed" if given.decision == "reject" else "d"),
        summary=f"{gate.title}: {decided.outcome.replace('_', ' ')}",
        next="wait_for_task with this ref",
    )


# --- the table --------------------------------------------------------------------------------------------------------

_READS = Hints(is_read_only=True)
TOOLS: Sequence[ToolEntry] = (
    ToolEntry(
        "submit_task",
        "Submit a coding task",
        "Hand a coding task to a remote agent. It returns a ref at once and does not wait: keep the ref and call"
        " wait_for_task. A repeated call (the same key, or the same prompt and place within ten minutes) returns the"
        " same ref and sends nothing.",
        arguments.SubmitTask,
        answers.SubmittedOut,
        Hints(is_read_only=False, is_idempotent=False),
        submit_task,
    ),
    ToolEntry(
        "wait_for_task",
        "Wait for a task",
        "Wait until a task ends or needs input, for at most max_seconds. Call it again while is_terminal is false: the"
        " task is still running.",
        arguments.WaitForTask,
        answers.Waited,
        _READS,
        wait_for_task,
    ),
    ToolEntry(
        "get_task",
        "Get a task",
        "Get the state of a task and the size of its change, without waiting.",
        arguments.GetTask,
        answers.TaskOut,
        _READS,
        get_task,
    ),
    ToolEntry(
        "list_tasks",
        "List tasks",
        "List the tasks of a service, the newest first.",
        arguments.ListTasks,
        answers.TaskListOut,
        _READS,
        list_tasks,
    ),
    ToolEntry(
        "get_result",
        "Get a result",
        "Get a part of a task's result: the agent's message, the changed files, the git diff, or the log. Long texts"
        " come in pages: pass next_offset as offset.",
        arguments.GetResult,
        answers.ResultOut,
        _READS,
        get_result,
    ),
    ToolEntry(
        "list_providers",
        "List services",
        "List the services that can run tasks, what each supports, and whether there is a login.",
        arguments.ListProviders,
        answers.ProvidersOut,
        _READS._replace(is_open_world=False),
        list_providers,
    ),
    ToolEntry(
        "apply_patch",
        "Apply a patch",
        "Apply a task's patch to a local git checkout. With check_only, the default, nothing is changed.",
        arguments.ApplyPatch,
        answers.AppliedOut,
        Hints(is_read_only=False, is_destructive=True, is_idempotent=False),
        apply_patch,
        "apply",
    ),
    ToolEntry(
        "cancel_task",
        "Cancel a task",
        "Request that the service stops a task. What it has made so far may be lost.",
        arguments.CancelTask,
        answers.ActedOut,
        Hints(is_read_only=False, is_destructive=True),
        cancel_task,
        "cancel",
    ),
    ToolEntry(
        "send_message",
        "Send a message to a task",
        "Send a follow-up to a task, which runs again.",
        arguments.SendMessage,
        answers.TaskOut,
        Hints(is_read_only=False, is_idempotent=False),
        send_message,
        "messages",
    ),
    ToolEntry(
        "decide",
        "Decide a gate",
        "Approve or reject what a task waits for, or answer its question with comment. What was submitted over MCP is"
        " decided by a person.",
        arguments.Decide,
        answers.ActedOut,
        Hints(is_read_only=False),
        decide,
        "approvals",
    ),
)


def offered_tools(options: ServerOptions) -> Mapping[str, ToolEntry]:
    """Return the tools of a server, in their order."""
    return {
        each.name: each
        for each in TOOLS
        if each.toolset in options.toolsets and (each.hints.is_read_only or not options.is_read_only)
    }


def task_out(call: Call, task: Task) -> answers.TaskOut:
    """Return *task* as tools return it; the gate of what it waits for is opened."""
    gate: Gate | None = call.session.open_gate(task) if task.state.is_interrupted else None
    return answers.task_out(task, gate, retry=pause_of(call.session, task), can_decide=call.options.can_decide)


def pause_of(session: TaskSession, task: Task) -> float:
    """Return the pause before the next poll of *task* in seconds: by the schedule of polls, or as its service requires."""
    from .._engine.schedule import Schedule

    began = task.started_at or task.created_at
    age = session.clock.time() - began.timestamp() if began else 0.0
    schedule = Schedule(poll_cost=POLL_COST, shortest=SHORTEST_PAUSE, longest=LONGEST_PAUSE)
    # A young task is polled earlier than by the schedule: the task of a local cloud may take seconds.
    return max(task.retry_after or 0.0, min(schedule(max(0.0, age)), max(SHORTEST_PAUSE, age)))
